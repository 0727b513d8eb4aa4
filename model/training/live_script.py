"""What an agent is to do, tick by tick, in a model's own tokens: its utterances as ids and audio frames.

Reads the outputs of a recorded or simulated session: text, sound and pictures by tick, `response` naming the utterance.
A text is tokenized as a whole and its ids dealt out to the ticks in which their first letters were written, so words
are cut as the model cuts them, and still lead the speech. Its picture follows the text, between delimiters; an
utterance that was not cut off ends with the chat template's end of turn. One without sound ends with its last id.

Shape legend: K codebooks.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from model.chat import ChatTemplate
from model.network import Network
from model.pixels import Fit, to_pixels
from model.tokenizers.image_vq import ImageVQ
from model.tokenizers.text import TextStream, TextTokenizer
from streams.types import SAMPLES_PER_TICK, Finish, Ids, Pixels, Samples, TickOutput

RGB_STEPS = 127.5  # of a byte in pixels from -1 to 1
FLAT = 6 / RGB_STEPS  # as much as a cell's pixels may differ


@dataclass(slots=True, eq=False)
class Deed:
    """What is to be begun in one tick. `ends` is set in the last of an utterance, and how it ended."""

    utterance: str | None = None
    ids: list[int] = field(default_factory=list)
    frame_K: Ids | None = None
    ends: Finish | None = None

    @property
    def is_idle(self) -> bool:
        return not self.ids and self.frame_K is None


@dataclass(slots=True)
class _Utterance:
    """Pieces of text by the tick that wrote them."""

    pieces: list[tuple[int, str]] = field(default_factory=list)
    image: Pixels | None = None
    is_heard: bool = False
    last_tick: int = 0
    ends: Finish | None = None


class Tokenizers:
    """The model's own ways out: text, the codec of its voice, and its pictures."""

    def __init__(self, network: Network, tokenizer: TextTokenizer) -> None:
        self._network = network
        self._tokenizer = tokenizer
        self.chat = ChatTemplate(network.config.chat, tokenizer)

    def deeds(self, outputs: Iterable[TickOutput], asked: frozenset[str]) -> dict[int, Deed]:
        """By tick. The turns of utterances that a client `asked` for are closed by the writer of the sample."""
        deeds: dict[int, Deed] = {}
        utterances: dict[str, _Utterance] = {}
        frames: list[tuple[int, Samples]] = []
        for output in outputs:
            if output.response is None:
                continue
            utterance = utterances.setdefault(output.response, _Utterance())
            utterance.last_tick = output.tick
            if output.text:
                utterance.pieces.append((output.tick, output.text))
            if output.pcm is not None:
                frames.append((output.tick, output.pcm))
                utterance.is_heard = True
            utterance.image = output.image if output.image is not None else utterance.image
            utterance.ends = output.finish or utterance.ends
            deeds.setdefault(output.tick, Deed(output.response))
        for tick, codes_K in self._voice(frames):
            deeds[tick].frame_K = codes_K
        for name, utterance in utterances.items():
            ids_at = self._ids(utterance, closes=name not in asked)
            for tick, ids in ids_at.items():
                deeds[tick].ids += ids
            last_tick = utterance.last_tick if utterance.is_heard else max(ids_at, default=utterance.last_tick)
            deeds[last_tick].ends = utterance.ends
        return deeds

    @torch.inference_mode()
    def _voice(self, frames: list[tuple[int, Samples]]) -> list[tuple[int, Ids]]:
        """Frames are coded in one stream, as the decoder hears them: what lies between two is no sound to it."""
        codec = self._network.audio_codec
        if codec is None:
            return []
        state = codec.encoder_state()
        coded = []
        for tick, pcm in frames:
            codes_1K, state = codec.encode_frame(state, torch.from_numpy(pcm.copy()).view(1, 1, SAMPLES_PER_TICK))
            coded.append((tick, codes_1K[0].to(torch.int32).numpy()))
        return coded

    def _ids(self, utterance: _Utterance, closes: bool) -> dict[int, list[int]]:
        ids_at: dict[int, list[int]] = {}
        if not utterance.pieces and utterance.image is None:
            return ids_at
        tick = utterance.last_tick
        if utterance.pieces:
            ends = np.cumsum([len(text) for _, text in utterance.pieces])
            stream, written = TextStream(self._tokenizer), 0
            for token in self._tokenizer.encode("".join(text for _, text in utterance.pieces)):
                place = min(int(np.searchsorted(ends, written, side="right")), len(ends) - 1)
                tick = utterance.pieces[place][0]
                ids_at.setdefault(tick, []).append(token)
                written += len(stream.push(token))
        if utterance.image is not None:
            ids_at.setdefault(tick, []).extend(self._picture(utterance.image))
        if closes and utterance.ends is Finish.STOP:
            ids_at.setdefault(tick, []).append(self.chat.end_id)
        return ids_at

    def _picture(self, rgb: Pixels) -> list[int]:
        vq, vocab = self._network.image_vq, self._network.config.vocab
        if vq is None:
            return []
        return [
            vocab.delimiter("image_start"),
            *(vocab.first_image + code for code in drawn_codes(vq, rgb).flatten().tolist()),
            vocab.delimiter("image_end"),
        ]


@torch.inference_mode()
def drawn_codes(vq: ImageVQ, rgb: Pixels) -> Tensor:
    """The codes by which the agent draws a picture, [grid, grid].

    Where the picture is flat they are those of a plain surface. The tokenizer's own depend on all of the picture, even
    in an empty corner; they are truer by two or three decibels and far harder to foresee.
    """
    pixels_CHW = to_pixels(rgb, vq.config.side_px, Fit.PAD)
    codes_HW = vq.encode(pixels_CHW[None])[0].clone()
    grid, side = vq.config.grid, vq.config.side_px // vq.config.grid
    cells_HWCX = pixels_CHW.unflatten(2, (grid, side)).unflatten(1, (grid, side)).permute(1, 3, 0, 2, 4).flatten(3)
    is_flat_HW = (cells_HWCX.amax(-1) - cells_HWCX.amin(-1)).amax(-1) <= FLAT
    colors_HWC = cells_HWCX.mean(-1).mul(RGB_STEPS).round()
    for color_C in colors_HWC[is_flat_HW].unique(dim=0):
        plain_CHW = (color_C / RGB_STEPS)[:, None, None].expand_as(pixels_CHW).contiguous()
        here_HW = is_flat_HW & (colors_HWC == color_C).all(-1)
        codes_HW[here_HW] = vq.encode(plain_CHW[None])[0, grid // 2, grid // 2]
    return codes_HW
