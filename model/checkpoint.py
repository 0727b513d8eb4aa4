"""Checkpoints: a directory with `config.json`, safetensors shards and, beside them, the tokenizer's file.

`save_checkpoint` writes, `load_checkpoint` reads; tensors are plain, `PackedFp4` or `PackedInt8`. `config.json` is
explicit: the model, how each tensor is stored and in which shard, which parts were never trained and are built again
from `init_seed`, and where the weights come from. A directory is a complete checkpoint or has no `config.json`: that
file goes first and comes last.

An FP4 tensor NAME is three in its shard: NAME.codes, NAME.scales and NAME.tensor_scale, laid out as in `model/fp4.py`;
an int8 one is NAME.codes and NAME.scales (`model/int8.py`).

    python -m model.checkpoint show DIR
    python -m model.checkpoint convert SRC DST --format nvfp4
"""

import argparse
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize_shard
from torch import Tensor

from model.fp4 import Fp4Format, PackedFp4, dequantize
from model.int8 import PackedInt8, unpack
from model.quantize import search_scales

Stored: TypeAlias = Tensor | PackedFp4 | PackedInt8

FORMAT_VERSION = 1
CONFIG_NAME = "config.json"
TOKENIZER_NAMES = ("tokenizer.json", "tokenizer.model")
MAX_SHARD_BYTES = 45_000_000  # public code hosts warn about files from 50 MB
SHARD_HEADER_BYTES = 1_000_000  # allowance for the names and offsets that open a shard
INT8 = "int8"
CODES, SCALES, TENSOR_SCALE = ".codes", ".scales", ".tensor_scale"

# config.json's name and safetensors' name of each type a plain tensor may have.
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "int64": torch.int64}
SAFETENSORS_NAMES = {
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int8: "I8",
    torch.uint8: "U8",
}
FP4_FORMATS = {format.value: format for format in Fp4Format}


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """How one tensor is stored: `stored` is a key of `DTYPES`, an FP4 format or "int8", `shape` the logical one."""

    stored: str
    shape: tuple[int, ...]
    shard: str


@dataclass(frozen=True, slots=True)
class Description:
    """What a checkpoint says about its weights. `model` is `ModelConfig.to_json`, `untrained` names modules."""

    model: dict[str, Any]
    init_seed: int
    untrained: tuple[str, ...]
    provenance: str


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """`config.json`, field by field. `shards` maps file names to the SHA-256 of their bytes."""

    format_version: int
    model: dict[str, Any]
    init_seed: int
    untrained: tuple[str, ...]
    provenance: str
    shards: dict[str, str]
    tensors: dict[str, TensorEntry]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on disk whose every tensor is known to be there. `weights_hash` covers model, tensors and bytes."""

    description: Description
    tensors: "StoredTensors"
    weights_hash: str

    @property
    def model(self) -> dict[str, Any]:
        """The model's config as plain data."""
        return self.description.model

    @property
    def init_seed(self) -> int:
        """The seed of whatever the tensors do not cover."""
        return self.description.init_seed


class StoredTensors(Mapping[str, Stored]):
    """Tensors of memory-mapped shards by name, read when asked for."""

    def __init__(self, directory: Path, entries: Mapping[str, TensorEntry]) -> None:
        self.entries = dict(entries)
        self._directory = directory

    def __getitem__(self, name: str) -> Stored:
        entry = self.entries[name]
        with safe_open(self._directory / entry.shard, framework="pt") as shard:
            if entry.stored == INT8:
                return PackedInt8(shard.get_tensor(name + CODES), shard.get_tensor(name + SCALES))
            if entry.stored not in FP4_FORMATS:
                plain: Tensor = shard.get_tensor(name)
                return plain
            codes, scales, tensor_scale = (shard.get_tensor(name + part) for part in (CODES, SCALES, TENSOR_SCALE))
            out, inp = entry.shape
            return PackedFp4(FP4_FORMATS[entry.stored], codes, scales, tensor_scale, (out, inp))

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


# --- saving ----------------------------------------------------------------------------------------------------------


def save_checkpoint(directory: Path, description: Description, tensors: Mapping[str, Stored]) -> None:
    """Write a checkpoint, replacing one that is there. A tokenizer's file in `directory` is left alone."""
    plan = plan_shards(tensors)
    entries = {
        name: entry_of(name, tensors[name], shard_name(index, len(plan)))
        for index, names in enumerate(plan)
        for name in names
    }
    directory.mkdir(parents=True, exist_ok=True)
    (directory / CONFIG_NAME).unlink(missing_ok=True)
    for stale in directory.glob("model-*.safetensors"):
        stale.unlink()
    shards: dict[str, str] = {}
    for index, names in enumerate(plan):
        parts = {part: data for name in names for part, data in parts_of(name, tensors[name]).items()}
        shard = serialize_shard(parts)
        shards[shard_name(index, len(plan))] = hashlib.sha256(shard).hexdigest()
        write_atomically(directory / shard_name(index, len(plan)), shard)
    config = ConfigFile(
        format_version=FORMAT_VERSION,
        model=description.model,
        init_seed=description.init_seed,
        untrained=description.untrained,
        provenance=description.provenance,
        shards=shards,
        tensors=entries,
    )
    write_atomically(directory / CONFIG_NAME, msgspec.json.format(msgspec.json.encode(config), indent=1) + b"\n")


