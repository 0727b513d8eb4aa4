"""The slot cache: pinned prefix, whole-tick eviction, and distances that never grow."""

import pytest
import torch

from model.cache import SlotCache
from model.config import DecoderConfig
from model.rotary import apply_rotary, rotary_table

CONFIG = DecoderConfig(d_model=16, num_layers=2, num_heads=2, num_kv_heads=1, d_ffn=32, d_head=8)


# Of keys whose largest element is at most sqrt(2): float32 angles; bfloat16's last bit; half a step of 127, and a whole
# one where a pinned key was rounded both before and after it turned (which mixes two elements of the first rounding).
KEY_ERROR = {torch.float32: 1e-5, torch.bfloat16: 2.5 * 2**0.5 * 2**-8, torch.int8: 2.5 * 2**0.5 / 254}


def small_cache(capacity: int = 16, dtype: torch.dtype = torch.float32) -> SlotCache:
    return SlotCache(CONFIG, num_slots=2, capacity=capacity, dtype=dtype)


def write_unrotated(cache: SlotCache, rows, key_value: float) -> None:
    """Store the same unrotated key at every row, rotated to its position as the decoder does."""
    cos, sin = rotary_table(rows.position, CONFIG.d_head, CONFIG.rope_theta)
    k = apply_rotary(torch.full((len(rows), 1, CONFIG.d_head), key_value), cos, sin)
    for layer in range(CONFIG.num_layers):
        cache.write(layer, rows, k, torch.full_like(k, key_value))


def test_positions_are_appended_in_order():
    cache = small_cache()
    rows, evicted = cache.append(1, [0, 0, 1])
    assert rows.index.tolist() == [0, 1, 2]
    assert rows.slot.tolist() == [1, 1, 1]
    assert evicted == ()
    assert cache.length(1) == 3
    assert cache.length(0) == 0


def test_a_full_window_drops_its_oldest_whole_ticks():
    cache = small_cache(capacity=8)
    cache.append(0, [0, 0, 0, 1, 1, 2, 2, 2])
    _, evicted = cache.append(0, [3])
    assert evicted == (0,)
    assert cache.length(0) == 6


def test_the_pinned_prefix_survives_every_eviction():
    cache = small_cache(capacity=8)
    rows, _ = cache.append(0, [0, 0], num_pinned=2)
    write_unrotated(cache, rows, 7.0)
    for tick in range(1, 40):
        rows, _ = cache.append(0, [tick, tick])
        write_unrotated(cache, rows, float(tick))
    assert cache.num_pinned(0) == 2
    assert torch.equal(cache.v[0, 0, 0, :2], torch.full((2, 8), 7.0))


@pytest.mark.parametrize("dtype", list(KEY_ERROR))
@pytest.mark.parametrize("num_ticks", [12, 400])
def test_pinned_keys_stay_directly_before_the_window(dtype, num_ticks):
    """However often they turn: rounding does not add up."""
    cache = small_cache(capacity=8, dtype=dtype)
    rows, _ = cache.append(0, [0, 0], num_pinned=2)
    write_unrotated(cache, rows, 1.0)
    for tick in range(1, num_ticks):
        rows, _ = cache.append(0, [tick])
        write_unrotated(cache, rows, 1.0)
    last_position = int(rows.position[-1])
    length = cache.length(0)
    expected_position = torch.arange(last_position - length + 1, last_position + 1)
    cos, sin = rotary_table(expected_position, CONFIG.d_head, CONFIG.rope_theta)
    expected = apply_rotary(torch.ones(length, 1, CONFIG.d_head), cos, sin).squeeze(1)
    keys, _ = cache.read(0, 0, length, torch.float32)
    torch.testing.assert_close(keys[0], expected, atol=KEY_ERROR[dtype], rtol=0)


def test_scales_move_with_what_they_scale():
    cache = small_cache(capacity=8, dtype=torch.int8)
    for tick in range(40):
        rows, _ = cache.append(0, [tick])
        write_unrotated(cache, rows, 1.0 + tick)
    length = cache.length(0)
    _, values = cache.read(1, 0, length, torch.float32)
    torch.testing.assert_close(values[0, :, 0], torch.arange(41.0 - length, 41.0))


def test_int8_takes_53_percent_of_bfloat16():
    config = DecoderConfig(d_model=64, num_layers=2, num_heads=1, num_kv_heads=1, d_ffn=64, d_head=64)
    tensors = [SlotCache(config, 2, 16, dtype) for dtype in (torch.int8, torch.bfloat16)]
    int8, bfloat16 = (
        sum(tensor.nbytes for tensor in (cache.k, cache.v, cache.k_scale, cache.v_scale) if tensor is not None)
        for cache in tensors
    )
    assert int8 / bfloat16 == (64 + 4) / 128


def test_a_tick_larger_than_the_slot_is_refused():
    with pytest.raises(ValueError, match="do not fit a slot of 8"):
        small_cache(capacity=8).append(0, [0] * 9)


def test_nothing_is_pinned_after_a_window():
    cache = small_cache()
    cache.append(0, [0])
    with pytest.raises(ValueError, match="has a window already"):
        cache.append(0, [1], num_pinned=1)


def test_clearing_a_slot_leaves_the_others():
    cache = small_cache()
    cache.append(0, [0])
    cache.append(1, [0])
    cache.clear(0)
    assert (cache.length(0), cache.length(1)) == (0, 1)


def test_rotation_is_as_exact_after_a_year_as_at_the_start():
    year_of_positions = torch.tensor([600_000_000, 600_000_003])
    cos, sin = rotary_table(year_of_positions, CONFIG.d_head, CONFIG.rope_theta)
    q, k = apply_rotary(torch.ones(2, 1, 8), cos, sin)
    cos, sin = rotary_table(torch.tensor([0, 3]), CONFIG.d_head, CONFIG.rope_theta)
    q0, k0 = apply_rotary(torch.ones(2, 1, 8), cos, sin)
    torch.testing.assert_close((q * k).sum(), (q0 * k0).sum(), atol=1e-5, rtol=0)
