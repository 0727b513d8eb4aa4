"""The audio codec's weights between the stages that train its parts, and on their way to a checkpoint.

One file, `audio_codec.safetensors`, with the names of `AudioCodec`'s own state. A stage loads what the file has of the
parts that it wants, and writes all parts that have been trained so far.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file

from model.parts import check_part, part_tensors
from model.tokenizers.audio_codec import AudioCodec

PART = "audio_codec"
FILE_NAME = f"{PART}.safetensors"
BANDS = ("encoder.", "quantizer.", "decoder.bands.")  # of a codec on mel bands
VOCODER = ("decoder.vocoder.",)


def load_parts(codec: AudioCodec, path: Path, prefixes: Iterable[str]) -> None:
    """Fill what is under `prefixes` from an export or a checkpoint. Raises ValueError where it is not whole there."""
    stored, chosen = part_tensors(path, PART), tuple(prefixes)
    own = {name: tensor for name, tensor in codec.state_dict().items() if name.startswith(chosen)}
    found = {name: stored[name] for name in own if name in stored}
    check_part(own, found, PART, path)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(found[name])


def save_parts(codec: AudioCodec, directory: Path, prefixes: Iterable[str]) -> None:
    """Write the parts under `prefixes`."""
    directory.mkdir(parents=True, exist_ok=True)
    chosen = tuple(prefixes)
    tensors = {name: tensor for name, tensor in codec.state_dict().items() if name.startswith(chosen)}
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, directory / FILE_NAME)
