"""The types that flow between transports, sessions and the engine.

Frozen, slotted dataclasses; time is an integer: microseconds of session time (`pts_us`) or ticks of 250 ms.
Nothing here reads a clock, allocates a buffer for later, or knows about a wire format or a model.

Shape legend: H height, W width, N positions of one block, K codebooks, D features.
"""

import math
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 24_000
TICK_US = 250_000  # four ticks a second, the rate of the audio codec's frames
SAMPLES_PER_TICK = SAMPLE_RATE_HZ * TICK_US // 1_000_000  # 6,000

Samples: TypeAlias = NDArray[np.float32]
Pixels: TypeAlias = NDArray[np.uint8]
Ids: TypeAlias = NDArray[np.int32]
Features: TypeAlias = NDArray[np.float32]


class Stream(IntEnum):
    """The five logical streams of a session, in the order in which a tick appends them."""

    TEXT_IN = 0
    IMAGE_IN = 1
    AUDIO_IN = 2
    TEXT_IMAGE_OUT = 3
    AUDIO_OUT = 4


class Source(IntEnum):
    """Who made a token: the world, or the model itself."""

    RECEIVED = 0
    PRODUCED = 1


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


# --- media ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class AudioChunk:
    """Mono sound at 24 kHz: float32 [num_samples] in [-1, 1], first sample at `pts_us`."""

    pts_us: int
    pcm: Samples

    @property
    def duration_us(self) -> int:
        return len(self.pcm) * 1_000_000 // SAMPLE_RATE_HZ

    def __repr__(self) -> str:
        power = float(np.mean(np.square(self.pcm, dtype=np.float64))) if len(self.pcm) else 0.0
        level = f"{10 * math.log10(power):.0f}dB" if power > 0 else "silent"
        return f"AudioChunk({self.pts_us / 1e6:.3f}s +{self.duration_us // 1000}ms {level})"


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One picture: uint8 RGB [H, W, 3], shown from `pts_us` on."""

    pts_us: int
    rgb: Pixels

    def __repr__(self) -> str:
        return f"VideoFrame({self.pts_us / 1e6:.3f}s {self.rgb.shape[1]}x{self.rgb.shape[0]})"


Part: TypeAlias = str | VideoFrame | AudioChunk


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of typed conversation. Parts keep their order, so "describe this: [image]" stays one sequence."""

    pts_us: int
    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return "".join(part for part in self.parts if isinstance(part, str))

    def __repr__(self) -> str:
        shown = " ".join(repr(p if not isinstance(p, str) or len(p) < 40 else p[:37] + "...") for p in self.parts)
        return f"Message({self.role} {shown})"


# --- commands: what a client tells and asks the model, in the order it did ------------------------------------------


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call. `parameters_json` is the JSON Schema of its arguments, as text."""

    name: str
    description: str
    parameters_json: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a head's token is drawn. `temperature` 0 takes the most likely; `top_k` 0 and `top_p` 1 keep all.

    `repetition_penalty` above 1 makes tokens less likely that the same answer drew before (arXiv:1909.05858).
    """

    temperature: float = 0.7
    top_k: int = 50
    top_p: float = 0.95
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature <= 2.0:
            raise ValueError(f"temperature must be in [0, 2], got {self.temperature}")
        if self.top_k < 0:
            raise ValueError(f"top_k must not be negative, got {self.top_k}")
        if not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")
        if not 1.0 <= self.repetition_penalty <= 2.0:
            raise ValueError(f"repetition_penalty must be in [1, 2], got {self.repetition_penalty}")


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Forget the sequence and start again: `prefix` and `tools` are pinned in the cache, `history` follows them.

    Sent when a session starts, and whenever the past changes: instructions, tools, an item deleted, inserted or cut.
    """

    prefix: tuple[Message, ...]
    history: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()


@dataclass(frozen=True, slots=True)
class Respond:
    """Open the output gate for one answer.

    `response` names it in the outputs. `tool` forces a call: "" any of `tools`, else that one; None leaves the
    choice to the model. `max_tokens` counts text tokens, None for no limit but the engine's own. `sampling` None
    draws text as the model's config says.
    """

    response: str
    speak: bool = True
    max_tokens: int | None = None
    sampling: Sampling | None = None
    tools: tuple[Tool, ...] = ()
    tool: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Close the output gate at once. What was produced stays in the sequence; the turn is closed there."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Who decides when to answer: the model itself (`free`), or the client through `Respond`.

    Only models that were trained to take turns can be free; the others ignore it.
    """

    free: bool


Command: TypeAlias = Message | Rewrite | Respond | Hold | Pace


