"""Packing changes nothing: samples alone, side by side, and with their streams taken apart give the same logits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.config import ModelConfig
from model.training.documents import Picture, Words, document_sample, sound_sample
from model.training.forward import frame_logits, hidden_states, joint_weight
from model.training.packed_rows import PADDING, PackedRows, fill_row, first_fit, pack, pack_rows, take_streams_apart
from model.training.sequences import Sample, SampleBuilder
from streams.packer import Segment
from streams.types import Stream
from tests.model.training.networks import lively_network, tiny_config

CONFIG = tiny_config()


def text_segment(stream: Stream, text: bytes) -> Segment:
    return Segment(stream, ids=np.frombuffer(text, np.uint8).astype(np.int32))


def realtime_sample(seed: int, num_ticks: int = 6, config: ModelConfig = CONFIG) -> Sample:
    """All five streams over some ticks: words and pictures now and then, sound always, answers in both heads."""
    random = np.random.default_rng(seed)
    builder = SampleBuilder(config)
    for tick in range(num_ticks):
        if tick % 3 == 0:
            builder.receive(text_segment(Stream.TEXT_IN, b"hi"), tick)
        if tick % 2 == 0:
            features = random.standard_normal((2, config.decoder.d_model)).astype(np.float32)
            builder.receive(Segment(Stream.IMAGE_IN, features=features), tick)
        builder.receive(Segment(Stream.AUDIO_IN, codes=random.integers(0, 256, (1, 4)).astype(np.int32)), tick)
        for step in range(tick % 3):
            text, frame = int(random.integers(256)), random.integers(0, 256, 4) if step == 0 else None
            builder.ask(text, frame, 1.0, float(step == 0))
            builder.say(tick, text, frame)
        builder.ask(None, None, 1.0, float(tick % 3 == 0))
    return builder.build()


def samples() -> list[Sample]:
    return [
        realtime_sample(0),
        document_sample(CONFIG, [Words(list(b"a cat ")), Picture(list(range(16))), Words(list(b" sits"))]),
        sound_sample(CONFIG, np.arange(28).reshape(7, 4).astype(np.int32)),
        realtime_sample(1, num_ticks=3),
    ]


@torch.inference_mode()
def logits_of(network, rows: PackedRows, number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Both heads' logits of one sample, its positions in their order."""
    at = (rows.sample_BT == number).nonzero()
    at = at[rows.order_BT[at[:, 0], at[:, 1]].argsort()]
    hidden_ND = hidden_states(network, rows)[at[:, 0], at[:, 1]]
    audio = frame_logits(network, hidden_ND, torch.zeros((len(hidden_ND), 8), dtype=torch.long))
    return hidden_ND @ joint_weight(network).T, torch.cat(audio, dim=-1)


@pytest.mark.parametrize("depth", [True, False])
def test_a_packed_sample_has_the_logits_that_it_has_alone(depth: bool):
    network = lively_network(CONFIG if depth else tiny_config(depth=None))
    given = samples()
    packed = pack_rows(given, [[1, 0], [3, 2]], num_positions=80)
    for number, sample in enumerate(given):
        alone = pack([sample], len(sample))
        assert alone.mask() is None
        for packed_logits, alone_logits in zip(
            logits_of(network, packed, number), logits_of(network, alone, 0), strict=True
        ):
            torch.testing.assert_close(packed_logits, alone_logits, atol=1e-4, rtol=1e-4)


def test_streams_taken_apart_under_the_temporal_mask_have_the_same_logits():
    network = lively_network(CONFIG)
    given = [realtime_sample(0), realtime_sample(1, num_ticks=4)]
    interleaved = pack(given, 80)
    apart = take_streams_apart(interleaved)
    streams = apart.stream_BT[apart.sample_BT != PADDING]
    assert (streams.diff() >= 0).all()
    assert (interleaved.stream_BT[0].diff() < 0).any()
    for number in range(2):
        for apart_logits, logits in zip(
            logits_of(network, apart, number), logits_of(network, interleaved, number), strict=True
        ):
            torch.testing.assert_close(apart_logits, logits, atol=1e-4, rtol=1e-4)


def test_streams_of_a_sample_that_goes_back_in_time_stay_together():
    builder = SampleBuilder(CONFIG)
    builder.receive(text_segment(Stream.TEXT_IN, b"told again"), tick=9)
    builder.receive(text_segment(Stream.TEXT_IN, b"as it was"), tick=3)
    with pytest.raises(ValueError, match="ticks fall"):
        take_streams_apart(pack([builder.build()], 32))


def test_padding_asks_nothing():
    rows = pack(samples(), 100)
    padding = rows.sample_BT == PADDING
    assert padding.any()
    assert (rows.text_weight_BT[padding] == 0).all()
    assert (rows.audio_weight_BT[padding] == 0).all()
    assert rows.num_positions == sum(map(len, samples()))


@given(st.lists(st.integers(1, 12), min_size=1, max_size=20))
@settings(deadline=None)
def test_first_fit_places_every_sample_once_and_fills_no_row_beyond_its_end(lengths: list[int]):
    given = [document_sample(CONFIG, [Words([120] * length)]) for length in lengths]
    rows = first_fit(given, 12)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    assert all(sum(lengths[number] for number in row) <= 12 for row in rows)


def test_a_row_takes_samples_until_one_does_not_fit_and_cuts_only_a_first_one():
    def sample_of(number: int) -> Sample:
        return document_sample(CONFIG, [Words([120] * [5, 6, 3][number % 3])])

    assert [len(sample) for sample in fill_row(sample_of, 12)] == [5, 6]
    assert [len(sample) for sample in fill_row(sample_of, 4)] == [4]
    with pytest.raises(ValueError, match="does not fit"):
        first_fit([sample_of(0)], 4)


def test_a_cut_sample_keeps_the_targets_of_what_is_left():
    whole = realtime_sample(2)
    cut = whole.cut(7)
    assert len(cut) == 7
    assert sum(map(len, cut.blocks)) == 7
    np.testing.assert_array_equal(cut.text_T, whole.text_T[:7])


def test_a_position_cannot_be_asked_for_two_different_things():
    builder = SampleBuilder(CONFIG)
    builder.receive(text_segment(Stream.TEXT_IN, b"hi"), 0)
    builder.teach_text(None)
    builder.teach_text(None)
    with pytest.raises(ValueError, match="cannot mean both"):
        builder.teach_text(65)
    with pytest.raises(ValueError, match="before the first"):
        SampleBuilder(CONFIG).teach_text(65)
