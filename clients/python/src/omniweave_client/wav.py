"""WAV files: any PCM file read as mono 24 kHz blocks, and received sound written as one.

Widths of 8, 16, 24 and 32 bits and any number of channels, which are averaged. Compressed files are refused. Reads
block by block, so that a file of any length needs little memory.
"""

import wave
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from omniweave_client.pcm import SAMPLE_RATE_HZ, Samples, encode_pcm16
from omniweave_client.resample import Resampler

READ_SECONDS = 0.1


class WavError(Exception):
    """The file is not a WAV file that can be read."""


def read_wav_blocks(path: Path, block_samples: int) -> Iterator[Samples]:
    """Yields float32 [block_samples] at 24 kHz; the last block may be shorter."""
    try:
        with wave.open(str(path), "rb") as file:
            width, num_channels, rate_hz = file.getsampwidth(), file.getnchannels(), file.getframerate()
            resampler = Resampler(rate_hz)
            pending = np.zeros(0, np.float32)
            while data := file.readframes(max(1, int(rate_hz * READ_SECONDS))):
                pending = np.concatenate([pending, resampler.push(_mono(data, width, num_channels))])
                while len(pending) >= block_samples:
                    yield pending[:block_samples]
                    pending = pending[block_samples:]
            pending = np.concatenate([pending, resampler.flush()])
    except (wave.Error, EOFError) as error:
        raise WavError(f"{path} is not a PCM WAV file: {error or 'it ends early'}") from None
    for start in range(0, len(pending), block_samples):
        yield pending[start : start + block_samples]


def read_wav(path: Path) -> Samples:
    """The whole file as mono float32 at 24 kHz."""
    return np.concatenate([np.zeros(0, np.float32), *read_wav_blocks(path, SAMPLE_RATE_HZ)])


def _mono(data: bytes, width: int, num_channels: int) -> Samples:
    """Interleaved PCM of `width` bytes → float32 [num_frames] in [-1, 1]."""
    data = data[: len(data) - len(data) % (width * num_channels)]  # a file cut off inside a frame
    if width == 1:
        samples = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128  # the only unsigned width
    elif width == 3:
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        samples = padded.view("<i4")[:, 0].astype(np.float32) / 2**31
    else:
        samples = np.frombuffer(data, f"<i{width}").astype(np.float32) / 2 ** (8 * width - 1)
    mono: Samples = samples.reshape(-1, num_channels).mean(axis=1, dtype=np.float32)
    return mono


class WavWriter:
    """Writes mono 16-bit 24 kHz samples as they come. A file that was not closed keeps what was written."""

    def __init__(self, path: Path) -> None:
        self._file = wave.open(str(path), "wb")  # noqa: SIM115 - closed by `close`
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(SAMPLE_RATE_HZ)

    def write(self, pcm: Samples) -> None:
        self._file.writeframes(encode_pcm16(pcm))  # also brings the header's length up to date

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
