"""Instruction tuning on the tiny preset: only what the model produces has flag 1 and a loss, and it is learned."""

from pathlib import Path

import msgspec
import pytest
import torch

from model.presets import tiny
from model.tokenizers.text import ByteTokenizer
from model.training.chats import Chat, chat_sample
from model.training.config import LoopConfig, Schedule
from model.training.conversation import Scribe, perceiving_network
from model.training.loop import run
from model.training.packed_rows import RowsConfig, pack
from model.training.registry import Setup
from model.training.stages.instruct import InstructConfig
from streams.types import Source, Stream

ROWS = RowsConfig(rows=2, positions=128)
LOOP = LoopConfig(
    steps=24, learning_rate=5e-3, warmup_steps=4, schedule=Schedule.CONSTANT, bf16=False, evaluate_every=0, log_every=24
)
SETUP = Setup(tiny(), Path("nowhere"), torch.device("cpu"))


def scribe() -> Scribe:
    return Scribe(perceiving_network(tiny()), ByteTokenizer())


def test_what_the_model_produces_has_flag_one_and_all_else_has_none():
    chat = Chat(turns=("hello?", "hi", "bye", "see you"), instructions="Be kind.")
    rows = pack([chat_sample(scribe(), chat)], 160)
    produced = rows.ids_BT[rows.source_BT == Source.PRODUCED]
    end = scribe().chat.close_turn()
    assert produced.tolist() == [*b"hi", *end, *b"see you", *end]
    assert (rows.stream_BT[rows.source_BT == Source.PRODUCED] == Stream.TEXT_IMAGE_OUT).all()


def test_only_what_the_model_draws_is_learned_from():
    chat = Chat(turns=("hello?", "hi", "bye", "see you"))
    rows = pack([chat_sample(scribe(), chat, silence_weight=0.5)], 160)
    asked = rows.text_weight_BT > 0
    end = scribe().chat.end_id
    assert rows.text_BT[asked].tolist() == [*b"hi", end, *b"see you", end]
    # The head reads the position before: the last of the opening, then each id just said, never the question.
    says = asked[:, :-1] & (rows.source_BT[:, 1:] == Source.PRODUCED)
    assert says.sum() == asked.sum()
    assert torch.equal(rows.audio_weight_BT > 0, asked)
    assert (rows.audio_BTK[asked] < 0).all()


def test_time_passes_while_the_model_answers():
    rows = pack([chat_sample(scribe(), Chat(turns=("hello?", "x" * 20)))], 160)
    ticks = rows.tick_BT[rows.source_BT == Source.PRODUCED]
    assert ticks.tolist() == [0] * 8 + [1] * 8 + [2] * 6


def test_answers_are_learned(tmp_path: Path):
    stage = InstructConfig(loop=LOOP, rows=ROWS).build(SETUP)
    before = stage.evaluate()
    after = run(stage, LOOP, tmp_path).figures
    assert after["text"] < 0.3 * before["text"]


def test_chats_come_from_a_file_whose_held_out_lines_are_apart(tmp_path: Path):
    path = tmp_path / "chats.jsonl"
    chats = [Chat(turns=(f"number {number}?", f"{number}")) for number in range(200)]
    path.write_bytes(b"\n".join(msgspec.json.encode(chat) for chat in chats))
    stage = InstructConfig(loop=LOOP, rows=ROWS, chats=path).build(SETUP)
    assert stage.batch(0).num_samples > 4
    assert stage.evaluate()["loss"] > 0

    path.write_text('{"turns": ["alone"]}\n')
    with pytest.raises(ValueError, match=r"line 1.*even number of turns"):
        InstructConfig(chats=path).build(SETUP)
