"""The terminal side of a chat: `Console` shows events, `TypedLines` reads what is typed.

Answers go to standard output and nothing else does, so that a pipe gets them clean; notes go to standard error.
"""

import asyncio
import codecs
import os
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from omniweave_client.answers import Answer
from omniweave_client.events import (
    Error,
    Event,
    ImageDone,
    InputTranscript,
    ResponseDone,
    ResponseStatus,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolCall,
    TranscriptDelta,
)
from omniweave_client.session import ALREADY_ANSWERING

READ_BYTES = 65_536
_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}


class Console:
    def __init__(self, out: TextIO, notes: TextIO, interactive: bool, image_dir: Path | None = None) -> None:
        self.interactive = interactive
        self._out = out
        self._notes = notes
        self._image_dir = image_dir
        self._num_images = 0
        self._at_line_start = True
        self._shown: deque[str] = deque(maxlen=64)  # the latest answers whose last event was shown
        self._changed = asyncio.Condition()

    async def show(self, event: Event) -> None:
        match event:
            case TextDelta() | TranscriptDelta():
                self._write(event.text)
            case ResponseDone():
                self._finish(event)
                async with self._changed:
                    self._shown.append(event.response_id)
                    self._changed.notify_all()
            case SpeechStarted():
                self.note(f"speech from {event.audio_start_ms / 1000:.1f} s")
            case SpeechStopped():
                self.note(f"speech until {event.audio_end_ms / 1000:.1f} s")
            case InputTranscript():
                self.note(f"heard: {event.text}")
            case ToolCall():
                self.note(f"calls {event.name}({event.arguments})")
            case ImageDone():
                self._keep_image(event)
            case Error() if event.code != ALREADY_ANSWERING:  # the question is asked again by itself
                self.note(f"error: {event.message}" + (f" ({event.code})" if event.code else ""))
            case _:
                pass

    async def until_shown(self, response_id: str) -> None:
        """Wait until the last event of an answer has been shown."""
        async with self._changed:
            await self._changed.wait_for(lambda: response_id in self._shown)

    def prompt(self) -> None:
        if self.interactive:
            self._write("> ")
            self._at_line_start = True  # a note may overwrite the prompt's line

    def note(self, text: str) -> None:
        self.explain(f"[{text}]")

    def explain(self, text: str) -> None:
        if not self._at_line_start:
            self._write("\n")
        print(text, file=self._notes, flush=True)

    def note_timing(self, answer: Answer) -> None:
        parts = []
        if answer.first_token_us is not None:
            parts.append(f"first token {answer.first_token_us / 1000:.0f} ms")
        if answer.usage is not None:
            parts.append(f"{answer.usage.output_tokens} tokens")
        self.note(", ".join([*parts, f"{answer.total_us / 1e6:.1f} s"]))

    def _finish(self, done: ResponseDone) -> None:
        if not self._at_line_start:
            self._write("\n")
        if done.status is not ResponseStatus.COMPLETED:
            self.note(f"{done.status}: {done.reason}" if done.reason else str(done.status))

    def _keep_image(self, image: ImageDone) -> None:
        self._num_images += 1
        kind = f"{image.width}x{image.height} picture"
        if self._image_dir is None:
            self.note(f"drew a {kind}; --save-images keeps it")
            return
        path = self._image_dir / f"image_{self._num_images:03d}{_SUFFIXES.get(image.media_type, '.bin')}"
        path.write_bytes(image.data)
        self.note(f"drew a {kind}: {path}")

    def _write(self, text: str) -> None:
        if text:
            self._out.write(text)
            self._out.flush()
            self._at_line_start = text.endswith("\n")


class TypedLines:
    """Lines from a file descriptor, a terminal or a pipe, as an async iterator.

    Reads on a daemon thread that only exists while a line is awaited: leaving the program never waits for a key.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._ended = False

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        while "\n" not in self._text and not self._ended:
            data = await self._read()
            self._ended = not data
            self._text += self._decoder.decode(data, final=self._ended)
        if not self._text:
            raise StopAsyncIteration
        line, _, self._text = self._text.partition("\n")
        return line

    async def _read(self) -> bytes:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes] = loop.create_future()

        def finish(data: bytes) -> None:
            if not future.done():
                future.set_result(data)

        def read() -> None:
            try:
                data = os.read(self._descriptor, READ_BYTES)
            except OSError:  # the terminal went away
                data = b""
            with suppress(RuntimeError):  # the loop ended first
                loop.call_soon_threadsafe(finish, data)

        threading.Thread(target=read, name="omniweave-client input", daemon=True).start()
        return await future
