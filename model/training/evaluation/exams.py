"""What is asked: exams of every kind of exchange, in held-out phrasings, as the lines of a script.

An exam is a function of its kind and number. What has to happen before it makes sense (a name to remember, a picture
to compare with) comes first and is not marked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from model.training.data.clip import Split
from model.training.data.seeding import random_for
from model.training.evaluation.sentences import held_out_sentences
from model.training.simulation import exchanges_senses as senses
from model.training.simulation import exchanges_talk as talk
from model.training.simulation import exchanges_tasks as tasks
from model.training.simulation.facts import SENTENCES
from model.training.simulation.phrasings import spoken_words
from model.training.simulation.playwright import EXCHANGES, Exchange
from model.training.simulation.scene import NotNow, Scene
from model.training.simulation.script import AgentSpeaks, AnyLine, PictureKind, UserSpeaks, UserTypes, Waits
from streams.types import EngineInfo

_TRIES = 100
NUM_SENTENCES = 64


@dataclass(frozen=True, slots=True)
class Exam:
    """`setup` is performed before `lines` and not marked. `needs` are names of `EngineInfo`'s abilities."""

    kind: str
    number: int
    setup: tuple[AnyLine, ...]
    lines: tuple[AnyLine, ...]
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.number}"

    def lacks(self, info: EngineInfo) -> tuple[str, ...]:
        """What of `needs` the weights do not claim."""
        return tuple(ability for ability in self.needs if not getattr(info, ability))


class _ExamScene(Scene):
    """Sentences to repeat and to write down are others than those of training."""

    __slots__ = ()

    def usable(self, texts: Sequence[str]) -> list[str]:
        return list(held_out_sentences(NUM_SENTENCES) if texts is SENTENCES else texts)


def _any_sum(scene: Scene) -> list[AnyLine]:
    while True:
        lines = tasks.add(scene)
        if scene.number is not None and scene.number < tasks.LARGEST:
            return lines


def _any_shape(scene: Scene) -> list[AnyLine]:
    return senses.draw_given(scene, scene.picture((PictureKind.SHAPE, PictureKind.COUNT)))


def _two_pictures(scene: Scene) -> list[AnyLine]:
    return [*senses.see(scene), *senses.see(scene)]


def _seen_and_put_away(scene: Scene) -> list[AnyLine]:
    """Who says nothing at all has not shown that it knows when to be silent."""
    return [*senses.see(scene), *senses.put_away(scene)]


SETUPS: dict[Exchange, Exchange] = {
    talk.recall_name: talk.give_name,
    talk.recall_favorite: talk.favorite,
    talk.say_again: talk.fact,
    tasks.plus_more: _any_sum,
    senses.see_changed: senses.see,
    senses.see_before: _two_pictures,
    senses.draw_it_again: _any_shape,
}
_LOOKED_AT = (
    *(senses.see, senses.describe_view, senses.see_changed, senses.see_before, senses.narrate),
    _seen_and_put_away,
)
_UNASKED = (talk.check_in, senses.narrate)  # the agent is to speak where nobody has just asked
_DRAWN = (senses.draw, senses.draw_it_again)
KINDS: dict[str, Exchange] = {
    **{exchange.__name__: exchange for exchange in (*EXCHANGES, talk.farewell)},
    senses.put_away.__name__: _seen_and_put_away,
}
SUMS = ("add", "subtract", "multiply", "plus_more")
NOT_TYPED = ("hear_me", "transcribe")  # what is asked about, or done, is sound

SEEN_KINDS = (PictureKind.COLOR, PictureKind.SHAPE, PictureKind.COUNT, PictureKind.DIGIT, PictureKind.EMOJI)
DRAWN_KINDS = (PictureKind.COLOR, PictureKind.SHAPE, PictureKind.COUNT, PictureKind.DIGIT, PictureKind.THING)


def write_exam(kind: str, number: int, emoji: Sequence[str] = ()) -> Exam:
    """Exam `number` of one of `KINDS`. Emoji are shown where their names are given; what is drawn is never one."""
    exchange = KINDS[kind]
    sees = exchange in _LOOKED_AT
    names = tuple(emoji) if sees else ()
    needs = ("sees",) if sees else ("draws",) if exchange in _DRAWN else ()
    if exchange in _UNASKED:
        needs = (*needs, "self_paced")
    return _written(kind, number, exchange, SETUPS.get(exchange), sees, names, needs)


def seen_exam(picture: PictureKind, number: int, emoji: Sequence[str] = ()) -> Exam:
    """A picture of this kind is shown and asked about."""

    def shown(scene: Scene) -> list[AnyLine]:
        return senses.see_given(scene, scene.picture((picture,)))

    return _written(f"see {picture}", number, shown, None, True, tuple(emoji), ("sees",))


def drawn_exam(picture: PictureKind, number: int) -> Exam:
    """A picture of this kind is to be drawn."""

    def drawn(scene: Scene) -> list[AnyLine]:
        return senses.draw_given(scene, scene.picture((picture,)))

    return _written(f"draw {picture}", number, drawn, None, False, (), ("draws",))


def _written(
    kind: str,
    number: int,
    exchange: Exchange,
    before: Callable[[Scene], list[AnyLine]] | None,
    sees: bool,
    emoji: tuple[str, ...],
    needs: tuple[str, ...],
) -> Exam:
    random = random_for("exam", kind, number)
    for _ in range(_TRIES):
        scene = _ExamScene(Split.EVAL, random, sees=sees, emoji=emoji)
        try:
            setup = tuple(before(scene)) if before is not None else ()
            lines = tuple(exchange(scene))
        except NotNow:
            continue
        if kind not in SUMS or not _tells_result(lines):
            return Exam(kind, number, setup, lines, needs)
    raise AssertionError(f"no exam {kind!r} in {_TRIES} tries")


def _tells_result(lines: Sequence[AnyLine]) -> bool:
    """Whether the request of a sum has its result in it: seven times one."""
    asked = {word for line in lines if isinstance(line, UserSpeaks) for word in spoken_words(line.text).split()}
    keys = {word for line in lines if isinstance(line, AgentSpeaks) for key in line.keys for word in key.split()}
    return keys <= asked


def aloud(exam: Exam) -> Exam:
    """The same for weights that are to hear it."""
    return replace(exam, needs=("hears", *exam.needs))


def typed(exam: Exam) -> Exam:
    """The same without a sound: what comes after a silence is left out, since a typed session does not tick then."""
    lines = _typed_lines(exam.lines)
    needs = exam.needs if len(lines) == len(exam.lines) else ()
    return replace(exam, setup=_typed_lines(exam.setup), lines=lines, needs=needs)


def _typed_lines(lines: Sequence[AnyLine]) -> tuple[AnyLine, ...]:
    written: list[AnyLine] = []
    for line in lines:
        match line:
            case Waits():
                break
            case UserSpeaks():
                text = " ".join(piece.rstrip(",") for piece in line.pieces)  # nobody hesitates in writing
                written.append(UserTypes(text=text, kind=line.kind, phrasing=line.phrasing, pause_us=line.pause_us))
            case AgentSpeaks():
                written.append(msgspec.structs.replace(line, aloud=False))
            case _:
                written.append(line)
    return tuple(written)
