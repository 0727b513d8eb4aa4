"""Sessions without a sound: users type and show, the agent writes and draws, and the microphone is closed."""

from dataclasses import replace

import pytest
import torch

from model.config import Abilities
from model.network import Network
from model.presets import tiny
from model.tokenizers.text import ByteTokenizer
from model.training.data.clip import Split
from model.training.live_sample import LiveScribe, SilenceWeights
from model.training.simulation.cast import Cast
from model.training.simulation.playwright import WRITTEN_EXCHANGES, write_script
from model.training.simulation.script import AgentSpeaks, Picture, PictureKind, UserShows, UserTypes
from model.training.simulation.session import SimulatedSession, simulate
from streams.types import Stream
from tests.model.training.simulation.bills import TONES, session_with

WRITTEN = replace(TONES, spoken=False, num_exchanges=4)
SEES_AND_DRAWS = Abilities(sees=True, draws=True, self_paced=True)
RED = Picture(PictureKind.SHAPE, "circle", "red", seed=3)


def written_session(index: int, split: Split = Split.TRAIN) -> SimulatedSession:
    return simulate(write_script(WRITTEN, split, index), Cast(), drawing_ticks=3)


@pytest.mark.parametrize("split", Split)
@pytest.mark.parametrize("index", range(4))
def test_nothing_is_heard_and_nothing_is_said_aloud(split, index):
    session = written_session(index, split)
    assert all(window.audio is None for window in session.windows)
    assert all(output.pcm is None for output in session.outputs)
    kinds = {type(line).__name__ for line in session.story.script.lines}
    assert kinds <= {"UserTypes", "UserShows", "AgentSpeaks", "Waits"}


def test_the_agent_answers_in_the_tick_in_which_it_reads_or_sees():
    session = session_with(
        UserTypes(text="What do you see?", asks=False, pause_us=500_000),
        AgentSpeaks(text="Nothing yet, show me something red and round please.", aloud=False),
        UserShows(picture=RED),
        AgentSpeaks(text="A red circle.", aloud=False),
    )
    asked = [window.tick for window in session.windows if window.tick > 0 and window.commands]
    shown = next(window.tick for window in session.windows if window.frames)
    written = [output.tick for output in session.outputs if output.text]
    assert written == [*asked, shown]


@pytest.mark.parametrize("first", range(0, len(WRITTEN_EXCHANGES), 20))
def test_every_written_session_can_be_learned_from(first):
    """What the agent should do never changes while nothing arrives, which no decoder could follow."""
    torch.manual_seed(0)
    network = Network(replace(tiny(), abilities=SEES_AND_DRAWS), with_decoder=False)
    network.init(seed=0)
    network.prepare_for_inference()
    scribe = LiveScribe(network, ByteTokenizer(), SilenceWeights())
    session = written_session(first)
    sample = scribe.write(session.windows, session.outputs)
    assert {block.stream for block in sample.blocks} <= {Stream.TEXT_IN, Stream.IMAGE_IN, Stream.TEXT_IMAGE_OUT}
    said = "".join(
        chr(target)
        for target, weight in zip(sample.text_T, sample.text_weight_T, strict=True)
        if weight and 0 < target < 256
    )
    for line in session.story.script.lines:
        if isinstance(line, AgentSpeaks):
            assert line.text in said
