"""Heads: shapes, No Output, the depth head's causality."""

import torch

from model.config import AudioVocabConfig, DecoderConfig, VocabConfig
from model.heads import AudioHead, DepthHead, TextImageHead, fold_digits, frame_digits

VOCAB = VocabConfig(text=20, image=8)
AUDIO = AudioVocabConfig(num_codebooks=4, codebook_size=64, factors=(8, 8))


def depth_config(num_layers: int) -> DecoderConfig:
    return DecoderConfig(d_model=32, num_layers=num_layers, num_heads=4, num_kv_heads=4, d_head=8, d_ffn=64)


def test_the_text_head_ends_with_no_output():
    head = TextImageHead(16, VOCAB)
    assert head(torch.randn(3, 16)).shape == (3, VOCAB.no_output + 1)
    assert head(torch.randn(3, 16), with_extra=False).shape == (3, VOCAB.text)


def test_each_codebook_has_its_own_no_output():
    logits = AudioHead(16, AUDIO)(torch.randn(3, 16))
    assert [[tuple(digit.shape) for digit in codebook] for codebook in logits] == [[(3, 9), (3, 8)]] * 4


def test_the_depth_head_predicts_a_digit_from_earlier_digits_only():
    torch.manual_seed(0)
    head = DepthHead(16, AUDIO, depth_config(num_layers=2)).eval()
    hidden = torch.randn(1, 16)
    digits = frame_digits(torch.tensor([[5, 60, 33, 7]]), AUDIO)
    changed = digits.clone()
    changed[0, 4] = (changed[0, 4] + 1) % 8
    before, after = head(hidden, digits), head(hidden, changed)
    assert all(torch.allclose(before[i], after[i], atol=1e-5) for i in range(5))
    assert not torch.allclose(before[5], after[5], atol=1e-5)


def test_the_depth_head_generates_a_frame_or_no_output():
    torch.manual_seed(0)
    head = DepthHead(16, AUDIO, depth_config(num_layers=1)).eval()
    hidden = torch.randn(1, 16)
    silent = head.generate(hidden, lambda logits, place: len(logits) - 1)
    assert silent is None
    codes = head.generate(hidden, lambda logits, place: int(logits[:8].argmax()))
    assert codes.shape == (4,)
    assert int(codes.max()) < 64


def test_folding_inverts_the_digits_of_a_frame():
    codes = torch.tensor([5, 60, 33, 7])
    assert torch.equal(fold_digits(frame_digits(codes[None], AUDIO)[0], AUDIO), codes)
