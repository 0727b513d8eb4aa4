"""Sound and pictures as the protobuf messages that Foxglove plays and shows, exactly where they can be.

float32 samples and uint8 RGB in, serialized `foxglove.RawAudio` and `foxglove.CompressedImage` out, and back. PNG loses
nothing. 16-bit samples lose nothing where the sound came from 16 bits, which `sound_form` tells. Never touches a file.
"""

import re

import cv2
import msgspec
import numpy as np
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.RawAudio_pb2 import RawAudio
from numpy.typing import NDArray

from realtime.recording.format import SoundForm
from streams.types import SAMPLE_RATE_HZ, Pixels, Samples

S16_SCALE = 32_768  # full scale of a signed 16-bit sample
PNG_LEVEL = 1  # zlib's fastest: a picture is written while the session runs

# A JSON string that begins with this many characters of base 64 is media, not text: 96 samples, or 4 ms of sound.
MEDIA_CHARS = 256
_media = re.compile(rf"(data:[\w/+.;=-]*,)?[A-Za-z0-9+/]{{{MEDIA_CHARS}}}")


# --- sound ----------------------------------------------------------------------------------------------------------


def _to_s16(pcm: Samples) -> bytes:
    with np.errstate(all="ignore"):  # a sample that is not finite is written as silence here, and exactly as float32
        scaled = np.nan_to_num(np.rint(pcm * np.float32(S16_SCALE)))
    samples: NDArray[np.int16] = np.clip(scaled, -S16_SCALE, S16_SCALE - 1).astype("<i2")
    return samples.tobytes()


def _from_s16(data: bytes) -> Samples:
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(S16_SCALE)


def sound_form(pcm: Samples | None) -> SoundForm:
    """Where the exact samples must be kept. Compared as bytes, so that a negative zero is not lost either."""
    if pcm is None:
        return SoundForm.NONE
    return SoundForm.S16 if _from_s16(_to_s16(pcm)).tobytes() == pcm.tobytes() else SoundForm.F32


def encode_sound(pcm: Samples, wall_ns: int) -> bytes:
    message = RawAudio(data=_to_s16(pcm), format="pcm-s16", sample_rate=SAMPLE_RATE_HZ, number_of_channels=1)
    message.timestamp.FromNanoseconds(wall_ns)
    return bytes(message.SerializeToString())


def decode_sound(data: bytes) -> Samples:
    return _from_s16(RawAudio.FromString(data).data)


# --- pictures -------------------------------------------------------------------------------------------------------


def encode_picture(rgb: Pixels, wall_ns: int, frame_id: str) -> bytes:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)  # OpenCV's order
    _, png = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    message = CompressedImage(data=png.tobytes(), format="png", frame_id=frame_id)
    message.timestamp.FromNanoseconds(wall_ns)
    return bytes(message.SerializeToString())


def decode_picture(data: bytes) -> Pixels:
    png = np.frombuffer(CompressedImage.FromString(data).data, np.uint8)
    bgr = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
    if bgr is None:
        raise ValueError(f"a picture of {len(png)} bytes is not a PNG file")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


# --- media inside events --------------------------------------------------------------------------------------------


def _without_media(value: object) -> object:
    if isinstance(value, str):
        return f"<{len(value)} characters of base64>" if _media.match(value) else value
    if isinstance(value, list):
        return [_without_media(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_media(item) for key, item in value.items()}
    return value


def event_json(text: str) -> bytes:
    """An event as it was on the wire, except that base64 media, which has its own channels, is a note of its length.

    What is not a JSON object is kept as the text that it was, so that the channel holds nothing but objects.
    """
    raw = text.encode("utf-8", "replace")
    try:
        event = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        start = raw[:1000].decode("utf-8", "replace")
        return msgspec.json.encode({"not_json": start, "num_characters": len(text), "why": str(error)})
    if not isinstance(event, dict):
        return msgspec.json.encode({"not_an_object": _without_media(event)})
    short = _without_media(event)
    return raw if short == event else msgspec.json.encode(short)
