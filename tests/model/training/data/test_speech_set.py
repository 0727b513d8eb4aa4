"""A set reads any clip, in any order, from any process, and opens without touching the sound."""

import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from model.training.data.clip import CLIP_RATE_HZ, Split
from model.training.data.shards import read_member
from model.training.data.sound_files import flac_of, pcm_of
from model.training.data.speech_build import build_speech
from model.training.data.speech_set import SpeechSet
from tests.model.training.data.fakes import fake_plan, load_fake_maker


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("set")
    build_speech(path, fake_plan(), load_fake_maker, train_s=6.0, progress=False)
    return path


def test_clips_carry_their_samples_text_speaker_and_words(directory: Path) -> None:
    clips = SpeechSet(directory)
    for clip, record in zip(clips, clips.records, strict=True):
        assert clip.pcm.dtype == np.float32
        assert clip.pcm.shape == (record.num_samples,)
        assert (clip.text, clip.speaker, clip.source, clip.words) == (
            record.text,
            record.speaker,
            record.source,
            record.words,
        )


def test_any_order_gives_the_same_clips(directory: Path) -> None:
    clips = SpeechSet(directory)
    forwards = [clips[i].pcm for i in range(len(clips))]
    for i in np.random.default_rng(0).permutation(len(clips)):
        assert np.array_equal(clips[int(i)].pcm, forwards[i])
    assert np.array_equal(clips[-1].pcm, forwards[-1])


def test_an_index_beyond_the_end_is_an_error(directory: Path) -> None:
    with pytest.raises(IndexError):
        SpeechSet(directory)[10_000]


def test_opening_a_set_does_not_read_its_sound(directory: Path, tmp_path: Path) -> None:
    for manifest in directory.glob("*.jsonl"):
        (tmp_path / manifest.name).write_bytes(manifest.read_bytes())
    clips = SpeechSet(tmp_path)
    assert len(clips) == len(SpeechSet(directory))
    with pytest.raises(FileNotFoundError):
        clips[0]


def test_several_directories_are_one_set(directory: Path) -> None:
    one, two = SpeechSet(directory), SpeechSet(directory, directory)
    assert len(two) == 2 * len(one)
    assert np.array_equal(two[len(one) + 1].pcm, one[1].pcm)


def test_a_growing_set_can_be_pinned(directory: Path) -> None:
    clips = SpeechSet(directory, max_shards=1)
    assert {record.shard for record in clips.records} == {"train-00000"}


def test_splits_are_apart(directory: Path) -> None:
    assert {record.split for record in SpeechSet(directory).records} == {Split.TRAIN}
    assert {record.split for record in SpeechSet(directory, split=Split.EVAL).records} == {Split.EVAL}


def test_a_missing_directory_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.training\.data\.build"):
        SpeechSet(tmp_path / "nowhere")


def test_a_set_travels_to_worker_processes(directory: Path) -> None:
    clips = SpeechSet(directory)
    assert np.array_equal(pickle.loads(pickle.dumps(clips))[2].pcm, clips[2].pcm)


def test_reading_leaves_no_files_open(directory: Path) -> None:
    clips = SpeechSet(directory)
    before = len(os.listdir("/dev/fd"))
    for i in range(len(clips)):
        clips[i]
    assert len(os.listdir("/dev/fd")) == before


def test_flac_keeps_sixteen_bits(directory: Path) -> None:
    pcm = np.sin(np.arange(CLIP_RATE_HZ) / 20, dtype=np.float64).astype(np.float32) * 0.9
    assert np.abs(pcm_of(flac_of(pcm)) - pcm).max() < 2**-15


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1.5])
def test_samples_that_no_file_can_hold_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="samples must be finite"):
        flac_of(np.array([0.0, bad], np.float32))


def test_the_bytes_in_the_tar_are_the_file(directory: Path) -> None:
    record = SpeechSet(directory).records[1]
    assert read_member(directory, record).startswith(b"fLaC")


def test_webdataset_would_find_pairs_of_sound_and_description(directory: Path) -> None:
    with tarfile.open(directory / "train-00000.tar") as tar:
        names = tar.getnames()
    assert names[0].removesuffix(".flac") == names[1].removesuffix(".json")
    assert len(names) == 2 * len({name.rpartition(".")[0] for name in names})
