from dataclasses import replace
from typing import Any

import pytest

from realtime.engine import EngineInfo
from realtime.protocol.client_events import ResponseOptions
from realtime.protocol.errors import ProtocolError
from realtime.protocol.session_config import FunctionTool, NamedFunction, SessionConfig
from realtime.protocol.session_merge import merged
from realtime.protocol.session_patch import parse_patch
from realtime.session.limits import SessionLimits
from realtime.session.response_plan import ResponsePlan, plan_response
from streams.types import Sampling
from tests.realtime.stage import READER, TURN_TAKER

F, G = FunctionTool(name="f"), FunctionTool(name="g")


def plan(info: EngineInfo = TURN_TAKER, session: dict[str, Any] | None = None, **options: Any) -> ResponsePlan:
    config = SessionConfig(id="s", model="m", expires_at=0)
    config = merged(config, parse_patch(session or {}, "session"), info)
    return plan_response("r", "c", config, ResponseOptions(**options), info, SessionLimits())


def test_a_plain_request_is_what_the_session_says() -> None:
    made = plan(session={"instructions": "be brief", "max_output_tokens": 9, "audio": {"output": {"voice": "boris"}}})
    assert (made.instructions, made.voice, made.outputs) == ("be brief", "boris", ("audio",))
    respond = made.respond()
    assert (respond.response, respond.speak, respond.max_tokens, respond.sampling) == ("r", True, 9, None)


def test_options_hold_for_this_response() -> None:
    made = plan(instructions="shout", output_modalities=("text",), max_output_tokens=99_999.0, temperature=9.0)
    assert (made.instructions, made.outputs, made.max_output_tokens) == ("shout", ("text",), 4096)
    assert not made.respond().speak
    assert made.respond().sampling == Sampling(temperature=2.0)


def test_no_limit_is_the_engines_own() -> None:
    assert plan(max_output_tokens="inf").respond().max_tokens is None


def test_a_model_that_does_not_speak_is_not_asked_to() -> None:
    made = plan(READER, output_modalities=("audio",))
    assert made.output_modalities == made.outputs == ("text",)
    assert not made.respond().speak


@pytest.mark.parametrize(
    ("choice", "tools", "tool"),
    [("auto", "fg", None), ("none", "", None), ("required", "fg", ""), (NamedFunction(name="g"), "fg", "g")],
)
def test_the_choice_of_a_function(choice: Any, tools: str, tool: str | None) -> None:
    respond = plan(tools=(F, G), tool_choice=choice).respond()
    assert "".join(given.name for given in respond.tools) == tools
    assert respond.tool == tool


def test_a_required_function_where_there_is_none_is_not_required() -> None:
    assert plan(tool_choice="required").respond().tool is None


def test_a_function_that_is_not_there_cannot_be_chosen() -> None:
    with pytest.raises(ProtocolError, match="there is no function 'h'"):
        plan(tools=(F,), tool_choice=NamedFunction(name="h"))


def test_a_sessions_choice_waits_for_its_function() -> None:
    session = {"tool_choice": {"type": "function", "name": "h"}}
    assert plan(session=session).tool_choice == "auto"
    assert plan(session=session, tools=(FunctionTool(name="h"),)).respond().tool == "h"


def test_metadata_is_bounded() -> None:
    assert plan(metadata={"a": "b"}).metadata == {"a": "b"}
    with pytest.raises(ProtocolError, match="17 pairs"):
        plan(metadata={str(number): "" for number in range(17)})
    with pytest.raises(ProtocolError, match="513 characters"):
        plan(metadata={"a": "x" * 513})


def test_an_extended_client_gets_what_the_model_can_make() -> None:
    session = {"omniweave": {"outputs": ["text", "audio", "image"]}}
    assert plan(session=session).outputs == ("text", "audio", "image")
    assert plan(replace(READER, draws=True), session).outputs == ("text", "image")
