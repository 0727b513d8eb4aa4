"""PCM, resampling and WAV files."""

import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from omniweave_client.pcm import decode_pcm16, encode_pcm16
from omniweave_client.resample import Resampler
from omniweave_client.wav import WavError, WavWriter, read_wav, read_wav_blocks

RATES_HZ = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000)


def sine(frequency_hz: float, rate_hz: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * np.arange(int(rate_hz * seconds)) / rate_hz).astype(np.float32)


def resampled(pcm: np.ndarray, rate_hz: int) -> np.ndarray:
    resampler = Resampler(rate_hz)
    return np.concatenate([resampler.push(pcm), resampler.flush()])


def level_db(pcm: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(pcm, dtype=np.float64)) / 0.5 + 1e-30)  # 0 dB: a full sine


def test_int16_survives_the_way_to_float_and_back() -> None:
    every_value = np.arange(-32_768, 32_768).astype(np.int16)
    floats = decode_pcm16(encode_pcm16(every_value))
    assert floats.dtype == np.float32
    assert floats.min() == -1.0
    assert floats.max() < 1.0
    np.testing.assert_array_equal(decode_pcm16(encode_pcm16(floats)), floats)


def test_loud_floats_are_clipped() -> None:
    assert encode_pcm16(np.array([-3.0, 3.0])) == struct.pack("<hh", -32_768, 32_767)


@pytest.mark.parametrize(
    ("pcm", "told"),
    [(np.zeros((2, 5), np.float32), r"\(2, 5\)"), (np.zeros(5, np.int32), "int32")],
)
def test_sound_of_another_kind_is_refused(pcm: np.ndarray, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        encode_pcm16(pcm)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_resampling_keeps_a_tone_and_adds_nothing_to_it(rate_hz: int) -> None:
    frequency_hz = 0.88 * min(rate_hz, 24_000) / 2  # near the edge, where a poor filter shows
    out = resampled(sine(frequency_hz, rate_hz), rate_hz)
    assert len(out) == 24_000
    middle = slice(2_000, -2_000)  # the ends hear the silence around the tone
    np.testing.assert_allclose(out[middle], sine(frequency_hz, 24_000)[middle], atol=2e-3)


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("frequency_hz", [12_240, 15_000, 20_000])
def test_tones_above_the_new_band_are_at_least_80_db_down(rate_hz: int, frequency_hz: int) -> None:
    out = resampled(sine(frequency_hz, rate_hz), rate_hz)
    assert level_db(out[2_000:-2_000]) < -80


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_how_the_input_is_split_changes_nothing(rate_hz: int) -> None:
    rng = np.random.default_rng(1)
    pcm = rng.standard_normal(rate_hz // 10).astype(np.float32)
    resampler = Resampler(rate_hz)
    pieces = [resampler.push(piece) for piece in np.split(pcm, np.sort(rng.integers(0, len(pcm), 20)))]
    np.testing.assert_array_equal(np.concatenate([*pieces, resampler.flush()]), resampled(pcm, rate_hz))


def test_a_constant_stays_that_constant() -> None:
    out = resampled(np.full(4_410, 0.5, np.float32), 44_100)
    np.testing.assert_allclose(out[200:-200], 0.5, atol=1e-6)


def test_an_impossible_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="0"):
        Resampler(0)


# --- WAV files ------------------------------------------------------------------------------------------------------


def write_wav(path: Path, pcm: np.ndarray, width: int, num_channels: int, rate_hz: int) -> None:
    """`pcm` in [-1, 1] on every channel, so that their mean is `pcm` again."""
    scaled = np.rint(pcm.astype(np.float64) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    if width == 1:
        scaled += 128
    frames = np.repeat(scaled, num_channels).astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(num_channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(frames.tobytes())


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 44_100])
@pytest.mark.parametrize(("width", "num_channels"), [(1, 1), (2, 2), (3, 1), (4, 6)])
def test_wav_files_of_any_width_channels_and_rate_are_read(
    tmp_path: Path, width: int, num_channels: int, rate_hz: int
) -> None:
    write_wav(tmp_path / "a.wav", 0.5 * sine(440, rate_hz), width, num_channels, rate_hz)
    out = read_wav(tmp_path / "a.wav")
    assert len(out) == 24_000
    middle = slice(500, -500)
    np.testing.assert_allclose(out[middle], 0.5 * sine(440, 24_000)[middle], atol=0.01 if width == 1 else 1e-3)


def test_wav_blocks_are_whole_except_the_last(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", sine(440, 16_000, seconds=0.25), 2, 1, 16_000)
    blocks = list(read_wav_blocks(tmp_path / "a.wav", 2_400))
    assert [len(block) for block in blocks] == [2_400, 2_400, 1_200]


@pytest.mark.parametrize("content", [b"", b"RIFF", b"\xff\xd8\xff a picture", b"RIFF\x10\0\0\0WAVEjunk\0\0\0\0"])
def test_a_file_that_is_no_wav_is_named_in_the_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(WavError, match=r"a\.wav is not a PCM WAV file"):
        read_wav(tmp_path / "a.wav")


def test_a_wav_file_cut_off_inside_a_frame_is_read_up_to_there(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", sine(440, 24_000), 2, 2, 24_000)
    whole = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: 44 + 4 * 1_000 + 3])
    assert len(read_wav(tmp_path / "cut.wav")) == 1_000


def test_written_sound_reads_back(tmp_path: Path) -> None:
    pcm = decode_pcm16(encode_pcm16(0.5 * sine(440, 24_000)))
    with WavWriter(tmp_path / "out.wav") as file:
        file.write(pcm[:10_000])
        file.write(pcm[10_000:])
    np.testing.assert_array_equal(read_wav(tmp_path / "out.wav"), pcm)
