"""Which events go over a data channel, and how they fit."""

import json

import numpy as np
import pytest

from realtime.protocol import server_events as ev
from realtime.protocol.images import image_url
from realtime.protocol.items import InputText, MessageItem
from realtime.protocol.server_events import ServerEvent
from realtime.protocol.wire import encode_server_event
from realtime.session.outbox import Outgoing
from realtime.transports.webrtc.frames import MAX_MESSAGE_BYTES, fits, fitted, is_for_channel
from streams.types import Pixels
from streams.video import decode_data_url, decode_image


def outgoing(event: ServerEvent) -> Outgoing:
    event.event_id = "event_1"
    return Outgoing(event, encode_server_event(event))


def picture(rgb: Pixels) -> Outgoing:
    height, width, _ = rgb.shape
    return outgoing(
        ev.OmniweaveImageDone(
            response_id="resp_1", image_index=0, image_url=image_url(rgb), width=width, height=height, tick=7
        )
    )


def test_sound_is_left_to_rtp():
    assert not is_for_channel(outgoing(ev.ResponseOutputAudioDelta(delta="AAAA")))
    assert is_for_channel(outgoing(ev.ResponseOutputAudioDone()))


def test_what_fits_is_sent_as_it_is():
    small = outgoing(ev.InputAudioBufferCleared())
    assert fitted(small) == small.frame


def test_characters_count_as_the_bytes_they_take():
    text = outgoing(ev.ResponseOutputTextDelta(delta="ü" * 40_000))
    assert len(text.frame) < MAX_MESSAGE_BYTES
    assert not fits(text.frame)


@pytest.mark.parametrize("side", [512, 1_024])
def test_a_picture_becomes_small_enough_and_stays_recognisable(side: int):
    rng = np.random.default_rng(5)
    rgb = np.repeat(np.repeat(rng.integers(0, 255, (side // 8, side // 8, 3), np.uint8), 8, axis=0), 8, axis=1)
    noise = rng.integers(-20, 20, rgb.shape)
    large = picture(np.clip(rgb + noise, 0, 255).astype(np.uint8))
    assert not fits(large.frame)
    event = json.loads(fitted(large))
    sent = decode_image(decode_data_url(event.pop("image_url"), 1 << 20))
    assert sent.shape == (event["height"], event["width"], 3)
    assert event["width"] >= 256
    assert (event["type"], event["event_id"], event["tick"]) == ("omniweave.image.done", "event_1", 7)
    assert abs(float(sent.mean()) - float(rgb.mean())) < 3


def test_anything_else_that_is_too_long_is_reported_instead():
    item = MessageItem(id="item_1", role="user", content=(InputText(text="x" * 70_000),))
    event = json.loads(fitted(outgoing(ev.ConversationItemAdded(previous_item_id=None, item=item))))
    assert event["type"] == "error"
    assert event["event_id"] == "event_1"
    assert event["error"]["code"] == "event_too_large"
    assert "conversation.item.added is 70" in event["error"]["message"]
