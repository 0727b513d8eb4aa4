"""Pictures on their way to the wire."""

import struct
import zlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from omniweave_client.pictures import cycle_frames, data_url, encode_picture

JPEG = b"\xff\xd8\xff\xe0 not a whole picture"
WEBP = b"RIFF\x10\0\0\0WEBPVP8 "


def decode_png(data: bytes) -> np.ndarray:
    """Only what `encode_picture` writes: RGB, 8 bits, no filters. Checks every checksum."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert rest == [8, 2, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


def test_an_array_becomes_a_png_of_the_same_pixels() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    np.testing.assert_array_equal(decode_png(encode_picture(rgb)), rgb)


@pytest.mark.parametrize(("data", "kind"), [(JPEG, "image/jpeg"), (WEBP, "image/webp")])
def test_encoded_pictures_go_out_as_they_are_under_their_own_type(data: bytes, kind: str) -> None:
    assert encode_picture(data) is data
    assert data_url(data).startswith(f"data:{kind};base64,")


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        (b"GIF89a", "GIF89a"),
        (b"", "b''"),
        (np.zeros((4, 4), np.uint8), r"\[4, 4\]"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
    ],
)
def test_anything_else_is_refused_with_what_it_was(picture: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        encode_picture(picture)


def test_a_folder_is_shown_in_order_again_and_again(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(JPEG + b"b")
    (tmp_path / "a.JPEG").write_bytes(JPEG + b"a")
    (tmp_path / "notes.txt").write_text("not a picture")
    assert list(islice(cycle_frames(tmp_path), 5)) == [JPEG + end for end in (b"a", b"b", b"a", b"b", b"a")]
    assert list(islice(cycle_frames(tmp_path / "b.jpg"), 2)) == [JPEG + b"b"] * 2


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pictures"):
        cycle_frames(tmp_path)
