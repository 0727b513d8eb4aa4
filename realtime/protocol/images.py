"""Pictures on the wire ⇄ pixels: data URLs in, data URLs out, small enough for one frame.

Decoding is synchronous and takes some 10 ms a megapixel, which is why `max_pixels` is small.
"""

import base64
from typing import Final

from realtime.protocol.errors import ProtocolError
from streams.types import Pixels
from streams.video import decode_data_url, decode_image, encode_jpeg, encode_png

MAX_FILE_BYTES: Final = 15 * 1024 * 1024
MAX_SENT_BYTES: Final = 700_000  # 933 kB of base64: a frame holds less than 1 MiB
JPEG_QUALITIES: Final = (90, 60, 30, 5)


def parse_image_url(url: str, max_pixels: int, param: str) -> Pixels:
    """The picture inside a data URL. Pictures elsewhere are not fetched."""
    try:
        return decode_image(decode_data_url(url, MAX_FILE_BYTES), max_pixels)
    except ValueError as error:
        raise ProtocolError(f"{param}: {error}", code="invalid_image", param=param) from None


def parse_image(data: bytes, max_pixels: int, param: str) -> Pixels:
    """The picture in the bytes of a file."""
    try:
        return decode_image(data, max_pixels)
    except ValueError as error:
        raise ProtocolError(f"{param}: {error}", code="invalid_image", param=param) from None


def image_url(rgb: Pixels) -> str:
    """A picture as a data URL: without loss where that fits into a frame, else as JPEG."""
    data, kind = encode_png(rgb), "png"
    for quality in JPEG_QUALITIES:
        if len(data) <= MAX_SENT_BYTES:
            break
        data, kind = encode_jpeg(rgb, quality), "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
