"""Whatever a client does, in whatever order: the session lives, and everything it says is valid and in order."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime.engine import EngineInfo
from realtime.session.limits import SessionLimits
from streams.types import Finish, ToolCallDelta
from tests.realtime.protocol.test_wire import KEYS, KINDS, json_values
from tests.realtime.stage import READER, TURN_TAKER, Beat, Stage, loud, quiet

SCRIPTS: list[list[Beat]] = [
    [Beat("Hello"), Beat(" there.", pcm=loud(250), finish=Finish.STOP)],
    [Beat(pcm=loud(250)), Beat(pcm=loud(250)), Beat("Long", finish=Finish.LENGTH)],
    [
        Beat("Wait.", calls=(ToolCallDelta(0, "f", '{"a'),)),
        Beat(calls=(ToolCallDelta(0, None, '":1}'),)),
        Beat(finish=Finish.STOP),
    ],
    [Beat(), Beat(finish=Finish.STOP)],
    [Beat("x" * 40, image=np.zeros((2, 2, 3), np.uint8)), Beat("y" * 40), Beat("z" * 40, finish=Finish.STOP)],
]
UPDATES: list[dict[str, Any]] = [
    {"instructions": "Be brief."},
    {"audio": {"input": {"turn_detection": None}}},
    {"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}},
    {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}, "transcription": {}}}},
    {"audio": {"input": {"format": "pcm16"}, "output": {"format": {"type": "audio/pcmu"}}}},
    {"output_modalities": ["text"]},
    {"tools": [{"type": "function", "name": "f"}]},
    {"omniweave": {"outputs": ["text", "audio", "image"], "ticks": True}},
    {"type": "transcription"},
    {"type": "realtime"},
]

place = st.integers(0, 9)
steps = st.one_of(
    st.tuples(st.just("type"), place),
    st.tuples(st.just("insert"), place),
    st.tuples(st.just("delete"), place),
    st.tuples(st.just("retrieve"), place),
    st.tuples(st.just("truncate"), place),
    st.tuples(st.just("respond"), place),
    st.tuples(st.just("aside"), place),
    st.tuples(st.just("cancel"), place),
    st.tuples(st.just("loud"), place),
    st.tuples(st.just("quiet"), place),
    st.tuples(st.just("commit"), place),
    st.tuples(st.just("clear"), place),
    st.tuples(st.just("update"), place),
    st.tuples(st.just("tick"), place),
)


def do(stage: Stage, step: str, number: int) -> None:
    items = stage.client.items
    item_id = items[number % len(items)] if items else "none"
    match step:
        case "type":
            stage.type_text(f"text {number}")
        case "insert":
            stage.type_text(f"text {number}", previous_item_id=item_id if number else "root")
        case "delete" | "retrieve":
            stage.send(f"conversation.item.{step}", item_id=item_id)
        case "truncate":
            stage.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=number * 100)
        case "respond":
            stage.send("response.create", response={"instructions": "Shout."} if number == 0 else {})
        case "aside":
            stage.send("response.create", response={"conversation": "none"})
        case "cancel":
            stage.send("response.cancel")
        case "loud" | "quiet":
            stage.append((loud if step == "loud" else quiet)(100 * number))
            stage.now_us += 100_000 * number
        case "commit" | "clear":
            stage.send(f"input_audio_buffer.{step}")
        case "update":
            stage.send("session.update", session=UPDATES[number])
        case "tick":
            for _ in range(number):
                stage.tick()


SMALL = SessionLimits(max_items=6, max_conversation_bytes=200_000, max_response_chars=100, max_commands=3)


@pytest.mark.parametrize("limits", [SMALL, SessionLimits()])
@pytest.mark.parametrize("info", [TURN_TAKER, READER])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=10, max_size=40), st.lists(st.sampled_from(SCRIPTS), min_size=3, max_size=3))
def test_any_sequence_of_events_is_answered_validly(
    info: EngineInfo, limits: SessionLimits, script: list[tuple[str, int]], answers: list[list[Beat]]
) -> None:
    stage = Stage(info, limits=limits, extended=True)
    stage.client.server_forgets = limits is SMALL
    stage.model.scripts.extend(answers * 30)
    stage.side_scripts.extend(answers * 30)
    for step, number in script:
        do(stage, step, number)
    stage.run(max_ticks=400)
    assert stage.session.closing is None
    assert not stage.client.is_answering


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(KEYS), json_values)), max_size=4))
def test_any_events_at_all_leave_the_session_alive(events: list[tuple[str, dict[str, Any]]]) -> None:
    stage = Stage(READER, extended=True)
    stage.model.scripts.extend([[Beat("x", finish=Finish.STOP)]] * 10)
    stage.side_scripts.extend([[Beat("x", finish=Finish.STOP)]] * 10)
    for kind, fields in events:
        stage.send_raw(json.dumps({**fields, "type": kind}))
    stage.run()
    assert stage.session.closing is None
