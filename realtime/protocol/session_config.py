"""The session object as it is sent back: whole, with every default spelled out.

What a client may change in it, and how, is in `session_patch.py`. Immutable: an update makes a new one.
"""

from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from streams.types import EngineInfo

AudioFormatName: TypeAlias = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
Eagerness: TypeAlias = Literal["low", "medium", "high", "auto"]
Modality: TypeAlias = Literal["text", "audio"]
OutputName: TypeAlias = Literal["text", "audio", "image"]

# --- values shared by the patch and the whole -----------------------------------------------------------------------


class AudioFormat(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """PCM is 16 bit little-endian mono at 24 kHz; the two G.711 laws are 8 kHz and carry no rate."""

    type: AudioFormatName = "audio/pcm"
    rate: Literal[24000] | UnsetType = UNSET


PCM = AudioFormat(type="audio/pcm", rate=24000)
PCMU = AudioFormat(type="audio/pcmu")
PCMA = AudioFormat(type="audio/pcma")


class FunctionTool(Struct, frozen=True, kw_only=True):
    """A function the model may call. `parameters` is a JSON Schema, kept as it came."""

    type: Literal["function"] = "function"
    name: str
    description: str = ""
    parameters: dict[str, object] = {}


class NamedFunction(Struct, frozen=True, kw_only=True):
    type: Literal["function"] = "function"
    name: str


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | NamedFunction


class ServerVad(Struct, frozen=True, kw_only=True, tag_field="type", tag="server_vad"):
    """Turns end after a fixed silence."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    idle_timeout_ms: int | None = None
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(Struct, frozen=True, kw_only=True, tag_field="type", tag="semantic_vad"):
    """Turns end after a silence that `eagerness` chooses."""

    eagerness: Eagerness = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection: TypeAlias = ServerVad | SemanticVad


class Transcription(Struct, frozen=True, kw_only=True):
    model: str | UnsetType = UNSET
    language: str | UnsetType = UNSET
    prompt: str | UnsetType = UNSET


class Extensions(Struct, frozen=True, kw_only=True):
    """What a client switched on beyond the protocol it knows. Absent from the session until it does."""

    outputs: tuple[OutputName, ...] = ()  # several modalities at once; empty: as output_modalities says
    video: bool = False  # omniweave.video.append is accepted
    ticks: bool = False  # deltas carry the number of their tick


# --- the whole ------------------------------------------------------------------------------------------------------


class AudioInputConfig(Struct, frozen=True, kw_only=True):
    format: AudioFormat = PCM
    noise_reduction: None = None  # not offered: whatever is asked, none is done
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = ServerVad()


class AudioOutputConfig(Struct, frozen=True, kw_only=True):
    format: AudioFormat = PCM
    voice: str = "default"
    speed: float = 1.0  # not offered: speech comes as the model paces it


class AudioConfig(Struct, frozen=True, kw_only=True):
    input: AudioInputConfig = AudioInputConfig()
    output: AudioOutputConfig = AudioOutputConfig()


class SessionConfig(Struct, frozen=True, kw_only=True):
    """The effective session, every field present. `temperature` is UNSET unless a beta client sent it."""

    type: Literal["realtime", "transcription"] = "realtime"
    object: Literal["realtime.session.session"] = "realtime.session.session"
    id: str
    model: str
    expires_at: int  # unix seconds
    output_modalities: tuple[Modality, ...] = ("audio",)
    instructions: str = ""
    audio: AudioConfig = AudioConfig()
    tools: tuple[FunctionTool, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    max_output_tokens: int | Literal["inf"] = "inf"
    temperature: float | UnsetType = UNSET
    truncation: Literal["auto"] = "auto"  # the window slides by itself
    tracing: None = None  # nothing is traced to anybody
    prompt: None = None  # no prompts are stored
    include: tuple[str, ...] | None = None
    omniweave: Extensions | UnsetType = UNSET


def fresh_config(session_id: str, info: EngineInfo, expires_at: int) -> SessionConfig:
    """What a session is before its client said anything. `expires_at` in unix seconds."""
    return SessionConfig(id=session_id, model=info.name, expires_at=expires_at, instructions=info.instructions)
