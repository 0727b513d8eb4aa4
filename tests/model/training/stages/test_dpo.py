"""Direct preference optimization on the tiny preset: the margin grows, and ratings in recordings become pairs."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from model.presets import tiny
from model.tokenizers.text import ByteTokenizer
from model.training.config import LoopConfig, Schedule
from model.training.conversation import Scribe, perceiving_network
from model.training.forward import embed
from model.training.loop import run
from model.training.packed_rows import pack
from model.training.rated import Rating, rated_answers, rated_pairs
from model.training.registry import Setup
from model.training.stages.dpo import DpoConfig
from realtime.recording.header import NORMAL_END, RecordingHeader
from realtime.recording.recorder import read_recording
from realtime.recording.writer import RecordingWriter
from streams.types import Message, Respond, Rewrite, Role, TickWindow
from tests.model.training.networks import lively_network
from tests.model.training.scripted_engine import Step, scripted_engine

LOOP = LoopConfig(
    steps=20, learning_rate=1e-3, warmup_steps=2, schedule=Schedule.CONSTANT, bf16=False, evaluate_every=0, log_every=20
)
CONFIG = DpoConfig(loop=LOOP, pairs_per_batch=4, positions=64)
SETUP = Setup(tiny(), Path("nowhere"), torch.device("cpu"))
END = ByteTokenizer().special("<|im_end|>")


def test_a_pair_differs_in_its_answers_only_and_only_they_count():
    rows = CONFIG.build(SETUP).batch(0)
    assert rows.num_samples == 8
    for chosen in range(0, 8, 2):
        asked = []
        for number in (chosen, chosen + 1):
            of_sample = rows.sample_BT == number
            first = int(rows.order_BT[of_sample & (rows.text_weight_BT > 0)].min())
            ids = rows.ids_BT[of_sample]
            asked.append(ids[: first + 1].tolist())
            said = rows.text_BT[of_sample & (rows.text_weight_BT > 0)].tolist()
            assert bytes(said[:-1]).decode().endswith(", please" if number == chosen else ", duh")
            assert said[-1] == END
        assert asked[0] == asked[1]


def test_before_the_first_step_nothing_is_preferred():
    stage = CONFIG.build(SETUP)
    loss = stage.loss("model", stage.batch(0), 0)
    assert float(loss.parts["margin"].detach()) == 0.0
    assert float(loss.total.detach()) == pytest.approx(math.log(2))


def test_the_margin_of_unseen_pairs_grows_and_the_reference_stays(tmp_path: Path):
    stage = CONFIG.build(SETUP)
    reference = {name: tensor.clone() for name, tensor in stage._reference.state_dict().items()}
    figures = run(stage, LOOP, tmp_path).figures
    assert figures["margin"] > 2.0
    assert figures["won"] == 1.0
    assert figures["loss"] < math.log(2)
    for name, tensor in stage._reference.state_dict().items():
        assert torch.equal(tensor, reference[name])


# --- recorded sessions ----------------------------------------------------------------------------------------------


def spoken(text: str) -> list[Step]:
    return [*((letter, None) for letter in text.encode()), (END, None)]


def question(text: str, response: str) -> tuple:
    system = (Message(0, Role.SYSTEM, ("Be brief.",)),)
    return (Rewrite(system), Message(0, Role.USER, (text,)), Respond(response, speak=False))


def record(path: Path, commands_by_tick: dict[int, tuple], script: list[Step], ratings: dict[str, str]):
    """A session of 12 ticks as the server records it. Returns what the decoder was given."""
    engine, listener = scripted_engine(lively_network(), script)
    engine.open("s", 0)
    with path.open("xb") as file:
        writer = RecordingWriter(file, RecordingHeader("s", 0, 0, engine.info, "1"))
        for tick in range(12):
            window = TickWindow("s", tick, commands=commands_by_tick.get(tick, ()))
            (tick_input,) = engine.encode([window])
            writer.window(window, 0)
            writer.input(tick_input, 0)
            for output in engine.step([tick_input]):
                writer.output(output, 0)
        for response, rating in ratings.items():
            event = {"type": "omniweave.response.rate", "response_id": response, "rating": rating}
            writer.client_event(msgspec.json.encode(event).decode(), 0, 0)
        writer.finish(NORMAL_END)
    return listener


def scribe() -> Scribe:
    return Scribe(perceiving_network(tiny()), ByteTokenizer())


def test_a_rated_answer_is_the_session_as_the_engine_lived_it(tmp_path: Path):
    path = tmp_path / "one.mcap"
    follow_up = (Message(0, Role.USER, ("more",)), Respond("r2", speak=True))
    frame = np.array([1, 2, 3, 4], np.int32)
    script = [*spoken("a long first answer"), (ord("h"), frame), (ord("m"), None), (END, None)]
    listener = record(path, {0: question("hi", "r1"), 6: follow_up}, script, {"r2": "up"})
    (answer,) = rated_answers(read_recording(path), scribe())
    assert answer.rating is Rating.UP
    assert answer.sample.text_T[answer.sample.text_weight_T > 0].tolist() == [*b"hm", END]
    assert answer.sample.audio_TK[answer.sample.audio_weight_T > 0].tolist() == [frame.tolist()]
    with torch.inference_mode():
        x = embed(lively_network(), pack([answer.sample], len(answer.sample)))[0]
    torch.testing.assert_close(x, torch.cat(listener.inputs)[: len(x)], rtol=0, atol=1e-6)


def test_answers_to_the_same_question_that_were_liked_and_disliked_are_pairs(tmp_path: Path):
    twice = {0: question("hi", "r1"), 6: question("hi", "r2")}
    record(tmp_path / "again.mcap", twice, [*spoken("duh"), *spoken("hello")], {"r1": "down", "r2": "up"})
    record(tmp_path / "other.mcap", {0: question("bye", "r1")}, spoken("no"), {"r1": "down"})
    record(tmp_path / "unrated.mcap", {0: question("hi", "r1")}, spoken("what"), {})
    pairs = [pair for pair, _ in rated_pairs(tmp_path, scribe())]
    said = [[bytes(sample.text_T[sample.text_weight_T > 0][:-1].tolist()) for sample in pair] for pair in pairs]
    assert said == [[b"hello", b"duh"]]


def test_a_stage_learns_from_recordings_and_says_where_there_are_too_few(tmp_path: Path):
    twice = {0: question("hi", "r1"), 6: question("hi", "r2")}
    record(tmp_path / "a.mcap", twice, [*spoken("duh"), *spoken("hello")], {"r1": "down", "r2": "up"})
    config = DpoConfig(loop=LOOP, positions=96, recordings=tmp_path)
    with pytest.raises(ValueError, match="it takes two"):
        config.build(SETUP)
    record(tmp_path / "b.mcap", twice, [*spoken("well"), *spoken("meh")], {"r1": "up", "r2": "down"})
    assert config.build(SETUP).batch(0).num_samples == 16
