"""What one session's media mean in tokens: text by the tokenizer and chat template, pictures and sound by networks.

Implements the packer's `Perception`. Holds the streaming state of the session's audio tokenizer, nothing else.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from model.chat import ChatTemplate
from model.network import Network
from model.tokenizers.text import TextTokenizer
from streams.packer import Segment
from streams.types import (
    SAMPLES_PER_TICK,
    AudioChunk,
    Message,
    Pixels,
    Role,
    Samples,
    Stream,
    Tool,
    VideoFrame,
)


class SessionPerception:
    """One session's ears, eyes and reading."""

    def __init__(self, network: Network, tokenizer: TextTokenizer, chat: ChatTemplate) -> None:
        self._network = network
        self._tokenizer = tokenizer
        self._chat = chat
        self._microphone = network.sound_state()

    def message(self, message: Message) -> Iterator[Segment]:
        """A turn in the model's chat template; pictures and sound between their delimiters."""
        ids = [*self._chat.open_turn(message.role)]
        for part in message.parts:
            if isinstance(part, str):
                ids += self._tokenizer.encode(part)
                continue
            kind = "image" if isinstance(part, VideoFrame) else "audio"
            yield _text([*ids, self._network.config.vocab.delimiter(f"{kind}_start")])
            yield from [self.frame(part.rgb)] if isinstance(part, VideoFrame) else self._clip(part)
            ids = [self._network.config.vocab.delimiter(f"{kind}_end")]
        yield _text([*ids, *self._chat.close_turn()])

    def tools(self, tools: Sequence[Tool]) -> Iterator[Segment]:
        """A system turn that lists the functions, where the chat template has one."""
        text = self._chat.tool_prompt(tools)
        if text:
            yield from self.message(Message(0, Role.SYSTEM, (text,)))

    def turn_opening(self) -> Segment:
        return _text(self._chat.open_turn(Role.ASSISTANT))

    @torch.inference_mode()
    def frame(self, rgb: Pixels) -> Segment:
        return Segment(Stream.IMAGE_IN, features=self._network.see(rgb).numpy())

    @torch.inference_mode()
    def sound(self, pcm: Samples) -> Segment:
        return self._hear(pcm, self._microphone)

    @torch.inference_mode()
    def _clip(self, clip: AudioChunk) -> Iterator[Segment]:
        """A recorded message: a stream of its own, silence added to fill the last frame."""
        state = self._network.sound_state()
        num_frames = -(-len(clip.pcm) // SAMPLES_PER_TICK)
        padded = np.zeros(num_frames * SAMPLES_PER_TICK, np.float32)
        padded[: len(clip.pcm)] = clip.pcm
        for frame in padded.reshape(num_frames, SAMPLES_PER_TICK):
            yield self._hear(frame, state)

    def _hear(self, pcm: Samples, state: object) -> Segment:
        heard = self._network.hear(pcm, state)
        if heard.dtype == torch.float32:
            return Segment(Stream.AUDIO_IN, features=heard.numpy())
        return Segment(Stream.AUDIO_IN, codes=heard.to(torch.int32).numpy())


def _text(ids: Sequence[int]) -> Segment:
    return Segment(Stream.TEXT_IN, ids=np.asarray(ids, np.int32))
