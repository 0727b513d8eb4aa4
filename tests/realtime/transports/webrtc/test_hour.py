"""An hour of a call in seconds: packets as a bad network delivers them → what the caller hears, and when.

Everything between the sockets is the real thing but the codec and the engine: a packet of the caller's holds its own
number, the engine says each tick's window back, and so what is played tells when it was said. The three clocks are the
caller's, the ticks' and the speaker's; time is simulated.
"""

import pickle
import random
import struct
from collections.abc import Iterator
from statistics import mean

import numpy as np
import pytest

from realtime.transports.webrtc import microphone as microphone_module
from realtime.transports.webrtc.microphone import Microphone
from realtime.transports.webrtc.opus import FRAME_MS, FRAME_RTP_UNITS, FRAME_SAMPLES
from realtime.transports.webrtc.order import OpusPacket
from realtime.transports.webrtc.speech import Place, SpeechQueue
from streams.audio import AudioInput
from streams.types import TICK_US, Samples

FRAME_US = FRAME_MS * 1_000
MINUTE_US = 60_000_000
LOSS = 0.01
JITTER_US = 50_000
BASE, STEP = 0.25, 2.0**-19  # a packet's samples are BASE + number * STEP: loud, and told apart after an hour
PLACE = Place("resp", "item", 0)


class NumberCodec:
    """In place of Opus: the payload is the packet's number, and so is the sound."""

    def __init__(self) -> None:
        self._number = 0

    def push(self, payload: bytes) -> Samples:
        (self._number,) = struct.unpack("<I", payload)
        return self._sound()

    def conceal(self) -> Samples:
        self._number += 1
        return self._sound()

    def _sound(self) -> Samples:
        return np.full(FRAME_SAMPLES, BASE + self._number * STEP, np.float32)


def arrivals(minutes: int, clock_ppm: float, rng: random.Random) -> list[tuple[int, OpusPacket]]:
    """When each packet comes that is not lost, by the server's clock; they overtake each other."""
    frame_us = FRAME_US * (1 - clock_ppm * 1e-6)
    sent = (
        OpusPacket(number % 65_536, number * FRAME_RTP_UNITS % 2**32, struct.pack("<I", number))
        for number in range(minutes * MINUTE_US // FRAME_US)
    )
    kept = (
        (int((number + 1) * frame_us + rng.random() * JITTER_US), packet)
        for number, packet in enumerate(sent)
        if rng.random() >= LOSS
    )
    return sorted(kept, key=lambda arrival: arrival[0])


class CallPath:
    """From the caller's packets to what the caller is played."""

    def __init__(self) -> None:
        self.heard = AudioInput()
        self.microphone = Microphone(lambda: self.heard.buffered_samples)
        self.speech = SpeechQueue()
        self.num_ticks = 0

    def push(self, packet: OpusPacket, now_us: int) -> None:
        for chunk in self.microphone.push(packet, now_us):
            self.heard.push(chunk)

    def tick(self) -> None:
        window = self.heard.take_window(self.num_ticks)
        self.num_ticks += 1
        if window is not None:
            self.speech.push(PLACE, window.samples)

    def play(self) -> int | None:
        """The number of the packet that is played; None for silence."""
        loudest = float(self.speech.take(FRAME_SAMPLES).max())
        return round((loudest - BASE) / STEP) if loudest else None

    def num_bytes(self) -> int:
        """What is kept of the call."""
        return len(pickle.dumps((self.microphone.order, self.heard, self.speech)))


def delays_ms(path: CallPath, packets: list[tuple[int, OpusPacket]], clock_ppm: float) -> Iterator[tuple[int, float]]:
    """Minute by minute: from when something was said to when it was played, for every packet of the speaker's."""
    coming = iter(packets)
    now_us, next_arrival = 0, next(coming)
    ends_us = packets[-1][0]
    while now_us < ends_us:
        now_us += FRAME_US // 2  # ticks are between two packets of the speaker's or with one
        while next_arrival is not None and next_arrival[0] <= now_us:
            path.push(next_arrival[1], next_arrival[0])
            next_arrival = next(coming, None)
        if now_us % TICK_US == 0:
            path.tick()
        if now_us % FRAME_US == 0 and (number := path.play()) is not None:
            yield now_us // MINUTE_US, (now_us - number * FRAME_US * (1 - clock_ppm * 1e-6)) / 1000


@pytest.mark.parametrize("clock_ppm", [-100.0, 100.0])
def test_an_hour_at_one_percent_loss_and_50_ms_of_jitter_adds_no_delay_and_no_memory(
    clock_ppm: float, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(microphone_module, "OpusDecoder", NumberCodec)
    path = CallPath()
    minutes: list[list[float]] = [[] for _ in range(61)]  # the last one holds the last packets, if any
    num_bytes: list[int] = []
    for minute, delay_ms in delays_ms(path, arrivals(60, clock_ppm, random.Random(5)), clock_ppm):
        if not minutes[minute]:
            num_bytes.append(path.num_bytes())
        minutes[minute].append(delay_ms)
    means_ms = [mean(minute) for minute in minutes[:60]]
    first_ms, last_ms = mean(means_ms[1:10]), mean(means_ms[-9:])
    assert first_ms == pytest.approx(390, abs=10), "a tick, 60 for sorting, 50 of jitter, and what bridges late packets"
    assert last_ms == pytest.approx(first_ms, abs=10)
    assert max(means_ms[1:]) - min(means_ms[1:]) < 45
    assert max(map(max, minutes[1:60])) < 460
    assert max(num_bytes[1:]) < 1.01 * min(num_bytes[1:])
