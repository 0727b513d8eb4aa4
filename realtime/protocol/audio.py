"""Sound as the wire has it ⇄ float32 at 24 kHz: PCM16 and the two G.711 laws, in pieces of any length.

A decoder keeps the odd byte of a split sample, an encoder the tail of its filter until `flush`. Nothing else is kept.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import soxr

from realtime.protocol.session_config import AudioFormat, AudioFormatName
from streams.resample import (
    StreamResampler,
    decode_alaw,
    decode_mulaw,
    encode_alaw,
    encode_mulaw,
    float_to_pcm16,
    pcm16_to_float,
)
from streams.types import SAMPLE_RATE_HZ, Samples

G711_RATE_HZ: Final = 8_000
PIECE_SAMPLES: Final = SAMPLE_RATE_HZ // 8  # deltas of 125 ms, two a tick: clients like 20 to 200 ms


class WireDecoder:
    """Bytes in one format → samples."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._name: AudioFormatName = audio_format.type
        self._odd = b""
        self._resampler = StreamResampler(G711_RATE_HZ) if self._name != "audio/pcm" else None

    def push(self, data: bytes) -> Samples:
        if self._resampler is None:
            data = self._odd + data
            whole = len(data) // 2 * 2
            self._odd = data[whole:]
            return pcm16_to_float(np.frombuffer(data[:whole], "<i2"))
        decode = decode_mulaw if self._name == "audio/pcmu" else decode_alaw
        return self._resampler.push(decode(data))


class WireEncoder:
    """Samples → bytes in one format."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self._name: AudioFormatName = audio_format.type
        self._resample = (
            soxr.ResampleStream(SAMPLE_RATE_HZ, G711_RATE_HZ, num_channels=1, dtype="float32", quality="HQ")
            if self._name != "audio/pcm"
            else None
        )

    def push(self, pcm: Samples) -> bytes:
        if self._resample is None:
            return float_to_pcm16(pcm).astype("<i2").tobytes()
        return self._encode(self._resample.resample_chunk(pcm))

    def flush(self) -> bytes:
        """What the filter still holds; the sound ends here."""
        if self._resample is None:
            return b""
        rest = self._resample.resample_chunk(np.zeros(0, np.float32), last=True)
        self._resample.clear()
        return self._encode(rest)

    def _encode(self, pcm: Samples) -> bytes:
        encode = encode_mulaw if self._name == "audio/pcmu" else encode_alaw
        return encode(float_to_pcm16(pcm))


def pieces(pcm: Samples) -> Iterator[Samples]:
    """One tick's sound in pieces of `PIECE_SAMPLES`."""
    for start in range(0, len(pcm), PIECE_SAMPLES):
        yield pcm[start : start + PIECE_SAMPLES]
