"""Small scripts in tones, for tests."""

import msgspec

from model.training.data.clip import Split
from model.training.simulation.cast import Cast
from model.training.simulation.playwright import Playbill, write_script
from model.training.simulation.script import AnyLine, Script
from model.training.simulation.session import SimulatedSession, simulate

TONES = Playbill(
    seed=0,
    agent_voices=("tones/low", "tones/high"),
    user_voices=("tones/middle", "tones/bright"),
    instructions="Be brief.",
    num_exchanges=3,
)


def small_script(index: int, split: Split = Split.TRAIN) -> Script:
    return write_script(TONES, split, index)


def script_of(*lines: AnyLine, **changes: object) -> Script:
    """A script with these lines, in a quiet room unless told otherwise."""
    script = small_script(0)
    room = msgspec.structs.replace(script.room, noise_db=-80.0, echo_db=None)
    return msgspec.structs.replace(script, lines=lines, room=room, **changes)


def session_with(*lines: AnyLine, **changes: object) -> SimulatedSession:
    return simulate(script_of(*lines, **changes), Cast(), drawing_ticks=3)
