"""Embedding: imported content passes unchanged, codes sum like one-hots, encodings never end."""

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from model.config import AudioVocabConfig, EncodingConfig, VocabConfig
from model.embedding import AudioEmbedding, Embedding, code_digits, codes_of_digits, fourier_features
from streams.types import Source, Stream, TokenBlock

VOCAB = VocabConfig(text=20, image=8)
AUDIO = AudioVocabConfig(num_codebooks=4, codebook_size=64, factors=(8, 8))


def seeded_embedding() -> Embedding:
    torch.manual_seed(0)
    return Embedding(16, VOCAB, AUDIO, EncodingConfig(position_dim=8, time_dim=8))


def text_block(tick: int = 3, position: int = 5, source: Source = Source.RECEIVED) -> TokenBlock:
    return TokenBlock(Stream.TEXT_IN, source, tick, position, ids=np.array([1, 2, 3], np.int32))


def test_fusing_starts_as_the_identity_on_content():
    embedding = seeded_embedding()
    expected = embedding.text(torch.tensor([1, 2, 3]))
    assert torch.equal(embedding.embed_block(text_block()), expected)


def test_position_tick_and_source_each_reach_a_trained_fuse():
    embedding = seeded_embedding()
    torch.nn.init.normal_(embedding.fuse.weight)
    base = embedding.embed_block(text_block())
    for other in (text_block(tick=4), text_block(position=6), text_block(source=Source.PRODUCED)):
        assert not torch.allclose(embedding.embed_block(other), base)


def test_ids_beyond_text_come_from_the_extra_table():
    embedding = seeded_embedding()
    ids = torch.tensor([3, VOCAB.delimiter("image_start"), VOCAB.first_image + 7])
    content = embedding.content(ids)
    assert torch.equal(content[0], embedding.text.weight[3])
    assert torch.equal(content[1], embedding.extra.weight[0])
    assert torch.equal(content[2], embedding.extra.weight[4 + 7])


def test_an_audio_frame_is_a_linear_map_of_its_flattened_one_hots():
    torch.manual_seed(0)
    embedding = AudioEmbedding(AUDIO, 16)
    codes = torch.tensor([[0, 63, 17, 5]])
    digits = code_digits(codes, AUDIO.factors)
    one_hot = F.one_hot(digits, 8).flatten(1).float()
    torch.testing.assert_close(embedding(codes), one_hot @ embedding.table.weight)


@given(st.integers(0, 65_535))
def test_digits_and_codes_are_inverse(code: int):
    for factors in ((65_536,), (256, 256), (4,) * 8):
        digits = code_digits(torch.tensor([code]), factors)
        assert digits.shape == (1, len(factors))
        assert codes_of_digits(digits, factors).item() == code


def test_time_encoding_tells_neighbouring_ticks_apart_after_eleven_days():
    late = torch.tensor([3_800_000, 3_800_001])
    first, second = fourier_features(late, 32, 4.0, 4_194_304.0)
    assert (first - second).abs().max() > 0.1
    assert torch.isfinite(fourier_features(torch.tensor([2**52]), 32, 4.0, 4_194_304.0)).all()
