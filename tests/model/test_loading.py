"""From a checkpoint to an engine: every backend, and clear words where something does not fit."""

from pathlib import Path

import pytest
import torch

from model.backends import Backend
from model.checkpoint import load_checkpoint, save_checkpoint
from model.kernels import native_abi
from model.kernels.native_abi import NativeUnavailable
from model.kv_format import KvFormat
from model.loading import build_hash, choose_backend, choose_kv_format, load_engine
from streams.types import Finish, Message, Respond, Role, TickWindow
from tests.model.tiny_weights import save_tiny_weights

BACKENDS = [Backend.REFERENCE, Backend.DEQUANTIZED, Backend.NATIVE]


def has_native() -> bool:
    try:
        native_abi.load()
    except NativeUnavailable:
        return False
    return True


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_weights(tmp_path_factory.mktemp("weights"))


def answer(weights: Path, backend: Backend, kv_cache: str = "auto") -> list[int]:
    engine = load_engine(weights, backend=backend, kv_cache=kv_cache, max_sessions=2, num_threads=1)
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


@pytest.mark.parametrize("kv_cache", list(KvFormat))
def test_both_plain_torch_backends_draw_the_same_tokens(weights: Path, kv_cache: KvFormat):
    assert answer(weights, Backend.REFERENCE, kv_cache) == answer(weights, Backend.DEQUANTIZED, kv_cache)


@pytest.mark.skipif(not has_native(), reason="the native kernels were not built")
@pytest.mark.parametrize("kv_cache", list(KvFormat))
def test_the_native_backend_runs_the_same_checkpoint(weights: Path, kv_cache: KvFormat):
    first = answer(weights, Backend.NATIVE, kv_cache)
    assert len(first) > 0
    assert first == answer(weights, Backend.NATIVE, kv_cache)


def test_an_engine_says_what_it_runs(weights: Path):
    info = load_engine(weights, backend="dequantized", max_sessions=3, num_threads=1).info
    assert (info.name, info.max_sessions, info.backend) == ("tiny", 3, "dequantized")
    assert info.weights_hash == load_checkpoint(weights).weights_hash
    assert info.kv_cache == "bfloat16"
    assert info.build_hash == build_hash(Backend.DEQUANTIZED, KvFormat.BFLOAT16)
    assert [info.hears, info.sees, info.speaks, info.draws] == [False] * 4


def test_the_kv_cache_is_part_of_what_an_engine_says_it_is(weights: Path):
    info = load_engine(weights, backend="dequantized", kv_cache="int8", max_sessions=1, num_threads=1).info
    assert info.kv_cache == "int8"
    assert info.build_hash == build_hash(Backend.DEQUANTIZED, KvFormat.INT8)
    assert info.build_hash != build_hash(Backend.DEQUANTIZED, KvFormat.BFLOAT16)


@pytest.mark.parametrize("backend", list(Backend))
def test_auto_is_int8_on_the_native_backend_only(backend: Backend):
    assert (choose_kv_format("auto", backend) is KvFormat.INT8) == (backend is Backend.NATIVE)


def test_a_kv_cache_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="the triton backend keeps keys and values in bfloat16 only"):
        choose_kv_format("int8", Backend.TRITON)
    with pytest.raises(ValueError, match="float7"):
        choose_kv_format("float7", Backend.NATIVE)


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