def shard_name(index: int, count: int) -> str:
    """The file name of a shard, counted from 0."""
    return f"model-{index + 1:05}-of-{count:05}.safetensors"


def plan_shards(tensors: Mapping[str, Stored]) -> list[list[str]]:
    """Names by shard, in order, each shard below `MAX_SHARD_BYTES` unless a single tensor is larger."""
    plan: list[list[str]] = [[]]
    filled = SHARD_HEADER_BYTES
    for name, tensor in tensors.items():
        size = num_bytes_of(tensor)
        if plan[-1] and filled + size > MAX_SHARD_BYTES:
            plan.append([])
            filled = SHARD_HEADER_BYTES
        plan[-1].append(name)
        filled += size
    return plan


def num_bytes_of(tensor: Stored) -> int:
    """Stored size of one tensor."""
    return tensor.numel() * tensor.element_size() if isinstance(tensor, Tensor) else tensor.num_bytes


def as_tensor(stored: Stored) -> Tensor:
    """Unpacked where it is packed; a plain tensor as it is."""
    if isinstance(stored, PackedFp4):
        return dequantize(stored)
    return unpack(stored) if isinstance(stored, PackedInt8) else stored


def parts_of(name: str, tensor: Stored) -> dict[str, Tensor]:
    """The tensors that a shard holds for one of ours."""
    if isinstance(tensor, PackedFp4):
        codes, scales = tensor.codes.contiguous(), tensor.scales.contiguous()
        return {name + CODES: codes, name + SCALES: scales, name + TENSOR_SCALE: tensor.tensor_scale}
    if isinstance(tensor, PackedInt8):
        return {name + CODES: tensor.codes.contiguous(), name + SCALES: tensor.scales.contiguous()}
    return {name: tensor.detach().contiguous()}


def entry_of(name: str, tensor: Stored, shard: str) -> TensorEntry:
    """How a tensor appears in `config.json`."""
    if isinstance(tensor, PackedFp4):
        return TensorEntry(tensor.format.value, tensor.shape, shard)
    if isinstance(tensor, PackedInt8):
        return TensorEntry(INT8, tuple(tensor.shape), shard)
    for stored, dtype in DTYPES.items():
        if tensor.dtype == dtype:
            return TensorEntry(stored, tuple(tensor.shape), shard)
    raise ValueError(f"{name}: a checkpoint stores {', '.join(DTYPES)}, int8 and FP4, not {tensor.dtype}")


