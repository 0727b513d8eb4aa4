"""TickLog: the tick numbers that a session's events carry, and what went missing among them.

A tick is lost where the numbers of ticks that carry speech jump inside one answer, where numbers run backwards, or
where the session's tick falls behind the clock, at four a second, by more than `MAX_BEHIND_TICKS`. Reads no clock.
"""

from dataclasses import dataclass, field

from omniweave_client import AudioDelta, TextDelta, TranscriptDelta

TICKS_PER_S = 4
MAX_BEHIND_TICKS = 4  # a second: more than any answer's way through the sockets


@dataclass(slots=True)
class TickLog:
    """The tick numbers seen on deltas. Numbers come in as they arrive, what went wrong with them comes out."""

    first: tuple[int, float] | None = None  # tick, seconds
    last: tuple[int, float] | None = None
    jumped: int = 0  # ticks missing between two pieces of one answer's speech
    backwards: int = 0
    furthest_behind: float = 0.0
    _last_audio: dict[str, int] = field(default_factory=dict)

    def push(self, event: TextDelta | TranscriptDelta | AudioDelta, at_s: float) -> None:
        if event.tick is None:
            return
        if self.first is None or self.last is None:
            self.first = (event.tick, at_s)
        elif event.tick < self.last[0]:
            self.backwards += 1
        self.last = (event.tick, at_s)
        self.furthest_behind = max(self.furthest_behind, self.behind(at_s))
        if isinstance(event, AudioDelta):
            previous = self._last_audio.get(event.response_id, event.tick)
            self.jumped += max(0, event.tick - previous - 1)
            self._last_audio[event.response_id] = event.tick

    def behind(self, at_s: float) -> float:
        """How many ticks the session is behind the clock, counted from the first one seen."""
        if self.first is None or self.last is None:
            return 0.0
        return (at_s - self.first[1]) * TICKS_PER_S - (self.last[0] - self.first[0])

    @property
    def lost(self) -> int:
        late = self.furthest_behind if self.furthest_behind > MAX_BEHIND_TICKS else 0.0
        return self.jumped + self.backwards + round(late)
