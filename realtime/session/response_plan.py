"""What one response is to be: the session's settings, overridden by what its `response.create` asks.

Pure: options in, a frozen plan out, or `ProtocolError`. The plan says what the client is told about the response and
what the engine is asked. A `Planner` makes the plans of one session.
"""

from dataclasses import dataclass
from typing import Literal, TypeVar

from msgspec import UnsetType

from realtime.engine import EngineInfo
from realtime.protocol.client_events import ResponseOptions
from realtime.protocol.errors import ProtocolError
from realtime.protocol.ids import Ids
from realtime.protocol.items import Item
from realtime.protocol.objects import (
    ResponseAudio,
    ResponseAudioOutput,
    ResponseObject,
    ResponseStatus,
    ResponseUsage,
    StatusDetails,
)
from realtime.protocol.session_config import (
    AudioFormat,
    Extensions,
    FunctionTool,
    Modality,
    NamedFunction,
    OutputName,
    SessionConfig,
    ToolChoice,
)
from realtime.protocol.session_merge import clamped_tokens, effective_modalities, effective_voice
from realtime.session.limits import SessionLimits
from realtime.session.messages import engine_tools
from streams.types import Respond, Sampling, TickOutput

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ResponsePlan:
    id: str
    conversation_id: str | None  # None: out of band
    output_modalities: tuple[Modality, ...]
    outputs: tuple[OutputName, ...]  # what is sent; more than one only for clients that switched it on
    instructions: str
    tools: tuple[FunctionTool, ...]
    tool_choice: ToolChoice
    max_output_tokens: int | Literal["inf"]
    temperature: float | None
    audio_format: AudioFormat
    voice: str
    metadata: dict[str, str] | None
    shows_ticks: bool

    def respond(self) -> Respond:
        """The engine's side of the plan."""
        choice = self.tool_choice
        tools = engine_tools(self.tools) if choice != "none" else ()
        tool: str | None = None
        if isinstance(choice, NamedFunction):
            tool = choice.name
        elif choice == "required" and tools:
            tool = ""
        return Respond(
            self.id,
            speak="audio" in self.outputs,
            max_tokens=None if self.max_output_tokens == "inf" else self.max_output_tokens,
            sampling=None if self.temperature is None else Sampling(temperature=self.temperature),
            tools=tools,
            tool=tool,
        )

    def shows(self, output: TickOutput) -> bool:
        """Whether the client is sent any of it."""
        is_worded = bool(output.text) and ("text" in self.outputs or "audio" in self.outputs)
        is_heard = output.pcm is not None and "audio" in self.outputs
        is_seen = output.image is not None and "image" in self.outputs
        return is_worded or is_heard or is_seen or bool(output.tool_calls)

    def describe(
        self,
        status: ResponseStatus,
        details: StatusDetails | None = None,
        output: tuple[Item, ...] = (),
        usage: ResponseUsage | None = None,
    ) -> ResponseObject:
        """The client's side of the plan, at some point of its life."""
        return ResponseObject(
            id=self.id,
            status=status,
            status_details=details,
            output=output,
            conversation_id=self.conversation_id,
            output_modalities=self.output_modalities,
            max_output_tokens=self.max_output_tokens,
            audio=ResponseAudio(output=ResponseAudioOutput(format=self.audio_format, voice=self.voice)),
            metadata=self.metadata,
            usage=usage,
        )


class Planner:
    """`config` is the session's, and follows it."""

    def __init__(self, ids: Ids, info: EngineInfo, limits: SessionLimits, config: SessionConfig) -> None:
        self.config = config
        self._conversation_id = ids.conversation()
        self._ids = ids
        self._info = info
        self._limits = limits

    def plan(self, options: ResponseOptions, *, out_of_band: bool = False) -> ResponsePlan:
        conversation_id = None if out_of_band else self._conversation_id
        return plan_response(self._ids.response(), conversation_id, self.config, options, self._info, self._limits)

    def plan_default(self) -> ResponsePlan:
        """A response that nobody described."""
        return self.plan(ResponseOptions())


def plan_response(
    response_id: str,
    conversation_id: str | None,
    config: SessionConfig,
    options: ResponseOptions,
    info: EngineInfo,
    limits: SessionLimits,
) -> ResponsePlan:
    """Lay `options` over `config`."""
    _check_metadata(options.metadata, limits)
    modalities = effective_modalities(_or(options.output_modalities, config.output_modalities), info)
    tools = _or(options.tools, config.tools)
    choice = _or(options.tool_choice, config.tool_choice)
    if isinstance(choice, NamedFunction) and choice.name not in [tool.name for tool in tools]:
        if not isinstance(options.tool_choice, UnsetType):
            raise ProtocolError(
                f"there is no function {choice.name!r:.80} to choose",
                code="invalid_value",
                param="response.tool_choice",
            )
        choice = "auto"  # the session's choice, whose function went since or has yet to come
    temperature = _or(options.temperature, config.temperature)
    extensions = config.omniweave if isinstance(config.omniweave, Extensions) else Extensions()
    return ResponsePlan(
        id=response_id,
        conversation_id=conversation_id,
        output_modalities=modalities,
        outputs=extensions.outputs or modalities,
        instructions=_or(options.instructions, config.instructions),
        tools=tools,
        tool_choice=choice,
        max_output_tokens=clamped_tokens(_or(options.max_output_tokens, config.max_output_tokens)),
        temperature=None if isinstance(temperature, UnsetType) else min(max(temperature, 0.0), 2.0),
        audio_format=_or(options.audio_format, config.audio.output.format),
        voice=effective_voice(_or(options.voice, config.audio.output.voice), info),
        metadata=options.metadata,
        shows_ticks=extensions.ticks,
    )


def _or(asked: T | UnsetType, default: T) -> T:
    return default if isinstance(asked, UnsetType) else asked


def _check_metadata(metadata: dict[str, str] | None, limits: SessionLimits) -> None:
    pairs = metadata or {}
    if len(pairs) > limits.max_metadata_pairs:
        raise ProtocolError(
            f"metadata has {len(pairs)} pairs, the most is {limits.max_metadata_pairs}",
            code="invalid_value",
            param="response.metadata",
        )
    longest = max((len(text) for pair in pairs.items() for text in pair), default=0)
    if longest > limits.max_metadata_chars:
        raise ProtocolError(
            f"metadata has a text of {longest} characters, the most is {limits.max_metadata_chars}",
            code="invalid_value",
            param="response.metadata",
        )
