"""Preference pairs from recorded sessions: answers that somebody rated, paired where the question was the same.

A rating is the client event `omniweave.response.rate`, which a recording holds like every event. Two answers make a
pair where everything the model had read before them is the same, token for token, but for the time it came at: an
answer asked for again, or a fork of the session. Answers that call a function are left out.

A recording does not tell the step of an audio frame within its tick: it is taken to be the first.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from pathlib import Path

import msgspec

from model.training.conversation import Scribe
from model.training.sequences import Sample, SampleBuilder
from realtime.recording.recorder import Direction, Recording, read_recording
from streams.types import Clear, CloseTurn, Finish, OpenTurn, TickInput, TickOutput, TokenBlock

RATE_EVENT = "omniweave.response.rate"
HELD_OUT_ONE_IN = 50  # questions, by what was read before the answer


class Rating(Enum):
    UP = "up"
    DOWN = "down"


class _RateEvent(msgspec.Struct):
    """What we read of a client event."""

    type: str = ""
    response_id: str = ""
    rating: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class RatedAnswer:
    """`sample` is the session up to the answer's end, with targets in that answer only; `question` keys its past."""

    rating: Rating
    question: str
    sample: Sample


def rated_pairs(directory: Path, scribe: Scribe) -> list[tuple[tuple[Sample, Sample], bool]]:
    """Every liked answer with every disliked one to the same question, over all recordings in `directory`.

    With each pair comes whether it is held out, which depends on the question alone.
    """
    liked: dict[str, list[Sample]] = {}
    disliked: dict[str, list[Sample]] = {}
    for path in sorted(directory.rglob("*.mcap")):
        for answer in rated_answers(read_recording(path), scribe):
            by_question = liked if answer.rating is Rating.UP else disliked
            by_question.setdefault(answer.question, []).append(answer.sample)
    return [
        ((chosen, rejected), int(question, 16) % HELD_OUT_ONE_IN == 0)
        for question, samples in sorted(liked.items())
        for chosen in samples
        for rejected in disliked.get(question, ())
    ]


def rated_answers(recording: Recording, scribe: Scribe) -> Iterator[RatedAnswer]:
    """The rated answers of one session in their order."""
    ratings = _ratings(recording)
    if not ratings:
        return
    closing = (output for output in recording.outputs() if output.done)
    session = _Session(scribe, ratings)
    for tick_input, output in zip(recording.inputs(), closing, strict=False):
        if output.tick != tick_input.tick:
            raise ValueError(f"{recording.path}: tick {tick_input.tick} has no output")
        session.receive(tick_input)
        session.produce(output)
        yield from session.take()


def _ratings(recording: Recording) -> dict[str, Rating]:
    """The last rating of each response."""
    ratings: dict[str, Rating] = {}
    for event in recording.events():
        if event.direction is Direction.CLIENT and RATE_EVENT in event.text:
            told = msgspec.json.decode(event.text, type=_RateEvent)
            if told.type == RATE_EVENT and told.rating in ("up", "down"):
                ratings[told.response_id] = Rating(told.rating)
    return ratings


@dataclass
class _Session:
    """A recorded session stepped again as the engine did, without a network."""

    scribe: Scribe
    ratings: dict[str, Rating]
    answering: str | None = None
    question: str = ""
    calls: bool = False
    found: list[RatedAnswer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.builder = SampleBuilder(self.scribe.config)

    def receive(self, tick_input: TickInput) -> None:
        """What the engine's `step` applies before it draws."""
        for action in tick_input.actions:
            match action:
                case TokenBlock():
                    if action.stream in self.scribe.config.abilities.streams_read:
                        self.builder.append(action)
                case Clear():
                    self._end(tick_input.tick)
                    self.builder.clear()
                case OpenTurn(respond):
                    self._end(tick_input.tick)
                    self.answering = respond.response
                    self.question = question_key(self.builder)
                    self.calls = False
                case CloseTurn():
                    self._end(tick_input.tick)
                case _:
                    pass

    def produce(self, output: TickOutput) -> None:
        """What was drawn in the tick."""
        weight = 1.0 if self.answering in self.ratings else 0.0
        self.calls = self.calls or bool(output.tool_calls)
        frames = list(output.codes)
        for step in range(max(len(output.ids), len(frames))):
            text = int(output.ids[step]) if step < len(output.ids) else None
            frame = frames[step] if step < len(frames) else None
            self.builder.ask(text, frame, weight, weight if frame is not None else 0.0)
            self.builder.say(output.tick, text, frame)
        if output.finish is not None and self.answering is not None:
            if output.finish is Finish.STOP:
                self.builder.ask(self.scribe.chat.end_id, None, weight, 0.0)
            self._end(output.tick)

    def take(self) -> list[RatedAnswer]:
        found, self.found = self.found, []
        return found

    def _end(self, tick: int) -> None:
        """Close the open answer as the engine does, and keep it if it was rated."""
        if self.answering is None:
            return
        self.builder.force(self.scribe.chat.close_turn(), tick)
        if self.answering in self.ratings and not self.calls:
            rating = self.ratings[self.answering]
            self.found.append(RatedAnswer(rating, self.question, self.builder.build()))
        self.builder.forget_targets()
        self.answering = None


def question_key(builder: SampleBuilder) -> str:
    """A hash of all content so far, by stream and source; of neither time nor the bounds of blocks."""
    digest = blake2b(digest_size=8)
    for block in builder.blocks:
        for content in (block.ids, block.codes, block.features):
            if content is not None:
                for row in content:
                    digest.update(bytes((block.stream, block.source)) + row.tobytes())
    return digest.hexdigest()
