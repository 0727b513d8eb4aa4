"""Newest frames win; pictures of every kind become RGB; hostile files end in a clear ValueError before any work."""

import base64
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.types import Pixels, VideoFrame
from streams.video import VideoInput, decode_data_url, decode_image, encode_jpeg, encode_png

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def make_frame(pts_us: int) -> VideoFrame:
    return VideoFrame(pts_us, np.zeros((2, 2, 3), np.uint8))


def make_quadrants(height: int = 32, width: int = 48) -> Pixels:
    """Red, green over blue, white: shows any flip, rotation or swap of channels."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[: height // 2, : width // 2], rgb[: height // 2, width // 2 :] = RED, GREEN
    rgb[height // 2 :, : width // 2], rgb[height // 2 :, width // 2 :] = BLUE, WHITE
    return rgb


def corners(rgb: Pixels) -> list[tuple[int, ...]]:
    """Top left, top right, bottom left, bottom right, each rounded to full or none."""
    height, width, _ = rgb.shape
    places = [(2, 2), (2, width - 3), (height - 3, 2), (height - 3, width - 3)]
    return [tuple(int(round(int(value) / 255) * 255) for value in rgb[place]) for place in places]


def encode(suffix: str, pixels: np.ndarray, *parameters: int) -> bytes:
    encoded, data = cv2.imencode(suffix, pixels, parameters)
    assert encoded
    return data.tobytes()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def make_png(width: int, height: int, depth: int, colour_type: int, rows: list[bytes], *chunks: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    content = png_chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + content + png_chunk(b"IEND", b"")


def with_exif_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Insert an APP1 segment with a single tag, 0x0112."""
    tiff = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    content = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


# --- frames ---------------------------------------------------------------------------------------------------------


def test_the_newest_frames_of_a_tick_win_and_the_others_are_counted() -> None:
    video = VideoInput(max_frames_per_tick=2)
    for pts_us in (10, 20, 30, 40):
        video.push(make_frame(pts_us))
    assert [frame.pts_us for frame in video.take()] == [30, 40]
    assert video.num_dropped == 2
    assert video.take() == ()


def test_a_frame_that_comes_late_is_put_in_its_place_or_dropped() -> None:
    video = VideoInput(max_frames_per_tick=2)
    for pts_us in (20, 40, 30, 10):
        video.push(make_frame(pts_us))
    assert [frame.pts_us for frame in video.take()] == [30, 40]
    assert video.num_dropped == 2


def test_a_tick_takes_at_least_one_frame() -> None:
    with pytest.raises(ValueError, match="0"):
        VideoInput(max_frames_per_tick=0)


# --- pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        encode(".png", make_quadrants()[..., ::-1]),
        encode(".jpg", make_quadrants()[..., ::-1], cv2.IMWRITE_JPEG_QUALITY, 95),
        encode(".jpg", make_quadrants()[..., ::-1], cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encode(".webp", make_quadrants()[..., ::-1], cv2.IMWRITE_WEBP_QUALITY, 90),
        encode(".webp", make_quadrants()[..., ::-1], cv2.IMWRITE_WEBP_QUALITY, 101),
        encode(".png", make_quadrants()[..., ::-1].astype(np.uint16) * 257),
    ],
    ids=["png", "jpeg", "progressive jpeg", "lossy webp", "lossless webp", "16-bit png"],
)
def test_pictures_of_every_kind_become_rgb(data: bytes) -> None:
    rgb = decode_image(data)
    assert (rgb.shape, rgb.dtype, rgb.flags.c_contiguous) == ((32, 48, 3), np.uint8, True)
    assert corners(rgb) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(("suffix", "dtype"), [(".png", np.uint8), (".png", np.uint16), (".jpg", np.uint8)])
