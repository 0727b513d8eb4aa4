"""Pictures on their way into ticks: the newest frames of each tick, and files <-> uint8 RGB [H, W, 3].

Enters: frames, or JPEG, PNG and WebP files that nobody vouches for. Leaves: frames in order of time, or `ValueError`
that says what is wrong with a file. A file's size in pixels is read from its header before anything is decoded.
Decoding takes milliseconds per megapixel: where that matters, the caller moves it off the event loop.
"""

import base64
import binascii
import bisect
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.types import Pixels, VideoFrame

DEFAULT_MAX_PIXELS = 4_096 * 4_096
MAX_JPEG_SCANS = 100  # encoders write about 10; each costs a pass over all pixels, however few bytes it takes


class VideoInput:
    """Keeps the newest `max_frames_per_tick` frames until the tick takes them; older ones are dropped and counted."""

    def __init__(self, max_frames_per_tick: int = 1) -> None:
        if max_frames_per_tick < 1:
            raise ValueError(f"a tick takes at least one frame, got {max_frames_per_tick}")
        self._max_frames = max_frames_per_tick
        self._frames: list[VideoFrame] = []
        self.num_dropped = 0

    def push(self, frame: VideoFrame) -> None:
        bisect.insort(self._frames, frame, key=lambda kept: kept.pts_us)
        if len(self._frames) > self._max_frames:
            del self._frames[0]
            self.num_dropped += 1

    def take(self) -> tuple[VideoFrame, ...]:
        """The frames of this tick, oldest first."""
        frames = tuple(self._frames)
        self._frames.clear()
        return frames


# --- picture files -> RGB -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Header:
    width: int
    height: int
    has_alpha: bool = False


def decode_image(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Pixels:
    """Decode a JPEG, PNG or WebP file to uint8 RGB [H, W, 3].

    Grey becomes RGB, 16 bits become 8, transparency lies on white, and EXIF orientation is applied (not to pictures
    with transparency, which no camera makes). Raises ValueError for anything that is not a whole, sound picture of
    at most `max_pixels`.
    """
    header = _read_header(data)
    if header.width < 1 or header.height < 1:
        raise ValueError(f"the picture is empty: {header.width}x{header.height} pixels")
    if header.width * header.height > max_pixels:
        raise ValueError(f"the picture has {header.width}x{header.height} pixels, more than {max_pixels} in all")
    flags = cv2.IMREAD_UNCHANGED if header.has_alpha else cv2.IMREAD_COLOR_RGB
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(f"the picture cannot be decoded: {error.err}") from error
    if pixels is None:
        raise ValueError("the picture is corrupt: its header is sound, its content cannot be decoded")
    return _over_white(np.asarray(pixels)) if header.has_alpha else np.ascontiguousarray(pixels, dtype=np.uint8)


def _over_white(pixels: NDArray[Any]) -> Pixels:
    """uint8 or uint16 BGRA [H, W, 4] -> RGB; where the file had no alpha after all, BGR or grey [H, W] come too."""
    narrow: Pixels = (pixels >> 8 if pixels.dtype == np.uint16 else pixels).astype(np.uint8)
    if narrow.ndim == 2:
        return np.repeat(narrow[:, :, None], 3, axis=2)
    rgb = narrow[:, :, 2::-1]
    if narrow.shape[2] == 3:
        return np.ascontiguousarray(rgb)
    alpha = narrow[:, :, 3:].astype(np.uint16)
    return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)  # all sums fit 16 bits


