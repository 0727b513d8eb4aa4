"""Stretches of a session's sample, as a sliding cache would show them."""

import numpy as np

from model.presets import tiny
from model.training.live_window import any_stretch, moved, prefix_of, stretch, tick_starts
from model.training.sample_files import load_sample, save_sample
from model.training.sequences import Sample, SampleBuilder
from streams.types import Source, Stream, TokenBlock

NUM_TICKS = 12
PREFIX = 5


def block(stream: Stream, tick: int, position: int, length: int = 1, pinned: bool = False) -> TokenBlock:
    ids = np.arange(position, position + length, dtype=np.int32)
    return TokenBlock(stream, Source.RECEIVED, tick, position, ids=ids, pinned=pinned)


def session() -> Sample:
    """A prefix, then in each tick a frame of sound, features of a picture, and an id that is said."""
    builder = SampleBuilder(tiny())
    builder.append(block(Stream.TEXT_IN, 0, 0, PREFIX, pinned=True))
    for tick in range(NUM_TICKS):
        features = np.full((2, 64), tick, np.float32)
        builder.append(TokenBlock(Stream.IMAGE_IN, Source.RECEIVED, tick, 2 * tick, features=features))
        codes = np.full((1, 4), tick, np.int32)
        builder.append(TokenBlock(Stream.AUDIO_IN, Source.RECEIVED, tick, tick, codes=codes))
        builder.ask(tick, None)
        builder.say(tick, tick, None)
        builder.ask(None, None, 0.5, 0.5)
    return builder.build()


def test_a_stretch_is_the_prefix_and_whole_ticks():
    sample = session()
    starts = tick_starts(sample)
    cut = stretch(sample, starts[4], 100)
    assert len(starts) == NUM_TICKS
    assert prefix_of(cut) == 1
    assert [b.tick for b in cut.blocks[1:]] == [b.tick for b in sample.blocks[1:] if b.tick >= 4]
    assert len(cut) == PREFIX + 4 * (NUM_TICKS - 4)


def test_targets_stay_with_their_positions():
    sample = session()
    cut = stretch(sample, tick_starts(sample)[4], 100)
    said = cut.text_weight_T == 1
    assert cut.text_T[said].tolist() == list(range(4, NUM_TICKS))
    assert not cut.text_weight_T[:PREFIX].any()


def test_a_stretch_is_never_longer_than_its_window():
    sample = session()
    for seed in range(20):
        cut = any_stretch(sample, 24, np.random.default_rng(seed))
        assert 12 <= len(cut) <= 24
        assert cut.blocks[0].pinned


def test_a_prefix_longer_than_half_a_window_loses_its_end():
    sample = session()
    assert sum(len(b) for b in stretch(sample, tick_starts(sample)[0], 6).blocks if b.pinned) == 3


def test_a_stretch_moved_in_time_keeps_its_prefix_and_its_distances():
    sample = session()
    later = moved(sample, 100)
    assert later.blocks[0] is sample.blocks[0]
    for before, after in zip(sample.blocks[1:], later.blocks[1:], strict=True):
        assert after.tick == before.tick + 100
    sound = [(b.tick, b.position) for b in later.blocks if b.stream is Stream.AUDIO_IN]
    assert all(tick == position for tick, position in sound)  # one frame a tick, also later
    assert moved(sample, 0) is sample


def test_a_sample_is_read_as_it_was_written(tmp_path):
    sample = session()
    save_sample(sample, tmp_path / "one.safetensors")
    again = load_sample(tmp_path / "one.safetensors")
    assert len(again.blocks) == len(sample.blocks)
    for before, after in zip(sample.blocks, again.blocks, strict=True):
        assert repr(before) == repr(after)
        assert before.pinned == after.pinned
        for name in ("ids", "codes", "features"):
            assert np.array_equal(getattr(before, name), getattr(after, name)) or getattr(before, name) is None
    for name in ("text_T", "text_weight_T", "audio_TK", "audio_weight_T"):
        assert np.array_equal(getattr(again, name), getattr(sample, name))
