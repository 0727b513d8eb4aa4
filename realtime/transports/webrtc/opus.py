"""Opus packets ⇄ 24 kHz mono samples, one call's direction each, with concealment of lost packets.

Speech is encoded at 24 kHz as it comes from the model, so nothing is resampled on the way out. libopus decodes to
48 kHz here; `Halver` brings that to 24 kHz with half a millisecond of delay, where a general resampler would hold back
tens of them. A packet takes some 0.1 ms either way. Keeps codec state; never sleeps.
"""

from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from realtime.transports.webrtc.order import RTP_RATE_HZ
from streams.resample import float_to_pcm16, to_mono_float
from streams.types import SAMPLE_RATE_HZ, Samples

FRAME_MS: Final = 20
FRAME_SAMPLES: Final = SAMPLE_RATE_HZ * FRAME_MS // 1000  # 480
FRAME_RTP_UNITS: Final = RTP_RATE_HZ * FRAME_MS // 1000  # 960
BIT_RATE: Final = 40_000  # fullband speech needs 28-40 kbit/s (RFC 7587, section 3.1.1)
EXPECTED_LOSS_PERCENT: Final = 5  # what in-band error correction is prepared for
RTP_TIME_BASE: Final = Fraction(1, RTP_RATE_HZ)


class OpusEncoder:
    """Frames of 480 samples → packets for 20 ms."""

    def __init__(self) -> None:
        codec = _audio_codec("w")
        codec.sample_rate = SAMPLE_RATE_HZ
        codec.layout = "mono"
        codec.format = "s16"
        codec.bit_rate = BIT_RATE
        codec.time_base = Fraction(1, SAMPLE_RATE_HZ)
        codec.options = {"application": "voip", "fec": "1", "packet_loss": str(EXPECTED_LOSS_PERCENT)}
        self._codec = codec
        self._num_samples = 0

    def push(self, pcm: Samples) -> bytes:
        """One packet. The codec looks 6.5 ms ahead, so it says what came up to then."""
        if pcm.shape != (FRAME_SAMPLES,):
            raise ValueError(f"a frame holds {FRAME_SAMPLES} samples, got shape {pcm.shape}")
        frame = av.AudioFrame.from_ndarray(float_to_pcm16(pcm)[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.time_base = self._codec.time_base
        frame.pts = self._num_samples
        self._num_samples += FRAME_SAMPLES
        (packet,) = self._codec.encode(frame)
        return bytes(packet)


class OpusDecoder:
    """Packets in order → samples. `conceal` stands in for one that is lost."""

    def __init__(self) -> None:
        codec = _audio_codec("r")
        codec.sample_rate = RTP_RATE_HZ
        codec.layout = "mono"  # libopus mixes stereo down by itself
        codec.format = "s16"
        self._codec = codec
        self._halver = Halver()
        self._toc: int | None = None  # of the latest packet: how long its frames are, and in which mode

    def push(self, payload: bytes) -> Samples:
        """Raises ValueError for what is no Opus packet."""
        if not payload:
            raise ValueError("an Opus packet has at least one byte")
        pcm = self._decode(payload)
        self._toc = payload[0]
        return pcm

    def conceal(self) -> Samples:
        """What the codec guesses for a lost packet: the last sound going on, fading. Nothing before the first packet.

        A packet of a lone TOC byte holds one frame of length 0, which says that the frame was lost and asks the
        decoder for exactly this (RFC 6716, sections 3.2.1 and 4.4).
        """
        if self._toc is None:
            return np.zeros(0, np.float32)
        return self._decode(bytes([self._toc & 0b11111100]))

    def _decode(self, payload: bytes) -> Samples:
        try:
            frames = self._codec.decode(av.Packet(payload))
        except av.FFmpegError as error:
            raise ValueError(f"not an Opus packet: {error}") from error
        pieces = [self._halver.push(to_mono_float(frame.to_ndarray()[0])) for frame in frames]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


class Halver:
    """48 kHz → 24 kHz: a half-band filter, then every other sample. Takes even numbers of samples."""

    NUM_TAPS: Final = 47  # windowed sinc: flat to 10 kHz, -60 dB from 14 kHz

    def __init__(self) -> None:
        offsets = np.arange(self.NUM_TAPS) - self.NUM_TAPS // 2
        taps = np.sinc(offsets / 2) * np.kaiser(self.NUM_TAPS, 6.0)
        self._taps = (taps / taps.sum()).astype(np.float32)
        self._tail = np.zeros(self.NUM_TAPS - 1, np.float32)

    def push(self, pcm: Samples) -> Samples:
        if len(pcm) % 2:
            raise ValueError(f"pairs of samples become one, got {len(pcm)}")
        known = np.concatenate((self._tail, pcm))
        self._tail = known[len(known) - self.NUM_TAPS + 1 :]
        filtered = np.convolve(known, self._taps, "valid")[::2]
        return np.clip(filtered, -1.0, 1.0).astype(np.float32, copy=False)


def _audio_codec(mode: str) -> AudioCodecContext:
    codec = av.CodecContext.create("libopus", "w" if mode == "w" else "r")
    assert isinstance(codec, AudioCodecContext)
    return codec