# --- what a session hands the engine each tick ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class TickWindow:
    """Everything that reached one session during one tick.

    `audio` is float32 [6000], or None where no microphone is open; `gap_samples` of it are silence we put in.
    """

    session: str
    tick: int
    audio: Samples | None = None
    frames: tuple[VideoFrame, ...] = ()
    commands: tuple[Command, ...] = ()
    gap_samples: int = 0

    def __post_init__(self) -> None:
        if self.audio is not None and self.audio.shape != (SAMPLES_PER_TICK,):
            raise ValueError(f"a window holds {SAMPLES_PER_TICK} samples, got shape {self.audio.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class TokenBlock:
    """A run of positions of one stream that share a tick and a source.

    Exactly one content is set: `ids` int32 [N] in the joint text+image vocabulary, `codes` int32 [N, K] of an audio
    frame, or `features` float32 [N, D] of an encoder. `position` is the modality position of the first; the others
    follow by one. `pinned` positions are never evicted.
    """

    stream: Stream
    source: Source
    tick: int
    position: int
    ids: Ids | None = None
    codes: Ids | None = None
    features: Features | None = None
    pinned: bool = False

    def __post_init__(self) -> None:
        if sum(content is not None for content in (self.ids, self.codes, self.features)) != 1:
            raise ValueError(f"a block holds exactly one of ids, codes and features: {self.stream.name}")

    def __len__(self) -> int:
        for content in (self.ids, self.codes, self.features):
            if content is not None:
                return len(content)
        raise AssertionError("checked in __post_init__")

    def __repr__(self) -> str:
        kind = "ids" if self.ids is not None else "codes" if self.codes is not None else "features"
        return f"TokenBlock({self.stream.name} {self.source.name} tick {self.tick} {kind}[{len(self)}]@{self.position})"


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """The template's opening of the model's turn, then the gate opens as `respond` says."""

    respond: Respond


@dataclass(frozen=True, slots=True)
class CloseTurn:
    """Close the gate and the turn."""


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget every position of the sequence."""


Action: TypeAlias = TokenBlock | OpenTurn | CloseTurn | Clear | Pace


@dataclass(frozen=True, slots=True)
class TickInput:
    """One session's tick after tokenization: what is appended and done, in order. This is what replay feeds."""

    session: str
    tick: int
    actions: tuple[Action, ...] = ()

    @property
    def blocks(self) -> tuple[TokenBlock, ...]:
        return tuple(action for action in self.actions if isinstance(action, TokenBlock))


# --- what the engine hands back -------------------------------------------------------------------------------------


class Finish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"  # the model closed its turn
    LENGTH = "length"  # max_tokens, or the engine's own limit
    HELD = "held"  # the client closed the gate


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a function call: `name` comes once, with the first; `arguments` pieces concatenate to JSON text."""

    index: int
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Positions one tick added to the sequence, by kind."""

    text_in: int = 0
    audio_in: int = 0
    image_in: int = 0
    text_out: int = 0
    audio_out: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Microseconds one tick spent in each part of the engine, shared with whoever was in the batch."""

    encode_us: int = 0
    prefill_us: int = 0
    decode_us: int = 0
    codec_us: int = 0
    steps: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class TickOutput:
    """What one session produced in one tick.

    An audio frame leaves early in an output of its own with `done` False; exactly one output with `done` True
    closes each tick. `ids` int32 [N] and `codes` int32 [N, K] are the produced tokens, which replay compares; `pcm`
    is float32 [6000]; `image` a finished picture. `evicted` lists the ticks dropped from the cache.
    """

    session: str
    tick: int
    done: bool
    response: str | None = None
    text: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    pcm: Samples | None = None
    image: Pixels | None = None
    ids: Ids = field(default_factory=lambda: np.zeros(0, np.int32))
    codes: Ids = field(default_factory=lambda: np.zeros((0, 4), np.int32))
    finish: Finish | None = None
    usage: Usage = Usage()
    evicted: tuple[int, ...] = ()
    timings: Timings = Timings()


@dataclass(frozen=True, slots=True)
class TickFailure:
    """One session's tick went wrong; the session is over, the others never notice."""

    session: str
    tick: int
    reason: str


# --- the engine itself ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a loaded model is and can do. Facts for clients, recordings and admission; never changes.

    `hears`, `sees`, `speaks` and `draws` say what the weights were trained for, not what the code can compute.
    `self_paced` models decide for themselves when to answer; the others wait for `Respond`. A session starts with
    `instructions` where its client gives none. `kv_cache` is what keys and values are stored in, "" without any.
    """

    name: str
    max_sessions: int
    max_steps_per_tick: int
    weights_hash: str
    build_hash: str
    backend: str
    hears: bool
    sees: bool
    speaks: bool
    draws: bool
    self_paced: bool
    voices: tuple[str, ...] = ()
    instructions: str = ""
    kv_cache: str = ""


class EngineFull(Exception):
    """No slot is free."""
