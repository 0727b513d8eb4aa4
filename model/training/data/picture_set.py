"""PictureSet: a directory of shards of PNGs → named pictures by number, with their opacity, at one size.

As `SpeechSet`: opens from the manifest, reads one picture at a time, keeps nothing.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from model.training.data.clip import Split
from model.training.data.named_pictures import NamedPicture, picture_split
from model.training.data.shards import Placed, read_manifest, read_member


class PictureRecord(Placed, frozen=True, kw_only=True):
    """One line of a picture manifest. `source` is the package; `style` the way it is drawn, or its folder."""

    name: str
    style: str
    source: str
    licence: str
    split: Split


class PictureSet(Sequence[NamedPicture]):
    """The pictures of one split, over one or several directories."""

    def __init__(self, *directories: Path | str, split: Split | str = Split.TRAIN) -> None:
        self.split = Split(split)
        self.records: list[PictureRecord] = []
        self._directories: list[Path] = []
        for directory in map(Path, directories):
            if not directory.is_dir():
                raise FileNotFoundError(f"no pictures at {directory}; build them with model.training.data.build")
            for manifest in sorted(directory.glob(f"{self.split}-*.jsonl")):
                records = read_manifest(manifest, PictureRecord)
                for record in records:
                    if record.split is not self.split or picture_split(record.name) is not self.split:
                        raise ValueError(f"{directory}: {record.key} ({record.name}) does not belong to {self.split}")
                self.records += records
                self._directories += [directory] * len(records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> NamedPicture:  # type: ignore[override]  # no slices: pictures are read singly
        record = self.records[index]
        png = np.frombuffer(read_member(self._directories[index], record), np.uint8)
        bgra = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
        return NamedPicture(record.name, record.style, cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA))

    def __repr__(self) -> str:
        return f"PictureSet({len(self)} pictures, {len({record.name for record in self.records})} names, {self.split})"
