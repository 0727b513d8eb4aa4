"""Conversations as the engine would have lived them: turns by the packer, answers by the engine's steps and ticks.

An answer takes one text step per id and at most one audio frame a tick, `TickConfig.max_steps` steps a tick; what was
asked may need several ticks before the first step. Only what the model draws is a target.

Shape legend: F frames, K codebooks.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from model.chat import ChatTemplate
from model.config import ModelConfig
from model.network import Network
from model.perception import SessionPerception
from model.tokenizers.text import TextTokenizer
from model.training.sequences import Sample, SampleBuilder
from streams.packer import Packer
from streams.types import Ids, Message, Respond, Rewrite, TickWindow


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """What the model says in one turn: ids without the closing one, frames a tick apart; `weight` of its loss."""

    ids: tuple[int, ...]
    frames_FK: Ids | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Exchange:
    """What is said to the model and what it answers. `pause_ticks` pass between an answer and the next messages."""

    messages: tuple[Message, ...]
    reply: Reply
    pause_ticks: int = 1

    def __post_init__(self) -> None:
        if self.pause_ticks < 1:
            raise ValueError(f"messages come at least a tick after an answer, got {self.pause_ticks}")


class Scribe:
    """Writes conversations of one model as samples. Text only needs no weights; pictures and sound are encoded."""

    def __init__(self, network: Network, tokenizer: TextTokenizer) -> None:
        self.config: ModelConfig = network.config
        self.tokenizer = tokenizer
        self.chat = ChatTemplate(self.config.chat, tokenizer)
        self._network = network

    def write(self, prefix: Sequence[Message], exchanges: Sequence[Exchange], silence_weight: float = 0.0) -> Sample:
        """One sample. `silence_weight` is that of the audio head's No Output where a reply has nothing to be heard."""
        packer = Packer(SessionPerception(self._network, self.tokenizer, self.chat))
        builder = SampleBuilder(self.config)
        tick, num_waiting = 0, 0
        for number, exchange in enumerate(exchanges):
            begin = (Rewrite(tuple(prefix)),) if number == 0 else ()
            speaks = exchange.reply.frames_FK is not None
            commands = (*begin, *exchange.messages, Respond("answer", speak=speaks or silence_weight > 0))
            before = len(builder)
            builder.apply(packer.pack(TickWindow("sample", tick, commands=commands)))
            num_asked = len(builder) - before + num_waiting
            tick += -(-num_asked // self.config.tick.max_positions) - 1
            tick, at_last_step = self._answer(builder, exchange.reply, tick, 1.0 if speaks else silence_weight)
            num_waiting = len(self.chat.close_turn()) if at_last_step and exchange.pause_ticks == 1 else 0
            tick += exchange.pause_ticks
        return builder.build()

    def _answer(self, builder: SampleBuilder, reply: Reply, tick: int, audio_weight: float) -> tuple[int, bool]:
        """The steps of one answer; returns the tick in which it ended, and whether that took the tick's last step.

        The closing id follows the last frame, since it ends the speech too; until then the text head says No Output.
        """
        if len(reply.ids) >= self.config.tick.max_answer_tokens:
            raise ValueError(f"{len(reply.ids)} ids: an answer ends before {self.config.tick.max_answer_tokens}")
        ids = deque(reply.ids)
        frames = deque(reply.frames_FK if reply.frames_FK is not None else ())
        step, spoke = 0, False
        while True:
            frame = frames.popleft() if frames and not spoke else None
            text = ids.popleft() if ids else None
            is_last = text is None and not frames and frame is None
            text = self.chat.end_id if is_last else text
            heard = 0.0 if spoke else audio_weight * reply.weight
            builder.ask(text, frame, reply.weight, heard)
            if is_last:
                builder.force(self.chat.close_turn(), tick)
                return tick, step + 1 == self.config.tick.max_steps
            builder.say(tick, text, frame)
            spoke = spoke or frame is not None
            step += 1
            if step == self.config.tick.max_steps or (text is None and frame is None):
                tick, step, spoke = tick + 1, 0, False


def perceiving_network(config: ModelConfig) -> Network:
    """What hears and sees for a `Scribe`, its weights undefined: typed conversations never look at them."""
    return Network(config, with_decoder=False).eval().requires_grad_(False)
