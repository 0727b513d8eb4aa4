"""Server events as messages of the data channel: which of them go there, and how they stay below 64 KiB. Pure.

Sound goes over RTP, so its deltas are left out. Pictures are made smaller until they fit. Anything else that is too
long becomes an `error` event that says so, under the same event id.
"""

import base64
from typing import Final

import cv2
import msgspec
import numpy as np

from realtime.protocol.errors import ProtocolError
from realtime.protocol.server_events import OmniweaveImageDone, ResponseOutputAudioDelta, error_event
from realtime.protocol.wire import encode_server_event
from realtime.session.outbox import Outgoing
from streams.types import Pixels
from streams.video import decode_data_url, decode_image, encode_jpeg

MAX_MESSAGE_BYTES: Final = 65_535  # what every browser takes; beyond 64 KiB they differ (RFC 8841, section 6.1)
_ENVELOPE_BYTES: Final = 1_024  # of a picture's event, without the picture
_MAX_FILE_BYTES: Final = (MAX_MESSAGE_BYTES - _ENVELOPE_BYTES) * 3 // 4  # before base64
_QUALITIES: Final = (90, 75, 50)
_MAX_SENT_BYTES: Final = 1 << 20  # pictures come out of events that fit a frame of the other transport


def is_for_channel(outgoing: Outgoing) -> bool:
    return not isinstance(outgoing.event, ResponseOutputAudioDelta)


def fits(frame: str) -> bool:
    return len(frame.encode()) <= MAX_MESSAGE_BYTES


def fitted(outgoing: Outgoing) -> str:
    """The text of an event's message. Takes some 10 ms for a picture that does not fit as it is."""
    if fits(outgoing.frame):
        return outgoing.frame
    event = outgoing.event
    if isinstance(event, OmniweaveImageDone):
        rgb = decode_image(decode_data_url(event.image_url, _MAX_SENT_BYTES))
        url, height, width = _fitted_picture(rgb)
        return encode_server_event(msgspec.structs.replace(event, image_url=url, height=height, width=width))
    kind = event.__struct_config__.tag
    problem = error_event(
        ProtocolError(
            f"{kind} is {len(outgoing.frame.encode())} bytes long, "
            f"and a data channel takes {MAX_MESSAGE_BYTES}: connect by WebSocket to receive it",
            code="event_too_large",
            type="server_error",
        )
    )
    problem.event_id = event.event_id
    return encode_server_event(problem)


def _fitted_picture(rgb: Pixels) -> tuple[str, int, int]:
    """A data URL that fits, and the height and width of what it holds: as large, then as good, as there is room for."""
    while True:
        height, width, _ = rgb.shape
        for quality in _QUALITIES:
            data = encode_jpeg(rgb, quality)
            if len(data) <= _MAX_FILE_BYTES:
                return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}", height, width
        half = (max(width // 2, 1), max(height // 2, 1))
        rgb = np.asarray(cv2.resize(rgb, half, interpolation=cv2.INTER_AREA), np.uint8)
