"""Clips as FLAC: 16 bits, mono, at the clip rate."""

import io

import numpy as np
import soundfile
from numpy.typing import NDArray

from model.training.data.clip import CLIP_RATE_HZ


def flac_of(pcm: NDArray[np.float32]) -> bytes:
    """16-bit FLAC. Samples beyond [-1, 1] are an error, not clipped in silence."""
    if not np.isfinite(pcm).all() or np.abs(pcm).max(initial=0.0) > 1.0:
        raise ValueError(f"samples must be finite and within [-1, 1]; the peak is {np.abs(pcm).max(initial=0.0)}")
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, CLIP_RATE_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def pcm_of(flac: bytes) -> NDArray[np.float32]:
    """The samples of a FLAC file at the clip rate, mono."""
    pcm, rate_hz = soundfile.read(io.BytesIO(flac), dtype="float32")
    if rate_hz != CLIP_RATE_HZ or pcm.ndim != 1:
        raise ValueError(f"a clip must be mono at {CLIP_RATE_HZ} Hz, not {pcm.shape} at {rate_hz} Hz")
    return pcm
