import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.audio import WireDecoder, WireEncoder, pieces
from realtime.protocol.session_config import PCM, PCMA, PCMU, AudioFormat
from streams.types import SAMPLE_RATE_HZ, Samples


def tone(ms: int) -> Samples:
    time_s = np.arange(SAMPLE_RATE_HZ * ms // 1000) / SAMPLE_RATE_HZ
    return (0.5 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)


@given(st.binary(max_size=200), st.lists(st.integers(0, 50), max_size=8))
def test_pcm_may_be_split_anywhere(data: bytes, lengths: list[int]) -> None:
    whole = WireDecoder(PCM).push(data)
    split, start, parts = WireDecoder(PCM), 0, []
    for length in lengths:
        parts.append(split.push(data[start : start + length]))
        start += length
    parts.append(split.push(data[start:]))
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_pcm_comes_back_as_it_went() -> None:
    data = np.arange(-32768, 32768, 7).astype("<i2").tobytes()
    assert WireEncoder(PCM).push(WireDecoder(PCM).push(data)) == data


@pytest.mark.parametrize("audio_format", [PCMU, PCMA])
def test_telephone_sound_comes_back_as_a_telephone_would_give_it(audio_format: AudioFormat) -> None:
    encoder, decoder = WireEncoder(audio_format), WireDecoder(audio_format)
    sent = tone(1_000)
    data = b"".join(encoder.push(piece) for piece in pieces(sent)) + encoder.flush()
    assert len(data) == 8_000
    heard = np.concatenate((decoder.push(data), decoder.push(bytes(800))))[: len(sent)]
    middle = slice(len(sent) // 4, -len(sent) // 4)
    assert np.sqrt(np.mean((heard[middle] - sent[middle]) ** 2)) < 0.01


def test_pieces_are_eighths_of_a_second_and_lose_nothing() -> None:
    sound = tone(300)
    cut = list(pieces(sound))
    assert [len(piece) for piece in cut] == [3_000, 3_000, 1_200]
    np.testing.assert_array_equal(np.concatenate(cut), sound)
