"""The text command: sentences of the standard mix as JSON lines, one file for each split."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import msgspec
from tqdm import tqdm

from model.training.data.clip import Split
from model.training.data.shards import write_whole
from model.training.data.text.mix import SentenceMix, standard_mix


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--sentences", type=int, default=100_000, help="for training; a fiftieth more for evaluation")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)


def run(arguments: Namespace) -> None:
    """Write `train.jsonl` and `eval.jsonl` at `--out`."""
    write_text(arguments.out, standard_mix(arguments.seed), arguments.sentences)


def write_text(directory: Path, mix: SentenceMix, num_sentences: int, progress: bool = True) -> None:
    """Lines {"text": …, "kind": …}. The same call writes the same files."""
    directory.mkdir(parents=True, exist_ok=True)
    for split, count in ((Split.TRAIN, num_sentences), (Split.EVAL, -(-num_sentences // 50))):
        numbers = tqdm(range(count), unit="sentence", desc=split, disable=not progress)
        lines = [msgspec.json.encode(mix.sentence(split, number)) + b"\n" for number in numbers]
        write_whole(directory / f"{split}.jsonl", b"".join(lines))