def test_grey_becomes_rgb(suffix: str, dtype: type) -> None:
    grey = np.full((8, 8), np.iinfo(dtype).max // 2, dtype)
    np.testing.assert_allclose(decode_image(encode(suffix, grey)), np.full((8, 8, 3), 127), atol=1)


@pytest.mark.parametrize(("suffix", "dtype"), [(".png", np.uint8), (".png", np.uint16), (".webp", np.uint8)])
def test_transparency_lies_on_white(suffix: str, dtype: type) -> None:
    full = np.iinfo(dtype).max
    bgra = np.zeros((8, 8, 4), dtype)
    bgra[:, :4] = (full, 0, 0, full)  # opaque blue
    bgra[:, 4:, 3] = full // 2  # black, half there
    rgb = decode_image(encode(suffix, bgra, *([cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else [])))
    np.testing.assert_allclose(rgb[0, [0, 7]], [BLUE, (128, 128, 128)], atol=1)


def test_grey_with_alpha_and_transparent_palettes_lie_on_white() -> None:
    grey_alpha = make_png(2, 1, 8, 4, [bytes([0, 255, 0, 0])])
    assert decode_image(grey_alpha).tolist() == [[[0, 0, 0], [255, 255, 255]]]
    palette = png_chunk(b"PLTE", bytes([*RED, *GREEN])) + png_chunk(b"tRNS", bytes([255, 0]))
    assert decode_image(make_png(2, 1, 8, 3, [bytes([0, 1])], palette)).tolist() == [[list(RED), list(WHITE)]]


@pytest.mark.parametrize(
    ("orientation", "seen"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ],
)
def test_a_camera_held_upright_gives_an_upright_picture(orientation: int, seen: list[tuple[int, ...]]) -> None:
    rgb = decode_image(with_exif_orientation(encode_jpeg(make_quadrants()), orientation))
    assert corners(rgb) == seen
    assert rgb.shape == ((48, 32, 3) if orientation in (6, 8) else (32, 48, 3))


# --- hostile pictures -----------------------------------------------------------------------------------------------


def bomb_headers() -> dict[str, bytes]:
    """Headers that promise 60,000 x 60,000 (WebP: 16,000 x 16,000) pixels, with nothing behind."""
    frame_header = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, 60_000, 60_000, 3) + bytes(9)
    vp8_size = struct.pack("<HH", 16_000, 16_000)
    vp8x_size = (15_999).to_bytes(3, "little") * 2
    vp8l_size = struct.pack("<I", 15_999 | 15_999 << 14)
    return {
        "jpeg": b"\xff\xd8" + frame_header + b"\xff\xd9",
        "png": make_png(60_000, 60_000, 8, 2, []),
        "lossy webp": b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + vp8_size,
        "extended webp": b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + vp8x_size,
        "lossless webp": b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + vp8l_size,
    }


@pytest.mark.parametrize("kind", bomb_headers())
def test_a_decompression_bomb_is_refused_before_anything_is_decoded(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("cv2.imdecode", explode)
    with pytest.raises(ValueError, match=r"(60000x60000|16000x16000) pixels, more than"):
        decode_image(bomb_headers()[kind])


def test_the_limit_on_pixels_is_exact() -> None:
    data = encode_png(make_quadrants(10, 10))
    assert decode_image(data, max_pixels=100).shape == (10, 10, 3)
    with pytest.raises(ValueError, match="10x10 pixels, more than 99"):
        decode_image(data, max_pixels=99)


def test_a_jpeg_with_endless_scans_is_refused() -> None:
    jpeg = encode_jpeg(make_quadrants())
    with pytest.raises(ValueError, match="scans"):
        decode_image(jpeg[:-2] + b"\xff\xda" * 101 + b"\xff\xd9")


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a" + bytes(50), b"<svg/>", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8 "]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"picture|JPEG|PNG|WebP"):
        decode_image(data)


def test_a_picture_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="0x5"):
        decode_image(make_png(0, 5, 8, 2, []))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_picture_that_is_cut_off_is_refused(suffix: str, kept: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    data = encode(suffix, noise)
    with pytest.raises(ValueError, match=r"cut off|corrupt|cannot be decoded"):
        decode_image(data[: int(len(data) * kept)])


@given(
    start=st.sampled_from([encode_jpeg(make_quadrants()), encode_png(make_quadrants()), *bomb_headers().values()]),
    place=st.floats(0, 1),
    junk=st.binary(max_size=40),
)
def test_any_damage_ends_in_a_picture_or_a_value_error(start: bytes, place: float, junk: bytes) -> None:
    offset = int(place * len(start))
    try:
        rgb = decode_image(start[:offset] + junk + start[offset + len(junk) :], max_pixels=10_000)
    except ValueError:
        return
    assert rgb.dtype == np.uint8
    assert rgb.shape[0] * rgb.shape[1] <= 10_000


# --- encoding -------------------------------------------------------------------------------------------------------


def test_png_keeps_every_pixel_and_jpeg_nearly() -> None:
    rgb = make_quadrants()
    assert np.array_equal(decode_image(encode_png(rgb)), rgb)
    assert corners(decode_image(encode_jpeg(rgb))) == corners(rgb)
    assert len(encode_jpeg(rgb, quality=10)) < len(encode_jpeg(rgb, quality=100))


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_only_rgb_can_be_encoded(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="uint8"):
        encode_png(np.zeros(shape, np.uint8))


def test_a_quality_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="101"):
        encode_jpeg(make_quadrants(), quality=101)


# --- data URLs ------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=100))
def test_a_data_url_gives_back_its_bytes(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert decode_data_url(f"data:image/png;base64,{text}", max_bytes=len(data)) == data
    if data:
        with pytest.raises(ValueError, match="exceed"):
            decode_data_url(f"data:image/png;base64,{text}", max_bytes=len(data) - 1)


def test_a_data_urls_prefix_is_read_leniently() -> None:
    assert decode_data_url("DATA:image/JPEG;name=a;Base64,AAAA", max_bytes=3) == b"\0\0\0"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("https://example.com/cat.png", "https://example.com"),
        ("data:text/plain;base64,AAAA", "text/plain"),
        ("data:image/png,AAAA", "base64"),
        ("data:image/png;base64", "base64"),
        ("data:image/png;base64,AAA", "not valid"),
        ("data:image/png;base64,A*AA", "not valid"),
        ("data:image/png;base64,ÄAAA", "not valid"),
        ("", "data: URL"),
    ],
)
def test_other_urls_are_refused_with_a_reason(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        decode_data_url(url, max_bytes=1_000)


def test_a_url_that_is_too_long_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ValueError, match="4000 characters"):
        decode_data_url("data:image/png;base64," + "*" * 4_000, max_bytes=100)
