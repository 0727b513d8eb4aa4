"""Client frames → events, whatever the bytes; server events → frames."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol import client_events as ce
from realtime.protocol import server_events as ev
from realtime.protocol.errors import ProtocolError
from realtime.protocol.items import FunctionCallItem, InputImage, InputText, ItemReference, MessageItem, OutputText
from realtime.protocol.session_config import PCMU, NamedFunction
from realtime.protocol.wire import MAX_SERVER_FRAME_BYTES, decode_client_event, encode_server_event


def decode(kind: str, **fields: Any) -> Any:
    return decode_client_event(json.dumps({"type": kind, **fields}))


def refusal(frame: str | bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        decode_client_event(frame)
    return caught.value


# --- any input ------------------------------------------------------------------------------------------------------

KINDS = [cls.__struct_config__.tag for cls in ce.ClientEvent.__args__]
KEYS = [
    "type",
    "item",
    "content",
    "session",
    "audio",
    "input",
    "output",
    "format",
    "turn_detection",
    "response",
    "tools",
]
KEYS += [
    "role",
    "item_id",
    "audio_end_ms",
    "metadata",
    "tool_choice",
    "voice",
    "event_id",
    "text",
    "image",
    "rate",
    "id",
]
KEYS += ["name", "image_url", "call_id", "arguments", "max_output_tokens", "temperature", "previous_item_id"]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["message", "user", "function_call", "input_text", "audio/pcm", "server_vad", "inf", "AAAA"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner),
    max_leaves=20,
)


def outcome(frame: str | bytes) -> ce.ClientEvent | ProtocolError:
    """The event or the refusal; anything else that is raised fails the test."""
    try:
        return decode_client_event(frame)
    except ProtocolError as error:
        return error


@given(st.binary() | st.text())
def test_any_bytes_are_an_event_or_a_protocol_error(frame: bytes | str) -> None:
    outcome(frame)


@given(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(KEYS), json_values))
def test_any_json_is_an_event_or_a_protocol_error(kind: str, fields: dict[str, Any]) -> None:
    made = outcome(json.dumps({**fields, "type": kind}))
    if isinstance(made, ProtocolError):
        assert made.message
    else:
        assert type(made).__struct_config__.tag == kind
    assert made.event_id == (fields.get("event_id") if isinstance(fields.get("event_id"), str) else None)


@pytest.mark.parametrize(
    "frame",
    ["", "[]", "null", '"x"', "{", '{"type": 5}', "{}", '{"type": "nonsense"}', "[" * 100_000, '"\ud800"', b"\xff"],
)
def test_what_is_no_event_is_refused(frame: str | bytes) -> None:
    assert refusal(frame).type == "invalid_request_error"


def test_an_error_names_the_event_and_the_parameter() -> None:
    error = refusal('{"type": "conversation.item.truncate", "event_id": "mine", "audio_end_ms": 5}')
    assert error.event_id == "mine"
    assert "item_id" in error.message
    error = refusal(
        '{"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{}]}}'
    )
    assert error.param == "item.content[0].type"


def test_an_event_id_of_megabytes_is_not_given_back() -> None:
    assert refusal(json.dumps({"type": "nonsense", "event_id": "x" * 1_000_000})).event_id is None


def test_messages_quote_only_the_beginning_of_what_was_sent() -> None:
    error = refusal(json.dumps({"type": "x" * 1_000_000}))
    assert len(encode_server_event(stamped(ev.error_event(error)))) < 2_000


# --- leniency -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["response.create", "response.cancel", "input_audio_buffer.commit"])
def test_bare_events_need_only_their_type(kind: str) -> None:
    assert decode(kind).event_id is None


def test_null_means_absent() -> None:
    event = decode("response.create", event_id=None, response={"instructions": None, "tools": None, "metadata": None})
    assert event == ce.ResponseCreate()
    assert decode("response.create", response=None) == ce.ResponseCreate()
    assert decode("conversation.item.create", previous_item_id=None, item=message("hi")).previous_item_id is None


def message(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **fields}


def item(value: dict[str, Any]) -> Any:
    return decode("conversation.item.create", item=value).item


def test_unknown_keys_are_ignored() -> None:
    assert item(message("hi", phase="final", nested={"a": 1})) == item(message("hi"))


def test_an_items_status_and_object_are_ours() -> None:
    assert item(message("hi", status="in_progress", object="thing")).status == "completed"


def test_assistant_items_accept_every_name_of_text() -> None:
    for name in ("input_text", "text", "output_text"):
        content = [{"type": name, "text": "hello"}]
        assert item({"type": "message", "role": "assistant", "content": content}).content == (OutputText(text="hello"),)


def test_unknown_roles_speak_as_the_system() -> None:
    assert item(message("be brief") | {"role": "developer"}).role == "system"


def test_content_may_be_a_bare_string_or_missing() -> None:
    assert item({"role": "user", "content": "hi"}) == MessageItem(role="user", content=(InputText(text="hi"),))
    assert item({"type": "message", "role": "user"}).content == ()


def test_pictures_and_calls_are_items() -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": None}
    part = item({"role": "user", "content": [picture]}).content[0]
    assert part == InputImage(image_url="data:image/png;base64,AA==")
    call = {"type": "function_call", "name": "look", "arguments": "{}", "call_id": "c1", "id": None}
    assert item(call) == FunctionCallItem(name="look", arguments="{}", call_id="c1")


def test_an_assistant_cannot_have_a_picture() -> None:
    with pytest.raises(ProtocolError, match="assistant message cannot hold 'input_image'"):
        item({"role": "assistant", "content": [{"type": "input_image", "image_url": "data:"}]})


def test_the_end_of_a_truncation_may_be_a_fraction() -> None:
    assert decode("conversation.item.truncate", item_id="a", audio_end_ms=1499.6).audio_end_ms == 1500


def test_base64_that_is_cut_off_is_refused() -> None:
    with pytest.raises(ProtocolError, match="not valid base64"):
        decode("input_audio_buffer.append", audio="AAA")
    assert decode("input_audio_buffer.append", audio="AAAA").audio == b"\0\0\0"


def test_a_camera_picture_is_base64_with_or_without_a_data_url() -> None:
    assert decode("omniweave.video.append", image="AAAA").image == b"\0\0\0"
    assert decode("omniweave.video.append", image="data:image/jpeg;base64,AAAA").image == b"\0\0\0"


def test_a_response_is_rated_with_a_thumb_up_or_down() -> None:
    rated = decode("omniweave.response.rate", response_id="resp_1", rating="down")
    assert (rated.response_id, rated.rating) == ("resp_1", "down")
    with pytest.raises(ProtocolError, match="rating"):
        decode("omniweave.response.rate", response_id="resp_1", rating="meh")


def test_a_responses_options_come_in_ga_and_beta_spelling() -> None:
    ga = decode(
        "response.create",
        response={
            "output_modalities": ["text"],
            "max_output_tokens": 50,
            "audio": {"output": {"voice": {"id": "v"}, "format": {"type": "audio/pcmu"}}},
        },
    )
    beta = decode(
        "response.create",
        response={
            "modalities": ["text"],
            "max_response_output_tokens": 50,
            "voice": "v",
            "output_audio_format": "g711_ulaw",
        },
    )
    assert ga == beta
    assert ga.response.voice == "v"
    assert ga.response.audio_format == PCMU


def test_a_tool_choice_comes_in_three_spellings() -> None:
    def choice(value: object) -> object:
        return decode("response.create", response={"tool_choice": value}).response.tool_choice

    assert choice("required") == "required"
    assert choice({"type": "function", "name": "f"}) == NamedFunction(name="f")
    assert choice({"type": "function", "function": {"name": "f"}}) == NamedFunction(name="f")
    assert choice({"type": "mcp", "server_label": "s"}) == "auto"


def test_tools_of_other_kinds_are_left_out() -> None:
    tools = [{"type": "mcp", "server_label": "s"}, {"name": "f", "description": None, "parameters": {"type": "object"}}]
    (tool,) = decode("response.create", response={"tools": tools}).response.tools
    assert (tool.name, tool.description, tool.parameters) == ("f", "", {"type": "object"})


def test_a_responses_input_may_refer_to_items() -> None:
    entries = [{"type": "item_reference", "id": "item_1"}, {"role": "user", "content": "hi"}]
    options = decode("response.create", response={"conversation": "none", "input": entries}).response
    assert options.input == (ItemReference(id="item_1"), MessageItem(role="user", content=(InputText(text="hi"),)))


# --- what is sent ---------------------------------------------------------------------------------------------------


def stamped(event: ev.ServerEvent) -> ev.ServerEvent:
    event.event_id = "event_1"
    return event


def test_a_frame_names_its_type_and_id() -> None:
    frame = json.loads(encode_server_event(stamped(ev.InputAudioBufferCleared())))
    assert frame == {"type": "input_audio_buffer.cleared", "event_id": "event_1"}


def test_an_event_without_an_id_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="InputAudioBufferCleared has no event_id"):
        encode_server_event(ev.InputAudioBufferCleared())


def test_a_frame_beyond_the_limit_is_our_mistake() -> None:
    event = stamped(ev.ResponseOutputTextDelta(delta="x" * MAX_SERVER_FRAME_BYTES))
    with pytest.raises(ValueError, match="ResponseOutputTextDelta is 1048"):
        encode_server_event(event)


def test_class_names_follow_the_wire() -> None:
    for cls in (*ce.ClientEvent.__args__, *ev.ServerEvent.__args__):
        words = str(cls.__struct_config__.tag).replace(".", "_").split("_")
        assert cls.__name__ == "".join(word.capitalize() for word in words)
