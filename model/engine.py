"""The model as an engine: sessions in slots, one tick of all of them as one batch.

`encode` turns windows into tokens; `step` appends them, then decodes until both heads say No Output or the tick's
step budget is spent. `step` depends on its inputs and earlier steps only. A session that goes wrong is reported and
dropped; the others' arithmetic does not depend on it, as every row is computed as if it were alone.

Shape legend: N rows of several sessions, D model width, V joint vocabulary, K codebooks.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from model.answer import Answer, OutputRules
from model.cache import Rows, SlotCache
from model.chat import ChatTemplate
from model.network import Network
from model.perception import SessionPerception
from model.sampling import Head, draw, penalize_, uniform
from model.sequence import Appended, SequenceState
from model.tokenizers.text import TextTokenizer
from model.tools import TokenClasses
from streams.packer import Packer, Segment
from streams.types import (
    Action,
    Clear,
    CloseTurn,
    EngineFull,
    EngineInfo,
    Finish,
    Ids,
    OpenTurn,
    Pace,
    Pixels,
    Respond,
    Source,
    Stream,
    TickFailure,
    TickInput,
    TickOutput,
    TickWindow,
    Timings,
    TokenBlock,
    ToolCallDelta,
    Usage,
)


class CachedDecoder(Protocol):
    """The reference decoder, or one of its fast twins."""

    def forward_cached(self, x_ND: Tensor, rows: Rows, cache: SlotCache) -> Tensor:
        """Append rows to their slots; hidden states [N, D] float32, each as if its session were alone."""
        ...


@dataclass(slots=True)
class _Tick:
    """One session's tick while it is computed."""

    session: str
    tick: int
    sequence: SequenceState
    response: str | None = None
    ids: list[int] = field(default_factory=list)
    codes: list[Tensor] = field(default_factory=list)
    text: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    image: Pixels | None = None
    finish: Finish | None = None
    evicted: tuple[int, ...] = ()
    num_by_stream: dict[Stream, int] = field(default_factory=lambda: dict.fromkeys(Stream, 0))
    silent: bool = False  # both heads said No Output
    failure: str | None = None

    @property
    def may_draw(self) -> bool:
        sequence = self.sequence
        ready = not sequence.pending and sequence.hidden is not None
        return ready and not self.silent and self.failure is None and sequence.answer is not None