def write_atomically(path: Path, data: bytes) -> None:
    """The file appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


# --- loading ---------------------------------------------------------------------------------------------------------


def load_checkpoint(directory: Path) -> Checkpoint:
    """Open a checkpoint and verify its bytes and every tensor's shape and type.

    Raises ValueError saying what is wrong, naming the tensor; FileNotFoundError where a file is missing.
    """
    path = directory / CONFIG_NAME
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint in {directory}: it has no {CONFIG_NAME}")
    try:
        config = msgspec.json.decode(path.read_bytes(), type=ConfigFile)
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}: {error}") from error
    if config.format_version != FORMAT_VERSION:
        raise ValueError(f"{path}: format version {config.format_version}, but this code reads {FORMAT_VERSION}")
    verify_shards(directory, config)
    description = Description(config.model, config.init_seed, config.untrained, config.provenance)
    hashed = msgspec.json.encode(replace(config, provenance=""), order="sorted")
    return Checkpoint(description, StoredTensors(directory, config.tensors), hashlib.sha256(hashed).hexdigest())


def verify_shards(directory: Path, config: ConfigFile) -> None:
    """Raise unless the shards have the bytes, and the tensors, that the config says."""
    with ExitStack() as stack:
        opened: dict[str, Any] = {}
        for shard, sha256 in config.shards.items():
            path = directory / shard
            if Path(shard).name != shard:
                raise ValueError(f"{directory / CONFIG_NAME}: {shard!r} is not the name of a file beside it")
            if not path.is_file():
                raise FileNotFoundError(f"{path} is missing, though {CONFIG_NAME} lists it")
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha256:
                raise ValueError(f"{path} is damaged or not of this checkpoint: its SHA-256 is {found}, not {sha256}")
            try:
                opened[shard] = stack.enter_context(safe_open(path, framework="pt"))
            except SafetensorError as error:
                raise ValueError(f"{path}: {error}") from error
        names = {shard: set(file.keys()) for shard, file in opened.items()}
        for name, entry in config.tensors.items():
            if entry.shard not in opened:
                raise ValueError(f"{name}: {CONFIG_NAME} lists no shard {entry.shard!r}")
            for part, dtype, shape in expected_parts(name, entry):
                if part not in names[entry.shard]:
                    raise ValueError(f"{name}: {entry.shard} holds no {part!r}")
                found_part = opened[entry.shard].get_slice(part)
                found_dtype, found_shape = found_part.get_dtype(), tuple(found_part.get_shape())
                if (found_dtype, found_shape) != (SAFETENSORS_NAMES[dtype], shape):
                    wanted = f"{SAFETENSORS_NAMES[dtype]} {shape}"
                    raise ValueError(f"{part}: stored as {found_dtype} {found_shape}, but {CONFIG_NAME} says {wanted}")


def expected_parts(name: str, entry: TensorEntry) -> list[tuple[str, torch.dtype, tuple[int, ...]]]:
    """Name, type and shape of what a shard must hold for an entry."""
    if entry.stored in DTYPES:
        return [(name, DTYPES[entry.stored], entry.shape)]
    if entry.stored == INT8:
        if len(entry.shape) < 2:
            raise ValueError(f"{name}: an int8 tensor is [out, ...], not {entry.shape}")
        return [(name + CODES, torch.int8, entry.shape), (name + SCALES, torch.float32, entry.shape[:1])]
    if entry.stored not in FP4_FORMATS:
        known = ", ".join([*DTYPES, INT8, *FP4_FORMATS])
        raise ValueError(f"{name}: unknown storage {entry.stored!r}; known are {known}")
    block = FP4_FORMATS[entry.stored].block
    if len(entry.shape) != 2 or entry.shape[1] % block:
        raise ValueError(
            f"{name}: a {entry.stored} tensor is [out, in] with in divisible by {block}, not {entry.shape}"
        )
    out, inp = entry.shape
    return [
        (name + CODES, torch.uint8, (out, inp // 2)),
        (name + SCALES, torch.uint8, (out, inp // block)),
        (name + TENSOR_SCALE, torch.float32, ()),
    ]


# --- command line ----------------------------------------------------------------------------------------------------


def is_quantizable(name: str, shape: tuple[int, ...], format: Fp4Format) -> bool:
    """Whether `convert` puts a tensor into FP4: the decoder's linear layers, the text table and the text head."""
    ours = name.startswith("decoder.layers.") or name in ("embedding.text.weight", "text_head.text.weight")
    return ours and len(shape) == 2 and shape[1] % format.block == 0


def convert(source: Path, target: Path, format: Fp4Format) -> None:
    """Put a checkpoint's large matrices into `format` without calibration data; those already in it stay."""
    if source.resolve() == target.resolve():
        raise ValueError(f"cannot convert {source} onto itself")
    checkpoint = load_checkpoint(source)
    converted: dict[str, Stored] = {}
    for name, tensor in checkpoint.tensors.items():
        if isinstance(tensor, PackedFp4) and tensor.format is format:
            converted[name] = tensor
        elif is_quantizable(name, tuple(tensor.shape), format):
            weight = as_tensor(tensor).float()
            converted[name] = search_scales(weight, torch.ones(weight.shape[1]), format)
        else:
            converted[name] = tensor
    note = f"{checkpoint.description.provenance} Converted to {format.value} without calibration data."
    save_checkpoint(target, replace(checkpoint.description, provenance=note.strip()), converted)
    for tokenizer in TOKENIZER_NAMES:
        if (source / tokenizer).is_file():
            shutil.copy2(source / tokenizer, target / tokenizer)


def show(directory: Path) -> str:
    """A table of what a checkpoint holds."""
    checkpoint = load_checkpoint(directory)
    entries = checkpoint.tensors.entries
    lines = [f"{'tensor':52} {'stored':9} {'shape':>16} {'bytes':>12}  shard"]
    total = 0
    for name, entry in entries.items():
        size = num_bytes_of(checkpoint.tensors[name])
        total += size
        lines.append(f"{name:52} {entry.stored:9} {'x'.join(map(str, entry.shape)):>16} {size:12,}  {entry.shard}")
    description = checkpoint.description
    lines += [
        f"{len(entries)} tensors, {total:,} bytes, weights hash {checkpoint.weights_hash}",
        f"built from seed {description.init_seed}, never trained: {', '.join(description.untrained) or 'nothing'}",
        f"provenance: {description.provenance}",
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 1 and a line of text where it fails."""
    parser = argparse.ArgumentParser(prog="python -m model.checkpoint", description="Look at and convert checkpoints.")
    commands = parser.add_subparsers(dest="command", required=True)
    showing = commands.add_parser("show", help="print a table of what a checkpoint holds")
    showing.add_argument("directory", type=Path)
    converting = commands.add_parser("convert", help="put the large matrices into FP4, without calibration data")
    converting.add_argument("source", type=Path)
    converting.add_argument("target", type=Path)
    converting.add_argument("--format", required=True, choices=list(FP4_FORMATS))
    options = parser.parse_args(arguments)
    try:
        if options.command == "show":
            print(show(options.directory))
        else:
            convert(options.source, options.target, FP4_FORMATS[options.format])
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
