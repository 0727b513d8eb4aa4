"""Feeds: sound and pictures sent to a session at the pace of real time, as if they were happening.

`Pace` is the only thing here that knows the time, and it is given its clock. A feed that falls behind catches up and
skips nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path

import numpy as np

from omniweave_client.pcm import SAMPLE_RATE_HZ, Samples
from omniweave_client.session import Session
from omniweave_client.wav import read_wav_blocks

BLOCK_SAMPLES = SAMPLE_RATE_HZ // 10  # 100 ms, about what microphones deliver


class Pace:
    """Waits until a moment of the stream is due. The stream begins at the first wait."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._start_s: float | None = None

    async def until(self, offset_s: float) -> None:
        if self._start_s is None:
            self._start_s = self._clock()
        wait_s = self._start_s + offset_s - self._clock()
        if wait_s > 0:
            await self._sleep(wait_s)


async def feed_audio(session: Session, blocks: Iterable[Samples], pace: Pace) -> None:
    """Send each block when its last sample would have been heard."""
    num_samples = 0
    for block in blocks:
        num_samples += len(block)
        await pace.until(num_samples / SAMPLE_RATE_HZ)
        await session.send_audio(block)


async def feed_wav(session: Session, path: Path, pace: Pace, tail_s: float = 0.0) -> None:
    """A WAV file of any rate and channels, then `tail_s` of silence so that its last turn can end."""
    await feed_audio(session, _with_tail(read_wav_blocks(path, BLOCK_SAMPLES), tail_s), pace)


async def feed_frames(session: Session, frames: Iterable[bytes], frames_per_s: float, pace: Pace) -> None:
    for number, frame in enumerate(frames):
        await pace.until(number / frames_per_s)
        await session.send_frame(frame)


async def feed_microphone(session: Session, microphone: AsyncIterator[Samples]) -> None:
    """A live source sets its own pace."""
    async for block in microphone:
        await session.send_audio(block)


def _with_tail(blocks: Iterable[Samples], tail_s: float) -> Iterable[Samples]:
    yield from blocks
    for _ in range(round(tail_s * SAMPLE_RATE_HZ / BLOCK_SAMPLES)):
        yield np.zeros(BLOCK_SAMPLES, np.float32)
