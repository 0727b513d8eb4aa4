"""SpeechSet: a directory of shards → clips by number. Opens in milliseconds, reads one clip at a time, keeps nothing.

The order is fixed by the shards' names. A set may still be growing: what was complete when it was opened is what it
holds (`max_shards` pins that, for runs to be repeated). Safe to share between threads and forked workers.
"""

from collections.abc import Sequence
from pathlib import Path

from model.training.data.clip import ClipRecord, SpeechClip, Split
from model.training.data.held_out import check_split
from model.training.data.shards import read_manifest, read_member
from model.training.data.sound_files import pcm_of


class SpeechSet(Sequence[SpeechClip]):
    """Clips of one split, over one or several directories. `records` tells everything but the samples."""

    def __init__(
        self, *directories: Path | str, split: Split | str = Split.TRAIN, max_shards: int | None = None
    ) -> None:
        self.split = Split(split)
        self.records: list[ClipRecord] = []
        self._directories: list[Path] = []
        for directory in map(Path, directories):
            if not directory.is_dir():
                raise FileNotFoundError(f"no speech set at {directory}; build it with model.training.data.build")
            manifests = sorted(directory.glob(f"{self.split}-*.jsonl"))[:max_shards]
            for manifest in manifests:
                records = read_manifest(manifest, ClipRecord)
                for record in records:
                    check_split(record)
                self.records += records
                self._directories += [directory] * len(records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> SpeechClip:  # type: ignore[override]  # no slices: a clip is megabytes
        record = self.records[index]
        pcm = pcm_of(read_member(self._directories[index], record))
        return SpeechClip(pcm, record.text, record.speaker, record.source, record.words)

    @property
    def duration_s(self) -> float:
        return sum(record.duration_s for record in self.records)

    def __repr__(self) -> str:
        speakers = {(record.source, record.speaker) for record in self.records}
        return f"SpeechSet({len(self)} clips, {self.duration_s / 3600:.2f} h, {len(speakers)} speakers, {self.split})"
