"""The pictures command: drawings with names, rendered once at the size we use, one in ten subjects for evaluation."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from model.training.data.clip import Split
from model.training.data.drawings import Collection, Drawing, drawings, rendered
from model.training.data.named_pictures import picture_split
from model.training.data.picture_set import PictureRecord
from model.training.data.shards import commit_part, write_part

PICTURES_PER_SHARD = 256


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--collection", type=Collection, choices=list(Collection), default=Collection.EMOJI)
    parser.add_argument("--side-px", type=int, default=128)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--assets", type=Path, default=Path("data/assets"), help="where `npm pack` put its packages")
    parser.add_argument("--workers", type=int, default=1)


def run(arguments: Namespace) -> None:
    """Render what is not rendered yet at `--out`."""
    build_pictures(
        arguments.out, drawings(arguments.collection, arguments.assets), arguments.side_px, arguments.workers
    )


def build_pictures(
    directory: Path, pictures: Iterable[Drawing], side_px: int, workers: int = 1, progress: bool = True
) -> None:
    """Shards of both splits. Drawings that cannot be rendered are left out; shards that are complete stay."""
    directory.mkdir(parents=True, exist_ok=True)
    by_split: dict[Split, list[tuple[str, Drawing]]] = {split: [] for split in Split}
    for drawing in pictures:
        split = picture_split(drawing.name)
        by_split[split].append((f"{drawing.source}-{split}-{len(by_split[split]):06d}", drawing))
    shards = []
    for split, keyed in by_split.items():
        for number, first in enumerate(range(0, len(keyed), PICTURES_PER_SHARD)):
            shard = f"{split}-{number:05d}"
            if not (directory / f"{shard}.jsonl").exists():
                shards.append((shard, split, keyed[first : first + PICTURES_PER_SHARD]))
    make = partial(_make_shard, directory, side_px)
    with tqdm(total=len(shards), unit="shard", desc="pictures", disable=not progress) as bar:
        if workers == 1:
            for shard in shards:
                make(shard)
                bar.update()
            return
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            for _ in pool.map(make, shards):
                bar.update()


def _make_shard(directory: Path, side_px: int, shard: tuple[str, Split, Sequence[tuple[str, Drawing]]]) -> None:
    name, split, keyed = shard
    items = []
    for key, drawing in keyed:
        png = rendered(drawing.svg, side_px)
        if png is not None:
            record = PictureRecord(
                key=key,
                name=drawing.name,
                style=drawing.style,
                source=drawing.source,
                licence=drawing.licence,
                split=split,
            )
            items.append((record, ".png", png))
    commit_part(directory, name, write_part(directory, name, items))
