import base64

import numpy as np
import pytest

from realtime.protocol.errors import ProtocolError
from realtime.protocol.images import image_url, parse_image, parse_image_url
from realtime.protocol.wire import MAX_SERVER_FRAME_BYTES
from streams.video import decode_image, encode_png


def noise(side: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)


def test_a_small_picture_survives_the_wire_without_loss() -> None:
    picture = noise(64)
    np.testing.assert_array_equal(parse_image_url(image_url(picture), 10_000, "x"), picture)


def test_a_large_picture_is_compressed_until_it_fits_a_frame() -> None:
    url = image_url(noise(1_024))
    assert url.startswith("data:image/jpeg;base64,")
    assert len(url) < MAX_SERVER_FRAME_BYTES - 10_000


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/cat.png",
        "data:image/png;base64,AAA",
        "data:text/plain;base64,AAAA",
        "data:image/png;base64,AAAA",
    ],
)
def test_what_is_no_picture_is_refused(url: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_image_url(url, 10_000, "item.content")
    assert (caught.value.code, caught.value.param) == ("invalid_image", "item.content")


def test_more_pixels_than_allowed_are_not_decoded() -> None:
    data = encode_png(noise(101))
    assert decode_image(data).shape == (101, 101, 3)
    with pytest.raises(ProtocolError, match="101x101 pixels"):
        parse_image(data, 10_000, "image")
    with pytest.raises(ProtocolError, match="101x101 pixels"):
        parse_image_url("data:image/png;base64," + base64.b64encode(data).decode(), 10_000, "image")