def _read_header(data: bytes) -> _Header:
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return _read_jpeg_header(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _read_png_header(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _read_webp_header(data)
    except (struct.error, IndexError) as error:
        raise ValueError("the picture is cut off in its header") from error
    raise ValueError(f"not a JPEG, PNG or WebP picture: it begins with {data[:12]!r}")


def _read_jpeg_header(data: bytes) -> _Header:
    """ITU-T T.81, annex B: the frame header is the first segment of the kinds SOF0 to SOF15."""
    if data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise ValueError(f"the JPEG has more than {MAX_JPEG_SCANS} scans")
    for marker, start in _jpeg_segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # tables and extensions share the range
            height, width = struct.unpack_from(">HH", data, start + 3)
            if data.rfind(b"\xff\xd9") < start:
                raise ValueError("the JPEG is cut off: it has no end marker")
            return _Header(width, height)
    raise ValueError("the JPEG has no frame header")


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The marker and the offset of the length field of each segment before the first scan."""
    offset = 2
    while True:
        if data[offset] != 0xFF:
            raise ValueError(f"the JPEG is corrupt: no marker at byte {offset}")
        while data[offset] == 0xFF:  # any number of fill bytes may precede a marker
            offset += 1
        marker = data[offset]
        if marker in (0xD9, 0xDA):  # end of image, start of scan
            return
        yield marker, offset + 1
        (num_bytes,) = struct.unpack_from(">H", data, offset + 1)
        offset += 1 + num_bytes


def _read_png_header(data: bytes) -> _Header:
    """PNG specification, section 11.2: IHDR comes first; tRNS, if any, before the first IDAT."""
    if data[12:16] != b"IHDR":
        raise ValueError("the PNG does not begin with its header")
    width, height, _, colour_type = struct.unpack_from(">IIBB", data, 16)
    has_alpha = bool(colour_type & 4) or b"tRNS" in data[: max(data.find(b"IDAT"), 0)]
    return _Header(width, height, has_alpha)


def _read_webp_header(data: bytes) -> _Header:
    """RFC 9649, sections 2.5 to 2.7: lossy, lossless and extended files."""
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[start : start + 3], "little") + 1 for start in (24, 27))
        return _Header(width, height, has_alpha=bool(data[20] & 0x10))
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return _Header((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, has_alpha=bool(bits >> 28 & 1))
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return _Header(width & 0x3FFF, height & 0x3FFF)
    raise ValueError(f"the WebP begins with an unknown chunk {kind!r}")


# --- RGB -> picture files -------------------------------------------------------------------------------------------


def encode_jpeg(rgb: Pixels, quality: int = 90) -> bytes:
    if not 1 <= quality <= 100:
        raise ValueError(f"a JPEG's quality is in [1, 100], got {quality}")
    return _encode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(rgb: Pixels) -> bytes:
    return _encode(".png", rgb, [])


def _encode(suffix: str, rgb: Pixels, parameters: list[int]) -> bytes:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise ValueError(f"a picture is uint8 [H, W, 3], got {rgb.dtype} {list(rgb.shape)}")
    encoded, data = cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), parameters)
    assert encoded, f"OpenCV refused to write {suffix}"
    return data.tobytes()


# --- data URLs ------------------------------------------------------------------------------------------------------


def decode_data_url(url: str, max_bytes: int) -> bytes:
    """The file inside `data:image/...;base64,...` (RFC 2397). Nothing is decoded where it would exceed `max_bytes`."""
    scheme, _, rest = url.partition(":")
    if scheme.lower() != "data":
        raise ValueError(f"a picture must come as a data: URL, got {url[:40]!r}")
    media_type, comma, text = rest.partition(",")
    kind, *parameters = media_type.lower().split(";")
    if not comma or not kind.startswith("image/") or "base64" not in parameters:
        raise ValueError(f"a picture must come as data:image/...;base64,..., got {url[:40]!r}")
    if len(text) // 4 * 3 > max_bytes + 2:  # up to two bytes of padding
        raise ValueError(f"the picture's {len(text)} characters of base64 exceed the limit of {max_bytes} bytes")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"the picture's base64 is not valid: {error}") from error
    if len(data) > max_bytes:
        raise ValueError(f"the picture's {len(data)} bytes exceed the limit of {max_bytes}")
    return data
