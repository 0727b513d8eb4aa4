"""SpeechQueue: the agent's sound as it is generated → as it is played, 20 ms at a time. Pure.

Knows what has been played of which item, so that an interruption can say where it was cut. A response begins to play a
moment after its first sound came, to bridge a late tick; sound that waits longer than that needs is shortened
(`DelayKeeper`). Silence when there is nothing to say. Bounded: what does not fit is dropped and counted. Never sleeps;
time is what `take` takes.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from streams.drift import DelayKeeper
from streams.types import SAMPLE_RATE_HZ, Samples

CUSHION_MS: Final = 20  # before the first sound of a response, and after one that came too late
MARGIN_MS: Final = 60  # that may always be waiting: more than the cushion, so that the shortening leaves it alone
AHEAD_MS: Final = 600  # more than two ticks waiting: generated faster than it plays, on purpose, and left as it is
MAX_QUEUED_S: Final = 60.0  # a live session gets sound as fast as it plays; only a catch-up is faster


@dataclass(frozen=True, slots=True)
class Place:
    """What a piece of sound belongs to."""

    response_id: str
    item_id: str
    content_index: int


@dataclass(frozen=True, slots=True)
class Started:
    """The first sound of a response is playing."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """A response is over and all of its sound was played."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """The sound of a response was dropped. Each of `cuts` is an item and the milliseconds of it that were played."""

    response_id: str
    cuts: tuple[tuple[Place, int], ...]


Note: TypeAlias = Started | Stopped | Cleared


@dataclass(slots=True)
class _Piece:
    place: Place
    pcm: Samples  # what is left to play
    num_original: int  # samples it stands for: more than it has, where it was shortened


@dataclass(slots=True)
class _Progress:
    """One response on its way through the queue."""

    started: bool = False
    generated: bool = False  # nothing more will come
    cleared: bool = False
    latest: Place | None = None  # the item that is being generated


class SpeechQueue:
    def __init__(self, max_queued_s: float = MAX_QUEUED_S) -> None:
        self._max_samples = int(max_queued_s * SAMPLE_RATE_HZ)
        self._pieces: deque[_Piece] = deque()
        self._queued_samples = 0
        self._cushion_left = 0
        self._is_playing = False
        self._silent_samples = 0  # since the last sound
        self._responses: dict[str, _Progress] = {}  # that are being generated or played
        self._played: dict[Place, int] = {}  # original samples, of their items
        self._keeper = DelayKeeper(MARGIN_MS)
        self._notes: deque[Note] = deque()
        self.dropped_samples = 0
        self.late_samples = 0  # of silence between two sounds of one response

    @property
    def queued_samples(self) -> int:
        return self._queued_samples

    @property
    def shortened_samples(self) -> int:
        return self._keeper.removed_samples

    # --- in ---------------------------------------------------------------------------------------------------------

    def push(self, place: Place, pcm: Samples) -> None:
        """Sound of a response, in order. Dropped where the response was cleared already."""
        progress = self._responses.setdefault(place.response_id, _Progress())
        if progress.cleared:
            return
        if self._queued_samples + len(pcm) > self._max_samples:
            self.dropped_samples += len(pcm)
            return
        if not self._pieces:
            self._cushion_left = 0 if self._is_playing else CUSHION_MS * SAMPLE_RATE_HZ // 1000
        progress.latest = place
        self._played.setdefault(place, 0)
        is_ahead = self._queued_samples > AHEAD_MS * SAMPLE_RATE_HZ // 1000
        kept = pcm if is_ahead else self._keeper.push(pcm, self._queued_samples)
        self._pieces.append(_Piece(place, kept, len(pcm)))
        self._queued_samples += len(kept)

    def finish(self, response_id: str) -> None:
        """Nothing more of this response will come."""
        progress = self._responses.get(response_id)
        if progress is None:
            return
        progress.generated = True
        self._note_if_over(response_id)

    def clear(self) -> None:
        """Drop all that waits, now. What was played of each item is in the note about its response."""
        cut = {piece.place for piece in self._pieces}
        self._pieces.clear()
        self._queued_samples = 0
        self._is_playing = False
        self._keeper.restart()
        for response_id, progress in list(self._responses.items()):
            if progress.cleared:
                continue
            progress.cleared = True
            if progress.latest is not None and not progress.generated:
                cut.add(progress.latest)
            cuts = tuple(
                (place, num_samples * 1000 // SAMPLE_RATE_HZ)
                for place, num_samples in self._played.items()
                if place in cut and place.response_id == response_id
            )
            self._notes.append(Cleared(response_id, cuts))
            if progress.generated:
                self._forget(response_id)

    # --- out --------------------------------------------------------------------------------------------------------

    def take(self, num_samples: int) -> Samples:
        """The next samples to be played, completed with silence."""
        taken = np.zeros(num_samples, np.float32)
        start = min(self._cushion_left, num_samples)
        self._cushion_left -= start
        self._silent_samples += start
        while start < num_samples and self._pieces:
            start += self._play(self._pieces[0], taken[start:])
        if start < num_samples:
            self._is_playing = False
            self._silent_samples += num_samples - start
        return taken

    def pop_note(self) -> Note | None:
        """What happened since it was asked last, oldest first."""
        return self._notes.popleft() if self._notes else None

    def _play(self, piece: _Piece, room: Samples) -> int:
        """Move what fits from a piece into `room`."""
        count = min(len(piece.pcm), len(room))
        room[:count] = piece.pcm[:count]
        response_id = piece.place.response_id
        progress = self._responses[response_id]
        if not progress.started:
            progress.started = True
            self._notes.append(Started(response_id))
        elif not self._is_playing:
            self.late_samples += self._silent_samples
        self._is_playing = True
        self._silent_samples = 0
        self._queued_samples -= count
        if count == len(piece.pcm):
            self._played[piece.place] += piece.num_original
            self._pieces.popleft()
            self._note_if_over(response_id)
        else:
            original = piece.num_original * count // len(piece.pcm)
            self._played[piece.place] += original
            piece.num_original -= original
            piece.pcm = piece.pcm[count:]
        return count

    def _note_if_over(self, response_id: str) -> None:
        progress = self._responses[response_id]
        if not progress.generated or any(piece.place.response_id == response_id for piece in self._pieces):
            return
        if progress.started and not progress.cleared:
            self._notes.append(Stopped(response_id))
        self._forget(response_id)

    def _forget(self, response_id: str) -> None:
        del self._responses[response_id]
        self._played = {place: n for place, n in self._played.items() if place.response_id != response_id}
