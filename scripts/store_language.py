r"""Puts a language model that a stage trained into a checkpoint, its layers back in four bits.

    python -m scripts.store_language weights/nano --language runs/realtime-nano/export \
        --sessions data/sessions/tokens-KEY/train --abilities sees draws self_paced --note "Learned to see and draw."

Layers that training left alone keep the bits that they have. The others are quantized with calibration on sessions
that the stage tokenized (`--sessions`) and, where they are given, on typed chats (`--dialogues`, by
model.training.simulation.own_dialogues), so that both come through. Tables of image codes and sound are stored in int8.
Tokenizers and encoders stay; `scripts.assemble_weights` is for those.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import msgspec
import torch
from safetensors.torch import load_file
from torch import Tensor

from model.calibration import quantize_decoder
from model.chat import ChatTemplate
from model.checkpoint import (
    Checkpoint,
    Stored,
    as_tensor,
    is_quantizable,
)
from model.config import Abilities
from model.fp4 import Fp4Format, PackedFp4
from model.loading import load_tokenizer
from model.network import Network
from model.quantize import search_scales
from model.training.forward import embed
from model.training.language_stage import WEIGHTS_NAME, language_network
from model.training.packed_rows import pack_rows
from model.training.sample_files import load_sample
from scripts.checkpoint_update import open_checkpoint, packed_in_int8, rewrite
from streams.types import Role

ROW_LENGTH = 420
ROWS_OF_SESSIONS, ROWS_OF_DIALOGUES = 28, 12
FUSE = "embedding.fuse.weight"  # nearly the identity, which eight bits would drown the rest in
ABILITIES = tuple(field.name for field in fields(Abilities))


def main(arguments: Sequence[str] | None = None) -> int:
    """1 and a line of text where it fails. Nothing was written then, unless the disk failed."""
    options = parser().parse_args(arguments)
    try:
        print(store(options))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


@torch.no_grad()
def store(options: argparse.Namespace) -> str:
    """Write the language model into the checkpoint. Returns a line that says what it holds now."""
    checkpoint, before = open_checkpoint(options.checkpoint)
    able = Abilities(**dict.fromkeys(ABILITIES, False) | dict.fromkeys(["writes", *options.abilities], True))
    config = replace(before, abilities=able)
    network = language_network(config, options.language, checkpoint.init_seed).requires_grad_(False)
    kept, changed = sorted_out(checkpoint, load_file(options.language / WEIGHTS_NAME), network)

    inputs_BTD = session_inputs(network, options.sessions)
    if options.dialogues is not None:
        chat = ChatTemplate(config.chat, load_tokenizer(options.checkpoint, config))
        ids = chat_ids(chat, options.dialogues)
        inputs_BTD = torch.cat((inputs_BTD, text_inputs(network, ids, inputs_BTD.shape[1])))
    stored: dict[str, Stored] = {**kept, **in_storage(network, kept, changed, inputs_BTD)}

    said = checkpoint.description.provenance.replace("No further training. ", "")
    return rewrite(options.checkpoint, checkpoint, config, stored, said, options.note)


def sorted_out(
    checkpoint: Checkpoint, trained: dict[str, Tensor], network: Network
) -> tuple[dict[str, Stored], dict[str, Tensor]]:
    """What the checkpoint keeps, and what training changed, by name.

    What is neither stored nor unlike the weights of the checkpoint's seed was not trained, and needs no storing.
    """
    kept: dict[str, Stored] = {name: checkpoint.tensors[name] for name in checkpoint.tensors}
    fresh = language_network(network.config, None, checkpoint.init_seed).state_dict()
    changed: dict[str, Tensor] = {}
    for name, tensor in trained.items():
        known = as_tensor(kept[name]) if name in kept else fresh.get(name)
        if known is None:
            raise ValueError(f"{name} is no weight of {network.config.name!r}")
        if not torch.equal(known.float(), tensor.float()):
            changed[name] = tensor
            kept.pop(name, None)
    return kept, changed


def in_storage(
    network: Network, kept: dict[str, Stored], changed: dict[str, Tensor], inputs_BTD: Tensor
) -> dict[str, Stored]:
    """The changed weights as they are stored."""
    stored: dict[str, Stored] = {}
    assert network.decoder is not None, "built with it"
    if any(is_quantizable(name, tuple(tensor.shape), Fp4Format.NVFP4) for name, tensor in changed.items()):
        prefix = "decoder."
        known = {
            name.removeprefix(prefix): tensor
            for name, tensor in kept.items()
            if name.startswith(prefix) and isinstance(tensor, PackedFp4)
        }
        layers = quantize_decoder(network.decoder, inputs_BTD, inputs_BTD, Fp4Format.NVFP4, report, known)
        stored = {f"{prefix}{name}": packed for name, packed in layers.items() if f"{prefix}{name}" in changed}
    for name, tensor in changed.items():
        if name in stored:
            continue
        if is_quantizable(name, tuple(tensor.shape), Fp4Format.NVFP4):
            stored[name] = search_scales(tensor, torch.ones(tensor.shape[1]), Fp4Format.NVFP4)
        else:
            stored[name] = tensor if name == FUSE else packed_in_int8(tensor)
    return stored


def session_inputs(network: Network, directory: Path) -> Tensor:
    """What the decoder reads in the first sessions of a directory, [rows, T, D]."""
    samples = [load_sample(path) for path in sorted(directory.glob("*.safetensors"))[: 4 * ROWS_OF_SESSIONS]]
    if not samples:
        raise FileNotFoundError(f"no tokenized sessions in {directory}")
    length = min(ROW_LENGTH, max(len(sample) for sample in samples))
    samples = [sample.cut(length) for sample in samples if len(sample) >= length][:ROWS_OF_SESSIONS]
    return embed(network, pack_rows(samples, [[number] for number in range(len(samples))], length))


def chat_ids(chat: ChatTemplate, path: Path) -> list[int]:
    """Dialogues one after the other, as the decoder reads typed chats."""
    ids: list[int] = []
    for line in path.read_bytes().splitlines():
        for asked, answered in msgspec.json.decode(line, type=list[tuple[str, str]]):
            ids += chat.turn(Role.USER, asked) + chat.turn(Role.ASSISTANT, answered)
    return ids


def text_inputs(network: Network, ids: list[int], length: int) -> Tensor:
    """What the decoder reads of so much text, [rows, length, D]. Raises ValueError for less than a row."""
    rows = min(len(ids) // length, ROWS_OF_DIALOGUES)
    if not rows:
        raise ValueError(f"{len(ids)} tokens of dialogues are not enough to calibrate on, it takes {length}")
    ids_BT = torch.tensor(ids[: rows * length]).view(rows, length)
    position_BT, zeros_BT = torch.arange(length).expand_as(ids_BT), torch.zeros_like(ids_BT)
    return network.embedding(network.embedding.joint_content(ids_BT), position_BT, zeros_BT, zeros_BT)


def report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("checkpoint", type=Path, help="directory of the checkpoint, which is changed")
    result.add_argument("--language", type=Path, required=True, metavar="DIR", help="what a language stage exported")
    result.add_argument(
        "--sessions", type=Path, required=True, metavar="DIR", help="tokenized sessions to calibrate on"
    )
    result.add_argument(
        "--dialogues", type=Path, metavar="FILE", help="JSON lines of typed chats to calibrate on, besides"
    )
    learned = [name for name in ABILITIES if name != "writes"]
    result.add_argument(
        "--abilities", nargs="*", choices=learned, default=[], help="what it has learned besides writing"
    )
    result.add_argument("--note", default="", help="a sentence on what was trained, for the checkpoint")
    return result


if __name__ == "__main__":
    sys.exit(main())
