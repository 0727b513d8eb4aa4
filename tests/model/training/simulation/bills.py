"""Small scripts in tones, for tests."""

import msgspec

from model.training.data.clip import Split
from model.training.simulation.cast import Cast
from model.training.simulation.playwright import Playbill, write_script
from model.training.simulation.script import AnyLine, Room, Script
from model.training.simulation.session import SimulatedSession, simulate

TONES = Playbill(
    seed=0,
    agent_voices=("tones/low", "tones/high"),
    user_voices=("tones/middle", "tones/bright"),
    instructions="Be brief.",
    num_exchanges=2,
)


def small_script(index: int, split: Split = Split.TRAIN) -> Script:
    return write_script(TONES, split, index)


QUIET = Room(speech_db=-26.0, noise_db=-80.0, reverberates=False, echo_db=None, echo_delay_us=40_000, camera_ticks=1)


def script_of(*lines: AnyLine, **changes: object) -> Script:
    """A script with these lines, in a quiet room unless told otherwise, without a voice prompt."""
    return msgspec.structs.replace(small_script(0), **{"lines": lines, "room": QUIET, "voice_text": "", **changes})


def session_with(*lines: AnyLine, **changes: object) -> SimulatedSession:
    return simulate(script_of(*lines, **changes), Cast(), drawing_ticks=3)
