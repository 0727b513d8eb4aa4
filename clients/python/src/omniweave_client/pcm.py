"""Sound as the wire carries it: little-endian 16-bit mono PCM at 24 kHz, in base64.

Samples in memory are float32 [num_samples] in [-1, 1]. int16 samples survive the way to float and back unchanged.
"""

import base64
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 24_000
FULL_SCALE = 32_768  # int16 holds [-32768, 32767]

Samples: TypeAlias = NDArray[np.float32]


def encode_pcm16(pcm: NDArray[np.generic]) -> bytes:
    """Floats in [-1, 1], clipped, or int16 samples → little-endian 16-bit PCM."""
    if pcm.ndim != 1:
        raise ValueError(f"sound must be mono, shape [num_samples], got shape {pcm.shape}")
    if pcm.dtype == np.int16:
        return pcm.astype("<i2").tobytes()
    if not np.issubdtype(pcm.dtype, np.floating):
        raise ValueError(f"sound must be float32 or int16, got {pcm.dtype}")
    scaled = np.rint(pcm.astype(np.float32) * FULL_SCALE)
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes()


def decode_pcm16(data: bytes) -> Samples:
    """Little-endian 16-bit PCM → float32 [-1, 1)."""
    if len(data) % 2:
        raise ValueError(f"16-bit sound has an even number of bytes, got {len(data)}")
    return np.frombuffer(data, "<i2").astype(np.float32) * np.float32(1 / FULL_SCALE)


def encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
