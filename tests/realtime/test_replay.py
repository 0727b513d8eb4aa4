"""Replays say that a recording comes out the same again, and only when it does."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from realtime.recording.header import RecordingHeader
from realtime.recording.recorder import Recording, SessionRecorder, read_recording
from realtime.recording.summary import summarize
from realtime.recording.writer import RecordingWriter
from realtime.replay import changed_facts, main, parse_sampling, parse_ticks
from realtime.replay_run import Compared, replay_inputs, replay_together
from streams.types import (
    SAMPLES_PER_TICK,
    Message,
    Respond,
    Role,
    Sampling,
    TickInput,
    TickOutput,
    TickWindow,
    Timings,
)
from tests.realtime.dice import ANSWER_TICKS, INFO, Dice, record_session
from tests.realtime.ticks import same

NUM_TICKS = 12
ASKED_AT = (1, 6)
DICE = "tests.realtime.dice:build"


def session_windows(session: str) -> list[TickWindow]:
    rng = np.random.default_rng(0)
    return [
        TickWindow(
            session,
            tick,
            rng.uniform(-1, 1, SAMPLES_PER_TICK).astype(np.float32),
            commands=(Message(0, Role.USER, ("hi",)), Respond(f"resp_{tick}")) if tick in ASKED_AT else (),
            gap_samples=tick,
        )
        for tick in range(NUM_TICKS)
    ]


def recorded(path: Path, seed: int = 3, engine: Dice | None = None, session: str = "sess_a") -> Recording:
    recorder = SessionRecorder(path, RecordingHeader(session, seed, 10**18, INFO, "0.1.0"))
    record_session(engine or Dice(), recorder, seed, session_windows(session))
    return read_recording(path)


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return recorded(tmp_path / "a.mcap")


def rewritten(recording: Recording, path: Path, outputs: list[TickOutput], inputs: list[TickInput]) -> Recording:
    with path.open("xb") as file:
        writer = RecordingWriter(file, recording.header)
        for tick_input in inputs:
            writer.input(tick_input, 0)
        for output in outputs:
            writer.output(output, 0)
        writer.finish("closed")
    return read_recording(path)


# --- the same -------------------------------------------------------------------------------------------------------


def test_the_same_engine_gives_the_same_tokens(recording: Recording) -> None:
    result = replay_inputs(Dice(), recording)
    assert result.is_identical
    assert result.num_ticks == NUM_TICKS
    answered = [tick for asked in ASKED_AT for tick in range(asked, asked + ANSWER_TICKS)]
    assert result.num_tokens == sum(4 + tick % 4 for tick in answered)


def test_other_sessions_beside_change_nothing_and_share_the_batches(recording: Recording) -> None:
    engine = Dice()
    run = replay_together(engine, [recording], num_beside=3)
    assert run.results[0].is_identical
    assert run.results[0].num_ticks == NUM_TICKS
    assert engine.batch_sizes == [1, 2, 3] + [4] * (NUM_TICKS - 3)


def test_sessions_beside_have_other_seeds(recording: Recording) -> None:
    class Watched(Dice):
        def open(self, session: str, seed: int) -> None:
            seeds.append(seed)
            super().open(session, seed)

    seeds: list[int] = []
    replay_together(Watched(), [recording], num_beside=3)
    assert seeds[0] == 3
    assert len(set(seeds)) == 4


def test_several_recordings_replay_in_the_same_batches(tmp_path: Path, recording: Recording) -> None:
    other = recorded(tmp_path / "b.mcap", seed=4, session="sess_b")
    engine = Dice()
    run = replay_together(engine, [recording, other, recording])
    assert [result.is_identical for result in run.results] == [True] * 3
    assert engine.batch_sizes == [3] * NUM_TICKS


def test_recorded_media_encodes_to_the_recorded_inputs(recording: Recording) -> None:
    assert replay_together(Dice(), [recording], from_media=True).results[0].is_identical


def test_a_session_that_failed_fails_again_in_the_same_tick(tmp_path: Path) -> None:
    recording = recorded(tmp_path / "f.mcap", engine=Dice(fails_at=NUM_TICKS - 1))
    assert replay_inputs(Dice(fails_at=NUM_TICKS - 1), recording).is_identical
    difference = replay_inputs(Dice(), recording).difference
    assert difference is not None
    assert "failed: the die is cracked" in difference.recorded
    assert "failed" not in difference.replayed


def test_a_tick_that_the_recording_breaks_off_in_is_not_compared(tmp_path: Path, recording: Recording) -> None:
    outputs = [output for output in recording.outputs() if output.tick < 7 or not output.done][:-1]
    early = [output for output in outputs if output.tick <= 7]
    cut = rewritten(recording, tmp_path / "cut.mcap", early, list(recording.inputs())[:8])
    result = replay_inputs(Dice(), cut)
    assert result.is_identical
    assert (result.num_ticks, result.unfinished_tick) == (7, 7)


def test_every_slot_is_free_after_a_replay(recording: Recording) -> None:
    engine = Dice(max_sessions=2)
    for _ in range(3):
        replay_together(engine, [recording], num_beside=1)


# --- different ------------------------------------------------------------------------------------------------------


def test_the_first_tick_that_differs_is_named_with_both_sides(recording: Recording) -> None:
    result = replay_inputs(Dice(changed_from=5), recording)
    difference = result.difference
    assert difference is not None
    assert (difference.tick, difference.compared) == (6, Compared.TOKENS)  # nothing was said in tick 5
    recorded_ids = [output.ids.tolist() for output in recording.outputs() if output.tick == 6 and output.done]
    assert f"ids {recorded_ids[0]}" in difference.recorded
    assert difference.recorded != difference.replayed
    assert result.num_ticks == 6


def test_a_difference_in_any_token_of_any_tick_is_found(tmp_path: Path, recording: Recording) -> None:
    outputs = list(recording.outputs())
    changes = [
        (i, change)
        for i, output in enumerate(outputs)
        for change in (
            {"ids": output.ids + 1} if len(output.ids) else {"ids": np.zeros(1, np.int32)},
            {"codes": output.codes + 1} if len(output.codes) else {"codes": np.zeros((1, 4), np.int32)},
            {"evicted": (*output.evicted, 99)},
        )
    ]
    for number, (i, change) in enumerate(changes):
        changed = [*outputs[:i], replace(outputs[i], **change), *outputs[i + 1 :]]
        other = rewritten(recording, tmp_path / f"{number}.mcap", changed, list(recording.inputs()))
        difference = replay_inputs(Dice(), other).difference
        assert difference is not None
        assert difference.tick == outputs[i].tick


def test_what_is_no_token_may_differ(tmp_path: Path, recording: Recording) -> None:
    outputs = [replace(output, timings=Timings(decode_us=7), text="?") for output in recording.outputs()]
    other = rewritten(recording, tmp_path / "other.mcap", outputs, list(recording.inputs()))
    assert replay_inputs(Dice(), other).is_identical


def test_outputs_missing_in_the_middle_are_a_difference(tmp_path: Path, recording: Recording) -> None:
    outputs = [output for output in recording.outputs() if output.tick != 2]
    other = rewritten(recording, tmp_path / "other.mcap", outputs, list(recording.inputs()))
    difference = replay_inputs(Dice(), other).difference
    assert difference is not None
    assert difference.tick == 2


def test_company_that_changes_tokens_is_found_beside(tmp_path: Path) -> None:
    recording = recorded(tmp_path / "mixed.mcap", engine=Dice(mixes_batch=True))
    assert replay_inputs(Dice(mixes_batch=True), recording).is_identical
    assert not replay_together(Dice(mixes_batch=True), [recording], num_beside=2).results[0].is_identical


def test_a_wrong_seed_in_the_header_is_a_difference(recording: Recording) -> None:
    other = replace(recording, header=replace(recording.header, seed=99))
    assert not replay_inputs(Dice(), other).is_identical


def test_media_that_encodes_differently_is_a_difference_of_the_input(recording: Recording) -> None:
    class Deaf(Dice):
        def encode(self, windows):  # type: ignore[no-untyped-def]
            return super().encode([replace(w, audio=None) if w.tick == 4 else w for w in windows])

    assert replay_inputs(Deaf(), recording).is_identical
    difference = replay_together(Deaf(), [recording], from_media=True).results[0].difference
    assert difference is not None
    assert (difference.tick, difference.compared) == (4, Compared.INPUT)


def test_inputs_without_their_windows_are_a_difference_of_the_input(tmp_path: Path, recording: Recording) -> None:
    other = rewritten(recording, tmp_path / "other.mcap", list(recording.outputs()), list(recording.inputs()))
    difference = replay_together(Dice(), [other], from_media=True).results[0].difference
    assert difference is not None
    assert difference.compared is Compared.INPUT


def test_only_the_ticks_that_were_asked_for_are_compared(recording: Recording) -> None:
    changed = Dice(changed_from=5)
    assert replay_together(changed, [recording], ticks=range(6)).results[0].num_ticks == 6
    assert replay_together(changed, [recording], ticks=range(6)).results[0].is_identical
    assert not replay_together(changed, [recording], ticks=range(6, 8)).results[0].is_identical
    later = replay_together(Dice(), [recording], ticks=range(6, 8)).results[0]
    assert (later.is_identical, later.num_ticks) == (True, 2)


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_says_identical_and_exits_with_0(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(recording.path), "--engine", DICE, "--beside", "2", "--from-media"]) == 0
    out, err = capsys.readouterr()
    assert f"{NUM_TICKS} ticks, 35 tokens: identical" in out
    assert err == ""


def test_the_command_shows_the_difference_and_exits_with_1(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(recording.path), "--engine", "tests.realtime.dice:build_changed"]) == 1
    out, _ = capsys.readouterr()
    assert "differ first at tick 6, after 6 ticks" in out
    assert "recorded  ids [" in out
    assert "replayed  ids [" in out


def test_the_command_prints_json_for_each_file(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(recording.path), str(recording.path), "--engine", DICE, "--json"]) == 0
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(r["identical"], r["ticks"], r["difference"]) for r in results] == [(True, NUM_TICKS, None)] * 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["missing.mcap"], "missing.mcap"),
        (["{file}", "--engine", "nowhere"], "MODULE:FACTORY"),
        (["{file}", "--engine", "nowhere.at_all:build"], "nowhere"),
        (["{file}", "--engine", "tests.realtime.dice:nothing"], "nothing"),
        (["{file}", "--engine", DICE, "--fork", "3"], "--sampling"),
    ],
)
def test_the_command_exits_with_2_where_it_cannot_tell(
    recording: Recording, capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    assert main([arg.format(file=recording.path) for arg in args]) == 2
    assert message in capsys.readouterr().err


def test_the_command_warns_of_another_build_and_of_a_file_that_was_cut_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.mcap"
    header = RecordingHeader("s", 3, 10**18, replace(INFO, weights_hash="old", backend="gpu"), "0.1.0")
    with path.open("xb") as file:
        RecordingWriter(file, header)
    assert main([str(path), "--engine", DICE]) == 0
    err = capsys.readouterr().err
    assert "weights_hash was 'old' when this was recorded and is 'none' now" in err
    assert "backend was 'gpu'" in err
    assert "build_hash" not in err
    assert "not closed" in err


def cached(path: Path, kv_cache: str) -> Path:
    header = RecordingHeader("s", 3, 10**18, replace(INFO, kv_cache=kv_cache), "0.1.0")
    with path.open("xb") as file:
        RecordingWriter(file, header).finish("closed")
    return path


def test_the_engine_is_built_with_the_kv_cache_of_the_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = cached(tmp_path / "int8.mcap", "int8")
    assert main([str(path), "--engine", "tests.realtime.dice:build_cached"]) == 0
    assert capsys.readouterr().err == ""


def test_an_engine_with_another_kv_cache_gives_a_warning() -> None:
    (fact,) = changed_facts(replace(INFO, kv_cache="int8"), replace(INFO, kv_cache="bfloat16"))
    assert fact == "kv_cache was 'int8' when this was recorded and is 'bfloat16' now"


def test_recordings_of_different_kv_caches_do_not_share_a_replay(
    tmp_path: Path, recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(cached(tmp_path / f"{name}.mcap", name)) for name in ("int8", "bfloat16")]
    assert main([*paths, "--engine", "tests.realtime.dice:build_cached"]) == 2
    assert "different key/value caches" in capsys.readouterr().err
    assert main([paths[0], str(recording.path), "--engine", "tests.realtime.dice:build_cached"]) == 0


def test_an_unchanged_engine_gives_no_warning() -> None:
    assert changed_facts(INFO, replace(INFO, max_sessions=99)) == []


def test_the_summary_counts_what_is_in_a_recording(recording: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(recording.path), "--summary", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["num_ticks"] == NUM_TICKS
    assert summary["duration_s"] == NUM_TICKS / 4
    assert summary["positions"] == {
        "text_in received": 2 * len(ASKED_AT),
        "audio_in received": 2 * NUM_TICKS,
        "text_image_out produced": sum(tick % 4 for asked in ASKED_AT for tick in range(asked, asked + ANSWER_TICKS)),
        "audio_out produced": ANSWER_TICKS * len(ASKED_AT),
    }
    assert summary["gap_samples"] == sum(range(NUM_TICKS))
    assert summary["num_evicted_ticks"] == NUM_TICKS - 4
    assert summary["num_answers"] == {"stop": 2}
    assert main([str(recording.path), "--summary"]) == 0
    text = capsys.readouterr().out
    assert f"{NUM_TICKS} ticks (0 to 11), 3 s" in text


def test_the_summary_counts_events_by_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorder = SessionRecorder(tmp_path / "e.mcap", RecordingHeader("s", 1, 0, INFO, "0.1.0"))
    recorder.client_event('{"type":"response.create"}', 0)
    recorder.client_event('{"type":"response.create"}', 1)
    recorder.client_event("not json", 1)
    recorder.server_event('{"type":"response.created"}', 2)
    recorder.close()
    recorder.join()
    assert main([str(tmp_path / "e.mcap"), "--summary", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_events"] == {
        "client (not an event)": 1,
        "client response.create": 2,
        "server response.created": 1,
    }


# --- forks ----------------------------------------------------------------------------------------------------------


def test_a_fork_keeps_the_past_and_draws_the_rest_anew(recording: Recording, tmp_path: Path) -> None:
    out = tmp_path / "fork.mcap"
    args = [str(recording.path), "--engine", DICE, "--fork", "6", "--sampling", "temperature=0", "--out", str(out)]
    assert main(args) == 0
    forked = read_recording(out)
    assert replay_together(Dice(), [forked], from_media=True).results[0].is_identical
    said = {output.tick: output.ids.tolist() for output in recording.outputs() if output.done}
    said_anew = {output.tick: output.ids.tolist() for output in forked.outputs() if output.done}
    assert {tick: said[tick] for tick in range(6)} == {tick: said_anew[tick] for tick in range(6)}
    assert said[6] != said_anew[6]


def test_a_fork_lets_an_answer_end_that_outlasts_the_recording(recording: Recording, tmp_path: Path) -> None:
    short = rewritten(recording, tmp_path / "short.mcap", list(recording.outputs())[:3], list(recording.inputs())[:2])
    out = tmp_path / "fork.mcap"
    args = [str(short.path), "--engine", DICE, "--fork", "1", "--sampling", "temperature=0", "--out", str(out)]
    assert main(args) == 0
    outputs = list(read_recording(out).outputs())
    assert [output.finish for output in outputs if output.finish] == ["stop"]
    assert outputs[-1].tick == ASKED_AT[0] + ANSWER_TICKS - 1


def test_a_fork_after_the_last_answer_is_the_recording(recording: Recording, tmp_path: Path) -> None:
    out = tmp_path / "fork.mcap"
    args = [str(recording.path), "--engine", DICE, "--fork", "7", "--sampling", "temperature=0", "--out", str(out)]
    assert main(args) == 0
    for read in (Recording.windows, Recording.inputs, Recording.outputs):
        assert same(tuple(read(read_recording(out))), tuple(read(recording)))


def test_sampling_is_read_from_settings() -> None:
    assert parse_sampling("temperature=0,top_k=5") == Sampling(temperature=0.0, top_k=5)


@pytest.mark.parametrize("text", ["temperature", "heat=1", "temperature=hot", "temperature=3", "top_k=1.5"])
def test_wrong_sampling_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["file", "--sampling", text])
    assert "argument --sampling" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "first", "last"), [("3:7", 3, 7), ("3:", 3, 2**62), (":7", 0, 7)])
def test_ticks_are_read_as_a_range(text: str, first: int, last: int) -> None:
    assert parse_ticks(text) == range(first, last)


@pytest.mark.parametrize("text", ["3", "a:b", "1:2:3"])
def test_wrong_ticks_are_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["file", "--ticks", text])
    assert "argument --ticks" in capsys.readouterr().err


# --- a recording of an older day ------------------------------------------------------------------------------------

FIXTURE = Path(__file__).parent.parent / "fixtures" / "echo_session.mcap"  # scripts/make_fixture_recording.py


def test_the_committed_recording_still_replays(capsys: pytest.CaptureFixture[str]) -> None:
    args = [str(FIXTURE), "--engine", "realtime.replay:build_echo", "--beside", "3", "--from-media"]
    assert main(args) == 0
    out, err = capsys.readouterr()
    assert "24 ticks, 40 tokens: identical" in out
    assert err == ""


def test_the_committed_recording_still_holds_a_session_of_every_stream() -> None:
    summary = summarize(read_recording(FIXTURE))
    assert summary.ending is None
    assert summary.positions == {
        "audio_in received": 8,
        "audio_out produced": 8,
        "image_in received": 1024,
        "text_image_out produced": 8,
        "text_in received": 95,
    }
    assert summary.num_answers == {"stop": 2, "held": 1}
    assert (summary.num_frames, summary.gap_samples) == (3, 5000)


def test_the_echo_engine_has_no_backends(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(FIXTURE), "--engine", "realtime.replay:build_echo", "--backend", "native"]) == 2
    assert "native" in capsys.readouterr().err
