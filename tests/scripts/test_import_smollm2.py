"""The pieces of the SmolLM2 import that can be wrong without any file at hand."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from model.decoder import Decoder
from model.fp4 import Fp4Format, PackedFp4
from model.init import init_weights
from model.network import untrained_parts
from model.presets import tiny
from model.rotary import apply_rotary, rotary_table
from scripts.calibration_text import chatml, rows
from scripts.import_smollm2 import TABLE, calibrate, our_name, round_plainly, split_rotary_pairs


def test_half_split_rows_give_the_attention_of_interleaved_ones() -> None:
    """Scores under ggml's adjacent pairs equal ours after `split_rotary_pairs`."""
    num_heads, d_head = 3, 8
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, num_heads * d_head, 16, generator=generator)
    x = torch.randn(5, 16, generator=generator)
    cos, sin = rotary_table(torch.arange(5), d_head, 10_000.0)

    def interleaved(weight: torch.Tensor) -> torch.Tensor:
        pairs = torch.view_as_complex((x @ weight.T).view(5, num_heads, d_head // 2, 2))
        return torch.view_as_real(pairs * torch.complex(cos, sin).unsqueeze(1)).flatten(-2)

    def half_split(weight: torch.Tensor) -> torch.Tensor:
        return apply_rotary((x @ split_rotary_pairs(weight, d_head).T).view(5, num_heads, d_head), cos, sin)

    wanted = torch.einsum("ihe,jhe->hij", interleaved(q), interleaved(k))
    assert torch.allclose(torch.einsum("ihe,jhe->hij", half_split(q), half_split(k)), wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("token_embd.weight", "embedding.text.weight"),
        ("output_norm.weight", "decoder.norm.weight"),
        ("blk.12.attn_output.weight", "decoder.layers.12.attention.o_proj.weight"),
        ("blk.0.ffn_norm.weight", "decoder.layers.0.ffn_norm.weight"),
    ],
)
def test_names_are_translated(theirs: str, ours: str) -> None:
    assert our_name(theirs) == ours


def test_calibration_rows_are_the_same_every_time_and_refuse_too_little_text() -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "c": 2}, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    texts = ["a b", "c c b", "b", "a a"]
    assert rows(texts, tokenizer, 2, 3).shape == (2, 3)
    assert torch.equal(rows(texts, tokenizer, 2, 4), rows(texts, tokenizer, 2, 4))
    with pytest.raises(ValueError, match="only 8 tokens, 9 are needed"):
        rows(texts, tokenizer, 3, 3)


def test_chat_turns_are_marked() -> None:
    assert chatml("user", "hi") == "<|im_start|>user\nhi<|im_end|>\n"


def test_calibrating_packs_every_matrix_and_keeps_the_norms() -> None:
    config = tiny()
    decoder = Decoder(config.decoder)
    init_weights(decoder, seed=0)
    weights = {f"decoder.{name}": weight for name, weight in decoder.state_dict().items()}
    weights[TABLE] = torch.randn(config.vocab.text, config.decoder.d_model, generator=torch.Generator().manual_seed(0))
    ids = torch.randint(config.vocab.text, (4, 32), generator=torch.Generator().manual_seed(1))
    stored = calibrate(config, weights, ids, Fp4Format.NVFP4)
    assert list(stored) == list(weights)
    for name, weight in weights.items():
        packed = stored[name]
        assert isinstance(packed, PackedFp4) == (weight.ndim == 2)
        assert tuple(packed.shape) == tuple(weight.shape)
    assert {name for name, t in round_plainly(weights, Fp4Format.NVFP4).items() if isinstance(t, PackedFp4)} == {
        name for name, t in stored.items() if isinstance(t, PackedFp4)
    }
    untrained = untrained_parts(config, stored)
    assert "audio_codec" in untrained
    assert "embedding.extra" in untrained
    assert not any(part.startswith(("decoder", "embedding.text")) for part in untrained)
