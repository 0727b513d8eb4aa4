"""A partial session, however a client spells it.

`parse_patch` reads the `session` of an update: nulls, beta keys, voices as objects, unknown keys. What the patch then
changes is in `session_merge.py`.
"""

from collections.abc import Callable
from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType

from realtime.protocol.errors import ProtocolError
from realtime.protocol.items import convert
from realtime.protocol.session_config import (
    PCM,
    PCMA,
    PCMU,
    AudioFormat,
    Eagerness,
    FunctionTool,
    Modality,
    NamedFunction,
    OutputName,
    ToolChoice,
    Transcription,
)

_FORMATS: Final = {  # GA names and the beta ones
    "audio/pcm": PCM,
    "audio/pcmu": PCMU,
    "audio/pcma": PCMA,
    "pcm16": PCM,
    "g711_ulaw": PCMU,
    "g711_alaw": PCMA,
}


class TurnDetectionPatch(Struct, frozen=True, kw_only=True):
    """Keys of either kind; without `type` they change the current kind."""

    type: Literal["server_vad", "semantic_vad"] | UnsetType | None = UNSET
    threshold: float | UnsetType | None = UNSET
    prefix_padding_ms: float | UnsetType | None = UNSET
    silence_duration_ms: float | UnsetType | None = UNSET
    idle_timeout_ms: float | UnsetType | None = UNSET
    eagerness: Eagerness | UnsetType | None = UNSET
    create_response: bool | UnsetType | None = UNSET
    interrupt_response: bool | UnsetType | None = UNSET


class AudioInputPatch(Struct, frozen=True, kw_only=True):
    format: AudioFormat | UnsetType | None = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    turn_detection: TurnDetectionPatch | UnsetType | None = UNSET


class AudioOutputPatch(Struct, frozen=True, kw_only=True):
    format: AudioFormat | UnsetType | None = UNSET
    voice: str | UnsetType | None = UNSET


class AudioPatch(Struct, frozen=True, kw_only=True):
    input: AudioInputPatch | UnsetType = UNSET
    output: AudioOutputPatch | UnsetType = UNSET


class ExtensionsPatch(Struct, frozen=True, kw_only=True):
    outputs: tuple[OutputName, ...] | UnsetType | None = UNSET
    video: bool | UnsetType | None = UNSET
    ticks: bool | UnsetType | None = UNSET


class SessionPatch(Struct, frozen=True, kw_only=True):
    """The keys of one update: UNSET was absent, None was null."""

    type: Literal["realtime", "transcription"] | UnsetType | None = UNSET
    output_modalities: tuple[Modality, ...] | UnsetType | None = UNSET
    instructions: str | UnsetType | None = UNSET
    audio: AudioPatch | UnsetType | None = UNSET
    tools: tuple[FunctionTool, ...] | UnsetType | None = UNSET
    tool_choice: ToolChoice | UnsetType | None = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET
    max_output_tokens: float | Literal["inf"] | UnsetType | None = UNSET
    temperature: float | UnsetType | None = UNSET
    include: tuple[str, ...] | UnsetType | None = UNSET
    omniweave: ExtensionsPatch | UnsetType | None = UNSET


# --- parsing --------------------------------------------------------------------------------------------------------


def parse_patch(value: object, param: str) -> SessionPatch:
    """Any client's spelling of a partial session → its patch. `param` names it in errors."""
    session = dict(require_object(value, param))
    audio = _child(session, "audio", param)
    if audio is not None:
        audio_in, audio_out = _child(audio, "input", f"{param}.audio"), _child(audio, "output", f"{param}.audio")
    else:
        audio_in = audio_out = None
    audio_in, audio_out = _map_beta_keys(session, audio_in, audio_out)
    if audio_in is not None:
        _parse_audio_input(audio_in, f"{param}.audio.input")
    if audio_out is not None:
        _replace(audio_out, "format", parse_format, f"{param}.audio.output.format")
        _replace(audio_out, "voice", parse_voice, f"{param}.audio.output.voice")
    if audio_in is not None or audio_out is not None:
        sides = {"input": audio_in, "output": audio_out}
        session["audio"] = {name: side for name, side in sides.items() if side is not None}
    _replace(session, "tools", parse_tools, f"{param}.tools")
    _replace(session, "tool_choice", parse_tool_choice, f"{param}.tool_choice")
    return convert(session, SessionPatch, param)


