"""Partial sessions, in any client's spelling, laid over whole ones."""

from dataclasses import replace
from typing import Any

import pytest

from realtime.protocol.errors import ProtocolError
from realtime.protocol.session_config import (
    PCM,
    PCMA,
    Extensions,
    FunctionTool,
    NamedFunction,
    SemanticVad,
    ServerVad,
    SessionConfig,
    Transcription,
)
from realtime.protocol.session_merge import merged
from realtime.protocol.session_patch import parse_patch
from tests.realtime.stage import READER, TURN_TAKER

START = SessionConfig(id="sess_1", model="m", expires_at=0)


def update(value: dict[str, Any], config: SessionConfig = START, info: Any = TURN_TAKER) -> SessionConfig:
    return merged(config, parse_patch(value, "session"), info)


def detection(value: object, config: SessionConfig = START) -> Any:
    return update({"audio": {"input": {"turn_detection": value}}}, config).audio.input.turn_detection


def test_an_empty_update_changes_nothing() -> None:
    start = update({})
    assert update({"type": "realtime"}, start) == start


def test_only_keys_that_are_present_change() -> None:
    first = update({"instructions": "be brief", "audio": {"input": {"format": {"type": "audio/pcma"}}}})
    second = update({"audio": {"input": {"transcription": {"model": "any"}}}}, first)
    assert second.instructions == "be brief"
    assert second.audio.input.format == PCMA
    assert second.audio.input.transcription == Transcription(model="any")


def test_null_switches_a_thing_off_or_back_to_its_default() -> None:
    first = update(
        {"instructions": "x", "audio": {"input": {"transcription": {"model": "any"}}}, "tools": [{"name": "f"}]}
    )
    second = update({"instructions": None, "tools": None, "audio": {"input": {"transcription": None}}}, first)
    assert (second.instructions, second.tools, second.audio.input.transcription) == ("", (), None)
    assert detection(None) is None


def test_livekit_sends_nulls_for_what_it_does_not_set() -> None:
    value = {"type": "realtime", "instructions": None, "tracing": None, "audio": {"input": {"noise_reduction": None}}}
    assert update(value).instructions == ""


