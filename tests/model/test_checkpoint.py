"""Checkpoints survive the disk exactly, and a damaged or mismatched one is refused with a clear reason."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model import checkpoint as checkpoint_module
from model.checkpoint import Description, Stored, as_tensor, load_checkpoint, main, save_checkpoint
from model.fp4 import Fp4Format, PackedFp4, dequantize, quantize
from model.int8 import PackedInt8, pack

DESCRIPTION = Description(model={"name": "toy"}, init_seed=7, untrained=("vision",), provenance="Drawn at random.")
NVFP4, MXFP4 = Fp4Format.NVFP4, Fp4Format.MXFP4


def random_weight(out: int = 8, inp: int = 64) -> torch.Tensor:
    return torch.randn(out, inp, generator=torch.Generator().manual_seed(out))


def tensors() -> dict[str, Stored]:
    return {
        "embedding.text.weight": quantize(random_weight(32), NVFP4),
        "decoder.layers.0.attention.q_proj.weight": quantize(random_weight(16), MXFP4),
        "decoder.layers.0.ffn.up_proj.weight": random_weight(24),
        "decoder.norm.weight": torch.ones(64, dtype=torch.bfloat16),
    }


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "toy", DESCRIPTION, tensors())
    return tmp_path / "toy"


def edit_config(directory: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    path = directory / "config.json"
    config = json.loads(path.read_text())
    edit(config)
    path.write_text(json.dumps(config))


def assert_same(stored: Stored, expected: Stored) -> None:
    if isinstance(expected, PackedFp4):
        assert isinstance(stored, PackedFp4)
        assert (stored.format, stored.shape) == (expected.format, expected.shape)
        assert torch.equal(stored.codes, expected.codes)
        assert torch.equal(stored.scales, expected.scales)
        assert torch.equal(stored.tensor_scale, expected.tensor_scale)
    else:
        assert isinstance(stored, torch.Tensor)
        assert stored.dtype == expected.dtype
        assert torch.equal(stored, expected)


# --- what survives ---------------------------------------------------------------------------------------------------


def test_everything_comes_back_as_it_was_saved(directory: Path) -> None:
    checkpoint = load_checkpoint(directory)
    assert checkpoint.description == DESCRIPTION
    assert (checkpoint.model, checkpoint.init_seed) == ({"name": "toy"}, 7)
    assert list(checkpoint.tensors) == list(tensors())
    for name, expected in tensors().items():
        assert_same(checkpoint.tensors[name], expected)


def test_shards_stay_below_the_limit_and_keep_the_parts_of_a_tensor_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_module, "MAX_SHARD_BYTES", 12_000)
    monkeypatch.setattr(checkpoint_module, "SHARD_HEADER_BYTES", 1_000)
    many: dict[str, Stored] = {f"decoder.layers.{i}.weight": quantize(random_weight(128), NVFP4) for i in range(5)}
    save_checkpoint(tmp_path, DESCRIPTION, many)
    shards = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert shards == [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    assert all((tmp_path / shard).stat().st_size < 12_000 for shard in shards)
    loaded = load_checkpoint(tmp_path).tensors
    for name, expected in many.items():
        assert_same(loaded[name], expected)


def test_tensor_larger_than_a_shard_gets_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_module, "MAX_SHARD_BYTES", 2_000)
    save_checkpoint(tmp_path, DESCRIPTION, {"a": torch.zeros(4), "large": torch.zeros(4_000), "b": torch.zeros(4)})
    assert len(list(tmp_path.glob("*.safetensors"))) == 3
    assert load_checkpoint(tmp_path).tensors["large"].shape == (4_000,)


def test_saving_again_leaves_no_stale_shard_and_keeps_the_tokenizer(directory: Path) -> None:
    (directory / "tokenizer.json").write_text("{}")
    (directory / "model-00009-of-00009.safetensors").write_bytes(b"old")
    save_checkpoint(directory, DESCRIPTION, {"decoder.norm.weight": torch.ones(3)})
    assert sorted(path.name for path in directory.iterdir()) == [
        "config.json",
        "model-00001-of-00001.safetensors",
        "tokenizer.json",
    ]
    assert list(load_checkpoint(directory).tensors) == ["decoder.norm.weight"]


def test_tensor_of_an_unknown_type_is_refused_before_anything_is_touched(directory: Path) -> None:
    with pytest.raises(ValueError, match=r"odd: a checkpoint stores .* not torch\.complex64"):
        save_checkpoint(directory, DESCRIPTION, {"odd": torch.zeros(2, dtype=torch.complex64)})
    assert list(load_checkpoint(directory).tensors) == list(tensors())


def test_save_that_breaks_off_leaves_no_checkpoint_behind(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(path: Path, data: bytes) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(checkpoint_module, "write_atomically", disk_full)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(directory, DESCRIPTION, tensors())
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        load_checkpoint(directory)


# --- the hash --------------------------------------------------------------------------------------------------------


def test_hash_depends_on_content_alone(directory: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(directory, tmp_path / "elsewhere")
    save_checkpoint(tmp_path / "again", DESCRIPTION, tensors())
    expected = load_checkpoint(directory).weights_hash
    assert load_checkpoint(moved).weights_hash == load_checkpoint(tmp_path / "again").weights_hash == expected


def test_hash_changes_with_one_weight(directory: Path, tmp_path: Path) -> None:
    changed = tensors()
    changed["decoder.norm.weight"] = torch.full((64,), 1.0078125, dtype=torch.bfloat16)
    save_checkpoint(tmp_path / "other", DESCRIPTION, changed)
    assert load_checkpoint(directory).weights_hash != load_checkpoint(tmp_path / "other").weights_hash


@pytest.mark.parametrize(("field", "value"), [("model", {"name": "other"}), ("init_seed", 8)])
def test_hash_covers_what_else_decides_the_model(directory: Path, field: str, value: object) -> None:
    before = load_checkpoint(directory).weights_hash
    edit_config(directory, lambda config: config.update({field: value}))
    assert load_checkpoint(directory).weights_hash != before


# --- what is refused -------------------------------------------------------------------------------------------------


def test_flipped_bit_is_noticed(directory: Path) -> None:
    shard = directory / "model-00001-of-00001.safetensors"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ValueError, match="damaged or not of this checkpoint"):
        load_checkpoint(directory)


def test_missing_shard_is_named(directory: Path) -> None:
    (directory / "model-00001-of-00001.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model-00001-of-00001\.safetensors is missing"):
        load_checkpoint(directory)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("decoder.norm.weight", {"shape": [65]}, r"decoder\.norm\.weight: stored as BF16 \(64,\), but .* \(65,\)"),
        ("decoder.norm.weight", {"stored": "float32"}, r"config\.json says F32 \(64,\)"),
        ("decoder.norm.weight", {"stored": "int3"}, r"decoder\.norm\.weight: unknown storage 'int3'"),
        ("decoder.norm.weight", {"shard": "x"}, r"decoder\.norm\.weight: config\.json lists no shard 'x'"),
        ("embedding.text.weight", {"stored": "mxfp4"}, r"embedding\.text\.weight\.scales: stored as"),
        ("embedding.text.weight", {"shape": [32, 60]}, r"in divisible by 16, not \(32, 60\)"),
        ("embedding.text.weight", {"shape": "wide"}, r"Expected `array`, got `str`"),
    ],
)
def test_tensor_that_is_not_as_described_is_refused(
    directory: Path, name: str, change: dict[str, object], message: str
) -> None:
    edit_config(directory, lambda config: config["tensors"][name].update(change))
    with pytest.raises(ValueError, match=message):
        load_checkpoint(directory)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda config: config.pop("init_seed"), r"missing required field `init_seed`"),
        (lambda config: config.update(format_version=2), r"format version 2, but this code reads 1"),
        (lambda config: config["shards"].update({"../elsewhere": "0"}), r"not the name of a file beside it"),
        (lambda config: config["tensors"].update(more=config["tensors"]["decoder.norm.weight"]), r"holds no 'more'"),
    ],
)
def test_config_that_makes_no_sense_is_refused(
    directory: Path, edit: Callable[[dict[str, Any]], None], message: str
) -> None:
    edit_config(directory, edit)
    with pytest.raises(ValueError, match=message):
        load_checkpoint(directory)


def test_directory_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"it has no config\.json"):
        load_checkpoint(tmp_path)


# --- command line ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", list(Fp4Format))
def test_convert_quantizes_linear_layers_and_leaves_the_rest(
    directory: Path, tmp_path: Path, format: Fp4Format
) -> None:
    (directory / "tokenizer.json").write_text("{}")
    target = tmp_path / "converted"
    assert main(["convert", str(directory), str(target), "--format", format.value]) == 0
    before, after = load_checkpoint(directory), load_checkpoint(target)
    for name, expected in tensors().items():
        stored = after.tensors[name]
        if name == "decoder.norm.weight":
            assert_same(stored, expected)
            continue
        assert isinstance(stored, PackedFp4)
        assert stored.format is format
        exact = dequantize(expected) if isinstance(expected, PackedFp4) else expected
        assert (dequantize(stored) - exact).norm() < 0.15 * exact.norm()
    assert (target / "tokenizer.json").read_text() == "{}"
    assert after.model == before.model
    assert f"Converted to {format.value}" in after.description.provenance


def test_convert_refuses_to_overwrite_its_source(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(directory), str(directory), "--format", "nvfp4"]) == 1
    assert "onto itself" in capsys.readouterr().err
    assert load_checkpoint(directory)


def test_int8_tensors_come_back_as_they_went(tmp_path: Path) -> None:
    packed = pack(torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0)))
    save_checkpoint(tmp_path, DESCRIPTION, {"conv.weight": packed})
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.tensors.entries["conv.weight"].stored == "int8"
    loaded = checkpoint.tensors["conv.weight"]
    assert isinstance(loaded, PackedInt8)
    assert torch.equal(loaded.codes, packed.codes)
    assert torch.equal(loaded.scales, packed.scales)
    assert torch.equal(as_tensor(loaded), as_tensor(packed))


def test_show_prints_every_tensor_and_the_provenance(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(directory)]) == 0
    printed = capsys.readouterr().out
    for text in [*tensors(), "mxfp4", "16x64", "never trained: vision", "Drawn at random.", "4 tensors"]:
        assert text in printed


def test_show_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(tmp_path)]) == 1
    assert "no checkpoint in" in capsys.readouterr().err
