"""The reference decoder: cached equals whole, rows do not depend on company, the temporal mask is causal order."""

from dataclasses import replace

import pytest
import torch

from model.attention import temporal_mask
from model.cache import Rows, SlotCache
from model.config import DecoderConfig
from model.decoder import Decoder

CONFIG = DecoderConfig(d_model=32, num_layers=3, num_heads=4, num_kv_heads=2, d_ffn=64, d_head=8)


def seeded_decoder() -> Decoder:
    torch.manual_seed(0)
    return Decoder(CONFIG).eval()


def cached_hidden(
    decoder: Decoder, x_TD: torch.Tensor, chunks: list[int], slot: int = 0, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    cache = SlotCache(CONFIG, num_slots=2, capacity=64, dtype=dtype)
    parts, start = [], 0
    for size in chunks:
        rows, _ = cache.append(slot, [0] * size)
        parts.append(decoder.forward_cached(x_TD[start : start + size], rows, cache))
        start += size
    return torch.cat(parts)


def test_cached_steps_equal_the_whole_sequence():
    decoder = seeded_decoder()
    x_TD = torch.randn(12, CONFIG.d_model)
    with torch.inference_mode():
        whole = decoder(x_TD[None], torch.arange(12)[None])[0]
    torch.testing.assert_close(cached_hidden(decoder, x_TD, [5, 1, 1, 4, 1]), whole, atol=2e-5, rtol=1e-4)


# Half a step of 127 to the largest of a head's 8 elements (about 1.4 sigma) is 1.4 / 127 / sqrt(12) = 0.3 % of a key's
# or value's norm, bfloat16 rounds by 2^-9 / sqrt(3) = 0.11 %; three layers of both, with room for the draw.
ROUNDED_KV_ERROR = {torch.int8: 3e-3 * 3**0.5, torch.bfloat16: 1.1e-3 * 3**0.5}


@pytest.mark.parametrize("dtype", list(ROUNDED_KV_ERROR))
def test_a_rounded_cache_errs_by_its_rounding(dtype):
    decoder = seeded_decoder()
    x_TD = torch.randn(40, CONFIG.d_model)
    expected = cached_hidden(decoder, x_TD, [5, 1, 30, 4])
    error = cached_hidden(decoder, x_TD, [5, 1, 30, 4], dtype=dtype) - expected
    assert 0 < float(error.norm() / expected.norm()) < ROUNDED_KV_ERROR[dtype]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
def test_a_row_is_bit_identical_alone_and_among_others(dtype):
    decoder = seeded_decoder()
    x_TD = torch.randn(6, CONFIG.d_model)
    alone = cached_hidden(decoder, x_TD, [4, 1, 1], slot=1, dtype=dtype)

    cache = SlotCache(CONFIG, num_slots=2, capacity=64, dtype=dtype)
    together = []
    for start, size in ((0, 4), (4, 1), (5, 1)):
        other, _ = cache.append(0, [0] * 3)
        mine, _ = cache.append(1, [0] * size)
        x = torch.cat((torch.randn(3, CONFIG.d_model), x_TD[start : start + size]))
        together.append(decoder.forward_cached(x, Rows.concatenate([other, mine]), cache)[3:])
    assert torch.equal(torch.cat(together), alone)


def test_separate_streams_under_the_temporal_mask_equal_the_interleaved_sequence():
    decoder = seeded_decoder()
    tick = torch.tensor([0, 0, 1, 2, 2, 0, 1, 1, 2])  # two streams, one after the other
    order = torch.tensor([0, 1, 0, 0, 1, 2, 1, 2, 2])  # rank inside the tick
    x_TD = torch.randn(len(tick), CONFIG.d_model)
    sequence = torch.argsort(tick * 10 + order)
    position = torch.empty_like(sequence)
    position[sequence] = torch.arange(len(tick))
    with torch.inference_mode():
        separate = decoder(x_TD[None], position[None], temporal_mask(tick[None], order[None]))[0]
        interleaved = decoder(x_TD[sequence][None], torch.arange(len(tick))[None])[0]
    torch.testing.assert_close(separate[sequence], interleaved, atol=2e-5, rtol=1e-4)


def test_after_eviction_a_slot_equals_a_fresh_one_given_only_what_is_left():
    """One layer, so that keys depend on nothing but their own position's content."""
    torch.manual_seed(0)
    one_layer = replace(CONFIG, num_layers=1)
    decoder = Decoder(one_layer).eval()
    x_TD = torch.randn(15, CONFIG.d_model)
    cache = SlotCache(one_layer, num_slots=2, capacity=10, dtype=torch.float32)
    rows, _ = cache.append(0, [0, 0], num_pinned=2)
    decoder.forward_cached(x_TD[:2], rows, cache)
    for tick in range(1, 14):
        rows, _ = cache.append(0, [tick])
        hidden = decoder.forward_cached(x_TD[tick + 1 : tick + 2], rows, cache)
    length = cache.length(0)
    assert length == 10 < 15

    left = torch.cat((x_TD[:2], x_TD[-(length - 2) :]))
    rows, _ = cache.append(1, [0] * length)
    fresh = decoder.forward_cached(left, rows, cache)
    torch.testing.assert_close(hidden[-1], fresh[-1], atol=2e-5, rtol=1e-4)
