"""Camera: decoded frames of a video track → RGB pictures, the newest wins.

aiortc decodes on a thread of its own; here every frame is read, so that none piles up, and about one in 100 ms is
turned into RGB, on a worker thread. A tick takes the newest picture there is.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from streams.clock import Clock
from streams.types import Pixels

INTERVAL_US: Final = 100_000  # a tick has 250 ms
MAX_SIDE: Final = 1_024  # larger pictures are scaled down


class Camera:
    """`see` is called on the event loop. `run` ends with the track, or is cancelled."""

    def __init__(self, track: MediaStreamTrack, see: Callable[[Pixels], None], clock: Clock) -> None:
        self._track = track
        self._see = see
        self._clock = clock
        self._newest: av.VideoFrame | None = None
        self._arrived = asyncio.Event()
        self.num_received = 0
        self.num_seen = 0

    async def run(self) -> None:
        showing = asyncio.create_task(self._show())
        try:
            await self._read()
        finally:
            showing.cancel()
            await asyncio.wait({showing})
            if not showing.cancelled():
                showing.result()

    async def _read(self) -> None:
        while True:
            try:
                frame = await self._track.recv()
            except MediaStreamError:  # how a track says that it has ended
                return
            assert isinstance(frame, av.VideoFrame)
            self.num_received += 1
            self._newest = frame
            self._arrived.set()

    async def _show(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            frame, self._newest = self._newest, None
            if frame is not None:
                self._see(await asyncio.to_thread(rgb_of, frame))
                self.num_seen += 1
            await self._clock.sleep_until_us(self._clock.now_us() + INTERVAL_US)


def rgb_of(frame: av.VideoFrame) -> Pixels:
    """uint8 [H, W, 3], the longer side at most `MAX_SIDE`."""
    scale = min(1.0, MAX_SIDE / max(frame.width, frame.height))
    width, height = max(round(frame.width * scale), 1), max(round(frame.height * scale), 1)
    return np.asarray(frame.to_ndarray(format="rgb24", width=width, height=height), np.uint8)
