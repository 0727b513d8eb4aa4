"""Training sees what serving sees: an engine whose heads are told what to say, beside the sample that says the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.config import TickConfig
from model.tokenizers.text import ByteTokenizer
from model.training.conversation import Exchange, Reply, Scribe
from model.training.forward import embed, hidden_states
from model.training.packed_rows import pack
from streams.types import Finish, Message, Respond, Rewrite, Role, TickInput, TickWindow, VideoFrame
from tests.model.training.networks import lively_network, tiny_config
from tests.model.training.scripted_engine import Listener, scripted_engine

SYSTEM = (Message(0, Role.SYSTEM, ("Be brief.",)),)


def serve(network, exchanges, script) -> tuple[Listener, list]:
    """Live the conversation in an engine."""
    engine, listener = scripted_engine(network, script)
    engine.open("s", 0)
    tick, finishes = 0, []
    for number, exchange in enumerate(exchanges):
        begin = (Rewrite(SYSTEM),) if number == 0 else ()
        commands = (*begin, *exchange.messages, Respond("r", speak=exchange.reply.frames_FK is not None))
        finish = None
        while finish is None:
            (tick_input,) = engine.encode([TickWindow("s", tick, commands=commands)])
            assert isinstance(tick_input, TickInput)
            *_, output = engine.step([tick_input])
            finish, commands, tick = output.finish, (), tick + 1
        finishes.append(finish)
        for _ in range(exchange.pause_ticks - 1):
            list(engine.step(engine.encode([TickWindow("s", tick)])))
            tick += 1
    list(engine.step(engine.encode([TickWindow("s", tick)])))  # what the last step drew goes in
    return listener, finishes


def user(*parts) -> Message:
    return Message(0, Role.USER, parts)


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 4)).astype(np.int32)


def steps_of(reply: Reply, max_steps: int, end: int) -> list:
    """The script of a reply: ids as fast as steps allow, a frame a tick, the end when both are through."""
    script, ids, left = [], list(reply.ids), list(reply.frames_FK) if reply.frames_FK is not None else []
    while True:
        for step in range(max_steps):
            frame = left.pop(0) if left and step == 0 else None
            text = ids.pop(0) if ids else None
            if text is None and frame is None and not left:
                return [*script, (end, None)]
            script.append((text, frame))
            if text is None and frame is None:
                break


CASES = {
    "a short answer": [Exchange((user("hi"),), Reply(tuple(b"hello")))],
    "several turns with pauses": [
        Exchange((user("one"),), Reply(tuple(b"exactly")), pause_ticks=3),  # seven ids and the end: all of a tick
        Exchange((user("two"),), Reply(tuple(b"a much longer answer"))),
        Exchange((user("three"),), Reply(())),
    ],
    "a question longer than a tick takes": [Exchange((user("x" * 150),), Reply(tuple(b"short")))],
    "speech longer than its text": [Exchange((user("speak"),), Reply(tuple(b"ok"), frames(5)))],
    "text longer than its speech": [Exchange((user("speak"),), Reply(tuple(b"a longer answer it is"), frames(1)))],
    "a picture shown": [
        Exchange((user("what is ", VideoFrame(0, np.full((9, 9, 3), 80, np.uint8)), "?"),), Reply(tuple(b"grey")))
    ],
}


@pytest.mark.parametrize("name", CASES)
@torch.inference_mode()
def test_a_sample_is_what_the_engine_feeds_its_decoder(name: str):
    config = tiny_config(tick=TickConfig(max_steps=8, max_positions=64, max_answer_tokens=64, cache_positions=512))
    network = lively_network(config)
    scribe = Scribe(network, ByteTokenizer())
    exchanges = CASES[name]
    script = [step for one in exchanges for step in steps_of(one.reply, 8, scribe.chat.end_id)]
    listener, finishes = serve(network, exchanges, script)
    assert finishes == [Finish.STOP] * len(exchanges)

    sample = scribe.write(SYSTEM, exchanges)
    rows = pack([sample], len(sample) + 5)
    served_x, served_hidden = torch.cat(listener.inputs), torch.cat(listener.hidden)
    torch.testing.assert_close(embed(network, rows)[0, : len(sample)], served_x, rtol=0, atol=1e-6)
    trained_hidden = hidden_states(network, rows)[0, : len(sample)]
    torch.testing.assert_close(trained_hidden, served_hidden, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_targets_are_what_the_engine_drew():
    config = tiny_config()
    scribe = Scribe(lively_network(config), ByteTokenizer())
    (exchange,) = CASES["speech longer than its text"]
    sample = scribe.write(SYSTEM, [exchange])
    asked = sample.text_weight_T > 0
    no_output, end = config.vocab.no_output, scribe.chat.end_id
    assert sample.text_T[asked].tolist() == [*b"ok", no_output, no_output, no_output, no_output, end]
    spoken = sample.audio_TK[sample.audio_weight_T > 0]
    np.testing.assert_array_equal(spoken, exchange.reply.frames_FK)


def test_an_answer_that_the_engine_would_cut_is_refused():
    scribe = Scribe(lively_network(), ByteTokenizer())
    with pytest.raises(ValueError, match="64 ids"):
        scribe.write(SYSTEM, [Exchange((user("hi"),), Reply(tuple(b"x" * 64)))])
    with pytest.raises(ValueError, match="at least a tick"):
        replace(CASES["a short answer"][0], pause_ticks=0)
