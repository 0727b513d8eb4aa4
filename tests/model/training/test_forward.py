"""What targets cost: the plain formulas, in chunks or at once, for both kinds of audio head."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from model.embedding import code_digits
from model.training import forward
from model.training.forward import asked, frame_nll, is_exact, joint_weight, mean_loss, nll_by_sample
from model.training.packed_rows import pack
from tests.model.training.networks import lively_network, tiny_config
from tests.model.training.test_packed_rows import samples

CODES = torch.tensor([[3, 255, 17, 0], [-1, -1, -1, -1], [200, 1, 2, 3]])


def test_a_frame_costs_its_digits_and_silence_only_the_first_of_a_depth_head():
    network = lively_network(tiny_config())
    hidden = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    nll = frame_nll(network, hidden, CODES)
    digits = code_digits(CODES.clamp_min(0), (16, 16)).flatten(1)
    logits = network.depth_head(hidden, digits[:, :-1])
    frame = sum(F.cross_entropy(logits[place][0], digits[0, place]) for place in range(8))
    torch.testing.assert_close(nll[0], frame)
    torch.testing.assert_close(nll[1], F.cross_entropy(logits[0][1], torch.tensor(16)))


def test_every_independent_head_has_a_silence_of_its_own():
    network = lively_network(tiny_config(depth=None))
    hidden = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    nll = frame_nll(network, hidden, CODES)
    heads = network.audio_head(hidden)
    torch.testing.assert_close(nll[1], sum(F.cross_entropy(head[0][1], torch.tensor(16)) for head in heads))


@pytest.mark.parametrize("depth", [True, False])
def test_chunks_cost_and_teach_the_same_as_all_rows_at_once(monkeypatch: pytest.MonkeyPatch, depth: bool):
    network = lively_network(tiny_config() if depth else tiny_config(depth=None))
    hidden = torch.randn(3, 64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    at_once = frame_nll(network, hidden, CODES)
    (gradient,) = torch.autograd.grad(at_once.sum(), hidden)
    monkeypatch.setattr(forward, "CHUNK_LOGITS", 1)
    in_chunks = frame_nll(network, hidden, CODES)
    torch.testing.assert_close(in_chunks, at_once)
    torch.testing.assert_close(torch.autograd.grad(in_chunks.sum(), hidden)[0], gradient)


def test_the_mean_loss_is_the_weighted_sum_over_all_samples_by_position():
    network, rows = lively_network(tiny_config()), pack(samples(), 64)
    loss = mean_loss(network, rows)
    text, audio = asked(network, rows)
    text_nll = F.cross_entropy(text.hidden_ND @ joint_weight(network).T, text.target, reduction="none") * text.weight_N
    audio_nll = frame_nll(network, audio.hidden_ND, audio.target) * audio.weight_N
    expected = (text_nll.sum() + audio_nll.sum() / 8) / loss.num_units
    torch.testing.assert_close(loss.total, expected)
    torch.testing.assert_close(nll_by_sample(network, rows).sum(), text_nll.sum() + audio_nll.sum())


def test_both_heads_have_gradients_also_where_a_batch_asks_them_nothing():
    network = lively_network(tiny_config())
    mean_loss(network, pack(samples()[1:2], 64)).total.backward()
    parts = (network.embedding, network.decoder, network.text_head, network.depth_head)
    for part in parts:
        assert all(parameter.grad is not None for parameter in part.parameters())


def test_a_sample_is_exact_where_every_target_is_the_most_likely_id():
    network, rows = lively_network(tiny_config()), pack(samples(), 64)
    assert not is_exact(network, rows)[1]
    text, _ = asked(network, rows)
    best = (text.hidden_ND @ joint_weight(network).T).argmax(-1)
    rows.text_BT[rows.text_weight_BT > 0] = best
    assert is_exact(network, rows).all()


def test_bfloat16_costs_about_the_same():
    network, rows = lively_network(tiny_config()), pack(samples(), 64)
    exact = mean_loss(network, rows)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = mean_loss(network, rows)
    np.testing.assert_allclose(float(rounded.total.detach()), float(exact.total.detach()), rtol=0.03)
