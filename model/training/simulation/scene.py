"""What the writer of a script works with: dice, the split, and what was said and shown so far.

Exchanges (`exchanges_*.py`) take a `Scene` and give lines. Everything said goes through `request` and `reply`, which
keep held-out words out of training.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from model.training.data.clip import Split
from model.training.simulation.phrasings import may_be_trained_on, phrase, sentence_case
from model.training.simulation.pictures import draw_picture
from model.training.simulation.script import AgentSpeaks, Picture, PictureKind, UserShows, UserSpeaks, UserTypes

T = TypeVar("T")


class NotNow(Exception):
    """An exchange makes no sense here, or all its words are held out; another one is to be tried."""


@dataclass(slots=True)
class Scene:
    """`sees` is whether the camera is in use in this session."""

    split: Split
    random: np.random.Generator
    sees: bool
    emoji: tuple[str, ...] = ()  # names of emoji that can be shown and drawn
    user_name: str = ""
    favorites: dict[str, str] = field(default_factory=dict)
    number: int | None = None  # the result of the last sum
    in_view: Picture | None = None
    shown_before: Picture | None = None
    drawn: Picture | None = None
    last_reply: str = ""

    def one(self, choices: Sequence[T]) -> T:
        return choices[int(self.random.integers(len(choices)))]

    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def pause_us(self, at_least_ms: int = 400, at_most_ms: int = 2_500) -> int:
        return int(self.random.integers(at_least_ms, at_most_ms)) * 1000

    def request(self, kind: str, *, over: float | None = None, **slots: str) -> UserSpeaks:
        """The user asks for something, at times with a pause for thought in the middle."""
        try:
            text, template = phrase(kind, self.split, self.random, slots)
        except ValueError as error:
            raise NotNow(str(error)) from error
        pieces = (text,)
        words = text.split()
        if over is None and len(words) >= 4 and self.chance(0.08):
            cut = int(self.random.integers(2, len(words) - 1))
            pieces = (" ".join(words[:cut]).rstrip(".?!,:") + ",", " ".join(words[cut:]))
        return UserSpeaks(
            pieces=pieces,
            kind=kind,
            phrasing=template,
            pause_us=self.pause_us(),
            thinks_us=self.pause_us(500, 1_200),
            over=over,
            stops_agent=over is not None,
        )

    def typed(self, kind: str, **slots: str) -> UserTypes:
        request = self.request(kind, **slots)
        return UserTypes(
            text=request.text, kind=kind, phrasing=request.phrasing, pause_us=request.pause_us, asks=self.chance(0.7)
        )

    def line(self, choices: Sequence[str]) -> str:
        """One of these texts that may be spoken here."""
        allowed = self.usable(choices)
        if not allowed:
            raise NotNow(f"all of {choices} are held out of training")
        return self.one(allowed)

    def usable(self, texts: Sequence[str]) -> list[str]:
        """Those that may be spoken in this split."""
        return [text for text in texts if self.split is Split.EVAL or may_be_trained_on(text)]

    def reply(
        self, *choices: str, draws: Picture | None = None, aloud: bool = True, keys: Sequence[str] = ()
    ) -> AgentSpeaks:
        """The agent says one of these. `keys` tell other right answers (`AgentSpeaks`)."""
        text = self.line([sentence_case(text) for text in choices])
        self.last_reply = text
        return AgentSpeaks(text=text, draws=draws, aloud=aloud, keys=tuple(keys))

    def picture(self, kinds: Sequence[PictureKind] = tuple(PictureKind)) -> Picture:
        """A picture of one of these kinds; emoji only where there are any."""
        kind = self.one([kind for kind in kinds if kind is not PictureKind.EMOJI or self.emoji])
        return draw_picture(self.random, kind, self.emoji)

    def show(self, picture: Picture | None) -> UserShows:
        """Hold a picture to the camera, or put it away."""
        if self.in_view is not None:
            self.shown_before = self.in_view
        self.in_view = picture
        return UserShows(picture=picture, pause_us=self.pause_us(300, 1_500))
