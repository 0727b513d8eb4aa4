"""Pictures as the wire carries them: JPEG, PNG or WebP bytes in base64 or a data URL.

Arrays become PNG, because that needs nothing but zlib. For live video give JPEG bytes, which are several times smaller.
"""

import struct
import zlib
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from omniweave_client.pcm import encode_base64

Pixels: TypeAlias = NDArray[np.uint8]
Picture: TypeAlias = bytes | Pixels  # an encoded file, or RGB [H, W, 3]

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_SIGNATURES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"))


def media_type(data: bytes) -> str:
    """The MIME type by the file's first bytes. Raises `ValueError` for anything but JPEG, PNG and WebP."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    raise ValueError(f"a picture must be JPEG, PNG or WebP, got bytes that begin with {data[:8]!r}")


def encode_picture(picture: Picture) -> bytes:
    """An encoded picture as it is, or an RGB array as PNG."""
    if isinstance(picture, bytes):
        media_type(picture)
        return picture
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"a picture must be uint8 RGB [H, W, 3], got {picture.dtype} {list(picture.shape)}")
    height, width, _ = picture.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row is preceded by its filter: 0, none
    rows[:, 1:] = picture.reshape(height, 3 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB; PNG specification 11.2.2
    body = zlib.compress(rows.tobytes(), 1)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def data_url(picture: Picture) -> str:
    data = encode_picture(picture)
    return f"data:{media_type(data)};base64,{encode_base64(data)}"


def cycle_frames(path: Path) -> Iterator[bytes]:
    """The pictures of a folder in the order of their names, again and again; or one file, again and again."""
    files = [path] if path.is_file() else sorted(p for p in path.glob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"no pictures ({', '.join(SUFFIXES)}) in {path}")
    for file in files:
        media_type(file.read_bytes()[:16])
    return (file.read_bytes() for file in cycle(files))
