"""The packer: one session's tick window → the ordered actions of a `TickInput`. The same for serving and training.

Decides order, modality position, tick, source and pinning; asks a `Perception` what the media mean in tokens. Keeps
one counter per stream and nothing else. Never reads a clock. What a model produces gets its place by the same
`Placement`.

The order inside a tick: what was typed, then pictures, then sound, then the opening of an answer, so that the model
starts to answer knowing everything that arrived.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from streams.types import (
    TICK_US,
    Action,
    Clear,
    CloseTurn,
    Features,
    Hold,
    Ids,
    Message,
    OpenTurn,
    Pace,
    Pixels,
    Respond,
    Rewrite,
    Samples,
    Source,
    Stream,
    TickInput,
    TickWindow,
    TokenBlock,
    Tool,
)


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Tokens of one stream before they have a place: exactly one of `ids`, `codes` and `features`."""

    stream: Stream
    ids: Ids | None = None
    codes: Ids | None = None
    features: Features | None = None


class Perception(Protocol):
    """What turns media into tokens. May keep the state of one session's streaming tokenizers."""

    def message(self, message: Message) -> Iterable[Segment]:
        """A whole turn, its delimiters included, parts in their order."""
        ...

    def tools(self, tools: Sequence[Tool]) -> Iterable[Segment]:
        """The turn that tells the model what it may call; nothing where it cannot call."""
        ...

    def frame(self, rgb: Pixels) -> Segment: ...

    def sound(self, pcm: Samples) -> Segment: ...

    def turn_opening(self) -> Segment:
        """What precedes the model's own turn."""
        ...


class Placement:
    """Gives tokens their place in a sequence: modality positions count up from 0 in each stream."""

    def __init__(self) -> None:
        self._next_position = dict.fromkeys(Stream, 0)

    def place(self, segment: Segment, tick: int, source: Source = Source.RECEIVED, pinned: bool = False) -> TokenBlock:
        block = TokenBlock(
            segment.stream,
            source,
            tick,
            self._next_position[segment.stream],
            ids=segment.ids,
            codes=segment.codes,
            features=segment.features,
            pinned=pinned,
        )
        self._next_position[segment.stream] += len(block)
        return block


class Packer:
    """One session's packer."""

    def __init__(self, perception: Perception) -> None:
        self._perception = perception
        self._placement = Placement()

    def pack(self, window: TickWindow) -> TickInput:
        """The window's actions in order."""
        actions: list[Action] = []
        openings: list[Action] = []
        for command in window.commands:
            match command:
                case Message():
                    actions += self._message(command, window.tick)
                case Rewrite():
                    actions += self._rewrite(command, window.tick)
                case Respond():
                    openings += [self._place(self._perception.turn_opening(), window.tick), OpenTurn(command)]
                case Hold():
                    (openings or actions).append(CloseTurn())
                case Pace():
                    actions.append(command)
        actions += [self._place(self._perception.frame(frame.rgb), window.tick) for frame in window.frames]
        if window.audio is not None:
            actions.append(self._place(self._perception.sound(window.audio), window.tick))
        return TickInput(window.session, window.tick, (*actions, *openings))

    def _rewrite(self, rewrite: Rewrite, tick: int) -> list[Action]:
        self._placement = Placement()
        actions: list[Action] = [Clear()]
        for message in rewrite.prefix:
            actions += self._message(message, tick, pinned=True)
        if rewrite.tools:
            actions += [self._place(segment, tick, pinned=True) for segment in self._perception.tools(rewrite.tools)]
        for message, said_tick in zip(rewrite.history, history_ticks(rewrite.history, tick), strict=True):
            actions += self._message(message, said_tick)
        return actions

    def _message(self, message: Message, tick: int, pinned: bool = False) -> list[Action]:
        return [self._place(segment, tick, pinned) for segment in self._perception.message(message)]

    def _place(self, segment: Segment, tick: int, pinned: bool = False) -> TokenBlock:
        return self._placement.place(segment, tick, pinned=pinned)


def history_ticks(history: Sequence[Message], now_tick: int) -> list[int]:
    """When each message of a rewritten past was said: strictly rising ticks, none after `now_tick`.

    Messages told all at once are spread backwards, one tick apart, so that a full cache forgets them one by one.
    """
    ticks: list[int] = []
    latest = now_tick
    for message in reversed(history):
        latest = min(message.pts_us // TICK_US, latest)
        ticks.append(latest)
        latest -= 1
    return ticks[::-1]
