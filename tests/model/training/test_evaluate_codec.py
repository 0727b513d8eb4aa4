import dataclasses

import numpy as np
import pytest
import torch

pytest.importorskip("faster_whisper", reason="the judges are an optional dependency")

from model.init import init_weights
from model.tokenizers.audio_codec import AudioCodec, tiny_codec, tiny_speech_codec
from model.tokenizers.codec_round_trip import through_codec
from model.training.codec_pictures import draw_spectra
from model.training.evaluate_codec import Heard, entropy, entropy_bits, table_of, without_rounding
from model.training.spelling import readings, word_errors
from streams.types import SAMPLES_PER_TICK


@pytest.fixture(scope="module")
def codec() -> AudioCodec:
    built = AudioCodec(tiny_speech_codec())
    init_weights(built, 0)
    return built.eval().requires_grad_(False)


def noise(num_samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(num_samples)).astype(np.float32)


def test_sound_comes_back_as_long_as_it_was_and_in_step(codec):
    pcm = noise(2 * SAMPLES_PER_TICK - 100)  # with what is late, a third frame is needed
    back = through_codec(codec, pcm)[1]
    assert back.shape == pcm.shape
    padded = torch.from_numpy(np.pad(pcm, (SAMPLES_PER_TICK, SAMPLES_PER_TICK + 100)))[None]  # silence leads
    whole = codec.decode(codec.encode(padded))[0].numpy()
    start = SAMPLES_PER_TICK + 500  # samples that come late
    np.testing.assert_array_equal(back, whole[start : start + len(pcm)])


def test_without_rounding_is_another_sound_of_the_same_length(codec):
    pcm = noise(SAMPLES_PER_TICK)
    assert without_rounding(codec, pcm).shape == pcm.shape
    assert not np.allclose(without_rounding(codec, pcm), through_codec(codec, pcm)[1])


def test_entropy_of_even_use_is_two_bits_and_of_one_symbol_none():
    assert entropy(torch.arange(400) % 4) == pytest.approx(2.0)
    assert entropy(torch.zeros(10, dtype=torch.int64)) == 0.0


def test_digits_that_always_agree_count_once(codec, monkeypatch):
    random = torch.Generator().manual_seed(0)
    codes = torch.randint(4, (1, 4_000, 1), generator=random).expand(-1, -1, 4)
    plain = AudioCodec(tiny_codec())
    monkeypatch.setattr(plain, "encode", lambda pcm: codes)
    independent, bound = entropy_bits(plain, [noise(10)])
    assert independent == pytest.approx(8.0, abs=0.02)
    assert bound == pytest.approx(2.0, abs=0.02)


def test_numbers_are_read_in_the_way_that_fits():
    assert word_errors("nineteen eighty four was a year", "1984 was a year.") == (0, 6)
    assert word_errors("it costs twelve hundred", "It costs 1,300")[0] > 0
    assert word_errors("take one hundred and five of them", "Take 105 of them")[0] <= 1
    assert word_errors("four thousand and eighty five", "4085")[0] <= 1
    assert all(readings("0 7 12 1099 4085 123456 98765432101"))
    assert readings("no numbers here") == ("no numbers here",)


def test_errors_are_counted_by_word():
    assert word_errors("the cat sat on the mat", "the bat sat on mat") == (2, 6)


def test_table_names_groups_and_systems():
    heard = {"agent": {"original": Heard(0.05, 3.5, 3.2), "codec": Heard(0.125, 3.0, 2.6)}}
    table = table_of(heard, (61.0, 55.5), 4.5, 14.0)
    assert "| agent | codec | 12.5 % | 3.00 | 2.60 |" in table
    assert "55.5" in table


def test_spectra_are_drawn(tmp_path):
    draw_spectra(tmp_path / "a.png", {"one": noise(5_000), "other": noise(5_000, 1)}, "title")
    assert (tmp_path / "a.png").stat().st_size > 5_000


def test_config_that_is_both_kinds_or_neither_is_refused():
    with pytest.raises(ValueError, match="one of the two"):
        dataclasses.replace(tiny_codec(), wave=None)
    with pytest.raises(ValueError, match="one of the two"):
        dataclasses.replace(tiny_codec(), mel=tiny_speech_codec().mel)
