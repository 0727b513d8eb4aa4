"""What every measure works with: the engine, who speaks, what is shown, who judges drawings; and its sessions."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from model.training.data.seeding import random_for
from model.training.evaluation.drawing_reader import DrawingReader, load_drawing_reader
from model.training.evaluation.examining import Patience, Performance, perform
from model.training.evaluation.exams import Exam
from model.training.evaluation.live import Camera, LiveUser
from model.training.evaluation.microphone import Microphone, any_surroundings
from model.training.evaluation.voices import KeptCast, Speaker, speakers
from model.training.simulation.emoji import EmojiBook
from model.training.simulation.script import Picture, Room
from realtime.engine import Engine
from realtime.session.vad import Silero, VoiceActivity
from streams.types import EngineInfo, Pixels


@dataclass
class Bench:
    """`reader` is where the judge of drawings is kept. `voices` as for `speakers`; they are loaded when first used.

    `surroundings` draws the room of a session, and `make_activity` makes the session's detector of speech.
    """

    engine: Engine
    cast: KeptCast
    reader: Path
    voices: tuple[str, ...] = ()
    book: EmojiBook | None = None
    patience: Patience = field(default_factory=Patience)
    make_activity: Callable[[], VoiceActivity] = Silero
    surroundings: Callable[[np.random.Generator], Room] = any_surroundings

    @property
    def info(self) -> EngineInfo:
        return self.engine.info

    @property
    def emoji(self) -> tuple[str, ...]:
        return self.book.names if self.book is not None else ()

    @cached_property
    def speakers(self) -> Sequence[Speaker]:
        return speakers(self.cast, self.voices)

    @cached_property
    def drawing_reader(self) -> DrawingReader:
        return load_drawing_reader(self.reader)

    def read_picture(self, picture: Picture, rgb: Pixels) -> bool:
        """Whether a drawing is of this, by the judge."""
        return self.drawing_reader.agrees(picture, rgb)

    @contextmanager
    def user(
        self, name: str, *, spoken: bool, room: Room | None = None, clock_ns: Callable[[], int] | None = None
    ) -> Iterator[LiveUser]:
        """A session of this name, which decides all that is random in it. Without a room, any."""
        random = random_for("live", name)
        microphone = Microphone(room or self.surroundings(random), random) if spoken else None
        user = LiveUser(self.engine, name, Camera(self.book, random), microphone, self.make_activity, clock_ns)
        try:
            yield user
        finally:
            user.close()

    def speaker(self, number: int) -> Speaker:
        return self.speakers[number % len(self.speakers)]

    def examine(self, exam: Exam, spoken: bool, number: int) -> Performance:
        """One exam in a session of its own; `number` chooses the voice."""
        way = "aloud" if spoken else "typed"
        speaker = self.speaker(number) if spoken else Speaker(self.cast, "")
        with self.user(f"{exam.name}-{way}", spoken=spoken) as user:
            return perform(exam, user, speaker, self.patience)
