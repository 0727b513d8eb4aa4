"""The GPU decoder against the reference, and replayed steps against eager ones.

Without a GPU nothing is captured: a fake runs the step itself, over the same buffers.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from model.cache import Rows, SlotCache
from model.config import DecoderConfig
from model.decoder import Decoder
from model.fp4 import Fp4Format, Fp4Linear, quantize
from model.init import init_weights
from model.kernels.native import layer_weights_of

pytest.importorskip("triton", reason="the GPU kernels need Triton: pip install 'omniweave-realtime[cuda]'")

from model.kernels.cuda_graph import GraphedDecoder, capture_cuda
from model.kernels.gpu_attention import AttentionKernel
from model.kernels.gpu_decoder import MAX_DECODE_ROWS, GpuDecoder

CONFIG = DecoderConfig(d_model=64, num_layers=2, num_heads=2, num_kv_heads=1, d_head=32, d_ffn=128)
SLOTS, CAPACITY = 3, 64
# Per layer about ten roundings to bfloat16, 2^-8 / sqrt(3) of a norm each at worst, added up at random. Scores are
# about 1 here: larger ones would magnify what is rounded before them.
DECODER_ERROR = (10 * CONFIG.num_layers) ** 0.5 * 2**-8 / 3**0.5


@pytest.fixture(scope="module")
def reference() -> Decoder:
    decoder = Decoder(CONFIG)
    init_weights(decoder, 3)
    for name, linear in list(decoder.named_modules()):
        if isinstance(linear, torch.nn.Linear):
            parent, _, leaf = name.rpartition(".")
            packed = quantize(linear.weight, Fp4Format.NVFP4)
            setattr(decoder.get_submodule(parent), leaf, Fp4Linear(packed))
    return decoder.eval().requires_grad_(False)


def gpu_decoder(
    reference: Decoder, device: torch.device, attention: AttentionKernel = AttentionKernel.TRITON
) -> GpuDecoder:
    cache = SlotCache(CONFIG, SLOTS, CAPACITY, torch.bfloat16, str(device))
    return GpuDecoder(CONFIG, layer_weights_of(reference), reference.norm.weight, cache, attention)


def random_x(num_rows: int, seed: int) -> Tensor:
    return torch.randn(num_rows, CONFIG.d_model, generator=torch.Generator().manual_seed(seed))


def share(cache: SlotCache, slot: int, count: int) -> Rows:
    return cache.append(slot, [0] * count)[0]


def play(forward: Callable, cache: SlotCache, slots: list[int]) -> dict[int, Tensor]:
    """A prefill, then steps of one and of two rows, of these slots at once; each slot's hidden states in order."""
    hidden: dict[int, list[Tensor]] = {slot: [] for slot in slots}
    for step, count in enumerate((MAX_DECODE_ROWS + 3, 1, 2, 1)):
        rows = [share(cache, slot, count) for slot in slots]
        x = torch.cat([random_x(count, seed=100 * slot + step) for slot in slots])
        for slot, part in zip(slots, forward(x, Rows.concatenate(rows), cache).split(count), strict=True):
            hidden[slot].append(part)
    return {slot: torch.cat(parts) for slot, parts in hidden.items()}


@pytest.fixture(scope="module")
def eager(reference: Decoder, triton_device) -> dict[int, Tensor]:
    decoder = gpu_decoder(reference, triton_device)
    return play(decoder.forward_cached, decoder.cache, [0, 2])


@pytest.fixture(scope="module")
def capture(triton_device) -> Callable:
    return capture_cuda if triton_device.type == "cuda" else lambda step: step


def test_the_gpu_decoder_equals_the_reference(reference, eager):
    cache = SlotCache(CONFIG, SLOTS, CAPACITY, torch.float32)
    for slot, expected in play(reference.forward_cached, cache, [0, 2]).items():
        assert float((eager[slot] - expected).norm() / expected.norm()) < DECODER_ERROR


def test_a_session_is_the_same_alone_and_among_others(reference, eager, triton_device):
    decoder = gpu_decoder(reference, triton_device)
    assert torch.equal(play(decoder.forward_cached, decoder.cache, [2])[2], eager[2])


def test_replayed_steps_equal_eager_ones(reference, eager, triton_device, capture):
    decoder = gpu_decoder(reference, triton_device)
    graphed = GraphedDecoder(decoder, ladder=(1, 3), capture=capture)  # steps of 2 rows are padded, of 4 cut in two
    replayed = play(graphed.forward_cached, decoder.cache, [0, 2])
    assert all(torch.equal(replayed[slot], eager[slot]) for slot in eager)


def test_spare_rows_write_nothing_but_what_the_first_row_writes(reference, triton_device, capture):
    caches = []
    for ladder in ((1,), (4,)):
        decoder = gpu_decoder(reference, triton_device)
        graphed = GraphedDecoder(decoder, ladder, capture)
        decoder.cache.k.zero_()
        decoder.cache.v.zero_()
        graphed.forward_cached(random_x(1, seed=5), share(decoder.cache, 2, 1), decoder.cache)
        caches.append(decoder.cache)
    assert torch.equal(caches[0].k, caches[1].k)
    assert torch.equal(caches[0].v, caches[1].v)
    assert not caches[1].k[:, :2].any()


def test_buffers_never_move(reference, triton_device):
    steps = []
    decoder = gpu_decoder(reference, triton_device)
    graphed = GraphedDecoder(decoder, ladder=(2,), capture=lambda step: steps.append(step) or step)
    places = []
    decode = decoder.decode
    decoder.decode = lambda inputs: places.append([t.data_ptr() for t in inputs.tensors]) or decode(inputs)
    for step in range(2):
        graphed.forward_cached(random_x(1, seed=step), share(decoder.cache, 0, 1), decoder.cache)
    assert len(steps) == 1
    assert places[0] == places[1]


def test_plain_torch_attention_gives_nearly_the_same(reference, eager, triton_device):
    decoder = gpu_decoder(reference, triton_device, AttentionKernel.SDPA)
    other = play(decoder.forward_cached, decoder.cache, [0])[0]
    assert float((other - eager[0]).norm() / eager[0].norm()) < DECODER_ERROR


@pytest.mark.parametrize("ladder", [(), (4, 2), (0, 1), (2, 2)])
def test_a_ladder_that_does_not_climb_is_refused(ladder):
    with pytest.raises(ValueError, match="positive and increasing"):
        GraphedDecoder(None, ladder)


def test_what_it_cannot_run_is_refused(reference, triton_device):
    cache = SlotCache(CONFIG, SLOTS, CAPACITY, torch.float32, str(triton_device))
    with pytest.raises(ValueError, match="holds bfloat16, not"):
        GpuDecoder(CONFIG, layer_weights_of(reference), reference.norm.weight, cache)
    odd = DecoderConfig(d_model=64, num_layers=1, num_heads=2, num_kv_heads=2, d_head=24, d_ffn=64)
    with pytest.raises(ValueError, match="power of two, not 24"):
        GpuDecoder(odd, [], torch.ones(64), SlotCache(odd, 1, 8, torch.bfloat16))
