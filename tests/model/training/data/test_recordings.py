"""Human recordings: their words are found, and the second half never enters training."""

import gzip
from pathlib import Path

import av
import numpy as np
import pytest

from model.training.data.clip import CLIP_RATE_HZ, Split
from model.training.data.held_out import text_split
from model.training.data.missing import MissingPackage
from model.training.data.recordings import FIRST_HALF, SECOND_HALF, Recording, asterisk_recordings, clips_of, read_g722
from model.training.data.recordings_command import write_clips
from model.training.data.speech_set import SpeechSet
from tests.model.training.data.fakes import HearsSpeechInTones

NUM_FILES = 60


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """Beeps in the place of prompts, in G.722 as the packages have it."""
    directory = tmp_path_factory.mktemp("sounds")
    time_s = np.arange(16_000) / 16_000
    beep = (8_000 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16)
    for number in range(NUM_FILES):
        write_g722(directory / f"prompt-{number:02d}.g722", beep)
    lines = [f"prompt-{number:02d}: This is prompt {number}." for number in range(NUM_FILES)]
    lines += ["; a comment: with a colon", "prompt-00: [a tone]", "prompt-missing: There is no such file."]
    transcripts = directory / "words.txt.gz"
    transcripts.write_bytes(gzip.compress("\n".join(lines).encode()))
    return asterisk_recordings(directory, transcripts)


def write_g722(path: Path, pcm: np.ndarray) -> None:
    with av.open(str(path), "w", format="g722") as file:
        stream = file.add_stream("g722", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
        frame.rate = 16_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)


def test_files_find_their_words_and_sounds_without_words_are_left_out(recordings: list[Recording]) -> None:
    assert len(recordings) == NUM_FILES - 1
    assert recordings[0].text == "This is prompt 1."


def test_halves_are_by_sorted_name(recordings: list[Recording]) -> None:
    assert [r.speaker for r in recordings] == [FIRST_HALF] * (NUM_FILES // 2 - 1) + [SECOND_HALF] * (NUM_FILES // 2)


def test_g722_is_read_at_the_clip_rate(recordings: list[Recording]) -> None:
    pcm = read_g722(recordings[0].path)
    assert len(pcm) == pytest.approx(CLIP_RATE_HZ, abs=100)
    assert np.argmax(np.abs(np.fft.rfft(pcm))) * CLIP_RATE_HZ / len(pcm) == pytest.approx(440, abs=2)


def test_the_second_half_and_held_out_texts_are_for_evaluation(recordings: list[Recording], tmp_path: Path) -> None:
    write_clips(tmp_path, clips_of(recordings, HearsSpeechInTones()))
    train, held_out = (SpeechSet(tmp_path, split=split) for split in Split)
    assert len(train) + len(held_out) == len(recordings)
    assert {record.speaker for record in train.records} == {FIRST_HALF}
    assert all(record.speaker == SECOND_HALF or text_split(record.text) is Split.EVAL for record in held_out.records)


def test_missing_packages_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(MissingPackage, match="apt-get install asterisk-core-sounds-en-g722"):
        asterisk_recordings(tmp_path / "nowhere", tmp_path)
    with pytest.raises(MissingPackage, match=r"apt-get install asterisk-core-sounds-en$"):
        asterisk_recordings(tmp_path, tmp_path / "nowhere")
