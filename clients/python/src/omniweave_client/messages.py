"""What the client says: one function per event, returning the JSON text of its frame. Pure; knows no connection."""

import json
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from omniweave_client.config import Output, SessionConfig
from omniweave_client.pcm import encode_base64, encode_pcm16
from omniweave_client.pictures import Picture, data_url, encode_picture

Frame: TypeAlias = str

REQUEST_KEY = "client_event_id"  # in a response's metadata: the id of the event that asked for it


def _frame(kind: str, event_id: str | None = None, **fields: object) -> Frame:
    event: dict[str, object] = {"type": kind}
    if event_id is not None:
        event["event_id"] = event_id
    return json.dumps(event | fields, ensure_ascii=False, separators=(",", ":"))


def update_session(config: SessionConfig, event_id: str, was_extended: bool = False) -> Frame:
    return _frame("session.update", event_id, session=config.to_wire(was_extended))


def append_audio(pcm: NDArray[np.generic]) -> Frame:
    return _frame("input_audio_buffer.append", audio=encode_base64(encode_pcm16(pcm)))


def append_frame(picture: Picture) -> Frame:
    """Extension: one video frame. Only for sessions with `video`."""
    return _frame("omniweave.video.append", image=encode_base64(encode_picture(picture)))


def commit_audio() -> Frame:
    return _frame("input_audio_buffer.commit")


def clear_audio() -> Frame:
    return _frame("input_audio_buffer.clear")


def create_message(text: str | None, picture: Picture | None, event_id: str) -> Frame:
    """One message of the user: text, a picture, or the text followed by the picture."""
    content: list[Mapping[str, object]] = []
    if text is not None:
        content.append({"type": "input_text", "text": text})
    if picture is not None:
        content.append({"type": "input_image", "image_url": data_url(picture)})
    return _frame("conversation.item.create", event_id, item={"type": "message", "role": "user", "content": content})


def create_call_output(call_id: str, output: str, event_id: str) -> Frame:
    item = {"type": "function_call_output", "call_id": call_id, "output": output}
    return _frame("conversation.item.create", event_id, item=item)


def create_response(
    event_id: str,
    instructions: str | None = None,
    output: Output | None = None,
    max_output_tokens: int | None = None,
) -> Frame:
    """The id travels in the metadata too, and so comes back in the response it started."""
    response: dict[str, object] = {"metadata": {REQUEST_KEY: event_id}}
    if instructions is not None:
        response["instructions"] = instructions
    if output is not None:
        response["output_modalities"] = [str(output)]
    if max_output_tokens is not None:
        response["max_output_tokens"] = max_output_tokens
    return _frame("response.create", event_id, response=response)


def cancel_response(response_id: str | None) -> Frame:
    return _frame("response.cancel") if response_id is None else _frame("response.cancel", response_id=response_id)
