"""A training sample: one sequence as serving would have appended it, and what the heads should say after each position.

`SampleBuilder` is the engine's tick without a network: blocks go in where the engine would append them, a decode step
sets its targets at the last position (`ask`) and appends what was drawn (`say`). Places come from the packer.
No Output is a target and never a position.

Shape legend: T positions, K codebooks, M positions with a frame or a feature, D model width.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.config import ModelConfig
from streams.packer import Placement, Segment
from streams.types import Clear, Features, Ids, Source, Stream, TickInput, TokenBlock

Weights = NDArray[np.float32]
SILENT = -1  # in place of each code of a frame: the audio head's No Output


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """`blocks` in their order are the T positions.

    `text_T` is the joint id that the text and image head should say after a position, `audio_TK` the frame of the audio
    head, `SILENT` for none. A weight of 0 asks nothing there.
    """

    blocks: tuple[TokenBlock, ...]
    text_T: Ids
    text_weight_T: Weights
    audio_TK: Ids
    audio_weight_T: Weights

    def __post_init__(self) -> None:
        num_positions = sum(len(block) for block in self.blocks)
        for name in ("text_T", "text_weight_T", "audio_TK", "audio_weight_T"):
            if len(getattr(self, name)) != num_positions:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {num_positions} positions")

    def __len__(self) -> int:
        return len(self.text_T)

    def cut(self, num_positions: int) -> "Sample":
        """The first positions only."""
        if num_positions >= len(self):
            return self
        blocks: list[TokenBlock] = []
        left = num_positions
        for block in self.blocks:
            if left <= 0:
                break
            blocks.append(block if len(block) <= left else _first(block, left))
            left -= len(block)
        return Sample(
            tuple(blocks),
            self.text_T[:num_positions],
            self.text_weight_T[:num_positions],
            self.audio_TK[:num_positions],
            self.audio_weight_T[:num_positions],
        )


def _first(block: TokenBlock, count: int) -> TokenBlock:
    def part(content: Ids | Features | None) -> Ids | Features | None:
        return None if content is None else content[:count]

    return TokenBlock(
        block.stream,
        block.source,
        block.tick,
        block.position,
        ids=part(block.ids),
        codes=part(block.codes),
        features=part(block.features),
        pinned=block.pinned,
    )


class SampleBuilder:
    """Appends positions and sets targets; `build` gives all so far."""

    def __init__(self, config: ModelConfig) -> None:
        self._vocab = config.vocab
        self._silence = (SILENT,) * config.audio.num_codebooks
        self._streams_read = config.abilities.streams_read
        self.clear()

    def clear(self) -> None:
        """Forget all positions, as at the beginning of a rewritten sequence."""
        self._blocks: list[TokenBlock] = []
        self._length = 0
        self._received, self._produced = Placement(), Placement()
        self._text: dict[int, tuple[int, float]] = {}
        self._audio: dict[int, tuple[tuple[int, ...], float]] = {}

    def __len__(self) -> int:
        return self._length

    @property
    def blocks(self) -> tuple[TokenBlock, ...]:
        """All positions so far."""
        return tuple(self._blocks)

    # --- positions ---------------------------------------------------------------------------------------------------

    def append(self, block: TokenBlock) -> None:
        """A block that has its place already."""
        self._blocks.append(block)
        self._length += len(block)

    def receive(self, segment: Segment, tick: int) -> None:
        """Received tokens without a packer: pretraining has no turns and no clock."""
        self.append(self._received.place(segment, tick))

    def read(self, segment: Segment, tick: int, weight: float = 1.0) -> None:
        """Received ids, each of which the text and image head should have foreseen from what is before it."""
        assert segment.ids is not None, "only ids are foreseen by the text and image head"
        first = self._length
        self.receive(segment, tick)
        for place, joint_id in enumerate(segment.ids.tolist(), start=first - 1):
            if place >= 0:
                self._text[place] = (joint_id, weight)

    def apply(self, tick_input: TickInput) -> None:
        """What the engine's `step` does with the blocks of a tick. Who may speak is the caller's to know."""
        for action in tick_input.actions:
            if isinstance(action, Clear):
                self.clear()
            elif isinstance(action, TokenBlock) and action.stream in self._streams_read:
                self.append(action)

    def force(self, ids: list[int], tick: int) -> None:
        """Produced ids that no head was asked for, such as the close of a turn."""
        if ids:
            segment = Segment(Stream.TEXT_IMAGE_OUT, ids=np.asarray(ids, np.int32))
            self.append(self._produced.place(segment, tick, Source.PRODUCED))

    # --- targets -----------------------------------------------------------------------------------------------------

    def teach_text(self, target: int | None, weight: float = 1.0) -> None:
        """What the text and image head should say after the last position; None is No Output."""
        joint_id = self._vocab.no_output if target is None else target
        if not 0 <= joint_id <= self._vocab.no_output:
            raise ValueError(f"{joint_id} is no id of the joint vocabulary of {self._vocab.no_output + 1}")
        self._teach(self._text, joint_id, weight)

    def teach_audio(self, target_K: Ids | None, weight: float = 1.0) -> None:
        """The frame that the audio head should say after the last position; None is No Output."""
        codes = self._silence if target_K is None else tuple(target_K.tolist())
        if len(codes) != len(self._silence):
            raise ValueError(f"a frame has {len(self._silence)} codes, got {len(codes)}")
        self._teach(self._audio, codes, weight)

    def silence_text(self, weight: float) -> None:
        """No Output of the text and image head after every position so far."""
        self._text = dict.fromkeys(range(self._length), (self._vocab.no_output, weight))

    def silence_audio(self, weight: float) -> None:
        """No Output of the audio head after every position so far."""
        self._audio = dict.fromkeys(range(self._length), (self._silence, weight))

    def ask(self, text: int | None, frame_K: Ids | None, text_weight: float = 1.0, audio_weight: float = 1.0) -> None:
        """Both heads at the last position: one decode step's targets. A head with weight 0 is not asked."""
        if text_weight:
            self.teach_text(text, text_weight)
        if audio_weight:
            self.teach_audio(frame_K, audio_weight)

    def say(self, tick: int, text: int | None, frame_K: Ids | None) -> None:
        """Feed back what a decode step drew, in the engine's order; No Output is nothing."""
        if text is not None:
            self.force([text], tick)
        if frame_K is not None:
            segment = Segment(Stream.AUDIO_OUT, codes=np.asarray(frame_K, np.int32)[None])
            self.append(self._produced.place(segment, tick, Source.PRODUCED))

    def _teach(self, targets: dict, target: object, weight: float) -> None:
        """Heads that are asked again with nothing new to read can only say the same again."""
        if not self._length:
            raise ValueError("nothing can be said before the first position")
        known = targets.get(self._length - 1)
        if known is not None and known[0] != target:
            raise ValueError(f"position {self._length - 1} cannot mean both {known[0]} and {target}")
        targets[self._length - 1] = (target, weight + (known[1] if known is not None else 0.0))

    def forget_targets(self) -> None:
        """Ask nothing at all positions so far."""
        self._text.clear()
        self._audio.clear()

    # --- the whole ---------------------------------------------------------------------------------------------------

    def build(self) -> Sample:
        text_T = np.zeros(self._length, np.int32)
        text_weight_T = np.zeros(self._length, np.float32)
        audio_TK = np.full((self._length, len(self._silence)), SILENT, np.int32)
        audio_weight_T = np.zeros(self._length, np.float32)
        for place, (joint_id, weight) in self._text.items():
            text_T[place], text_weight_T[place] = joint_id, weight
        for place, (codes, weight) in self._audio.items():
            audio_TK[place], audio_weight_T[place] = codes, weight
        return Sample(tuple(self._blocks), text_T, text_weight_T, audio_TK, audio_weight_T)
