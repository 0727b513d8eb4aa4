"""What a session should be, as the client asks for it: `SessionConfig` → the wire's session object.

A field left at None keeps what the server has. Extensions are only mentioned when one is switched on, so that the same
configuration works with any server of the protocol.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

JsonObject: TypeAlias = Mapping[str, object]


class Output(StrEnum):
    """What answers are made of. AUDIO brings the transcript of what is spoken with it."""

    TEXT = "text"
    AUDIO = "audio"
    IMAGE = "image"


_PLAIN_OUTPUTS = ((Output.TEXT,), (Output.AUDIO,))  # what the protocol can say without an extension


class ToolChoice(StrEnum):
    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call. `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: JsonObject = field(default_factory=dict)

    def to_wire(self) -> JsonObject:
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
        }


@dataclass(frozen=True, slots=True)
class Vad:
    """When the server takes speech to begin and to end. The defaults are the protocol's."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold <= 1.0:
            raise ValueError(f"threshold must be in [0, 1], got {self.threshold}")
        if self.prefix_padding_ms < 0 or self.silence_duration_ms < 0:
            raise ValueError(f"durations must not be negative: {self}")


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """How the two sides talk.

    `voice_turns` False, the default: sound is heard, but only `send_text`, `ask` and `respond` start an answer, and
    speech never cuts one short, so typed questions work beside an open microphone. True: the end of a spoken turn
    starts an answer, and speaking interrupts it. `vad` None: no turns are detected, `commit` ends them.
    `video` allows `send_frame`; `ticks` numbers what the server sends by the tick that made it.
    """

    outputs: tuple[Output, ...] = (Output.TEXT,)
    instructions: str | None = None
    voice: str | None = None
    voice_turns: bool = False
    vad: Vad | None = Vad()
    tools: tuple[Tool, ...] | None = None
    tool_choice: ToolChoice | None = None
    max_output_tokens: int | None = None
    video: bool = False
    ticks: bool = False

    def __post_init__(self) -> None:
        if not self.outputs or len(set(self.outputs)) != len(self.outputs):
            raise ValueError(f"outputs must name each kind at most once and at least one, got {self.outputs}")
        if self.max_output_tokens is not None and self.max_output_tokens < 1:
            raise ValueError(f"max_output_tokens must be at least 1, got {self.max_output_tokens}")

    @property
    def is_extended(self) -> bool:
        """Whether it asks for something only our servers have."""
        return self.video or self.ticks or self.outputs not in _PLAIN_OUTPUTS

    def to_wire(self, was_extended: bool = False) -> JsonObject:
        """The `session` of a `session.update`; `was_extended` if the session had extensions before."""
        audio: dict[str, object] = {"input": {"turn_detection": self._turn_detection()}}
        if self.voice is not None:
            audio["output"] = {"voice": self.voice}
        spoken = Output.AUDIO in self.outputs
        session: dict[str, object] = {
            "type": "realtime",
            "output_modalities": ["audio" if spoken else "text"],  # the protocol knows one or the other
            "audio": audio,
        }
        if self.instructions is not None:
            session["instructions"] = self.instructions
        if self.tools is not None:
            session["tools"] = [tool.to_wire() for tool in self.tools]
        if self.tool_choice is not None:
            session["tool_choice"] = str(self.tool_choice)
        if self.max_output_tokens is not None:
            session["max_output_tokens"] = self.max_output_tokens
        if self.is_extended or was_extended:
            mixed = self.outputs not in _PLAIN_OUTPUTS
            outputs = [str(output) for output in self.outputs] if mixed else None
            session["omniweave"] = {"outputs": outputs, "video": self.video, "ticks": self.ticks}
        return session

    def _turn_detection(self) -> JsonObject | None:
        if self.vad is None:
            return None
        return {
            "type": "server_vad",
            "threshold": self.vad.threshold,
            "prefix_padding_ms": self.vad.prefix_padding_ms,
            "silence_duration_ms": self.vad.silence_duration_ms,
            "create_response": self.voice_turns,
            "interrupt_response": self.voice_turns,
        }
