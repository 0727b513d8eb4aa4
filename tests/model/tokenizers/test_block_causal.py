import pytest
import torch

from model.init import init_weights
from model.tokenizers.block_causal import BlockCausal, BlockCausalConfig

TOKENS = 3
CONFIG = BlockCausalConfig(16, num_layers=2, num_heads=2, d_ffn=32, context_frames=2)


@pytest.fixture(scope="module")
def layers() -> BlockCausal:
    built = BlockCausal(CONFIG, TOKENS)
    init_weights(built, 0)
    return built.requires_grad_(False)


def tokens(num_frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, num_frames * TOKENS, 16, generator=torch.Generator().manual_seed(seed))


def test_pieces_of_whole_frames_give_the_whole(layers):
    x = tokens(9)
    state, pieces = layers.initial_state(2), []
    for piece in x.split((4 * TOKENS, TOKENS, 4 * TOKENS), dim=1):
        y, state = layers.step(piece, state)
        pieces.append(y)
    torch.testing.assert_close(torch.cat(pieces, dim=1), layers(x), atol=1e-5, rtol=1e-4)


def test_frame_sees_all_of_itself_and_nothing_later(layers):
    x, changed = tokens(4), tokens(4)
    changed[:, 2 * TOKENS + 2] *= -1.0  # the last token of the third frame
    before, after = layers(x), layers(changed)
    torch.testing.assert_close(before[:, : 2 * TOKENS], after[:, : 2 * TOKENS])
    assert not torch.allclose(before[:, 2 * TOKENS], after[:, 2 * TOKENS], atol=1e-3)  # the first of the same frame


def test_what_lies_further_back_than_all_layers_reach_is_forgotten(layers):
    reach = CONFIG.num_layers * CONFIG.context_frames
    x, changed = tokens(reach + 2), tokens(reach + 2)
    changed[:, :TOKENS] *= -1.0
    before, after = layers(x), layers(changed)
    torch.testing.assert_close(before[:, -TOKENS:], after[:, -TOKENS:], atol=1e-6, rtol=0)
    assert not torch.allclose(before[:, -2 * TOKENS : -TOKENS], after[:, -2 * TOKENS : -TOKENS], atol=1e-6)


def test_empty_past_is_not_looked_at(layers):
    """A stream's start is zeros; their keys must not draw attention away from what is there."""
    x = tokens(1)
    frames_seen, caches = layers.initial_state(2)
    noisy = tuple((torch.randn_like(keys), torch.randn_like(values)) for keys, values in caches)
    assert torch.equal(layers.step(x, (frames_seen, noisy))[0], layers(x))


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="3 heads"):
        BlockCausalConfig(16, num_layers=1, num_heads=3, d_ffn=32, context_frames=2)
