"""A simulated session packs to what the server would have packed from the same media, position by position."""

import numpy as np
import pytest
import torch

from model.presets import tiny
from model.tokenizers.text import ByteTokenizer
from model.training.live_sample import LiveScribe, SilenceWeights
from model.training.sequences import Sample
from model.training.simulation.cast import Cast
from model.training.simulation.session import simulate
from streams.types import TickInput, TickOutput, TickWindow
from tests.model.training.simulation.bills import small_script
from tests.model.training.simulation.puppet import Puppet

WEIGHTS = SilenceWeights()


def drive(puppet: Puppet, sample: Sample, windows: list[TickWindow]) -> list[TickInput]:
    """The engine's own loop over these windows, its heads saying what the sample says."""
    puppet.network.follow(sample)
    puppet.engine.open(windows[0].session, seed=1)
    inputs = []
    for window in windows:
        (tick_input,) = puppet.engine.encode([window])
        assert isinstance(tick_input, TickInput), tick_input
        inputs.append(tick_input)
        outputs = list(puppet.engine.step([tick_input]))
        assert isinstance(outputs[-1], TickOutput), outputs[-1]
    return inputs


def decoder_inputs(puppet: Puppet, sample: Sample) -> torch.Tensor:
    return torch.cat([puppet.network.embedding.embed_block(block) for block in sample.blocks])


def unread_at_the_end(puppet: Puppet, sample: Sample) -> int:
    return len(sample) - sum(len(x) for x in puppet.decoder.inputs)


@pytest.mark.parametrize("index", range(4))
def test_every_position_is_the_one_the_engine_would_have_appended(index):
    session = simulate(small_script(index), Cast(), drawing_ticks=3)
    puppet = Puppet(tiny(), seed=index)
    sample = LiveScribe(puppet.network, ByteTokenizer(), WEIGHTS).write(session.windows, session.outputs)

    drive(puppet, sample, list(session.windows))

    assert unread_at_the_end(puppet, sample) == 0
    assert torch.equal(torch.cat(puppet.decoder.inputs), decoder_inputs(puppet, sample))


@pytest.mark.parametrize("index", range(4))
def test_heads_are_taught_at_exactly_those_positions_where_the_engine_asks_them(index):
    session = simulate(small_script(index), Cast(), drawing_ticks=3)
    puppet = Puppet(tiny(), seed=index)
    sample = LiveScribe(puppet.network, ByteTokenizer(), WEIGHTS).write(session.windows, session.outputs)

    drive(puppet, sample, list(session.windows))

    assert puppet.network.asked_text == set(np.flatnonzero(sample.text_weight_T).tolist())
    assert puppet.network.asked_audio == set(np.flatnonzero(sample.audio_weight_T).tolist())
