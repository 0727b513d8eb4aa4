"""A session's configuration and a patch → the configuration that holds from now on. Pure.

Absent keys change nothing, null goes back to the default or switches a thing off, numbers out of range are clamped,
and what the engine cannot do comes out as what it does instead.
"""

from typing import Final, Literal, TypeVar

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from realtime.engine import EngineInfo
from realtime.protocol.session_config import (
    PCM,
    AudioConfig,
    AudioOutputConfig,
    Extensions,
    Modality,
    SemanticVad,
    ServerVad,
    SessionConfig,
    Transcription,
    TurnDetection,
)
from realtime.protocol.session_patch import AudioPatch, ExtensionsPatch, SessionPatch, TurnDetectionPatch

T = TypeVar("T")

MAX_OUTPUT_TOKENS: Final = 4096
DEFAULT_MODALITIES: Final[tuple[Modality, ...]] = ("audio",)
_LOGPROBS: Final = "item.input_audio_transcription.logprobs"


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
    if isinstance(patch, UnsetType):
        return now
    if patch is None:
        return None
    now = now or Transcription()
    return Transcription(
        model=_pick(patch.model, now.model, UNSET),
        language=_pick(patch.language, now.language, UNSET),
        prompt=_pick(patch.prompt, now.prompt, UNSET),
    )


def _merged_detection(now: TurnDetection | None, patch: TurnDetectionPatch | UnsetType | None) -> TurnDetection | None:
    if isinstance(patch, UnsetType):
        return now
    if patch is None:
        return None
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
    if isinstance(patch, UnsetType):
        return now
    if patch is None:
        return None
    return tuple(name for name in patch if name == _LOGPROBS) or None


def _merged_extensions(
    now: Extensions | UnsetType, patch: ExtensionsPatch | UnsetType | None, info: EngineInfo
) -> Extensions | UnsetType:
    if isinstance(patch, UnsetType):
        return now
    if patch is None:
        return UNSET
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
