"""Nothing that is held out gets into training: not by its voice, not by its text, not by a careless manifest."""

import msgspec
import pytest

from model.training.data.clip import ClipRecord, Split
from model.training.data.engines.catalog import CATALOG, EngineName
from model.training.data.held_out import HELD_OUT, check_split, held_out_reason, text_split
from model.training.data.shards import commit_part, write_part
from model.training.data.speech_command import plan_of
from model.training.data.speech_set import SpeechSet
from tests.model.training.data.fakes import fake_mix, sentences

TRAIN_TEXT = next(text for text in sentences(400) if text_split(text) is Split.TRAIN)
EVAL_TEXT = next(text for text in sentences(400) if text_split(text) is Split.EVAL)


def record(**changes: object) -> ClipRecord:
    whole = ClipRecord(
        key="clip-0",
        text=TRAIN_TEXT,
        kind="dialogue",
        speaker="joe",
        source="piper",
        licence="CC0-1.0",
        split=Split.TRAIN,
        num_samples=24_000,
        voiced=1.0,
    )
    return msgspec.structs.replace(whole, **changes)


def test_every_held_out_entry_has_a_reason() -> None:
    assert all(len(entry.reason) > 20 for entry in HELD_OUT)


@pytest.mark.parametrize("voice", ["af_nova", "am_fenrir", "bf_emma", "bm_george"])
def test_held_out_kokoro_voices_are_no_training_voices(voice: str) -> None:
    assert voice not in CATALOG[EngineName.KOKORO].training_voices
    assert voice in CATALOG[EngineName.KOKORO].held_out_voices


def test_kokoro_trains_on_24_voices_and_flite_on_three() -> None:
    assert len(CATALOG[EngineName.KOKORO].training_voices) == 24
    assert CATALOG[EngineName.FLITE].training_voices == ("slt", "rms", "kal16")


def test_every_reader_of_a_wholly_held_out_corpus_is_held_out() -> None:
    assert held_out_reason("pocketsphinx", "whoever") is not None
    assert held_out_reason("piper", "joe") is None


@pytest.mark.parametrize("engine", list(EngineName))
def test_a_plan_trains_on_no_held_out_voice_and_evaluates_on_all_of_them(engine: EngineName) -> None:
    plan = plan_of(engine, None, eval_clips=10, seed=0)
    assert not any(held_out_reason(engine, voice) for voice in plan.train_voices)
    assert set(CATALOG[engine].held_out_voices) <= set(plan.eval_voices)


def test_a_held_out_voice_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="not on 'awb'"):
        plan_of(EngineName.FLITE, ["slt", "awb"], eval_clips=10, seed=0)


def test_a_held_out_voice_in_a_training_record_is_refused() -> None:
    check_split(record())
    check_split(record(source="flite", speaker="awb", split=Split.EVAL))
    with pytest.raises(ValueError, match="flite/awb is held out"):
        check_split(record(source="flite", speaker="awb"))


def test_a_held_out_text_in_a_training_record_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the text .* is held out"):
        check_split(record(text=EVAL_TEXT))


def test_a_set_whose_manifest_smuggles_held_out_speech_into_training_does_not_open(tmp_path) -> None:
    smuggled = write_part(tmp_path, "train-00000", [(record(source="kokoro", speaker="af_nova"), ".flac", b"sound")])
    commit_part(tmp_path, "train-00000", smuggled)
    with pytest.raises(ValueError, match="kokoro/af_nova is held out"):
        SpeechSet(tmp_path)


def test_case_and_punctuation_do_not_move_a_text_to_the_other_split() -> None:
    assert {text_split(text) for text in (EVAL_TEXT, EVAL_TEXT.upper(), EVAL_TEXT.rstrip(".") + "?!")} == {Split.EVAL}


def test_about_one_text_in_fifty_is_for_evaluation() -> None:
    held_out = sum(text_split(f"sentence {number}") is Split.EVAL for number in range(5_000))
    assert 60 < held_out < 140


def test_no_sentence_is_drawn_for_both_splits() -> None:
    mix = fake_mix()
    train = {mix.sentence(Split.TRAIN, number).text for number in range(400)}
    held_out = {mix.sentence(Split.EVAL, number).text for number in range(100)}
    assert not train & held_out
