"""A session's pending inputs: budgets, order, pinning."""

import numpy as np
import torch

from model.cache import SlotCache
from model.config import DecoderConfig
from model.sequence import SequenceState
from streams.packer import Segment
from streams.types import Source, Stream, TokenBlock

CONFIG = DecoderConfig(d_model=4, num_layers=1, num_heads=1, num_kv_heads=1, d_ffn=8, d_head=4)


def block(count: int, tick: int = 0, stream: Stream = Stream.TEXT_IN, pinned: bool = False) -> TokenBlock:
    return TokenBlock(stream, Source.RECEIVED, tick, 0, ids=np.zeros(count, np.int32), pinned=pinned)


def sequence_with(*blocks: TokenBlock) -> SequenceState:
    state = SequenceState(slot=0, seed=0, voice=None)
    for number, pushed in enumerate(blocks):
        state.push(pushed, torch.full((len(pushed), 4), float(number)))
    return state


def new_cache(capacity: int = 32) -> SlotCache:
    return SlotCache(CONFIG, num_slots=1, capacity=capacity, dtype=torch.float32)


def test_everything_pending_gets_rows_in_its_order():
    state, cache = sequence_with(block(2), block(3, stream=Stream.AUDIO_IN)), new_cache()
    share = state.take(100, cache)
    assert share is not None
    assert share.x[:, 0].tolist() == [0, 0, 1, 1, 1]
    assert share.rows.index.tolist() == [0, 1, 2, 3, 4]
    assert (share.num_by_stream[Stream.TEXT_IN], share.num_by_stream[Stream.AUDIO_IN]) == (2, 3)
    assert state.take(100, cache) is None


def test_a_budget_cuts_a_block_and_the_rest_comes_next():
    state, cache = sequence_with(block(5)), new_cache()
    first, second = state.take(3, cache), state.take(3, cache)
    assert first is not None
    assert second is not None
    assert (len(first.rows), len(second.rows)) == (3, 2)


def test_a_pinned_prefix_is_pinned_over_several_ticks():
    state, cache = sequence_with(block(6, pinned=True), block(2)), new_cache()
    for _ in range(3):
        state.take(3, cache)
    assert cache.num_pinned(0) == 6
    assert cache.length(0) == 8


def test_at_most_half_a_slot_is_pinned():
    state, cache = sequence_with(block(20, pinned=True)), new_cache(capacity=32)
    state.take(16, cache)
    state.take(16, cache)
    assert cache.num_pinned(0) == 16
    assert cache.length(0) == 20


def test_clearing_forgets_tokens_but_not_who_may_speak():
    state = sequence_with(block(2))
    state.free = True
    said = Segment(Stream.TEXT_IMAGE_OUT, ids=np.zeros(9, np.int32))
    state.placement.place(said, tick=0, source=Source.PRODUCED)
    state.clear()
    assert not state.pending
    assert state.free
    assert state.placement.place(said, tick=0, source=Source.PRODUCED).position == 0
