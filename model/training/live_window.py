"""A stretch of a session's sample as a full cache would show it: the pinned prefix, then whole ticks from some tick on.

Serving evicts whole ticks and keeps times and modality positions as they were; so does this. `moved` puts a stretch
later in time, so that a model trained on minutes has seen the times of long sessions.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from model.training.sequences import Sample
from streams.types import TokenBlock


def prefix_of(sample: Sample) -> int:
    """How many blocks at the front are pinned."""
    count = 0
    while count < len(sample.blocks) and sample.blocks[count].pinned:
        count += 1
    return count


def tick_starts(sample: Sample) -> list[tuple[int, int]]:
    """(block, position) at which each tick begins, after the prefix."""
    first = prefix_of(sample)
    starts: list[tuple[int, int]] = []
    place = sum(len(block) for block in sample.blocks[:first])
    for number, block in enumerate(sample.blocks[first:], start=first):
        if number == first or block.tick != sample.blocks[number - 1].tick:
            starts.append((number, place))
        place += len(block)
    return starts


def stretch(sample: Sample, start: tuple[int, int], num_positions: int) -> Sample:
    """The prefix, then what follows from `start` (of `tick_starts`) on, `num_positions` at most.

    A prefix longer than half of that loses its end, as in the cache.
    """
    head = sample.cut(min(sum(len(block) for block in sample.blocks[: prefix_of(sample)]), num_positions // 2))
    number, place = start
    whole = Sample(
        (*head.blocks, *sample.blocks[number:]),
        np.concatenate((head.text_T, sample.text_T[place:])),
        np.concatenate((head.text_weight_T, sample.text_weight_T[place:])),
        np.concatenate((head.audio_TK, sample.audio_TK[place:])),
        np.concatenate((head.audio_weight_T, sample.audio_weight_T[place:])),
    )
    return whole.cut(num_positions)


def any_stretch(sample: Sample, num_positions: int, random: np.random.Generator) -> Sample:
    """A stretch that begins anywhere from which at least half of a window is left."""
    starts = tick_starts(sample)
    enough = [start for start in starts if len(sample) - start[1] >= num_positions // 2] or starts[:1]
    return stretch(sample, enough[int(random.integers(len(enough)))], num_positions)


def moved(sample: Sample, num_ticks: int) -> Sample:
    """The same after the prefix, as if it came `num_ticks` later, each stream having gone on as it does here."""
    first = prefix_of(sample)
    live = sample.blocks[first:]
    if not live or not num_ticks:
        return sample
    span = max(live[-1].tick - live[0].tick + 1, 1)
    counts = Counter(dict.fromkeys({block.stream for block in live}, 0))
    for block in live:
        counts[block.stream] += len(block)
    shifts = {stream: count * num_ticks // span for stream, count in counts.items()}
    later: Sequence[TokenBlock] = [
        replace(block, tick=block.tick + num_ticks, position=block.position + shifts[block.stream]) for block in live
    ]
    return replace(sample, blocks=(*sample.blocks[:first], *later))
