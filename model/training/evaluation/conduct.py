"""How the agent behaves in time: whom it talks over, when it begins, when it stops. Pure: turns in, numbers out.

Ticks are the session's, and those in which the agent makes its sound: it decides at a tick's end what to make in it,
and a client hears that in the next. A figure in ticks is thus one tick shorter than what a listener waits.
"""

from collections.abc import Sequence

from model.training.evaluation.examining import Turn
from model.training.evaluation.live import Moment

PROMPT_TICKS = 2  # from the end of speech to an answer, and from an interruption to silence
AFTERMATH_TICKS = 6  # of an interruption, in which its effect is looked for
PAUSE_TICKS = 3  # of silence, after which what is said is a new start
LONG_TICKS = 20  # of talking unasked, after which it counts as begun again: five seconds


def talks_over(turn: Turn) -> tuple[int, int]:
    """(ticks in which the agent was made to sound while the user spoke, ticks in which the user spoke)."""
    speaking = [moment for moment in turn.moments if moment.user_speaks]
    return sum(moment.pcm is not None for moment in speaking), len(speaking)


def delay_ticks(turn: Turn, speaks: bool) -> int | None:
    """From the tick of the user's last word to the first of the answer; negative where the agent was too early.

    The answer begins with its sound, or with its text where the agent does not speak. None: there was none.
    """
    assert turn.spoken, "somebody has asked aloud"
    for moment in turn.moments:
        if moment.pcm is not None or (not speaks and moment.text):
            return moment.tick - turn.spoken[-1].last_tick
    return None


def is_prompt(turn: Turn, speaks: bool) -> bool:
    """Whether the answer's first sound is made within two ticks of the last one with speech in it, and not before."""
    delay = delay_ticks(turn, speaks)
    return delay is not None and 0 <= delay <= PROMPT_TICKS


def stops(moments: Sequence[Moment], first_tick: int) -> bool:
    """Whether the agent says nothing from two ticks after `first_tick`, in which a user cut in, for a second."""
    return not any(moment.says and moment.tick in aftermath(first_tick) for moment in moments)


def goes_on(moments: Sequence[Moment], first_tick: int) -> bool:
    """Whether the agent sounds in every tick in which it is to be silent had a user cut in at `first_tick`."""
    sounding = {moment.tick for moment in moments if moment.pcm is not None}
    return sounding.issuperset(aftermath(first_tick))


def aftermath(first_tick: int) -> range:
    """Ticks in which nothing is to be made after an interruption that begins within `first_tick`."""
    return range(first_tick + PROMPT_TICKS, first_tick + AFTERMATH_TICKS + 1)


def starts(moments: Sequence[Moment], pause_ticks: int = PAUSE_TICKS) -> int:
    """How often the agent began to say something after a pause; who goes on for long has begun several times."""
    count, quiet, going = 0, pause_ticks, 0
    for moment in moments:
        quiet = 0 if moment.says else quiet + 1
        going = 0 if quiet >= pause_ticks else going + 1
        count += going % LONG_TICKS == 1
    return count


def after_answer(moments: Sequence[Moment], speaks: bool) -> tuple[Sequence[Moment], Sequence[Moment]]:
    """The first answer, from where it begins to its first silent tick, and what follows; both empty without one.

    Of an agent that speaks, an answer without sound is none.
    """
    begins = next((place for place, moment in enumerate(moments) if moment.says), len(moments))
    is_heard = False
    for place in range(begins, len(moments)):
        is_heard = is_heard or moments[place].pcm is not None or not speaks
        if is_heard and not moments[place].says:
            return moments[begins:place], moments[place:]
    return (moments[begins:], ()) if is_heard else ((), ())
