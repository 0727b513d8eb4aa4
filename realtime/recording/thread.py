"""The thread that writes one recording: entries in, one file out, bounded in memory.

`put` and `close` may be called from any thread, never wait for the disk and never raise. Where the disk fails, or more
than the bound is waiting for it, the recording ends there: logged once, told to `on_stop`, and counted in `num_lost`.
"""

import logging
import os
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import msgspec

from realtime.recording.header import NORMAL_END, RecordingHeader
from realtime.recording.writer import RecordingWriter

FLUSH_S = 1.0  # what a killed process loses at most

# What may wait for the disk: nine seconds of 768 x 768 video at four frames a second, or three events of 20 MiB.
MAX_QUEUED_BYTES = 64 * 1024 * 1024
ENTRY_BYTES = 1024  # what an entry without arrays or text is taken to weigh

# A disk that fails, and a value that the format cannot hold.
EXPECTED_ERRORS = (OSError, ValueError, TypeError, struct.error, cv2.error, msgspec.MsgspecError)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    write: Callable[[RecordingWriter], None]
    num_bytes: int


def create_file(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")  # never over an older recording


class RecordingThread:
    def __init__(
        self,
        path: Path,
        header: RecordingHeader,
        on_stop: Callable[[str], None] | None,
        max_queued_bytes: int,
        create: Callable[[Path], BinaryIO],
    ) -> None:
        self._path = path
        self._header = header
        self._on_stop = on_stop
        self._max_queued_bytes = max_queued_bytes
        self._create = create
        self._changed = threading.Condition()  # guards all that follows
        self._queue: deque[Entry] = deque()
        self._queued_bytes = 0
        self._is_closing = False
        self.num_lost = 0
        self.stop_reason: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"record {header.session}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # the process may not have another thread
            self._stop(str(error))

    def put(self, write: Callable[[RecordingWriter], None], num_bytes: int) -> None:
        entry = Entry(write, ENTRY_BYTES + num_bytes)
        with self._changed:
            has_room = self._queued_bytes + entry.num_bytes <= self._max_queued_bytes
            if has_room and not self._is_closing:
                self._queue.append(entry)
                self._queued_bytes += entry.num_bytes
                self._changed.notify()
                return
            self.num_lost += 1
            is_closing = self._is_closing
        if not is_closing:
            self._stop(f"the disk is too slow: more than {self._max_queued_bytes} bytes would wait for it")

    def close(self) -> None:
        with self._changed:
            self._is_closing = True
            self._changed.notify()

    def join(self, timeout_s: float | None) -> bool:
        if self._thread.ident is not None:  # else it was never started
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _stop(self, reason: str) -> None:
        with self._changed:
            if self.stop_reason is not None:
                return
            self.stop_reason = reason
            self._is_closing = True
            self._changed.notify()
        logger.warning("recording %s stopped: %s", self._path, reason)
        if self._on_stop is not None:
            self._on_stop(reason)

    # --- on the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        is_understood = False
        try:
            self._write_file()
            is_understood = True
        except EXPECTED_ERRORS as error:
            self._stop(f"{type(error).__name__}: {error}")
            is_understood = True
        finally:
            if not is_understood:
                self._stop("a fault in the writer")
            with self._changed:
                self.num_lost += len(self._queue)
                self._queue.clear()
                self._queued_bytes = 0

    def _write_file(self) -> None:
        with self._create(self._path) as file:
            writer = RecordingWriter(file, self._header)
            flushed_s = time.monotonic()
            is_last = False
            while not is_last:
                wait_s = max(0.0, flushed_s + FLUSH_S - time.monotonic()) if writer.has_unflushed else None
                is_last = self._write_one(writer, wait_s)
                if writer.has_unflushed and time.monotonic() >= flushed_s + FLUSH_S:
                    writer.flush()
                    flushed_s = time.monotonic()
            writer.finish(self.stop_reason or NORMAL_END)
            file.flush()
            os.fsync(file.fileno())

    def _write_one(self, writer: RecordingWriter, wait_s: float | None) -> bool:
        """Write the next entry, if one comes within `wait_s`. True where none will follow."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closing, wait_s)
            if not self._queue:
                return self._is_closing
            entry = self._queue[0]
        entry.write(writer)  # it stays in the queue until it is written, so that it counts as lost where that fails
        with self._changed:
            self._queue.popleft()
            self._queued_bytes -= entry.num_bytes
        return False
