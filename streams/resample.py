"""Sound of any rate and width -> mono float32 at 24 kHz, and the telephone's codes.

Enters: int16 or float samples, mono [N] or [N, channels], 4 kHz to 192 kHz; PCM16 bytes; G.711 bytes. Leaves: clean
float32 in [-1, 1]. What is not a number becomes silence. Nothing here waits, and nothing reads a clock.
"""

from functools import cache
from typing import Any, TypeAlias

import numpy as np
import soxr
from numpy.typing import NDArray

from streams.types import SAMPLE_RATE_HZ, Samples

MIN_RATE_HZ = 4_000
MAX_RATE_HZ = 192_000
PCM16_SCALE = 32_768  # int16 -32768 is float -1.0

Pcm16: TypeAlias = NDArray[np.int16]


class StreamResampler:
    """One continuous sound at `rate_hz_in` in pieces of any length -> the same at 24 kHz.

    The result does not depend on how the sound was cut into pieces. The filter holds back some tens of milliseconds
    until more comes; `flush` returns them and makes the resampler ready for another sound.
    """

    def __init__(self, rate_hz_in: int) -> None:
        if not MIN_RATE_HZ <= rate_hz_in <= MAX_RATE_HZ:
            raise ValueError(f"a sample rate must be in [{MIN_RATE_HZ}, {MAX_RATE_HZ}] Hz, got {rate_hz_in}")
        self.rate_hz_in = rate_hz_in
        self._stream = (
            soxr.ResampleStream(rate_hz_in, SAMPLE_RATE_HZ, num_channels=1, dtype="float32", quality="HQ")
            if rate_hz_in != SAMPLE_RATE_HZ
            else None
        )

    def push(self, pcm: NDArray[Any]) -> Samples:
        """Resample the next piece; what comes back may be shorter, longer or empty."""
        mono = to_mono_float(pcm)
        if self._stream is None or not len(mono):
            return mono
        return _clip(self._stream.resample_chunk(mono))

    def flush(self) -> Samples:
        """Return what the filter still holds, then forget."""
        if self._stream is None:
            return np.zeros(0, np.float32)
        rest = _clip(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))
        self._stream.clear()
        return rest


def to_mono_float(pcm: NDArray[Any]) -> Samples:
    """int16 or float samples [N] or [N, channels] -> a fresh float32 [N] in [-1, 1], channels averaged."""
    if pcm.ndim not in (1, 2) or (pcm.ndim == 2 and pcm.shape[1] == 0):
        raise ValueError(f"samples must be [N] or [N, channels], got shape {pcm.shape}")
    if pcm.dtype == np.int16:
        samples = pcm16_to_float(pcm)
    elif pcm.dtype in (np.float32, np.float64):
        finite = np.nan_to_num(pcm, nan=0.0, posinf=0.0, neginf=0.0)
        samples = np.clip(finite, -1.0, 1.0).astype(np.float32, copy=False)
    else:
        raise ValueError(f"samples must be int16 or float, got {pcm.dtype}")
    return samples if samples.ndim == 1 else samples.mean(axis=1, dtype=np.float32)


def pcm16_to_float(pcm: Pcm16) -> Samples:
    return pcm.astype(np.float32) / np.float32(PCM16_SCALE)


def float_to_pcm16(pcm: Samples) -> Pcm16:
    """Round to the nearest; 1.0 and beyond become 32767. The inverse of `pcm16_to_float` for all its values."""
    scaled: Samples = np.rint(np.nan_to_num(pcm, nan=0.0, posinf=0.0, neginf=0.0) * np.float32(PCM16_SCALE))
    return np.clip(scaled, -PCM16_SCALE, PCM16_SCALE - 1).astype(np.int16)


def _clip(pcm: Samples) -> Samples:
    """The filter overshoots a little at edges of full-scale sound."""
    return np.clip(pcm, -1.0, 1.0)


# --- ITU-T G.711: eight bits a sample, 8 kHz ------------------------------------------------------------------------


def decode_mulaw(data: bytes) -> Pcm16:
    return _mulaw_decode_table()[np.frombuffer(data, np.uint8)]


def encode_mulaw(pcm: Pcm16) -> bytes:
    return _mulaw_encode_table()[pcm.view(np.uint16)].tobytes()


def decode_alaw(data: bytes) -> Pcm16:
    return _alaw_decode_table()[np.frombuffer(data, np.uint8)]


def encode_alaw(pcm: Pcm16) -> bytes:
    return _alaw_encode_table()[pcm.view(np.uint16)].tobytes()


@cache
def _mulaw_decode_table() -> Pcm16:
    """All 256 codes, at 16 bits. A code is inverted: sign, 3 bits of segment, 4 bits of step (G.711 table 2a)."""
    code = ~np.arange(256, dtype=np.uint8)
    segment, step = (code >> 4) & 7, (code & 15).astype(np.int32)
    magnitude = (((step << 1) + 33) << segment) - 33
    return (np.where(code & 0x80, -magnitude, magnitude) << 2).astype(np.int16)


@cache
def _mulaw_encode_table() -> NDArray[np.uint8]:
    """The code of every int16, indexed by its bits as uint16. G.711 is defined on the upper 14 bits."""
    linear = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int32) >> 2
    magnitude = np.minimum(np.abs(linear), 8158) + 33
    segment = np.floor(np.log2(magnitude)).astype(np.int32) - 5
    code: NDArray[np.int32] = (segment << 4) | ((magnitude >> (segment + 1)) & 15)
    return np.where(linear < 0, code ^ 0x7F, code ^ 0xFF).astype(np.uint8)


@cache
def _alaw_decode_table() -> Pcm16:
    """All 256 codes, at 16 bits. Every other bit of a code is inverted (G.711 table 1a)."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    segment, step = (code >> 4) & 7, (code & 15).astype(np.int32)
    magnitude = np.where(segment == 0, (step << 1) + 1, ((step << 1) + 33) << (np.maximum(segment, 1) - 1))
    return (np.where(code & 0x80, magnitude, -magnitude) << 3).astype(np.int16)


@cache
def _alaw_encode_table() -> NDArray[np.uint8]:
    """The code of every int16, indexed by its bits as uint16. G.711 is defined on the upper 13 bits."""
    linear = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int32) >> 3
    magnitude = np.where(linear < 0, -linear - 1, linear)
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 4, 0)
    code: NDArray[np.int32] = (segment << 4) | ((magnitude >> np.maximum(segment, 1)) & 15)
    return (np.where(linear < 0, code, code | 0x80) ^ 0x55).astype(np.uint8)
