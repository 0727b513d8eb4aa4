r"""Puts trained tokenizers and encoders into a checkpoint: what the stages export, beside the decoder that is there.

    python -m scripts.assemble_weights weights/nano --note "Codec and encoders trained by us; see docs/evaluation.md." \
        --parts runs/vocoder-nano/export runs/image_tokenizer-nano/export \
                runs/vision_encoder-nano/export runs/audio_encoder-nano/export

Each directory holds one or more of audio_codec, image_vq, vision and audio_encoder (.safetensors), and what reads an
encoder's features in evaluations. A part that the checkpoint holds already is replaced; the others stay as they are.
The model's config becomes that of its preset, with the abilities that the checkpoint has: parts alone do not make a
decoder hear. Large matrices are stored in int8.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from model.checkpoint import Stored
from model.network import PARTS, Network
from model.parts import check_part, part_tensors, reader_file
from scripts.checkpoint_update import open_checkpoint, packed_in_int8, rewrite


def main(arguments: Sequence[str] | None = None) -> int:
    """1 and a line of text where it fails. Nothing was written then, unless the disk failed."""
    options = parser().parse_args(arguments)
    try:
        print(assemble(options.checkpoint, find_parts(options.parts), options.note))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def find_parts(directories: Sequence[Path]) -> dict[str, Path]:
    """Part to its file. Raises ValueError for a directory without any, and for a part that comes twice."""
    found: dict[str, Path] = {}
    for directory in directories:
        here = {part: directory / f"{part}.safetensors" for part in PARTS}
        here = {part: path for part, path in here.items() if path.is_file()}
        if not here:
            raise ValueError(f"{directory} holds none of {', '.join(f'{part}.safetensors' for part in PARTS)}")
        for part, path in here.items():
            if part in found:
                raise ValueError(f"{part} comes twice: {found[part]} and {path}")
            found[part] = path
    return found


def assemble(directory: Path, parts: Mapping[str, Path], note: str) -> str:
    """Write the parts into the checkpoint in `directory`. Returns a line that says what it holds now."""
    checkpoint, config = open_checkpoint(directory)
    tensors: dict[str, Stored] = {
        name: checkpoint.tensors[name] for name in checkpoint.tensors if name.partition(".")[0] not in parts
    }
    with torch.device("meta"):
        network = Network(config, with_decoder=False)
    for part, path in parts.items():
        tensors |= stored_part(network, part, path)
    said = rewrite(directory, checkpoint, config, tensors, checkpoint.description.provenance, note)
    for part, path in parts.items():
        readers = path.with_name(reader_file(part))
        if readers.is_file():
            shutil.copyfile(readers, directory / readers.name)
    return said


def stored_part(network: Network, part: str, path: Path) -> dict[str, Stored]:
    """A part's tensors under their names in the whole model.

    Raises ValueError unless they are those that the model's part has, in name and shape.
    """
    module = getattr(network, part)
    if module is None:
        raise ValueError(f"the model {network.config.name!r} has no {part}")
    check_part(module.state_dict(), found := part_tensors(path, part), part, path)
    return {f"{part}.{name}": packed_in_int8(tensor) for name, tensor in found.items()}


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("checkpoint", type=Path, help="directory of the checkpoint, which is changed")
    result.add_argument("--parts", type=Path, nargs="+", required=True, metavar="DIR", help="what stages exported")
    result.add_argument("--note", default="", help="a sentence on where the parts come from, for the checkpoint")
    return result


if __name__ == "__main__":
    sys.exit(main())