def test_turn_detection_is_merged_within_its_kind_and_replaced_by_another() -> None:
    first = update({"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.8}}}})
    assert detection({"silence_duration_ms": 200}, first) == ServerVad(threshold=0.8, silence_duration_ms=200)
    assert detection({"type": "semantic_vad"}, first) == SemanticVad()
    semantic = update({"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}}}, first)
    assert detection({"interrupt_response": False}, semantic) == SemanticVad(eagerness="high", interrupt_response=False)
    assert detection({"type": "server_vad"}, semantic) == ServerVad()


def test_turn_detection_of_type_none_is_null() -> None:
    assert detection({"type": "none"}) is None


def test_numbers_out_of_range_are_clamped() -> None:
    vad = detection({"threshold": 7, "prefix_padding_ms": -1, "silence_duration_ms": 1e9, "idle_timeout_ms": 1})
    assert vad == ServerVad(threshold=1.0, prefix_padding_ms=0, silence_duration_ms=10_000, idle_timeout_ms=5_000)
    assert update({"max_output_tokens": 1_000_000}).max_output_tokens == 4096
    assert update({"max_output_tokens": 0}).max_output_tokens == 1
    assert update({"max_output_tokens": "inf"}).max_output_tokens == "inf"


def test_beta_keys_are_mapped() -> None:
    config = update(
        {
            "modalities": ["text", "audio"],
            "voice": "boris",
            "input_audio_format": "pcm16",
            "output_audio_format": "g711_alaw",
            "input_audio_transcription": {"model": "whisper-1"},
            "turn_detection": {"type": "server_vad", "threshold": 0.7},
            "temperature": 0.6,
            "max_response_output_tokens": 100,
        }
    )
    assert config.output_modalities == ("audio",)
    assert config.audio.output.voice == "boris"
    assert (config.audio.input.format, config.audio.output.format) == (PCM, PCMA)
    assert config.audio.input.transcription == Transcription(model="whisper-1")
    assert config.audio.input.turn_detection == ServerVad(threshold=0.7)
    assert (config.temperature, config.max_output_tokens) == (0.6, 100)


def test_a_ga_key_wins_over_its_beta_name() -> None:
    assert update({"modalities": ["text"], "output_modalities": ["audio"]}).output_modalities == ("audio",)


def test_both_modalities_mean_speech() -> None:
    assert update({"output_modalities": ["text", "audio"]}).output_modalities == ("audio",)
    assert update({"output_modalities": ["text"]}).output_modalities == ("text",)


def test_a_model_that_does_not_speak_writes_whatever_is_asked() -> None:
    assert update({}, info=READER).output_modalities == ("text",)
    assert update({"output_modalities": ["audio"]}, info=READER).output_modalities == ("text",)


def test_unknown_voices_models_and_transcribers_are_accepted() -> None:
    config = update({"model": "gpt-realtime", "audio": {"output": {"voice": {"id": "ash"}}}})
    assert config.model == "m"
    assert config.audio.output.voice == "anna"
    assert update({"audio": {"output": {"voice": "ash"}}}, info=READER).audio.output.voice == "ash"


def test_another_pcm_rate_is_refused_rather_than_misheard() -> None:
    with pytest.raises(ProtocolError, match="audio/pcm is sent at one rate only, not 16000"):
        update({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}})
    assert update({"audio": {"input": {"format": {"type": "audio/pcma", "rate": 8000}}}}).audio.input.format == PCMA


def test_speed_noise_reduction_and_prompts_are_accepted_and_not_pretended() -> None:
    config = update(
        {
            "audio": {"input": {"noise_reduction": {"type": "near_field"}}, "output": {"speed": 1.4}},
            "prompt": {"id": "p"},
            "tracing": "auto",
            "truncation": {"type": "retention_ratio", "retention_ratio": 0.5},
        }
    )
    assert config == update({})


def test_tools_and_their_choice_are_kept_as_they_came() -> None:
    schema = {"type": "object", "properties": {"x": {"default": None}}}
    tool = {"type": "function", "name": "f", "parameters": schema, "strict": True}
    config = update({"tools": [tool], "tool_choice": {"type": "function", "name": "f"}})
    assert config.tools == (FunctionTool(name="f", parameters=schema),)
    assert config.tool_choice == NamedFunction(name="f")


def test_extensions_are_absent_until_switched_on_and_honest() -> None:
    assert not isinstance(update({}).omniweave, Extensions)
    asked = {"omniweave": {"outputs": ["image", "text", "audio"], "video": True}}
    first = update(asked)
    assert first.omniweave == Extensions(outputs=("text", "audio", "image"), video=True)
    assert update({"omniweave": {"ticks": True}}, first).omniweave == replace_ticks(first)
    assert update(asked, info=replace(READER, draws=True)).omniweave == Extensions(
        outputs=("text", "image"), video=True
    )
    assert not isinstance(update({"omniweave": None}, first).omniweave, Extensions)


def replace_ticks(config: SessionConfig) -> Extensions:
    assert isinstance(config.omniweave, Extensions)
    return Extensions(outputs=config.omniweave.outputs, video=config.omniweave.video, ticks=True)


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ("text", "session"),
        ({"audio": []}, "session.audio"),
        ({"audio": {"input": {"turn_detection": {"type": "psychic"}}}}, "session.audio.input.turn_detection.type"),
        ({"audio": {"input": {"format": {"type": "mp3"}}}}, "session.audio.input.format"),
        ({"tools": {}}, "session.tools"),
        ({"tools": [{"type": "function"}]}, "session.tools[0]"),
        ({"output_modalities": ["smell"]}, "session.output_modalities[0]"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(value: object, param: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_patch(value, "session")
    assert caught.value.param is not None
    assert caught.value.param.startswith(param.removesuffix("[0]"))
