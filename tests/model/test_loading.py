"""From a checkpoint to an engine: every backend, and clear words where something does not fit."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.backends import Backend
from model.checkpoint import Description, load_checkpoint, save_checkpoint
from model.fp4 import Fp4Format, quantize
from model.kernels import native_abi
from model.kernels.native_abi import NativeUnavailable
from model.loading import build_hash, choose_backend, load_engine
from model.network import Network
from model.presets import TEXT_ONLY, tiny
from streams.types import Finish, Message, Respond, Role, TickWindow

BACKENDS = [Backend.REFERENCE, Backend.DEQUANTIZED, Backend.NATIVE]


def has_native() -> bool:
    try:
        native_abi.load()
    except NativeUnavailable:
        return False
    return True


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny text model with its matrices in NVFP4."""
    config = replace(tiny(), abilities=TEXT_ONLY)
    network = Network(config)
    network.init(seed=7)
    tensors = {}
    for name, tensor in network.state_dict().items():
        if name.startswith("decoder.") or name in ("embedding.text.weight", "text_head.text.weight"):
            tensors[name] = quantize(tensor, Fp4Format.NVFP4) if tensor.ndim == 2 else tensor
    directory = tmp_path_factory.mktemp("weights")
    model = json.loads(json.dumps(config.to_json()))
    save_checkpoint(directory, Description(model, 7, ("audio_codec",), "for tests"), tensors)
    return directory


def answer(weights: Path, backend: Backend) -> list[int]:
    engine = load_engine(weights, backend=backend, max_sessions=2, num_threads=1)
    engine.open("s", seed=1)
    ids: list[int] = []
    commands = (Message(0, Role.USER, ("hello",)), Respond("r", max_tokens=24))
    for tick in range(8):
        *_, output = engine.step(engine.encode([TickWindow("s", tick, commands=commands)]))
        ids += output.ids.tolist()
        if output.finish is not None:
            break
        commands = ()
    assert output.finish in (Finish.LENGTH, Finish.STOP)
    return ids


def test_both_plain_torch_backends_draw_the_same_tokens(weights: Path):
    assert answer(weights, Backend.REFERENCE) == answer(weights, Backend.DEQUANTIZED)


@pytest.mark.skipif(not has_native(), reason="the native kernels were not built")
def test_the_native_backend_runs_the_same_checkpoint(weights: Path):
    first = answer(weights, Backend.NATIVE)
    assert len(first) > 0
    assert first == answer(weights, Backend.NATIVE)


def test_an_engine_says_what_it_runs(weights: Path):
    info = load_engine(weights, backend="dequantized", max_sessions=3, num_threads=1).info
    assert (info.name, info.max_sessions, info.backend) == ("tiny", 3, "dequantized")
    assert info.weights_hash == load_checkpoint(weights).weights_hash
    assert info.build_hash == build_hash(Backend.DEQUANTIZED)
    assert [info.hears, info.sees, info.speaks, info.draws] == [False] * 4


def test_without_a_compiler_auto_falls_back_with_one_warning(monkeypatch, caplog):
    def missing():
        raise NativeUnavailable("the native kernels were not built")

    monkeypatch.setattr("model.loading.load", missing)
    assert choose_backend("auto") is Backend.DEQUANTIZED
    assert len(caplog.records) == 1
    assert "plain torch" in caplog.text
    with pytest.raises(NativeUnavailable):
        choose_backend("native")


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="warp"):
        choose_backend("warp")


def test_the_triton_backend_says_that_it_needs_a_gpu(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="needs a CUDA GPU"):
        choose_backend("triton")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("model.loading.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'omniweave-realtime\[cuda\]'"):
        choose_backend("triton")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_the_triton_backend_runs_the_same_checkpoint(weights: Path):
    first = answer(weights, Backend.TRITON)
    assert len(first) > 0
    assert first == answer(weights, Backend.TRITON)


def test_a_tensor_without_a_place_is_named(weights: Path, tmp_path: Path):
    checkpoint = load_checkpoint(weights)
    tensors = {**checkpoint.tensors, "decoder.layers.9.norm.weight": torch.ones(4)}
    save_checkpoint(tmp_path, checkpoint.description, tensors)
    with pytest.raises(ValueError, match=r"no place for the tensor 'decoder.layers.9.norm.weight'"):
        load_engine(tmp_path, backend="dequantized")


def test_a_tensor_of_another_shape_is_named(weights: Path, tmp_path: Path):
    checkpoint = load_checkpoint(weights)
    tensors = {**checkpoint.tensors, "decoder.norm.weight": torch.ones(4)}
    save_checkpoint(tmp_path, checkpoint.description, tensors)
    with pytest.raises(ValueError, match=r"decoder.norm.weight: stored as \(4,\), but the model has \(64,\)"):
        load_engine(tmp_path, backend="dequantized")
