"""Requests that people have recorded, where there are such: the same questions as to synthetic voices.

A directory of sound files and `requests.jsonl`, a line for each: {"sound": "a.wav", "text": "What day is after
Monday?", "keys": ["Tuesday"]}, with keys as in `AgentSpeaks.keys`.
"""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import soundfile
import soxr
from tqdm import tqdm

from model.training.data.level import levelled
from model.training.evaluation.bench import Bench
from model.training.evaluation.examining import listen, until_answered
from model.training.evaluation.figures import Bar, Row, Unit, cannot, missing, share
from model.training.evaluation.live import LostSession
from model.training.evaluation.marking import Mark, mark_words
from streams.types import SAMPLE_RATE_HZ, TICK_US, Samples

MANIFEST = "requests.jsonl"


class RecordedRequest(msgspec.Struct, frozen=True):
    """One line of the manifest."""

    sound: str
    text: str
    keys: tuple[str, ...]


def read_requests(directory: Path) -> list[RecordedRequest]:
    """Raises ValueError or OSError saying what is wrong with the manifest."""
    lines = (directory / MANIFEST).read_text(encoding="utf-8").splitlines()
    try:
        return [msgspec.json.decode(line, type=RecordedRequest) for line in lines if line.strip()]
    except msgspec.MsgspecError as error:
        raise ValueError(f"{directory / MANIFEST}: {error}") from error


def check_requests(directory: Path) -> None:
    """Raise what reading the manifest and any of its sounds would raise."""
    for request in read_requests(directory):
        read_sound(directory / request.sound)


def read_sound(path: Path) -> Samples:
    """Any sound file as mono samples at 24 kHz, at the level of clips. Raises ValueError for one that is broken."""
    try:
        pcm_TC, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise ValueError(f"{path}: {error}") from error
    if not len(pcm_TC):
        raise ValueError(f"{path} is empty")
    return levelled(soxr.resample(pcm_TC.mean(axis=1), rate_hz, SAMPLE_RATE_HZ, "VHQ"))


@dataclass
class PeopleRequests:
    """`directory` None: there are none."""

    bench: Bench
    directory: Path | None
    count: int
    marks: list[Mark] = field(default_factory=list)
    title: str = "recorded request by people, right answer"

    def run(self) -> None:
        if self.directory is None or not self.bench.info.hears:
            return
        for request in tqdm(read_requests(self.directory)[len(self.marks) : self.count], self.title, unit="request"):
            self.marks.append(self._ask(request, self.directory))

    def _ask(self, request: RecordedRequest, directory: Path) -> Mark:
        try:
            with self.bench.user(f"people-{request.sound}", spoken=True) as user:
                assert user.microphone is not None
                spoken = user.microphone.say(read_sound(directory / request.sound), 2 * TICK_US)
                moments = listen(user, spoken.last_tick + 1)
                moments += until_answered(user, self.bench.patience)
        except LostSession as lost:
            return Mark(False, str(lost))
        return mark_words(request.keys, "".join(moment.text for moment in moments), (request.text,), request.text)

    def rows(self) -> list[Row]:
        judged = Bar(True)
        if not self.bench.info.hears:
            return [cannot(self.title, judged, Unit.SHARE, missing(self.bench.info, "hears"))]
        return [share(self.title, judged, [mark.right for mark in self.marks], "requests", self._remark())]

    def _remark(self) -> str:
        return "no recordings: name some with --people" if self.directory is None else ""