class ModelEngine:
    """Satisfies the runtime's `Engine`. One thread calls it."""

    def __init__(
        self,
        network: Network,
        decoder: CachedDecoder,
        cache: SlotCache,
        tokenizer: TextTokenizer,
        info: EngineInfo,
    ) -> None:
        self.info = info
        self._network = network
        self._config = network.config
        self._decoder = decoder
        self._cache = cache
        self._tokenizer = tokenizer
        self._chat = ChatTemplate(self._config.chat, tokenizer)
        self._abilities = self._config.abilities
        self._rules = OutputRules.of(self._config, tokenizer, self._chat)
        self._classes = TokenClasses(tokenizer)
        self._free_slots = list(range(info.max_sessions))[::-1]
        self._packers: dict[str, Packer] = {}
        self._sequences: dict[str, SequenceState] = {}
        self._encode_us = 0

    def open(self, session: str, seed: int) -> None:
        """Give `session` a slot. Raises `EngineFull`, or ValueError where it is open already."""
        if session in self._sequences:
            raise ValueError(f"session {session!r} is open already")
        if not self._free_slots:
            raise EngineFull(f"all {self.info.max_sessions} slots are taken")
        slot = self._free_slots.pop()
        self._cache.clear(slot)
        self._packers[session] = Packer(SessionPerception(self._network, self._tokenizer, self._chat))
        self._sequences[session] = SequenceState(slot, seed, self._network.voice_state())

    def close(self, session: str) -> None:
        """Free the slot."""
        sequence = self._sequences.pop(session, None)
        if sequence is not None:
            del self._packers[session]
            self._free_slots.append(sequence.slot)

    def encode(self, windows: Sequence[TickWindow]) -> list[TickInput | TickFailure]:
        """Tokenize each window."""
        started = time.perf_counter_ns()
        inputs: list[TickInput | TickFailure] = []
        for window in windows:
            try:
                inputs.append(self._packers[window.session].pack(window))
            except (ValueError, KeyError) as error:
                inputs.append(TickFailure(window.session, window.tick, f"tokenizing failed: {error}"))
        self._encode_us = _since_us(started)
        return inputs

    @torch.inference_mode()
    def step(self, inputs: Sequence[TickInput]) -> Iterator[TickOutput | TickFailure]:
        """Advance each session by one tick."""
        timings = Timings(encode_us=self._encode_us)
        self._encode_us = 0
        ticks: list[_Tick] = []
        for tick_input in inputs:
            sequence = self._sequences.get(tick_input.session)
            if sequence is None:
                yield TickFailure(tick_input.session, tick_input.tick, "the session is not open")
                continue
            ticks.append(_Tick(tick_input.session, tick_input.tick, sequence))
            for action in tick_input.actions:
                self._apply(ticks[-1], action)

        started = time.perf_counter_ns()
        self._forward(ticks)
        timings = replace(timings, prefill_us=_since_us(started))

        for step in range(self._config.tick.max_steps):
            drawing = [tick for tick in ticks if tick.may_draw]
            if not drawing:
                break
            started = time.perf_counter_ns()
            frames = self._draw(drawing, step)
            for tick, codes_K in frames:
                voice_started = time.perf_counter_ns()
                yield self._speak(tick, codes_K)
                timings = replace(timings, codec_us=timings.codec_us + _since_us(voice_started))
            if step + 1 < self._config.tick.max_steps:  # the last step's tokens go in with the next tick's inputs
                self._forward(drawing)
            timings = replace(timings, decode_us=timings.decode_us + _since_us(started), steps=step + 1)

        for tick in ticks:
            yield self._finish(tick, timings)

    # --- what goes in ------------------------------------------------------------------------------------------------

    def _apply(self, tick: _Tick, action: Action) -> None:
        sequence = tick.sequence
        match action:
            case TokenBlock() if action.stream in self._abilities.streams_read:
                sequence.push(action, self._network.embedding.embed_block(action))
            case TokenBlock():
                pass  # received and recorded, but the decoder was never trained to read it
            case Clear():
                self._end_answer(tick, Finish.HELD)
                self._cache.clear(sequence.slot)
                sequence.clear()
                sequence.answer = None  # a standing one may have been in the middle of a picture
            case OpenTurn(respond):
                self._end_answer(tick, Finish.HELD)
                sequence.answer = self._new_answer(respond)
            case CloseTurn():
                self._end_answer(tick, Finish.HELD)
            case Pace(free):
                sequence.free = free and self._abilities.self_paced
                if not sequence.free and sequence.answer is not None and sequence.answer.is_standing:
                    sequence.answer = None
        if sequence.free and sequence.answer is None:
            sequence.answer = self._new_answer(None)

    def _new_answer(self, respond: Respond | None) -> Answer:
        limit = self._config.tick.max_answer_tokens
        return Answer(respond, self._tokenizer, self._rules, self._classes, limit)

    def _forward(self, ticks: Sequence[_Tick]) -> None:
        """Give every session's pending inputs their rows and the heads a new state to read, in one pass."""
        shares: list[tuple[_Tick, Appended]] = []
        for tick in ticks:
            if tick.failure is None:
                share = tick.sequence.take(self._config.tick.max_positions, self._cache)
                if share is not None:
                    shares.append((tick, share))
        if not shares:
            return
        x_ND = torch.cat([share.x for _, share in shares])
        rows = Rows.concatenate([share.rows for _, share in shares])
        hidden_ND = self._decoder.forward_cached(x_ND, rows, self._cache)
        start = 0
        for tick, share in shares:
            start += len(share.rows)
            tick.sequence.hidden = hidden_ND[start - 1]
            tick.evicted += share.evicted
            for stream, count in share.num_by_stream.items():
                tick.num_by_stream[stream] += count

    # --- what comes out ----------------------------------------------------------------------------------------------

    def _draw(self, ticks: Sequence[_Tick], step: int) -> list[tuple[_Tick, Tensor]]:
        """One decode step of both heads; returns the audio frames to be heard."""
        hidden_ND = torch.stack([tick.sequence.hidden for tick in ticks if tick.sequence.hidden is not None])
        logits_NV = self._network.text_logits(hidden_ND)
        frames: list[tuple[_Tick, Tensor]] = []
        for tick, hidden_D, logits_V in zip(ticks, hidden_ND, logits_NV, strict=True):
            try:
                wrote = self._draw_text(tick, logits_V, step)
                codes_K = self._draw_frame(tick, hidden_D, step)
            except ValueError as error:
                tick.failure = str(error)
                continue
            if codes_K is not None:
                frames.append((tick, codes_K))
            tick.silent = not wrote and codes_K is None
            if tick.silent and tick.sequence.answer is not None:
                tick.sequence.answer.rest()
        return frames

    def _draw_text(self, tick: _Tick, logits_V: Tensor, step: int) -> bool:
        """Draw from the text and image head. False for No Output."""
        sequence = tick.sequence
        answer = sequence.answer
        assert answer is not None, "only sessions with an open answer draw"
        ids = answer.forced()
        if not ids:
            sampling = answer.sampling or self._config.text_sampling
            allowed_V = torch.where(answer.mask()[: len(logits_V)], logits_V, -torch.inf)
            if not answer.guided:
                penalize_(allowed_V, answer.said, sampling.repetition_penalty)
            drawn = draw(allowed_V, sampling, uniform(sequence.seed, tick.tick, step, Head.TEXT_IMAGE))
            if drawn == self._config.vocab.no_output:
                return False
            ids = answer.push(drawn)
            ids += answer.forced()
        self._produce(tick, ids)
        tick.ids += ids
        self._paint(tick, ids)
        if answer.finish is not None:
            self._end_answer(tick, answer.finish)
        return True

    def _draw_frame(self, tick: _Tick, hidden_D: Tensor, step: int) -> Tensor | None:
        """Draw one audio frame [K], at most one a tick. None for No Output."""
        answer = tick.sequence.answer
        if not self._abilities.speaks or tick.codes or answer is None or not answer.speaks:
            return None

        def draw_digit(logits: Tensor, place: int) -> int:
            at = uniform(tick.sequence.seed, tick.tick, step, Head.AUDIO + place)
            return draw(logits, self._config.audio_sampling, at)

        codes_K = self._network.draw_frame(hidden_D, draw_digit)
        if codes_K is not None:
            tick.codes.append(codes_K)
            self._push_produced(tick, Stream.AUDIO_OUT, codes=codes_K.to(torch.int32)[None].numpy())
        return codes_K

    def _produce(self, tick: _Tick, ids: Sequence[int]) -> None:
        if ids:
            self._push_produced(tick, Stream.TEXT_IMAGE_OUT, ids=np.asarray(ids, np.int32))

    def _push_produced(self, tick: _Tick, stream: Stream, ids: Ids | None = None, codes: Ids | None = None) -> None:
        sequence = tick.sequence
        block = sequence.placement.place(Segment(stream, ids=ids, codes=codes), tick.tick, Source.PRODUCED)
        sequence.push(block, self._network.embedding.embed_block(block))

    def _paint(self, tick: _Tick, ids: Sequence[int]) -> None:
        """Collect image codes; a full grid becomes a picture."""
        vocab, canvas = self._config.vocab, tick.sequence.canvas
        for drawn in ids:
            if drawn == self._rules.picture_start:
                canvas.clear()  # of a picture that was cut off
            if vocab.first_image <= drawn < vocab.no_output:
                canvas.append(drawn - vocab.first_image)
        if canvas and len(canvas) >= self._network.num_image_codes:
            tick.image = self._network.render(canvas[: self._network.num_image_codes])
            canvas.clear()

    def _speak(self, tick: _Tick, codes_K: Tensor) -> TickOutput:
        """The frame's sound, at once."""
        pcm = self._network.speak(codes_K, tick.sequence.voice)
        answer = tick.sequence.answer
        response = tick.response if answer is None else answer.response
        return TickOutput(tick.session, tick.tick, done=False, response=response, pcm=pcm.numpy())

    def _end_answer(self, tick: _Tick, finish: Finish) -> None:
        """Close the open answer, if there is one, and its turn in the sequence as the chat template does."""
        sequence = tick.sequence
        if sequence.answer is None or sequence.answer.is_standing:
            return
        self._collect(tick)
        tick.finish = finish
        sequence.answer = self._new_answer(None) if sequence.free else None
        self._produce(tick, self._chat.close_turn())

    def _collect(self, tick: _Tick) -> None:
        """Move what the open answer said into the tick. An answer that follows another in one tick replaces it."""
        answer = tick.sequence.answer
        if answer is None:
            return
        if answer.response != tick.response:
            tick.response, tick.text, tick.tool_calls, tick.finish = answer.response, "", (), None
        text, calls = answer.take()
        tick.text += text
        tick.tool_calls += calls

    def _finish(self, tick: _Tick, timings: Timings) -> TickOutput | TickFailure:
        if tick.failure is not None:
            return TickFailure(tick.session, tick.tick, tick.failure)
        self._collect(tick)
        count = tick.num_by_stream
        usage = Usage(
            text_in=count[Stream.TEXT_IN],
            audio_in=count[Stream.AUDIO_IN],
            image_in=count[Stream.IMAGE_IN],
            text_out=len(tick.ids),
            audio_out=len(tick.codes),
            cached=self._cache.length(tick.sequence.slot),
        )
        codes = torch.stack(tick.codes) if tick.codes else torch.zeros(0, self._config.audio.num_codebooks)
        return TickOutput(
            tick.session,
            tick.tick,
            done=True,
            response=tick.response,
            text=tick.text,
            tool_calls=tick.tool_calls,
            image=tick.image,
            ids=np.asarray(tick.ids, np.int32),
            codes=codes.to(torch.int32).numpy(),
            finish=tick.finish,
            usage=usage,
            evicted=tick.evicted,
            timings=timings,
        )


def _since_us(started_ns: int) -> int:
    return (time.perf_counter_ns() - started_ns) // 1000
