"""What a model is, as frozen dataclasses: sizes, vocabularies, what its weights were trained for.

A config travels in a checkpoint's `config.json`; nothing about a model is ever read off a file name.
"""

import types
import typing
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, TypeVar

from model.chat import ChatTemplateConfig
from model.encoders.audio import AudioEncoderConfig
from model.encoders.vision import VisionConfig
from model.tokenizers.audio_codec import CodecConfig
from model.tokenizers.image_vq import ImageVQConfig
from streams.types import Sampling, Stream


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """The transformer: pre-norm RMSNorm, rotary attention with grouped keys and values, SwiGLU, no biases."""

    d_model: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    d_ffn: int
    d_head: int
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"{self.num_heads} heads cannot share {self.num_kv_heads} key/value heads evenly")
        if self.d_head % 2:
            raise ValueError(f"rotary embedding needs an even head width, got {self.d_head}")


# The ids after the text tokenizer's own: they delimit segments of other modalities inside one sequence.
DELIMITERS = ("image_start", "image_end", "audio_start", "audio_end")


@dataclass(frozen=True, slots=True)
class VocabConfig:
    """The joint text and image vocabulary: text ids, then delimiters, then image codes, then No Output."""

    text: int
    image: int

    def delimiter(self, name: str) -> int:
        return self.text + DELIMITERS.index(name)

    @property
    def num_extra(self) -> int:
        """Ids beyond the text tokenizer's, No Output included."""
        return len(DELIMITERS) + self.image + 1

    @property
    def first_image(self) -> int:
        return self.text + len(DELIMITERS)

    @property
    def no_output(self) -> int:
        return self.first_image + self.image


@dataclass(frozen=True, slots=True)
class AudioVocabConfig:
    """The codes of one audio frame. `factors` splits a code into digits, so that small models can afford it.

    (65_536,) is the seed's one table per codebook; (256, 256) two tables of 256. The id stays one integer.
    """

    num_codebooks: int = 4
    codebook_size: int = 65_536
    factors: tuple[int, ...] = (256, 256)

    def __post_init__(self) -> None:
        product = 1
        for factor in self.factors:
            product *= factor
        if product != self.codebook_size:
            raise ValueError(f"factors {self.factors} multiply to {product}, not to {self.codebook_size}")


@dataclass(frozen=True, slots=True)
class EncodingConfig:
    """Widths of what is concatenated to the content of a position, besides the source flag.

    Both are Fourier features of an integer, so neither has a last value: sines and cosines at geometric periods
    from `shortest_period` to `longest_period` positions or ticks.
    """

    position_dim: int = 32
    time_dim: int = 32
    shortest_period: float = 4.0
    longest_period: float = 4_194_304.0  # in ticks: twelve days

    def __post_init__(self) -> None:
        if self.position_dim % 2 or self.time_dim % 2:
            raise ValueError(f"encodings pair sines with cosines: {self.position_dim} and {self.time_dim} must be even")


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the weights were trained for; `self_paced` is deciding for themselves when to answer.

    An output they were not trained for stays at No Output. A stream they were not trained to read is tokenized and
    recorded like any other, but the decoder passes it over.
    """

    writes: bool = True
    hears: bool = False
    sees: bool = False
    speaks: bool = False
    draws: bool = False
    self_paced: bool = False

    @property
    def streams_read(self) -> frozenset[Stream]:
        """What the decoder takes in."""
        unread = ({Stream.AUDIO_IN} if not self.hears else set()) | ({Stream.IMAGE_IN} if not self.sees else set())
        return frozenset(set(Stream) - unread)


@dataclass(frozen=True, slots=True)
class TickConfig:
    """How much one session may do in one tick. Part of the model because outputs depend on it."""

    max_steps: int = 8
    max_positions: int = 512
    max_answer_tokens: int = 1_024
    cache_positions: int = 2_048

    def __post_init__(self) -> None:
        if self.max_positions * 2 > self.cache_positions:
            raise ValueError(f"a cache of {self.cache_positions} cannot take {self.max_positions} positions a tick")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Everything needed to build the model. None for a part it does not have.

    `text_sampling` is used where a client does not choose, `audio_sampling` always.
    """

    name: str
    decoder: DecoderConfig
    vocab: VocabConfig
    tied_text_head: bool
    audio: AudioVocabConfig
    encoding: EncodingConfig
    chat: ChatTemplateConfig
    text_sampling: Sampling
    audio_sampling: Sampling
    instructions: str  # what a session starts with where its client gives none
    tick: TickConfig
    abilities: Abilities
    depth: DecoderConfig | None = None  # of the optional depth head
    audio_codec: CodecConfig | None = None
    image_vq: ImageVQConfig | None = None
    vision: VisionConfig | None = None
    audio_encoder: AudioEncoderConfig | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data for `config.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: object) -> "ModelConfig":
        """The inverse of `to_json`. Raises ValueError naming what is missing, unknown or of the wrong type."""
        return _build(cls, data, "model")


_T = TypeVar("_T")


def _build(kind: type[_T], data: object, path: str) -> _T:
    if not isinstance(data, dict):
        raise ValueError(f"{path}: expected an object, got {data!r}")
    hints = typing.get_type_hints(kind)
    unknown = data.keys() - hints.keys()
    if unknown:
        raise ValueError(f"{path}: unknown keys {sorted(unknown)}")
    values = {
        name: _convert(hints[name], data[name], f"{path}.{name}")
        for name in (field.name for field in fields(kind))  # type: ignore[arg-type]
        if name in data
    }
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from error


def _convert(hint: Any, value: object, path: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _convert(next(arg for arg in typing.get_args(hint) if arg is not types.NoneType), value, path)
    if is_dataclass(hint):
        return _build(hint, value, path)  # type: ignore[arg-type]
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{path}: expected a list, got {value!r}")
        return tuple(_convert(typing.get_args(hint)[0], item, path) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and issubclass(hint, str) and isinstance(value, str):
        return hint(value)
    if type(value) is not hint:
        raise ValueError(f"{path}: expected {getattr(hint, '__name__', hint)}, got {value!r}")
    return value
