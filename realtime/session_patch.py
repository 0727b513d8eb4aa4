"""A partial session: how any client spells it, and what it changes.

`parse_patch` reads the `session` of an update (nulls, beta keys, voices as objects, unknown keys); `merged` lays it
over a `SessionConfig`. Absent keys change nothing, null goes back to the default or switches a thing off, numbers out
of range are clamped, and what the engine cannot do comes out as what it does instead.
"""

from collections.abc import Callable
from typing import Final, Literal, TypeVar

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from realtime.engine import EngineInfo
from realtime.errors import ProtocolError
from realtime.items import convert
from realtime.session_config import (
    PCM,
    PCMA,
    PCMU,
    AudioConfig,
    AudioFormat,
    AudioOutputConfig,
    Eagerness,
    Extensions,
    FunctionTool,
    Modality,
    NamedFunction,
    OutputName,
    SemanticVad,
    ServerVad,
    SessionConfig,
    ToolChoice,
    Transcription,
    TurnDetection,
)

T = TypeVar("T")

MAX_OUTPUT_TOKENS: Final = 4096
DEFAULT_MODALITIES: Final[tuple[Modality, ...]] = ("audio",)
_FORMATS: Final = {  # GA names and the beta ones
    "audio/pcm": PCM,
    "audio/pcmu": PCMU,
    "audio/pcma": PCMA,
    "pcm16": PCM,
    "g711_ulaw": PCMU,
    "g711_alaw": PCMA,
}
_LOGPROBS: Final = "item.input_audio_transcription.logprobs"


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


# --- merging --------------------------------------------------------------------------------------------------------


def merged(config: SessionConfig, patch: SessionPatch, info: EngineInfo) -> SessionConfig:
    """`config` with `patch` laid over it: what holds from now on, given what the engine can do."""
    asked = _pick(patch.output_modalities, config.output_modalities, DEFAULT_MODALITIES)
    audio = config.audio
    if not isinstance(patch.audio, UnsetType):
        audio = AudioConfig() if patch.audio is None else _merged_audio(audio, patch.audio)
    voice = effective_voice(audio.output.voice, info)
    audio = replace(audio, output=replace(audio.output, voice=voice))
    return replace(
        config,
        type=_pick(patch.type, config.type, "realtime"),
        output_modalities=effective_modalities(asked, info),
        instructions=_pick(patch.instructions, config.instructions, ""),
        audio=audio,
        tools=_pick(patch.tools, config.tools, ()),
        tool_choice=_pick(patch.tool_choice, config.tool_choice, "auto"),
        parallel_tool_calls=_pick(patch.parallel_tool_calls, config.parallel_tool_calls, True),
        max_output_tokens=clamped_tokens(_pick(patch.max_output_tokens, config.max_output_tokens, "inf")),
        temperature=UNSET if patch.temperature is None else _pick(patch.temperature, config.temperature, UNSET),
        include=_merged_include(config.include, patch.include),
        omniweave=_merged_extensions(config.omniweave, patch.omniweave, info),
    )


def effective_modalities(asked: tuple[Modality, ...], info: EngineInfo) -> tuple[Modality, ...]:
    """One of the two: speech with its transcript where it was asked for and the engine speaks, else text."""
    return ("audio",) if info.speaks and "audio" in asked else ("text",)


def effective_voice(asked: str, info: EngineInfo) -> str:
    """The voice asked for if the engine has it, else its first. One without voices lets the name stand."""
    return asked if asked in info.voices or not info.voices else info.voices[0]


def clamped_tokens(asked: int | float | Literal["inf"]) -> int | Literal["inf"]:
    return "inf" if isinstance(asked, str) else int(min(max(asked, 1), MAX_OUTPUT_TOKENS))


