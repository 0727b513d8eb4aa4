"""Media paced by a clock that only moves when somebody sleeps."""

import asyncio
import wave
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from omniweave_client.feeds import Pace, feed_audio, feed_frames, feed_wav


class FakeTime:
    def __init__(self) -> None:
        self.now_s = 100.0

    def clock(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class FakeSession:
    """Remembers what was sent and when; each send takes `send_s`."""

    def __init__(self, time: FakeTime, send_s: float = 0.0) -> None:
        self.sent: list[tuple[float, object]] = []
        self._time = time
        self._send_s = send_s

    async def send_audio(self, pcm: np.ndarray) -> None:
        self.sent.append((round(self._time.now_s - 100.0, 6), pcm))
        self._time.now_s += self._send_s

    send_frame = send_audio


def blocks(count: int) -> list[np.ndarray]:
    return [np.zeros(2_400, np.float32)] * count


async def test_a_block_is_sent_when_its_last_sample_was_heard() -> None:
    time = FakeTime()
    session = FakeSession(time)
    await feed_audio(session, blocks(3), Pace(time.clock, time.sleep))
    assert [at_s for at_s, _ in session.sent] == [0.1, 0.2, 0.3]


async def test_a_late_feed_catches_up_and_skips_nothing() -> None:
    time = FakeTime()
    session = FakeSession(time)
    pace = Pace(time.clock, time.sleep)
    await pace.until(0.0)
    time.now_s += 0.25  # the machine was busy
    await feed_audio(session, blocks(4), pace)
    assert [at_s for at_s, _ in session.sent] == [0.25, 0.25, 0.3, 0.4]


async def test_frames_come_evenly_however_long_sending_takes() -> None:
    time = FakeTime()
    session = FakeSession(time, send_s=0.2)
    pace = Pace(time.clock, time.sleep)
    await feed_frames(session, [b"1", b"2", b"3"], 4.0, pace)
    assert [at_s for at_s, _ in session.sent] == [0.0, 0.25, 0.5]


async def test_an_endless_feed_ends_when_it_is_cancelled() -> None:
    time = FakeTime()
    session = FakeSession(time)

    async def sleep(seconds: float) -> None:
        await time.sleep(seconds)
        await asyncio.sleep(0)

    feed = asyncio.create_task(feed_frames(session, repeat(b"1"), 1.0, Pace(time.clock, sleep)))
    await asyncio.sleep(0)
    feed.cancel()
    await asyncio.gather(feed, return_exceptions=True)
    assert feed.cancelled()
    assert session.sent


async def test_a_file_is_followed_by_its_silent_tail(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(np.full(3_000, 8_192, "<i2").tobytes())
    time = FakeTime()
    session = FakeSession(time)
    await feed_wav(session, tmp_path / "a.wav", Pace(time.clock, time.sleep), tail_s=0.2)
    sound = np.concatenate([pcm for _, pcm in session.sent])
    np.testing.assert_array_equal(sound, [0.25] * 3_000 + [0.0] * 4_800)
    assert time.now_s == pytest.approx(100.325)
