"""How `EchoEngine` writes media as tokens: without loss but for pictures, and without weights.

Text is its UTF-8 bytes, each turn between a mark for its role and an end mark. Sound is 16-bit PCM, each sample a code
of its own. A picture is the colours at the points of a grid. Keeps no state.

Shape legend: N windows of a sound, K = 6,000 samples of a window.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from streams.packer import Segment
from streams.resample import Pcm16, float_to_pcm16
from streams.types import SAMPLES_PER_TICK, AudioChunk, Features, Ids, Message, Pixels, Role, Samples, Stream, Tool

GRID = 16  # points of a picture per side
GRID_PIXELS = 16  # side of the square that stands for a point in the mosaic

ROLE_MARKS = {role: 256 + index for index, role in enumerate(Role)}
END_MARK = 256 + len(Role)


def make_ids(values: Iterable[int]) -> Ids:
    return np.fromiter(values, np.int32)


def pcm16_of(codes_NK: Ids) -> Pcm16:
    """The windows of sound, int16 [N, 6000], that codes stand for."""
    return codes_NK.astype(np.uint16).view(np.int16)


def mosaic_of(features: Features) -> Pixels:
    """The picture that a grid of colours stands for, in squares."""
    colours = np.rint(features * 255).astype(np.uint8).reshape(GRID, GRID, 3)
    return colours.repeat(GRID_PIXELS, axis=0).repeat(GRID_PIXELS, axis=1)


class EchoPerception:
    """Satisfies `Perception`."""

    def message(self, message: Message) -> Iterator[Segment]:
        yield Segment(Stream.TEXT_IN, ids=make_ids([ROLE_MARKS[message.role]]))
        for part in message.parts:
            if isinstance(part, str):
                yield Segment(Stream.TEXT_IN, ids=make_ids(part.encode(errors="replace")))
            elif isinstance(part, AudioChunk):
                yield self.sound(part.pcm)
            else:
                yield self.frame(part.rgb)
        yield Segment(Stream.TEXT_IN, ids=make_ids([END_MARK]))

    def tools(self, tools: Sequence[Tool]) -> Iterator[Segment]:
        yield from ()  # a forced call needs only what `Respond` says

    def frame(self, rgb: Pixels) -> Segment:
        rows, columns = ((2 * np.arange(GRID) + 1) * side // (2 * GRID) for side in rgb.shape[:2])
        colours = rgb[rows][:, columns].reshape(GRID * GRID, 3)
        return Segment(Stream.IMAGE_IN, features=colours.astype(np.float32) / 255)

    def sound(self, pcm: Samples) -> Segment:
        num_windows = -(-len(pcm) // SAMPLES_PER_TICK)
        padded = np.zeros(num_windows * SAMPLES_PER_TICK, np.float32)
        padded[: len(pcm)] = pcm
        codes_NK = float_to_pcm16(padded).view(np.uint16).astype(np.int32).reshape(num_windows, SAMPLES_PER_TICK)
        return Segment(Stream.AUDIO_IN, codes=codes_NK)

    def turn_opening(self) -> Segment:
        return Segment(Stream.TEXT_IN, ids=make_ids([ROLE_MARKS[Role.ASSISTANT]]))
