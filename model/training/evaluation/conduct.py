"""How the agent behaves in time: whom it talks over, when it begins, when it stops. Pure: turns in, numbers out.

Ticks are the session's. What the agent makes in a tick is decided at the tick's end and heard in the next.
"""

from collections.abc import Sequence

from model.training.evaluation.examining import Turn
from model.training.evaluation.live import Moment

PROMPT_TICKS = 2  # from the end of speech to an answer, and from an interruption to silence
AFTERMATH_TICKS = 6  # of an interruption, in which its effect is looked for
PAUSE_TICKS = 3  # of silence, after which what is said is a new start
LONG_TICKS = 20  # of talking, after which it counts as begun again: longer than our answers


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
    """Whether the answer begins within two ticks of the end of speech, and not before it."""
    delay = delay_ticks(turn, speaks)
    return delay is not None and 0 <= delay <= PROMPT_TICKS


def stops(moments: Sequence[Moment], first_tick: int) -> bool:
    """Whether the agent says nothing from two ticks after `first_tick`, in which a user cut in, for a second."""
    silent = range(first_tick + PROMPT_TICKS + 1, first_tick + AFTERMATH_TICKS + 1)
    return not any(moment.says and moment.tick in silent for moment in moments)


def starts(moments: Sequence[Moment]) -> int:
    """How often the agent began to say something after a pause; who goes on for long has begun several times."""
    count, quiet, going = 0, PAUSE_TICKS, 0
    for moment in moments:
        quiet = 0 if moment.says else quiet + 1
        going = 0 if quiet >= PAUSE_TICKS else going + 1
        count += going % LONG_TICKS == 1
    return count
