"""Tokenized data on disk: items of different lengths in one flat array, made once, read by number without loading it.

    NAME.values.npy   int32 [all positions, width]
    NAME.ends.npy     int64 [items]: where each item ends

NAME carries a key of all that made the items, so that what another tokenizer made is never read. Both files are
renamed into place, the ends last: a pair that was not finished does not count.
"""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streams.types import Ids


class Items:
    """Items by number, each [length, width] int32."""

    def __init__(self, values: NDArray[np.int32], ends: NDArray[np.int64]) -> None:
        self._values = values
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number: int) -> Ids:
        end = int(self._ends[number])
        start = int(self._ends[number - 1]) if number > 0 else 0
        return np.asarray(self._values[start:end])


def cached_items(directory: Path, name: str, make: Iterable[Ids], width: int) -> Items:
    """Open the items of this name, after making them where they are not there yet. `make` is read then only."""
    values_path, ends_path = directory / f"{name}.values.npy", directory / f"{name}.ends.npy"
    if not ends_path.is_file():
        _write(values_path, ends_path, make, width)
    return Items(np.load(values_path, mmap_mode="r"), np.load(ends_path))


def _write(values_path: Path, ends_path: Path, make: Iterable[Ids], width: int) -> None:
    """Values go to the disk as they come; only the ends stay in memory."""
    values_path.parent.mkdir(parents=True, exist_ok=True)
    raw = values_path.with_suffix(f".{os.getpid()}.part")
    ends, total = [], 0
    with raw.open("wb") as file:
        for item in make:
            total += len(item)
            ends.append(total)
            file.write(np.ascontiguousarray(item, np.int32).reshape(-1, width).tobytes())
    values = np.memmap(raw, np.int32, "r", shape=(total, width)) if total else np.zeros((0, width), np.int32)
    _replace(values_path, values)
    _replace(ends_path, np.asarray(ends, np.int64))
    raw.unlink()


def _replace(path: Path, array: NDArray[np.generic]) -> None:
    part = path.with_suffix(f".{os.getpid()}.npy.part")
    with part.open("wb") as file:
        np.save(file, array)
    part.replace(path)
