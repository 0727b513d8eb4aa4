"""Resampling keeps pitch and length, cleans its input, and does not care how the sound was cut; G.711 is exact."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from streams.resample import (
    StreamResampler,
    decode_alaw,
    decode_mulaw,
    encode_alaw,
    encode_mulaw,
    float_to_pcm16,
    pcm16_to_float,
    to_mono_float,
)
from streams.types import SAMPLE_RATE_HZ, Samples

ALL_CODES = bytes(range(256))
ALL_PCM16 = np.arange(1 << 16, dtype=np.uint16).view(np.int16)


def make_sine(rate_hz: int, hz: float = 440.0, num_samples: int | None = None) -> Samples:
    phase = 2 * np.pi * hz * np.arange(num_samples or rate_hz) / rate_hz
    return (0.5 * np.sin(phase)).astype(np.float32)


def resample_all(rate_hz: int, pcm: np.ndarray, piece: int) -> Samples:
    resampler = StreamResampler(rate_hz)
    pieces = [resampler.push(pcm[start : start + piece]) for start in range(0, len(pcm), piece)]
    return np.concatenate([*pieces, resampler.flush()])


@pytest.mark.parametrize("rate_hz", [4_000, 8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000])
def test_a_second_of_any_rate_is_a_second_at_24_khz(rate_hz: int) -> None:
    resampled = resample_all(rate_hz, make_sine(rate_hz), piece=rate_hz // 50)
    assert resampled.dtype == np.float32
    assert len(resampled) == SAMPLE_RATE_HZ
    middle = slice(6_000, 18_000)
    np.testing.assert_allclose(resampled[middle], make_sine(SAMPLE_RATE_HZ)[middle], atol=1e-3)


@given(cuts=st.lists(st.integers(0, 4_800), max_size=6))
def test_the_result_does_not_depend_on_how_the_sound_was_cut(cuts: list[int]) -> None:
    sound = make_sine(48_000, num_samples=4_800)
    resampler = StreamResampler(48_000)
    pieces = [resampler.push(piece) for piece in np.split(sound, sorted(cuts))]
    resampled = np.concatenate([*pieces, resampler.flush()])
    assert np.array_equal(resampled, resample_all(48_000, sound, piece=4_800))


def test_after_flush_another_sound_begins_fresh() -> None:
    resampler = StreamResampler(16_000)
    first = np.concatenate([resampler.push(make_sine(16_000)), resampler.flush()])
    second = np.concatenate([resampler.push(make_sine(16_000)), resampler.flush()])
    assert np.array_equal(first, second)


def test_flush_of_nothing_is_nothing() -> None:
    assert len(StreamResampler(48_000).flush()) == len(StreamResampler(24_000).flush()) == 0


def test_channels_are_averaged() -> None:
    stereo = np.stack([np.full(100, 0.5, np.float32), np.full(100, -0.1, np.float32)], axis=1)
    np.testing.assert_allclose(StreamResampler(24_000).push(stereo), 0.2, atol=1e-6)


def test_int16_and_float_say_the_same() -> None:
    pcm = float_to_pcm16(make_sine(48_000))
    assert np.array_equal(resample_all(48_000, pcm, 960), resample_all(48_000, pcm16_to_float(pcm), 960))


def test_what_is_not_a_number_becomes_silence_and_loud_sound_is_clipped() -> None:
    pcm = np.array([np.nan, np.inf, -np.inf, 3.0, -3.0, 0.25], np.float64)
    assert to_mono_float(pcm).tolist() == [0, 0, 0, 1, -1, 0.25]


def test_full_scale_square_waves_stay_within_range() -> None:
    square = np.where(np.arange(4_800) // 50 % 2, 1.0, -1.0).astype(np.float32)
    assert np.max(np.abs(resample_all(48_000, square, 480))) <= 1.0


def test_the_callers_samples_are_left_alone() -> None:
    pcm = np.array([2.0, np.nan], np.float32)
    StreamResampler(24_000).push(pcm)[:] = 7
    assert pcm[0] == 2.0
    assert np.isnan(pcm[1])


@pytest.mark.parametrize("rate_hz", [0, -1, 3_999, 192_001])
def test_rates_out_of_range_are_refused(rate_hz: int) -> None:
    with pytest.raises(ValueError, match=str(rate_hz)):
        StreamResampler(rate_hz)


@pytest.mark.parametrize(
    "pcm", [np.zeros(4, np.int32), np.zeros(4, np.complex64), np.zeros((2, 2, 2)), np.zeros((2, 0))]
)
def test_samples_of_another_kind_are_refused(pcm: np.ndarray) -> None:
    with pytest.raises(ValueError, match="samples must be"):
        StreamResampler(24_000).push(pcm)


@given(hnp.arrays(np.float32, hnp.array_shapes(max_dims=2, max_side=40), elements=st.floats(width=32)))
def test_any_floats_leave_as_finite_samples_in_range(pcm: np.ndarray) -> None:
    for rate_hz in (8_000, 24_000):
        resampler = StreamResampler(rate_hz)
        resampled = np.concatenate([resampler.push(pcm), resampler.flush()])
        assert resampled.ndim == 1
        assert np.all(np.abs(resampled) <= 1.0)


def test_pcm16_survives_the_way_through_float_unchanged() -> None:
    assert np.array_equal(float_to_pcm16(pcm16_to_float(ALL_PCM16)), ALL_PCM16)


def test_floats_beyond_full_scale_do_not_wrap() -> None:
    pcm = np.array([1.0, 1.5, -1.5, np.nan], np.float32)
    assert float_to_pcm16(pcm).tolist() == [32_767, 32_767, -32_768, 0]


# The digests are those of CPython 3.12's audioop (ulaw2lin, lin2ulaw, alaw2lin, lin2alaw) over all values, which
# follows the ITU's reference code.
@pytest.mark.parametrize(
    ("decode", "encode", "decoded_sha256", "encoded_sha256"),
    [
        (
            decode_mulaw,
            encode_mulaw,
            "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827",
            "617fa4850d68d3906597e949f7625fb2fc46db479e29707f33159b3d131721cb",
        ),
        (
            decode_alaw,
            encode_alaw,
            "e04788d110e58ff8c70c93b8480190d973e3b67876b6119abbaec766cc75c174",
            "f77c76aa923ee25617453f87514828a12896227f82ff383bf3bb53d6ac7c2a0f",
        ),
    ],
)
def test_g711_matches_the_reference_for_every_value(decode, encode, decoded_sha256, encoded_sha256) -> None:
    assert hashlib.sha256(decode(ALL_CODES).astype("<i2").tobytes()).hexdigest() == decoded_sha256
    assert hashlib.sha256(encode(ALL_PCM16)).hexdigest() == encoded_sha256


@pytest.mark.parametrize(("decode", "encode"), [(decode_mulaw, encode_mulaw), (decode_alaw, encode_alaw)])
def test_g711_codes_survive_a_round_trip_but_for_negative_zero(decode, encode) -> None:
    differing = [code for code in ALL_CODES if encode(decode(bytes([code])))[0] != code]
    assert all(decode(bytes([code]))[0] == 0 for code in differing)
    assert len(differing) <= 1


def test_g711_silence_is_the_code_that_telephones_send() -> None:
    silence = np.zeros(1, np.int16)
    assert (encode_mulaw(silence), encode_alaw(silence)) == (b"\xff", b"\xd5")
