"""EventLog: every frame of a session as one line of JSON, in the order in which it crossed the socket.

A line is {"at_s": seconds since the log began, "direction": "sent" | "received", "event": the frame}. Sound and
pictures are replaced by their length, so that the log can be read; `--save-audio` and the server keep the media.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from omniweave_client.session import Direction

MAX_MEDIA_CHARS = 120  # longer values of media keys are replaced
MEDIA_KEYS = frozenset({"audio", "image", "image_url"})
AUDIO_DELTA = "response.output_audio.delta"


class EventLog:
    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start_s = clock()
        self._file = path.open("w", encoding="utf-8")

    def write(self, direction: Direction, frame: str) -> None:
        at_s = round(self._clock() - self._start_s, 4)
        line = {"at_s": at_s, "direction": str(direction), "event": _without_media(_parsed(frame))}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _parsed(frame: str) -> object:
    try:
        parsed: object = json.loads(frame)
    except ValueError:
        return frame
    return parsed


def _without_media(value: object) -> object:
    if isinstance(value, list):
        return [_without_media(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    keys = MEDIA_KEYS | {"delta"} if value.get("type") == AUDIO_DELTA else MEDIA_KEYS
    return {
        key: f"({len(entry)} characters)"
        if key in keys and isinstance(entry, str) and len(entry) > MAX_MEDIA_CHARS
        else _without_media(entry)
        for key, entry in value.items()
    }
