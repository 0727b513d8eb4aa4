"""A session as the engine would have lived it: its windows packed, its agent's deeds as targets, in serving's order.

Each tick first appends what arrived, then takes decode steps. A step asks both heads at the last position and feeds
back what they should say; a tick ends when both should say No Output, or after its last step. No Output is a target
wherever the agent should be silent, and never a position. A tick that has more to read than the engine reads in one
takes no step, so what was due waits for the next.

Silence is most of a session and would drown the rest. Its targets weigh `silence`, and `edge` in the ticks around where
the agent begins or ends, where silence is a decision; what is said weighs 1.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from model.network import Network
from model.perception import SessionPerception
from model.tokenizers.text import TextTokenizer
from model.training.live_script import Deed, Tokenizers
from model.training.sequences import Sample, SampleBuilder
from streams.packer import Packer
from streams.types import (
    Clear,
    CloseTurn,
    Finish,
    Ids,
    OpenTurn,
    Pace,
    Respond,
    TickInput,
    TickOutput,
    TickWindow,
    TokenBlock,
)


@dataclass(frozen=True, slots=True)
class SilenceWeights:
    """What No Output weighs beside 1 for what is said. `edge_ticks` count from where the agent begins or ends."""

    silence: float = 0.1
    edge: float = 1.0
    edge_ticks: int = 3

    def __post_init__(self) -> None:
        if self.silence <= 0 or self.edge <= 0:
            raise ValueError(f"silence is taught with a positive weight, got {self.silence} and {self.edge}")

    def of(self, deeds: dict[int, Deed], num_ticks: int) -> list[float]:
        """The weight of each tick's silence."""
        acts = [tick in deeds for tick in range(num_ticks)]
        edges = [tick for tick in range(1, num_ticks) if acts[tick] != acts[tick - 1]]
        weights = [self.silence] * num_ticks
        for edge in edges:
            for tick in range(max(edge - self.edge_ticks, 0), min(edge + self.edge_ticks, num_ticks)):
                weights[tick] = self.edge
        return weights


@dataclass(slots=True)
class _Mouth:
    """Who may speak and what is still to be said."""

    free: bool = False
    asked: Respond | None = None
    ids: deque[int] = field(default_factory=deque)
    frames: deque[Ids] = field(default_factory=deque)
    closing: bool = False  # the asked answer ends once all is said
    unread: int = 0  # positions that the decoder has not read yet

    @property
    def may_speak(self) -> bool:
        return (self.free or self.asked is not None) and not self.unread

    def take(self, deed: Deed, speaks: bool) -> None:
        self.ids.extend(deed.ids)
        if deed.frame_K is not None and speaks:
            self.frames.append(deed.frame_K)

    def stop(self) -> None:
        self.ids.clear()
        self.frames.clear()


class LiveScribe:
    """Writes sessions as samples of one model. Encodes media with `network`, whose decoder is not used."""

    def __init__(self, network: Network, tokenizer: TextTokenizer, weights: SilenceWeights) -> None:
        self._config = network.config
        self._network = network
        self._tokenizer = tokenizer
        self._tokenizers = Tokenizers(network, tokenizer)
        self._weights = weights

    def write(self, windows: Iterable[TickWindow], outputs: Iterable[TickOutput]) -> Sample:
        """One session from its first tick to its last."""
        windows = list(windows)
        asked = frozenset(
            command.response for window in windows for command in window.commands if isinstance(command, Respond)
        )
        deeds = self._tokenizers.deeds(outputs, asked)
        weights = self._weights.of(deeds, max(window.tick for window in windows) + 1)
        packer = Packer(SessionPerception(self._network, self._tokenizer, self._tokenizers.chat))
        builder, mouth = SampleBuilder(self._config), _Mouth()
        held_at: int | None = None
        for window in windows:
            self._read(builder, mouth, packer.pack(window))
            if held_at is not None:
                mouth.stop()
                mouth.closing, held_at = mouth.asked is not None, None
            deed = deeds.get(window.tick, Deed())
            mouth.take(deed, self._config.abilities.speaks)
            if deed.ends is Finish.HELD:
                held_at = window.tick + 1
            elif deed.ends is Finish.STOP and mouth.asked is not None:
                mouth.closing = True
            if mouth.may_speak:
                self._speak(builder, mouth, window.tick, weights[window.tick])
        return builder.build()

    def _read(self, builder: SampleBuilder, mouth: _Mouth, tick_input: TickInput) -> None:
        """What the engine does with a tick's actions before its first step."""
        for action in tick_input.actions:
            match action:
                case Clear():
                    mouth.unread = 0
                    builder.apply(TickInput(tick_input.session, tick_input.tick, (action,)))
                case TokenBlock():
                    before = len(builder)
                    builder.apply(TickInput(tick_input.session, tick_input.tick, (action,)))
                    mouth.unread += len(builder) - before
                case OpenTurn(respond):
                    self._close(builder, mouth, tick_input.tick)
                    mouth.asked = respond
                case CloseTurn():
                    self._close(builder, mouth, tick_input.tick)
                case Pace(free):
                    mouth.free = free and self._config.abilities.self_paced
        mouth.unread = max(mouth.unread - self._config.tick.max_positions, 0)

    def _close(self, builder: SampleBuilder, mouth: _Mouth, tick: int) -> None:
        """The engine closes the turn of an answer that ends, however it ends."""
        if mouth.asked is not None:
            ids = self._tokenizers.chat.close_turn()
            builder.force(ids, tick)
            mouth.unread += len(ids)
            mouth.asked, mouth.closing = None, False

    def _speak(self, builder: SampleBuilder, mouth: _Mouth, tick: int, silence: float) -> None:
        max_steps, spoke = self._config.tick.max_steps, False
        for step in range(max_steps):
            before = len(builder)
            text = mouth.ids.popleft() if mouth.ids else None
            frame_K = mouth.frames.popleft() if mouth.frames and not spoke else None
            ends = mouth.closing and text is None and frame_K is None and not mouth.frames
            may_be_heard = ends or mouth.asked is None or mouth.asked.speak
            is_audio_asked = self._config.abilities.speaks and not spoke and may_be_heard
            builder.ask(
                self._tokenizers.chat.end_id if ends else text,
                frame_K,
                1.0 if ends or text is not None else silence,
                (1.0 if frame_K is not None else silence) if is_audio_asked else 0.0,
            )
            if ends:
                self._close(builder, mouth, tick)
            else:
                builder.force(self._said_with(text, mouth), tick)
                builder.say(tick, None, frame_K)
            spoke = spoke or frame_K is not None
            appended = len(builder) - before
            # What a tick's last step says is read with the next tick's inputs.
            mouth.unread = appended if step + 1 == max_steps else 0
            if not appended or not (mouth.free or mouth.asked is not None):
                return

    def _said_with(self, text: int | None, mouth: _Mouth) -> list[int]:
        """What a drawn id appends: itself, and the end of the picture whose last code it is."""
        if text is None:
            return []
        closes = mouth.ids and mouth.ids[0] == self._config.vocab.delimiter("image_end")
        return [text, mouth.ids.popleft()] if closes else [text]