def _merged_audio(audio: AudioConfig, patch: AudioPatch) -> AudioConfig:
    given, sent = patch.input, patch.output
    side_in, side_out = audio.input, audio.output
    if not isinstance(given, UnsetType):
        side_in = replace(
            side_in,
            format=_pick(given.format, side_in.format, PCM),
            transcription=_merged_transcription(side_in.transcription, given.transcription),
            turn_detection=_merged_detection(side_in.turn_detection, given.turn_detection),
        )
    if not isinstance(sent, UnsetType):
        side_out = replace(
            side_out,
            format=_pick(sent.format, side_out.format, PCM),
            voice=_pick(sent.voice, side_out.voice, AudioOutputConfig().voice),
        )
    return AudioConfig(input=side_in, output=side_out)


def _merged_transcription(now: Transcription | None, patch: Transcription | UnsetType | None) -> Transcription | None:
    if isinstance(patch, UnsetType) or patch is None:
        return now if isinstance(patch, UnsetType) else None
    now = now or Transcription()
    return Transcription(
        model=_pick(patch.model, now.model, UNSET),
        language=_pick(patch.language, now.language, UNSET),
        prompt=_pick(patch.prompt, now.prompt, UNSET),
    )


def _merged_detection(now: TurnDetection | None, patch: TurnDetectionPatch | UnsetType | None) -> TurnDetection | None:
    if isinstance(patch, UnsetType) or patch is None:
        return now if isinstance(patch, UnsetType) else None
    kind = _pick(patch.type, "semantic_vad" if isinstance(now, SemanticVad) else "server_vad", "server_vad")
    if kind == "semantic_vad":
        base = now if isinstance(now, SemanticVad) else SemanticVad()
        return SemanticVad(
            eagerness=_pick(patch.eagerness, base.eagerness, "auto"),
            create_response=_pick(patch.create_response, base.create_response, True),
            interrupt_response=_pick(patch.interrupt_response, base.interrupt_response, True),
        )
    vad = now if isinstance(now, ServerVad) else ServerVad()
    idle_ms = _pick(patch.idle_timeout_ms, vad.idle_timeout_ms, None)
    return ServerVad(
        threshold=_clamp(_pick(patch.threshold, vad.threshold, 0.5), 0.0, 1.0),
        prefix_padding_ms=round(_clamp(_pick(patch.prefix_padding_ms, vad.prefix_padding_ms, 300), 0, 5_000)),
        silence_duration_ms=round(_clamp(_pick(patch.silence_duration_ms, vad.silence_duration_ms, 500), 32, 10_000)),
        idle_timeout_ms=None if idle_ms is None else round(_clamp(idle_ms, 5_000, 30_000)),
        create_response=_pick(patch.create_response, vad.create_response, True),
        interrupt_response=_pick(patch.interrupt_response, vad.interrupt_response, True),
    )


def _merged_include(now: tuple[str, ...] | None, patch: tuple[str, ...] | UnsetType | None) -> tuple[str, ...] | None:
    if isinstance(patch, UnsetType) or patch is None:
        return now if isinstance(patch, UnsetType) else None
    return tuple(name for name in patch if name == _LOGPROBS) or None


def _merged_extensions(
    now: Extensions | UnsetType, patch: ExtensionsPatch | UnsetType | None, info: EngineInfo
) -> Extensions | UnsetType:
    if isinstance(patch, UnsetType) or patch is None:
        return now if isinstance(patch, UnsetType) else UNSET
    now = Extensions() if isinstance(now, UnsetType) else now
    can = {"text": True, "audio": info.speaks, "image": info.draws}
    asked = _pick(patch.outputs, now.outputs, ())
    return Extensions(
        outputs=tuple(name for name in can if name in asked and can[name]),
        video=_pick(patch.video, now.video, False),
        ticks=_pick(patch.ticks, now.ticks, False),
    )


def _pick(patch: T | UnsetType | None, now: T, default: T) -> T:
    """Absent: as it is now. Null: the default. Else what the patch says."""
    if isinstance(patch, UnsetType):
        return now
    return default if patch is None else patch


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
