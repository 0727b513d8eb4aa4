"""Each measure with an agent that does well and one that does not."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from model.training.data.clip import Split
from model.training.data.held_out import text_split
from model.training.evaluation.chat import Questions
from model.training.evaluation.compute import WARM_UP_TICKS, Compute
from model.training.evaluation.dictation import Dictation, recordings
from model.training.evaluation.endurance import Endurance
from model.training.evaluation.exams import KINDS
from model.training.evaluation.figures import Bar
from model.training.evaluation.people import MANIFEST, PeopleRequests, check_requests
from model.training.evaluation.questions import QUESTIONS
from model.training.evaluation.restraint import FalseStarts, Interruptions
from model.training.evaluation.sentences import held_out_sentences
from model.training.evaluation.series import Conduct, by_kind, seen_series, spoken_series, typed_series
from model.training.evaluation.voice import Voice, spoken_errors
from model.training.simulation.phrasings import PHRASINGS, _pattern, spoken_words
from tests.model.training.evaluation.agent import ABLE, TONE, Cue, Line, ToldAgent

TEXT_ONLY = replace(ABLE, hears=False, sees=False, speaks=False, draws=False, self_paced=False)
LONG = Line(Cue.HEARD, "A long story.", sound_ticks=30)


def row_of(measurement):
    (row,) = measurement.rows()
    return row


# --- series -----------------------------------------------------------------------------------------------------------


def test_a_series_asks_all_kinds_in_turn_and_counts_the_right_ones(bench_of):
    lines = [Line(Cue.TYPED, "Hello, I'm fine.")] * 3
    series = typed_series(bench_of(ToldAgent(lines)), 3)
    series.run()
    assert by_kind(series.results) == {"greeting": (1, 1), "how_are_you": (1, 1), "thanks": (0, 1)}
    assert row_of(series).figure == pytest.approx(2 / 3)
    series.run()
    assert row_of(series).count == 3


def test_weights_that_do_not_hear_cannot_be_asked_aloud(bench_of):
    bench = bench_of(ToldAgent([], info=TEXT_ONLY))
    for measurement in (spoken_series(bench, 2), seen_series(bench, 2, spoken=True), FalseStarts(bench, 2)):
        measurement.run()
        assert row_of(measurement).figure is None
        assert "cannot" in row_of(measurement).remark
        assert row_of(measurement).verdict == "missed"


def test_what_needs_eyes_is_wrong_for_weights_without_them_among_other_requests(bench_of):
    kinds = list(KINDS)
    lines = [Line(Cue.TYPED, "Bananas.")] * 80
    series = typed_series(bench_of(ToldAgent(lines, info=TEXT_ONLY)), len(kinds) - 2)
    series.run()
    row = row_of(series)
    assert row.count == len(kinds) - 2
    assert "do not need what it lacks: no 'draws', no 'sees'" in row.remark
    assert "cannot: sees" in [result.mark.why for result in series.results]


def test_conduct_is_that_of_the_spoken_exams(bench_of):
    series = spoken_series(bench_of(ToldAgent([Line(Cue.HEARD, "Hello.")] * 2)), 2)
    conduct = Conduct(series)
    conduct.run()
    over, prompt = conduct.rows()
    assert over.figure == 0
    assert over.verdict == "aim"
    assert (prompt.figure, prompt.count) == (1.0, 2)


@pytest.mark.parametrize("text", ["", "Hello."])
def test_who_makes_no_sound_talks_over_nobody_and_gets_no_figure_for_it(bench_of, text):
    written = Line(Cue.HEARD, text, sound_ticks=0)
    conduct = Conduct(spoken_series(bench_of(ToldAgent([written] * 2)), 2))
    conduct.run()
    over, prompt = conduct.rows()
    assert (over.figure, over.verdict, over.remark) == (None, "missed", "sounded in 0 of 2 answers")
    assert prompt.figure == 0


def test_speech_is_judged_against_what_was_written_beside_it(bench_of):
    series = spoken_series(bench_of(ToldAgent([Line(Cue.HEARD, "Hello 9 birds.")] * 2)), 2)
    heard = []

    def read(pcm: np.ndarray) -> str:
        heard.append(pcm)
        return "hello nine words"

    voice = Voice(series, lambda: read, 5)
    voice.run()
    assert row_of(voice).figure == pytest.approx(1 / 3)
    assert row_of(voice).remark == "2 of 2 answers sounded"
    assert all(np.abs(pcm).max() > 0.05 for pcm in heard)


def test_what_is_written_and_not_spoken_is_all_wrong(bench_of):
    lines = [Line(Cue.HEARD, "Hello nine birds."), Line(Cue.HEARD, "Hello.", sound_ticks=0)]
    voice = Voice(spoken_series(bench_of(ToldAgent(lines)), 2), lambda: lambda pcm: "hello nine birds", 5)
    voice.run()
    assert voice.errors == [(0, 3), (1, 1)]
    assert row_of(voice).remark == "1 of 2 answers sounded"


def test_sound_without_words_is_an_error():
    assert spoken_errors("...", [TONE], lambda pcm: "hm hm") == (2, 2)
    assert spoken_errors("", [TONE], lambda pcm: "") == (1, 1)


def test_without_a_judge_speech_is_not_measured(bench_of):
    voice = Voice(spoken_series(bench_of(ToldAgent([])), 1), None, 5)
    voice.run()
    assert row_of(voice).figure is None


# --- restraint --------------------------------------------------------------------------------------------------------


def test_who_falls_silent_when_cut_off_has_stopped(bench_of):
    agent = ToldAgent([LONG] * 2)
    measured = Interruptions(bench_of(agent), 1)
    measured.run()
    assert measured.stopped == [True]
    assert agent.opened == ["interruption-0-0"] * 2  # once without the interruption
    assert row_of(measured).figure == 1.0


def test_who_goes_on_when_cut_off_has_not(bench_of):
    measured = Interruptions(bench_of(ToldAgent([LONG] * 9, stops=False)), 2)
    measured.run()
    assert measured.stopped == [False, False]


@pytest.mark.parametrize("sound_ticks", [0, 5])
def test_who_is_soon_silent_anyway_has_not_shown_that_it_stops(bench_of, sound_ticks):
    brief = Line(Cue.HEARD, "A story.", sound_ticks=sound_ticks)
    measured = Interruptions(bench_of(ToldAgent([brief] * 9)), 1)
    measured.run()
    assert measured.stopped == [None]
    assert row_of(measured).figure is None
    assert row_of(measured).verdict == "missed"
    assert row_of(measured).remark == "spoke too briefly: interrupted in 0 of 1"


def test_who_speaks_up_in_noise_makes_false_starts(bench_of):
    nervous = FalseStarts(bench_of(ToldAgent([Line(Cue.AT_ONCE, "Yes?")] * 20, stops=False)), 1)
    nervous.run()
    assert row_of(nervous).figure > 1
    assert row_of(nervous).verdict == "missed"


def test_who_answers_once_and_then_is_quiet_makes_none(bench_of):
    bench = bench_of(ToldAgent([]))
    measured = FalseStarts(bench, 2)
    noise = measured._in_noise(0)
    bench.engine = ToldAgent([Line(Cue.HEARD, "Yes.")], delay=4)
    echo = measured._in_echo(1)
    assert (noise[0], echo[0]) == (0, 0)
    measured.parts, measured.num_answered = [noise, echo], 1
    assert row_of(measured).figure == 0
    assert row_of(measured).verdict == "aim"


def test_who_never_makes_a_sound_has_shown_no_restraint(bench_of):
    mute = FalseStarts(bench_of(ToldAgent([])), 2)
    mute.run()
    assert mute.parts[1] == (0, 0)  # there was no echo of nothing
    assert (row_of(mute).figure, row_of(mute).verdict) == (None, "missed")
    assert row_of(mute).remark == "answered no question either"


@pytest.mark.parametrize("delay", [1, 2, 4])
def test_an_answer_to_a_question_is_no_false_start_and_one_to_its_echo_is(bench_of, delay):
    answer = Line(Cue.HEARD, "Yes.")
    for lines, count in (([answer], 0), ([answer] * 2, 1), ([answer] * 3, 2)):
        measured = FalseStarts(bench_of(ToldAgent(lines, delay=delay, stops=False)), 0)
        assert measured._in_echo(1)[0] == count


# --- dictation --------------------------------------------------------------------------------------------------------


def test_made_up_sentences_are_held_out_everywhere():
    sentences = held_out_sentences(20)
    assert len(set(sentences)) == 20
    assert all(text_split(sentence) is Split.EVAL for sentence in sentences)


def test_errors_of_dictation_are_counted_by_word(bench_of):
    lines = [Line(Cue.HEARD, text) for text in ("Go ahead.", "the door is open", "the cat is open")]
    bench = bench_of(ToldAgent(lines, delay=3))
    dictation = Dictation(bench, "dictation", Bar(False, 0.35), ["The door is open.", "The door is open."])
    dictation.run()
    assert dictation.errors == [(0, 4), (1, 4)]
    assert row_of(dictation).figure == pytest.approx(1 / 8)


def test_where_nobody_recorded_anything_that_is_said(bench_of, tmp_path):
    assert recordings(tmp_path, 5) == []
    dictation = Dictation(bench_of(ToldAgent([])), "people", Bar(False, None, 0.3), [], "no recordings")
    dictation.run()
    assert (row_of(dictation).figure, row_of(dictation).remark) == (None, "no recordings")


def test_recorded_requests_are_played_and_marked_by_their_keys(bench_of, tmp_path: Path):
    soundfile.write(tmp_path / "a.wav", np.tile(TONE, 3), 24_000)
    requests = [{"sound": "a.wav", "text": "What day?", "keys": [key]} for key in ("Tuesday", "Friday")]
    (tmp_path / MANIFEST).write_text("\n".join(json.dumps(request) for request in requests))
    measured = PeopleRequests(bench_of(ToldAgent([Line(Cue.HEARD, "It's Tuesday.")] * 2)), tmp_path, 5)
    measured.run()
    assert [mark.right for mark in measured.marks] == [True, False]


def test_a_broken_sound_is_told_by_its_name(tmp_path: Path):
    (tmp_path / "a.wav").write_bytes(b"no sound at all")
    (tmp_path / MANIFEST).write_text(json.dumps({"sound": "a.wav", "text": "What day?", "keys": ["Friday"]}))
    with pytest.raises(ValueError, match=r"a\.wav"):
        check_requests(tmp_path)


def test_a_broken_manifest_is_told(bench_of, tmp_path: Path):
    (tmp_path / MANIFEST).write_text('{"sound": 1}')
    with pytest.raises(ValueError, match=MANIFEST):
        PeopleRequests(bench_of(ToldAgent([])), tmp_path, 5).run()


# --- long sessions, chat, compute -------------------------------------------------------------------------------------


def test_the_same_exams_are_held_at_both_ends_of_a_long_session(bench_of, monkeypatch):
    monkeypatch.setattr(Endurance, "_kinds", ["greeting"])
    agent = ToldAgent([Line(Cue.HEARD, "Hello.")])
    measured = Endurance(bench_of(agent), count=1, minutes=0.5)
    measured.run()
    assert measured.results == [(True, False)]
    assert len(agent.windows) >= 120
    assert len(agent.opened) == 1
    assert row_of(measured).figure == 1.0
    assert row_of(measured).verdict == "missed"


def test_who_is_wrong_at_the_start_has_nothing_to_lose_and_gets_no_figure(bench_of):
    measured = Endurance(bench_of(ToldAgent([])), count=4)
    measured.results = [(False, False)] * 3 + [(True, True)]
    assert (row_of(measured).figure, row_of(measured).verdict) == (None, "missed")
    assert row_of(measured).remark == "only 25% right at the start"
    measured.results = [(True, True)] * 4
    assert (row_of(measured).figure, row_of(measured).verdict) == (0, "bar")
    assert row_of(measured).low is None  # nothing is known of how far off that is


def test_exams_of_all_sorts_are_held_in_a_long_session(bench_of):
    kinds = Endurance(bench_of(ToldAgent([])), count=24)._kinds
    assert sorted(kinds) == sorted(KINDS)
    assert len({"see", "narrate", "draw", "describe_view", "see_changed"} & set(kinds[:24])) >= 1


def test_a_long_session_that_breaks_off_is_over_at_once(bench_of, monkeypatch):
    monkeypatch.setattr(Endurance, "_kinds", ["greeting"])
    agent = ToldAgent([Line(Cue.HEARD, "Hello.")], fails_at=60)
    measured = Endurance(bench_of(agent), count=1, minutes=60.0)
    measured.run()
    assert measured.results == [(True, False)]
    assert len(agent.windows) == 61


def test_every_kind_is_asked_by_every_voice(bench_of):
    bench = bench_of(ToldAgent([]))
    kinds = 5
    series = seen_series(bench, 2 * (kinds - 1), spoken=True)  # without emoji
    series.run()
    voices = {(result.exam.kind, result.performance.voice) for result in series.results}
    assert len(voices) == 2 * (kinds - 1)


def test_questions_are_typed_and_compared_with_the_reference(bench_of):
    ours = bench_of(ToldAgent([Line(Cue.TYPED, "In France.")] * 2))
    theirs = bench_of(ToldAgent([Line(Cue.TYPED, "In France."), Line(Cue.TYPED, "In Australia.")]))
    questions = Questions(ours, lambda: theirs, count=2)
    questions.run()
    right, against = questions.rows()
    assert right.figure == 0.5
    assert against.figure == 0.5
    assert against.verdict == "missed"


def test_there_are_forty_questions_with_keys():
    assert len(QUESTIONS) >= 40
    assert len({question for question, _ in QUESTIONS}) == len(QUESTIONS)
    assert all(keys and all(keys) for _, keys in QUESTIONS)


def test_no_question_is_worded_as_a_request_of_training():
    templates = [template for phrasings in PHRASINGS.values() for template in phrasings.training]
    trained = re.compile("|".join(f"(?:{_pattern(template)})" for template in templates))
    assert trained.fullmatch(spoken_words("What is the capital of Cuba?"))
    assert [question for question, _ in QUESTIONS if trained.fullmatch(spoken_words(question))] == []


def test_compute_is_measured_while_everything_goes_on(bench_of):
    agent = ToldAgent([Line(Cue.TYPED, "Yes.")] * 3)
    compute = Compute(bench_of(agent), ticks=60)
    compute.run()
    (row,) = compute.rows()
    assert row.count == 60
    assert len(agent.windows) == 60 + WARM_UP_TICKS
    assert all(window.audio is not None and window.frames for window in agent.windows)
    assert sum(bool(window.commands) for window in agent.windows) >= 2


def test_of_a_session_that_breaks_off_no_ticks_are_told(bench_of):
    compute = Compute(bench_of(ToldAgent([], fails_at=20)), ticks=60)
    compute.run()
    (row,) = compute.rows()
    assert (row.figure, row.verdict) == (None, "missed")
    assert row.remark == "lost after 20 ticks: told to fail"
