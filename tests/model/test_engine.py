"""The engine on the tiny preset: every head and stream, in random weights; determinism, isolation, limits."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.cache import SlotCache
from model.config import ModelConfig
from model.engine import ModelEngine
from model.network import Network
from model.presets import TEXT_ONLY, tiny
from model.tokenizers.text import ByteTokenizer
from streams.types import (
    EngineFull,
    EngineInfo,
    Finish,
    Hold,
    Message,
    Pace,
    Respond,
    Rewrite,
    Role,
    Sampling,
    Stream,
    TickFailure,
    TickInput,
    TickOutput,
    TickWindow,
    Tool,
    VideoFrame,
)


def build_engine(config: ModelConfig | None = None, max_sessions: int = 4) -> ModelEngine:
    config = config or tiny()
    network = Network(config).eval()
    network.init(seed=1)
    info = EngineInfo(
        "tiny", max_sessions, config.tick.max_steps, "w", "b", "reference", False, False, False, False, False
    )
    cache = SlotCache(config.decoder, max_sessions, config.tick.cache_positions, torch.float32)
    return ModelEngine(network, network.decoder, cache, ByteTokenizer(), info)


def text_engine(**changes) -> ModelEngine:
    """A model that writes when asked, and nothing else."""
    return build_engine(replace(tiny(), abilities=TEXT_ONLY, **changes))


def user(text: str) -> Message:
    return Message(0, Role.USER, (text,))


def sound(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, 6000).astype(np.float32)


def frame(seed: int) -> VideoFrame:
    return VideoFrame(0, np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8))


def run(engine: ModelEngine, windows: Iterable[TickWindow]) -> list[TickOutput]:
    """One session, one window a tick; the closing output of each tick."""
    outputs = []
    for window in windows:
        (tick_input,) = engine.encode([window])
        assert isinstance(tick_input, TickInput)
        *_, last = engine.step([tick_input])
        assert isinstance(last, TickOutput), last
        assert last.done
        outputs.append(last)
    return outputs


def asking(session: str, num_ticks: int, respond: Respond, text: str = "hello") -> list[TickWindow]:
    first = TickWindow(session, 0, commands=(user(text), respond))
    return [first] + [TickWindow(session, tick) for tick in range(1, num_ticks)]


def lively(session: str, num_ticks: int, seed: int = 0) -> list[TickWindow]:
    """Sound every tick, a frame every second one, an answer asked for at the third."""
    windows = []
    for tick in range(num_ticks):
        commands = (user("what is that?"), Respond("r1")) if tick == 2 else ()
        frames = (frame(seed + tick),) if tick % 2 else ()
        windows.append(TickWindow(session, tick, audio=sound(seed + tick), frames=frames, commands=commands))
    return windows


def tokens(outputs: Iterable[TickOutput]) -> list[tuple]:
    return [(out.tick, out.ids.tolist(), out.codes.tolist(), out.finish, out.evicted) for out in outputs]


def test_nothing_is_said_before_it_is_asked():
    engine = text_engine()
    engine.open("s", seed=3)
    outputs = run(engine, [TickWindow("s", 0, commands=(user("hello"),)), TickWindow("s", 1, audio=sound(0))])
    assert [len(out.ids) for out in outputs] == [0, 0]
    assert outputs[0].usage.text_in > 5
    assert outputs[1].usage.audio_in == 0


def test_an_answer_runs_over_ticks_until_its_limit():
    engine = text_engine()
    engine.open("s", seed=3)
    outputs = run(engine, asking("s", 4, Respond("r1", max_tokens=20)))
    said = [out for out in outputs if out.response == "r1"]
    assert sum(len(out.ids) for out in said) <= 20
    assert outputs[0].usage.text_out <= 8
    assert [out.finish for out in outputs].count(None) == 3
    assert said[-1].finish in (Finish.LENGTH, Finish.STOP)


def test_the_same_inputs_give_the_same_tokens_on_a_fresh_engine():
    first, second = build_engine(), build_engine()
    first.open("s", seed=5)
    second.open("s", seed=5)
    assert tokens(run(first, lively("s", 6))) == tokens(run(second, lively("s", 6)))


def test_another_seed_gives_other_tokens():
    first, second = build_engine(), build_engine()
    first.open("s", seed=5)
    second.open("s", seed=6)
    assert tokens(run(first, lively("s", 6))) != tokens(run(second, lively("s", 6)))


def test_a_session_is_bit_identical_alone_and_among_others():
    alone = build_engine()
    alone.open("s", seed=5)
    expected = tokens(run(alone, lively("s", 6)))

    crowd = build_engine()
    for name, seed in (("a", 1), ("b", 2), ("s", 5)):
        crowd.open(name, seed)
    outputs = []
    streams = {name: lively(name, 6, seed) for name, seed in (("a", 40), ("s", 0), ("b", 80))}
    for tick in range(6):
        inputs = crowd.encode([windows[tick] for windows in streams.values()])
        outputs += [out for out in crowd.step(inputs) if out.session == "s" and out.done]
    assert tokens(outputs) == expected


def test_recorded_inputs_step_to_the_same_tokens_without_encode():
    engine = build_engine()
    engine.open("s", seed=5)
    inputs, expected = [], []
    for window in lively("s", 6):
        (tick_input,) = engine.encode([window])
        inputs.append(tick_input)
        expected += [out for out in engine.step([tick_input]) if out.done]
    replayed = build_engine()
    replayed.open("s", seed=5)
    again = [out for tick_input in inputs for out in replayed.step([tick_input]) if out.done]
    assert tokens(again) == tokens(expected)


def test_a_free_model_speaks_at_most_one_frame_a_tick_and_it_leaves_first():
    engine = build_engine()
    engine.open("s", seed=5)
    heard = []
    for window in [TickWindow("s", 0, audio=sound(0), commands=(Pace(free=True),)), *lively("s", 8)[3:]]:
        outputs = list(engine.step(engine.encode([window])))
        assert [out.done for out in outputs] == [False] * (len(outputs) - 1) + [True]
        assert len(outputs) <= 2
        assert len(outputs[-1].codes) == len(outputs) - 1
        heard += [out.pcm for out in outputs[:-1]]
    assert heard
    assert all(pcm.shape == (6000,) for pcm in heard)


def test_a_stream_the_weights_cannot_read_changes_no_word():
    engine, quiet = text_engine(), text_engine()
    engine.open("s", seed=3)
    quiet.open("s", seed=3)
    windows = asking("s", 6, Respond("r1", max_tokens=20))
    noisy = [replace(window, audio=sound(window.tick), frames=(frame(window.tick),)) for window in windows]
    (first,) = text_engine_encoding(noisy[0])
    assert {block.stream for block in first.blocks} == {Stream.TEXT_IN, Stream.IMAGE_IN, Stream.AUDIO_IN}
    assert tokens(run(engine, noisy)) == tokens(run(quiet, windows))


def text_engine_encoding(window: TickWindow) -> list:
    engine = text_engine()
    engine.open(window.session, seed=3)
    return engine.encode([window])


def test_holding_ends_an_answer_at_once():
    engine = text_engine()
    engine.open("s", seed=3)
    windows = asking("s", 2, Respond("r1"))
    windows[1] = TickWindow("s", 1, commands=(Hold(),))
    _, held = run(engine, windows)
    assert held.finish is Finish.HELD
    assert held.response == "r1"
    assert len(held.ids) == 0


def test_a_new_answer_after_a_hold_in_one_tick_is_the_one_reported():
    engine = text_engine()
    engine.open("s", seed=3)
    windows = asking("s", 2, Respond("r1"))
    windows[1] = TickWindow("s", 1, commands=(Hold(), user("and?"), Respond("r2")))
    _, second = run(engine, windows)
    assert second.response == "r2"
    assert len(second.ids) > 0


def test_a_forced_call_is_valid_json_that_fits_its_schema():
    import json

    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer"},
            "share": {"type": "number"},
            "tags": {"type": "array", "items": {"type": "boolean"}},
        },
        "required": ["city", "unit", "days", "share", "tags"],
    }
    tools = (Tool("look", "", "{}"), Tool("weather", "", json.dumps(schema)))
    engine = text_engine(tick=replace(tiny().tick, max_answer_tokens=400))
    engine.open("s", seed=3)
    respond = Respond("r1", tools=tools, tool="weather", sampling=Sampling(1.5, top_k=0, top_p=1.0))
    outputs = run(engine, asking("s", 40, respond))
    calls = [call for out in outputs for call in out.tool_calls]
    assert calls[0].name == "weather"
    assert all(call.name is None for call in calls[1:])
    arguments = json.loads("".join(call.arguments for call in calls))
    assert set(arguments) == set(schema["required"])
    assert isinstance(arguments["city"], str)
    assert arguments["unit"] in ("celsius", "fahrenheit")
    assert type(arguments["days"]) is int
    assert all(isinstance(tag, bool) for tag in arguments["tags"])
    assert "".join(out.text for out in outputs) == ""
    assert [out.finish for out in outputs if out.finish] == [Finish.STOP]


def test_any_tool_may_be_required():
    tools = (Tool("look", "", "{}"), Tool("listen", "", "{}"))
    engine = text_engine()
    engine.open("s", seed=3)
    calls = [
        call for out in run(engine, asking("s", 20, Respond("r1", tools=tools, tool=""))) for call in out.tool_calls
    ]
    assert calls[0].name in ("look", "listen")
    assert "".join(call.arguments for call in calls) == "{}"


def test_a_session_far_longer_than_its_cache_goes_on_in_constant_memory():
    engine = build_engine()
    engine.open("s", seed=5)
    prefix = Rewrite((Message(0, Role.SYSTEM, ("be brief",)),))
    windows = [TickWindow("s", 0, commands=(prefix, Pace(free=True)))]
    windows += [TickWindow("s", tick, audio=sound(tick), frames=(frame(tick),)) for tick in range(1, 120)]
    outputs = run(engine, windows)
    assert sum(len(out.evicted) for out in outputs) > 20
    assert max(out.usage.cached for out in outputs) <= 256
    evicted = [tick for out in outputs for tick in out.evicted]
    assert evicted == sorted(set(evicted))


def test_a_long_history_is_read_over_several_ticks():
    engine = text_engine()
    engine.open("s", seed=3)
    history = tuple(user("x" * 30) for _ in range(5))
    outputs = run(
        engine,
        [TickWindow("s", 0, commands=(Rewrite((), history), Respond("r")))]
        + [TickWindow("s", tick) for tick in range(1, 5)],
    )
    assert outputs[0].usage.text_in == 64
    assert [len(out.ids) > 0 for out in outputs][:3] == [False, False, False]
    assert len(outputs[-1].ids) > 0


def test_slots_are_given_and_freed():
    engine = build_engine(max_sessions=1)
    engine.open("a", seed=0)
    with pytest.raises(EngineFull, match="all 1 slots"):
        engine.open("b", seed=0)
    engine.close("a")
    engine.close("a")
    engine.open("b", seed=0)


def test_a_window_of_an_unknown_session_fails_alone():
    engine = text_engine()
    engine.open("s", seed=3)
    good, bad = engine.encode([TickWindow("s", 0), TickWindow("ghost", 0)])
    assert isinstance(bad, TickFailure)
    outputs = list(engine.step([good, TickInput("ghost", 0)]))
    assert [type(out) for out in outputs] == [TickFailure, TickOutput]


def test_weights_gone_wrong_end_that_session_only():
    engine = build_engine()
    engine.open("sick", seed=1)
    engine.open("well", seed=2)
    windows = [TickWindow(name, 0, commands=(user("hi"), Respond("r"))) for name in ("sick", "well")]
    sick, well = engine.encode(windows)
    poisoned = replace(frame_block(sick), ids=None, features=np.full((1, 64), np.nan, np.float32))
    sick = replace(sick, actions=(poisoned, *sick.actions))
    by_session = {out.session: out for out in engine.step([sick, well]) if not isinstance(out, TickOutput) or out.done}
    assert isinstance(by_session["sick"], TickFailure)
    assert "NaN" in by_session["sick"].reason
    assert isinstance(by_session["well"], TickOutput)


def frame_block(tick_input: TickInput):
    return tick_input.blocks[0]


def test_pictures_inside_a_message_stay_in_their_place():
    engine = build_engine()
    engine.open("s", seed=3)
    (packed,) = engine.encode([TickWindow("s", 0, commands=(Message(0, Role.USER, ("see ", frame(1), "!")),))])
    assert isinstance(packed, TickInput)
    kinds = [("ids" if block.ids is not None else "features") for block in packed.blocks]
    assert kinds == ["ids", "features", "ids"]
    vocab = tiny().vocab
    assert packed.blocks[0].ids[-1] == vocab.delimiter("image_start")
    assert packed.blocks[2].ids[0] == vocab.delimiter("image_end")


def test_a_rewrite_in_the_middle_of_a_picture_lets_the_model_write_again(monkeypatch):
    engine, vocab = build_engine(), tiny().vocab
    favorite = vocab.delimiter("image_start")

    def logits(hidden_ND):
        return torch.nn.functional.one_hot(torch.tensor([favorite]), vocab.no_output + 1).float() * 100

    monkeypatch.setattr(engine._network, "text_logits", logits)
    engine.open("s", seed=1)
    (drawing,) = run(engine, [TickWindow("s", 0, commands=(Pace(free=True), Rewrite(prefix=(user("draw"),))))])
    assert drawing.ids[0] == favorite
    assert (drawing.ids[1:] >= vocab.first_image).all()
    favorite = ord("a")
    (again,) = run(engine, [TickWindow("s", 1, commands=(Rewrite(prefix=(user("write"),)),))])
    assert set(again.ids.tolist()) == {favorite}
