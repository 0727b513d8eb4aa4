"""Attention over the slot cache by every implementation, against attention over each sequence alone."""

import builtins

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from model.kernels.gpu_attention import (
    AttentionKernel,
    attend_gathered,
    attend_slot,
    decode_attention,
    flash_attention,
)

SLOTS, HEADS, KV_HEADS, CAPACITY, WIDTH = 3, 4, 2, 130, 16
SLOT = torch.tensor([2, 0, 2, 1])
INDEX = torch.tensor([0, 129, 63, 64])
# Scores and sums are float32 or better; what is rounded is the result, to bfloat16's 8 significant bits.
BF16_ROUNDING = 2**-8


def random_case() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(len(SLOT), HEADS, WIDTH, generator=generator)
    k, v = (torch.randn(SLOTS, KV_HEADS, CAPACITY, WIDTH, generator=generator) for _ in range(2))
    return q.bfloat16(), k.bfloat16(), v.bfloat16()


def expected(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """One row and head at a time, in float64."""
    out = torch.empty(q.shape, dtype=torch.float64)
    for row, (slot, index) in enumerate(zip(SLOT.tolist(), INDEX.tolist(), strict=True)):
        for head in range(HEADS):
            keys, values = (c[slot, head // (HEADS // KV_HEADS), : index + 1].double() for c in (k, v))
            weights = (keys @ q[row, head].double() / WIDTH**0.5).softmax(0)
            out[row, head] = weights @ values
    return out


def flash_twin(q_N1HE, k_SCGE, v_SCGE, cache_seqlens, cache_batch_idx, causal, num_splits):
    """What flash-attn documents of these arguments, in plain torch; it refuses the layouts that flash-attn refuses."""
    assert k_SCGE.stride(-1) == v_SCGE.stride(-1) == q_N1HE.stride(-1) == 1
    assert cache_seqlens.dtype == cache_batch_idx.dtype == torch.int32
    assert causal
    assert num_splits == 1
    rows = []
    for q_1HE, length, slot in zip(q_N1HE, cache_seqlens.tolist(), cache_batch_idx.tolist(), strict=True):
        k_GLE, v_GLE = (cache[slot, :length].transpose(0, 1)[None] for cache in (k_SCGE, v_SCGE))
        out = F.scaled_dot_product_attention(q_1HE.transpose(0, 1)[None], k_GLE, v_GLE, enable_gqa=True)
        rows.append(out[0].transpose(0, 1))
    return torch.stack(rows)


def test_gathered_rows_see_their_slots_up_to_themselves():
    q, k, v = random_case()
    torch.testing.assert_close(
        attend_gathered(q, k, v, SLOT, INDEX).double(), expected(q, k, v), rtol=BF16_ROUNDING, atol=BF16_ROUNDING
    )


def test_flash_attention_is_given_views_of_the_cache():
    q, k, v = random_case()
    actual = flash_attention(flash_twin)(q, k, v, SLOT, INDEX)
    torch.testing.assert_close(actual.double(), expected(q, k, v), rtol=BF16_ROUNDING, atol=BF16_ROUNDING)
    seen = []
    flash_attention(lambda q, k, v, **rest: seen.append((k, v)) or q)(q, k, v, SLOT, INDEX)
    assert [view.data_ptr() for view in seen[0]] == [k.data_ptr(), v.data_ptr()]


def test_new_rows_of_a_slot_see_what_came_before_them():
    q, k, v = random_case()
    actual = attend_slot(q, k[1], v[1], first=40)
    one_by_one = [
        attend_gathered(q[row][None], k, v, torch.tensor([1]), torch.tensor([40 + row])) for row in range(len(q))
    ]
    torch.testing.assert_close(actual, torch.cat(one_by_one), rtol=2 * BF16_ROUNDING, atol=2 * BF16_ROUNDING)


def test_the_triton_kernel_equals_its_twin(triton_device):
    pytest.importorskip("triton", reason="the GPU kernels need Triton")
    q, k, v = random_case()
    arguments = [tensor.to(triton_device) for tensor in (q, k, v, SLOT, INDEX)]
    actual = decode_attention(AttentionKernel.TRITON)(*arguments)
    torch.testing.assert_close(actual.cpu().double(), expected(q, k, v), rtol=BF16_ROUNDING, atol=BF16_ROUNDING)
    for row in range(len(q)):
        alone = [arguments[0][row][None], *arguments[1:3], arguments[3][row][None], arguments[4][row][None]]
        assert torch.equal(decode_attention(AttentionKernel.TRITON)(*alone)[0], actual[row])


def test_flash_attn_itself_equals_the_twin():
    pytest.importorskip("flash_attn", reason="flash-attn is not installed")
    if not torch.cuda.is_available():
        pytest.skip("flash-attn needs a GPU")
    q, k, v = random_case()
    actual = decode_attention(AttentionKernel.FLASH)(*(t.cuda() for t in (q, k, v, SLOT, INDEX)))
    torch.testing.assert_close(actual.cpu().double(), expected(q, k, v), rtol=BF16_ROUNDING, atol=BF16_ROUNDING)


def test_a_missing_package_is_named_and_nothing_else_is_taken(monkeypatch):
    import_module = builtins.__import__

    def without_flash(name, *rest):
        if name == "flash_attn":
            raise ImportError(name)
        return import_module(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_flash)
    with pytest.raises(ImportError, match="pip install flash-attn"):
        decode_attention(AttentionKernel.FLASH)
