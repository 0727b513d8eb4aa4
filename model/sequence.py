"""One session's side of the decoder: what waits to be appended, what the heads read last, the open answer.

Turns blocks into pending decoder inputs, and pending inputs into cache rows within a tick's budget of positions.
Pure bookkeeping around `SlotCache`; computes no layer.
"""

from collections import deque
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.answer import Answer
from model.cache import Rows, SlotCache
from streams.packer import Placement
from streams.types import Stream, TokenBlock


@dataclass(frozen=True, slots=True)
class Chunk:
    """Adjacent decoder inputs [n, D] of one block."""

    x: Tensor
    tick: int
    stream: Stream
    pinned: bool

    def __len__(self) -> int:
        return len(self.x)

    def split(self, count: int) -> tuple["Chunk", "Chunk"]:
        """The first `count` inputs, and the rest."""
        return (
            Chunk(self.x[:count], self.tick, self.stream, self.pinned),
            Chunk(self.x[count:], self.tick, self.stream, self.pinned),
        )


@dataclass(frozen=True, slots=True)
class Appended:
    """One session's share of a forward pass. The heads read its last row."""

    x: Tensor
    rows: Rows
    evicted: tuple[int, ...]
    num_by_stream: dict[Stream, int]


@dataclass(slots=True)
class SequenceState:
    """Everything `step` remembers of one session besides its cache slot."""

    slot: int
    seed: int
    voice: object  # the audio decoder's streaming state
    pending: deque[Chunk] = field(default_factory=deque)
    hidden: Tensor | None = None  # [D], what the heads read
    answer: Answer | None = None
    free: bool = False  # a self-paced model answers when it wants
    placement: Placement = field(default_factory=Placement)  # of what the model produces
    canvas: list[int] = field(default_factory=list)  # image codes of the picture being drawn

    def clear(self) -> None:
        """Forget all tokens. Who may speak is not a token, nor is the open answer."""
        self.pending.clear()
        self.hidden = None
        self.placement = Placement()
        self.canvas.clear()

    def push(self, block: TokenBlock, x: Tensor) -> None:
        """Queue a block's decoder inputs."""
        self.pending.append(Chunk(x, block.tick, block.stream, block.pinned))

    def take(self, budget: int, cache: SlotCache) -> Appended | None:
        """Give up to `budget` pending inputs rows in the cache. None where nothing waits.

        At most half a slot can be pinned: what a longer prefix holds beyond that slides out like any other position.
        """
        chunks: list[Chunk] = []
        while self.pending and budget > 0:
            chunk = self.pending.popleft()
            if len(chunk) > budget:
                chunk, rest = chunk.split(budget)
                self.pending.appendleft(rest)
            chunks.append(chunk)
            budget -= len(chunk)
        if not chunks:
            return None
        ticks: list[int] = []
        num_pinned = 0
        num_by_stream = dict.fromkeys(Stream, 0)
        for chunk in chunks:
            if chunk.pinned and num_pinned == len(ticks):
                num_pinned += len(chunk)
            ticks += [chunk.tick] * len(chunk)
            num_by_stream[chunk.stream] += len(chunk)
        pinnable = max(cache.capacity // 2 - cache.num_pinned(self.slot), 0)
        if cache.num_pinned(self.slot) < cache.length(self.slot):
            pinnable = 0
        rows, evicted = cache.append(self.slot, ticks, min(num_pinned, pinnable))
        return Appended(torch.cat([chunk.x for chunk in chunks]), rows, evicted, num_by_stream)
