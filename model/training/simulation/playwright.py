"""Writes the script of session `index`: a function of seed, split and index, so that any session can be made alone.

Every exchange of `EXCHANGES` comes up equally often; between them there are pauses, noises and long silences, and some
of the agent's answers are interrupted or accompanied by a "mm-hm".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from model.training.data.clip import Split
from model.training.data.noise import NoiseKind
from model.training.data.seeding import random_for
from model.training.simulation import exchanges_senses as senses
from model.training.simulation import exchanges_talk as talk
from model.training.simulation import exchanges_tasks as tasks
from model.training.simulation.facts import AGENT_NAME, BACKCHANNELS, INTERRUPTIONS
from model.training.simulation.phrasings import may_be_trained_on
from model.training.simulation.scene import NotNow, Scene
from model.training.simulation.script import (
    AgentSpeaks,
    AnyLine,
    Room,
    Script,
    Sounds,
    UserSpeaks,
    UserTypes,
    Waits,
)

Exchange = Callable[[Scene], list[AnyLine]]

# What is asked in several ways, or about several kinds of picture, stands here as often.
EXCHANGES: tuple[Exchange, ...] = (
    *(talk.greeting, talk.how_are_you, talk.thanks, talk.small_talk, talk.own_name, talk.abilities),
    *(talk.what_are_you, talk.hear_me, talk.give_name, talk.recall_name, talk.yes_no_fact, talk.fact),
    *(talk.animal_sound, talk.define, talk.opposite, talk.favorite, talk.recall_favorite, talk.joke),
    *(talk.cannot, talk.say_again, talk.check_in),
    *(tasks.count_up, tasks.count_down, tasks.add, tasks.subtract, tasks.multiply, tasks.plus_more, tasks.bigger),
    *(tasks.day_after, tasks.day_before, tasks.week, tasks.spell, tasks.first_letter, tasks.repeat, tasks.transcribe),
    *(senses.see, senses.see, senses.see, senses.describe_view, senses.see_changed, senses.see_before),
    *(senses.see_nothing, senses.put_away, senses.narrate, senses.draw, senses.draw, senses.draw_it_again),
)
# Of sessions without sound: what needs none, nor a sense of time while nothing arrives, and more to see and to draw.
WRITTEN_EXCHANGES: tuple[Exchange, ...] = (
    *(exchange for exchange in EXCHANGES if exchange not in (talk.hear_me, talk.check_in, tasks.transcribe)),
    *(senses.see,) * 9,
    *(senses.draw,) * 8,
    *(senses.describe_view, senses.see_changed, senses.narrate, senses.draw_it_again, senses.draw_it_again),
)
VOICE_TEXTS = (
    "This is how I sound when I speak.",
    "Hello, this is my voice.",
    "I speak like this, at my own pace.",
    "The rainbow appears after the rain.",
)
INSTRUCTIONS = (
    f"You are {AGENT_NAME}, a friendly companion who listens, looks, speaks and draws.",
    "You are a helpful assistant. Keep your answers short.",
    "Talk with the user. Be brief and honest.",
)
_TRIES = 200


@dataclass(frozen=True, slots=True)
class Playbill:
    """What the scripts of a set are written for. Voices are named `engine/voice`; the agent's first is its default.

    Where nothing is `spoken`, users type, the agent writes and draws, and the microphone is closed.
    """

    seed: int
    agent_voices: tuple[str, ...]
    user_voices: tuple[str, ...]
    instructions: str
    num_exchanges: int = 7
    dialogues: tuple[tuple[tuple[str, str], ...], ...] = ()  # of (user, agent) turns, written by a language model
    emoji: tuple[str, ...] = ()  # names of emoji that can be shown and drawn
    dialogue_share: float = 0.1  # of exchanges, where there are dialogues
    spoken: bool = True

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        return EXCHANGES if self.spoken else WRITTEN_EXCHANGES


def write_script(bill: Playbill, split: Split, index: int) -> Script:
    """The script of one session. Evaluation uses held-out phrasings only, training none of them."""
    random = random_for("script", bill.seed, split, index)
    scene = Scene(split, random, sees=bool(random.random() < 0.6), emoji=bill.emoji)
    agent_voice = scene.one(bill.agent_voices)
    is_default = agent_voice == bill.agent_voices[0]
    return Script(
        seed=bill.seed,
        index=index,
        split=split,
        instructions=bill.instructions if scene.chance(0.6) else scene.one(INSTRUCTIONS),
        agent_voice=agent_voice,
        user_voice=scene.one([voice for voice in bill.user_voices if voice != agent_voice] or list(bill.user_voices)),
        voice_text="" if not bill.spoken or (is_default and scene.chance(0.5)) else scene.line(VOICE_TEXTS),
        room=_room(scene)
        if bill.spoken
        else msgspec.structs.replace(_room(scene), camera_ticks=scene.one((1, 4, 4, 4))),
        lines=tuple(_lines(scene, bill, index)),
    )


def _lines(scene: Scene, bill: Playbill, index: int) -> list[AnyLine]:
    lines: list[AnyLine] = [Waits(duration_us=scene.pause_us(0, 1_500))]
    for number in range(bill.num_exchanges):
        wanted = bill.exchanges[index % len(bill.exchanges)] if number == 0 else None
        exchange = _exchange(scene, bill, wanted)
        if not bill.spoken:
            lines += _written(scene, exchange)
            continue
        if scene.chance(0.12):
            exchange = _typed(scene, exchange)
        lines += _joined(scene, lines, exchange)
        if scene.chance(0.3):
            lines += _interlude(scene)
    if scene.chance(0.5):
        lines += talk.farewell(scene) if bill.spoken else _written(scene, talk.farewell(scene))
    return [*lines, Waits(duration_us=scene.pause_us(500, 2_000))]


def _exchange(scene: Scene, bill: Playbill, wanted: Exchange | None) -> list[AnyLine]:
    for _ in range(_TRIES):
        try:
            if bill.dialogues and scene.chance(bill.dialogue_share):
                return _dialogue(scene, scene.one(bill.dialogues))
            chosen, wanted = wanted or bill.exchanges[int(scene.random.integers(len(bill.exchanges)))], None
            return chosen(scene)
        except NotNow:
            continue
    raise AssertionError(f"no exchange fits in {_TRIES} tries")


def _dialogue(scene: Scene, turns: Sequence[tuple[str, str]]) -> list[AnyLine]:
    """A stretch of a written dialogue. Evaluation has no part in it: it tests what we phrased ourselves."""
    if scene.split is Split.EVAL or not all(may_be_trained_on(text) for turn in turns for text in turn):
        raise NotNow("held out")
    lines: list[AnyLine] = []
    for asked, answered in turns:
        lines += [UserSpeaks(pieces=(asked,), kind="dialogue", pause_us=scene.pause_us()), scene.reply(answered)]
    return lines


def _typed(scene: Scene, exchange: list[AnyLine]) -> list[AnyLine]:
    """The same, with its request typed instead of spoken, where it is one request and one answer."""
    match exchange:
        case [*before, UserSpeaks() as asked, AgentSpeaks() as answer] if not any(
            isinstance(line, UserSpeaks) for line in before
        ):
            return [*before, _typing(scene, asked), msgspec.structs.replace(answer, aloud=scene.chance(0.6))]
    return exchange


def _written(scene: Scene, exchange: list[AnyLine]) -> list[AnyLine]:
    """The same without a sound: requests are typed, answers are not aloud."""
    lines: list[AnyLine] = []
    for line in exchange:
        match line:
            case UserSpeaks():
                lines.append(_typing(scene, line))
            case AgentSpeaks():
                lines.append(msgspec.structs.replace(line, aloud=False))
            case _:
                lines.append(line)
    return lines


def _typing(scene: Scene, asked: UserSpeaks) -> UserTypes:
    return UserTypes(
        text=asked.text,
        kind=asked.kind,
        phrasing=asked.phrasing,
        pause_us=asked.pause_us,
        asks=scene.chance(0.7),
    )


def _joined(scene: Scene, before: list[AnyLine], exchange: list[AnyLine]) -> list[AnyLine]:
    """The exchange as it follows what came before: at times into the agent's speech instead of after it."""
    spoken = before[-1]
    if not isinstance(spoken, AgentSpeaks) or not spoken.aloud or spoken.draws or len(spoken.text.split()) < 4:
        return exchange
    share = float(scene.random.uniform(0.2, 0.7))
    if scene.chance(0.2):
        murmur = UserSpeaks(pieces=(scene.line(BACKCHANNELS),), kind="backchannel", over=share)
        return [murmur, *exchange]
    if scene.chance(0.5):
        return exchange
    first, *rest = exchange
    if isinstance(first, UserSpeaks) and first.kind != "say_again" and scene.chance(0.5):
        return [msgspec.structs.replace(first, over=share, stops_agent=True), *rest]
    if scene.chance(0.5):
        return [scene.request("never_mind", over=share), scene.reply("Okay.", "All right.", "Sure."), *exchange]
    stop = UserSpeaks(pieces=(scene.line(INTERRUPTIONS),), kind="interruption", over=share, stops_agent=True)
    return [stop, Waits(duration_us=scene.pause_us(1_500, 3_000)), *exchange]


def _interlude(scene: Scene) -> list[AnyLine]:
    """Time in which the agent has nothing to say, whatever is heard."""
    if scene.chance(0.3):
        return [Waits(duration_us=scene.pause_us(2_000, 12_000))]
    kind = scene.one(list(NoiseKind))
    at_most_ms = 900 if kind is NoiseKind.TAPS else 5_000
    return [
        Sounds(
            kind=kind,
            pause_us=scene.pause_us(300, 1_000),
            duration_us=scene.pause_us(400, at_most_ms),
            level_db=float(round(scene.random.uniform(-45, -22), 1)),
            seed=int(scene.random.integers(2**31)),
        )
    ]


def _room(scene: Scene) -> Room:
    def uniform(low: float, high: float) -> float:
        return round(float(scene.random.uniform(low, high)), 1)

    return Room(
        speech_db=uniform(-32, -20),
        noise_db=uniform(-75, -48),
        reverberates=scene.chance(0.5),
        echo_db=uniform(-45, -28) if scene.chance(0.4) else None,
        echo_delay_us=int(scene.random.integers(20, 180)) * 1000,
        camera_ticks=int(scene.random.choice([1, 2, 4])),
    )
