"""Sets are the same for any number of workers and interruptions, and whole wherever they can be seen."""

from pathlib import Path

import numpy as np
import pytest

from model.training.data.clip import CLIP_RATE_HZ, Split
from model.training.data.engines.engine import Speech
from model.training.data.speech_build import build_speech
from model.training.data.speech_maker import SpeechMaker, SpeechPlan
from model.training.data.speech_set import SpeechSet
from tests.model.training.data.fakes import FakeEngine, HearsSpeechInTones, fake_mix, fake_plan, load_fake_maker


def build(directory: Path, plan: SpeechPlan, load=load_fake_maker, train_s: float = 5.0, workers: int = 1) -> None:
    build_speech(directory, plan, load, train_s, workers, progress=False)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


class Killed(Exception):
    """Ends a build at a bad moment."""


def test_a_set_has_as_much_training_speech_as_was_asked_for(tmp_path: Path) -> None:
    build(tmp_path, fake_plan(), train_s=7.0)
    clips = SpeechSet(tmp_path)
    last_shard = sum(record.duration_s for record in clips.records if record.shard == clips.records[-1].shard)
    assert 7.0 <= clips.duration_s < 7.0 + last_shard


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    build(tmp_path / "a", fake_plan())
    build(tmp_path / "b", fake_plan())
    build(tmp_path / "c", fake_plan(seed=1))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_two_workers_make_what_one_makes(tmp_path: Path) -> None:
    build(tmp_path / "one", fake_plan())
    build(tmp_path / "two", fake_plan(), workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.parametrize("num_spoken", [1, 5, 9])
def test_a_killed_build_goes_on_where_it_was(tmp_path: Path, num_spoken: int) -> None:
    class DyingEngine(FakeEngine):
        def speak(self, text: str, voice: str, seed: int) -> Speech:
            if self.num_spoken == num_spoken:
                raise Killed
            return super().speak(text, voice, seed)

    def load_dying(plan: SpeechPlan) -> SpeechMaker:
        return SpeechMaker(plan, DyingEngine(), fake_mix(plan.seed), HearsSpeechInTones())

    build(tmp_path / "unbroken", fake_plan())
    with pytest.raises(Killed):
        build(tmp_path / "broken", fake_plan(), load_dying)
    made = len(list((tmp_path / "broken").glob("*.jsonl")))
    engine = FakeEngine()

    def load_counted(plan: SpeechPlan) -> SpeechMaker:
        return SpeechMaker(plan, engine, fake_mix(plan.seed), HearsSpeechInTones())

    build(tmp_path / "broken", fake_plan(), load_counted)
    assert contents(tmp_path / "broken") == contents(tmp_path / "unbroken")
    all_clips = sum(len(SpeechSet(tmp_path / "broken", split=split)) for split in Split)
    done_before = sum(len(lines.splitlines()) for lines in _manifests(tmp_path / "broken")[:made])
    assert engine.num_spoken == all_clips - done_before


def _manifests(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(directory.glob("*.jsonl"))]


def test_a_half_written_shard_is_not_seen_and_does_not_stay(tmp_path: Path) -> None:
    build(tmp_path, fake_plan())
    before = len(SpeechSet(tmp_path))
    (tmp_path / "train-99999.tar.part").write_bytes(b"half")
    (tmp_path / "train-99998.tar").write_bytes(b"whole, but without its manifest")
    assert len(SpeechSet(tmp_path)) == before
    build(tmp_path, fake_plan())
    assert not list(tmp_path.glob("*.part"))


def test_a_set_can_be_made_longer(tmp_path: Path) -> None:
    build(tmp_path, fake_plan(), train_s=3.0)
    short = [record.key for record in SpeechSet(tmp_path).records]
    build(tmp_path, fake_plan(), train_s=9.0)
    long = [record.key for record in SpeechSet(tmp_path).records]
    assert long[: len(short)] == short
    assert len(long) > len(short)


def test_another_plan_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    build(tmp_path, fake_plan())
    with pytest.raises(ValueError, match="holds another set"):
        build(tmp_path, fake_plan(seed=1))


def test_a_set_is_built_by_one_process_at_a_time(tmp_path: Path) -> None:
    def load_and_build_again(plan: SpeechPlan) -> SpeechMaker:
        with pytest.raises(ValueError, match="another process is building"):
            build(tmp_path, plan)
        return load_fake_maker(plan)

    build(tmp_path, fake_plan(), load_and_build_again)
    assert len(SpeechSet(tmp_path)) > 0


def test_no_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        build(tmp_path, fake_plan(), workers=0)


def test_clips_without_speech_are_left_out_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    class Deaf:
        """Hears speech in every other clip."""

        def __init__(self) -> None:
            self.num_heard = 0

        def voiced(self, pcm: np.ndarray) -> float:
            self.num_heard += 1
            return float(self.num_heard % 2)

    def load(plan: SpeechPlan) -> SpeechMaker:
        return SpeechMaker(plan, FakeEngine(), fake_mix(plan.seed), Deaf())

    build(tmp_path, fake_plan(eval_clips=0), load, train_s=2.0)
    numbers = [int(record.key[-6:]) for record in SpeechSet(tmp_path).records]
    assert numbers == list(range(0, 2 * len(numbers), 2))


def test_voices_take_turns_and_evaluation_has_the_unseen_one(tmp_path: Path) -> None:
    build(tmp_path, fake_plan())
    assert [record.speaker for record in SpeechSet(tmp_path).records[:4]] == ["high", "low", "high", "low"]
    assert {record.speaker for record in SpeechSet(tmp_path, split="eval").records} == {"high", "low", "unseen"}


def test_words_end_within_the_clip(tmp_path: Path) -> None:
    build(tmp_path, fake_plan())
    for record in SpeechSet(tmp_path).records:
        assert [word.text for word in record.words] == record.text.split()
        assert record.words[-1].end_us <= record.num_samples * 1_000_000 // CLIP_RATE_HZ