def _map_beta_keys(
    session: dict[str, object], audio_in: dict[str, object] | None, audio_out: dict[str, object] | None
) -> tuple[dict[str, object] | None, dict[str, object] | None]:
    """Flat keys of the beta protocol to where GA has them; a GA key that is there too wins."""
    for old, new in (("modalities", "output_modalities"), ("max_response_output_tokens", "max_output_tokens")):
        if old in session:
            session.setdefault(new, session[old])
    flat_in = {"input_audio_format": "format", "input_audio_transcription": "transcription"}
    flat_in["turn_detection"] = "turn_detection"
    for old, new in flat_in.items():
        if old in session:
            audio_in = audio_in or {}
            audio_in.setdefault(new, session[old])
    for old, new in {"output_audio_format": "format", "voice": "voice"}.items():
        if old in session:
            audio_out = audio_out or {}
            audio_out.setdefault(new, session[old])
    return audio_in, audio_out


def _parse_audio_input(fields: dict[str, object], param: str) -> None:
    _replace(fields, "format", parse_format, f"{param}.format")
    _replace(fields, "transcription", _drop_nulls, f"{param}.transcription")
    detection = fields.get("turn_detection")
    if detection == "none" or (isinstance(detection, dict) and detection.get("type") == "none"):
        fields["turn_detection"] = None


def parse_format(value: object, param: str) -> AudioFormat:
    """A format as GA's object or beta's bare name. PCM has one rate."""
    name = value.get("type", "audio/pcm") if isinstance(value, dict) else value
    rate = value.get("rate") if isinstance(value, dict) else None
    if not isinstance(name, str) or name not in _FORMATS:
        raise ProtocolError(f"{param}: there is no format {name!r:.60}", code="invalid_value", param=param)
    if rate is not None and rate != (24_000 if _FORMATS[name] is PCM else 8_000):
        raise ProtocolError(
            f"{param}.rate: {name} is sent at one rate only, not {rate!r:.60}; leave it out", "invalid_value", param
        )
    return _FORMATS[name]


def parse_voice(value: object, param: str) -> str:
    """A voice's name, given as a string or as `{id}`."""
    name = value.get("id") if isinstance(value, dict) else value
    if not isinstance(name, str):
        raise ProtocolError(f"{param} must be a string or an object with an id", code="invalid_type", param=param)
    return name


def parse_tools(value: object, param: str) -> list[object]:
    """The function tools of a list. Tools that run on the server (MCP) are left out: none are offered."""
    if not isinstance(value, list):
        raise ProtocolError(f"{param} must be an array", code="invalid_type", param=param)
    objects = [_drop_nulls(tool, f"{param}[{index}]") for index, tool in enumerate(value)]
    return [tool for tool in objects if tool.get("type", "function") == "function"]


def parse_tool_choice(value: object, param: str) -> object:
    """A choice as a word, as GA's `{type, name}`, or with the name one level down as chat clients have it."""
    if not isinstance(value, dict):
        return value
    if value.get("type") == "mcp":
        return "auto"
    inner = value.get("function")
    name = inner.get("name") if isinstance(inner, dict) else value.get("name")
    return convert({"name": name}, NamedFunction, param)


def require_object(value: object, param: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ProtocolError(f"{param} must be an object", code="invalid_type", param=param)
    return value


def _child(fields: dict[str, object], key: str, param: str) -> dict[str, object] | None:
    value = fields.get(key)
    return None if value is None else dict(require_object(value, f"{param}.{key}"))


def _drop_nulls(value: object, param: str) -> dict[str, object]:
    return {key: field for key, field in require_object(value, param).items() if field is not None}


def _replace(fields: dict[str, object], key: str, parse: Callable[[object, str], object], param: str) -> None:
    """Parse `fields[key]` in place, if it is there and not null."""
    if fields.get(key) is not None:
        fields[key] = parse(fields[key], param)
