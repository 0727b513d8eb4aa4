"""The show command: what a data directory holds, by source, speaker and split, with licences."""

from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model.training.data.clip import ClipRecord, Split
from model.training.data.held_out import held_out_reason
from model.training.data.picture_set import PictureRecord
from model.training.data.shards import read_manifest


@dataclass(slots=True)
class Total:
    """What one row counts. `num_timed` are clips with word times."""

    num_items: int = 0
    duration_s: float = 0.0
    num_timed: int = 0


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, help="a set, or a directory of sets")


def run(arguments: Namespace) -> None:
    """Print the tables."""
    if not arguments.directory.is_dir():
        raise FileNotFoundError(f"no directory {arguments.directory}")
    for line in (*speech_table(arguments.directory), *picture_table(arguments.directory)):
        print(line)


def speech_table(directory: Path) -> Iterator[str]:
    """A row for each source, speaker and split of every speech set below the directory, and a sum for each split."""
    totals: dict[tuple[str, str, Split, str], Total] = defaultdict(Total)
    for manifest in _manifests(directory, ".flac"):
        for record in read_manifest(manifest, ClipRecord):
            total = totals[record.source, record.speaker, record.split, record.licence]
            total.num_items += 1
            total.duration_s += record.duration_s
            total.num_timed += bool(record.words)
    if not totals:
        return
    yield f"{'source':<12}{'speaker':<20}{'split':<7}{'hours':>7}{'clips':>8}{'timed':>8}  licence"
    for (source, speaker, split, licence), total in sorted(totals.items()):
        held_out = " (held out)" if held_out_reason(source, speaker) else ""
        yield f"{source:<12}{speaker:<20}{split:<7}{_counts(total)}  {licence}{held_out}"
    for split in Split:
        parts = [total for key, total in totals.items() if key[2] is split]
        total = Total(
            sum(part.num_items for part in parts),
            sum(part.duration_s for part in parts),
            sum(part.num_timed for part in parts),
        )
        yield f"{'all':<32}{split:<7}{_counts(total)}"


def picture_table(directory: Path) -> Iterator[str]:
    """A row for each source, style and split of every picture set below the directory."""
    totals: dict[tuple[str, str, Split, str], int] = defaultdict(int)
    for manifest in _manifests(directory, ".png"):
        for record in read_manifest(manifest, PictureRecord):
            totals[record.source, record.style, record.split, record.licence] += 1
    if not totals:
        return
    yield f"{'source':<16}{'style':<20}{'split':<7}{'pictures':>9}  licence"
    for (source, style, split, licence), count in sorted(totals.items()):
        yield f"{source:<16}{style:<20}{split:<7}{count:>9}  {licence}"


def _counts(total: Total) -> str:
    return f"{total.duration_s / 3600:>7.2f}{total.num_items:>8}{total.num_timed:>8}"


def _manifests(directory: Path, suffix: str) -> Iterator[Path]:
    """Manifests of the shards that hold such files: the first member of a tar begins with its name."""
    for split in Split:
        for manifest in sorted(directory.rglob(f"{split}-*.jsonl")):
            with manifest.with_suffix(".tar").open("rb") as tar:
                if tar.read(100).rstrip(b"\0").endswith(suffix.encode()):
                    yield manifest
