"""A session of the model, recorded and replayed by the command: the same tokens, from the same kind of cache only."""

from pathlib import Path

import pytest

from model.config import TickConfig
from model.kernels.native_abi import NativeUnavailable, load
from realtime.engine import Engine
from realtime.recording.header import NORMAL_END, RecordingHeader
from realtime.recording.recorder import read_recording
from realtime.recording.writer import RecordingWriter
from realtime.replay import changed_facts, main
from realtime.replay_run import replay_inputs
from run_server import build_engine
from streams.types import Message, Respond, Rewrite, Role, TickInput, TickOutput, TickWindow
from tests.model.tiny_weights import save_tiny_weights

try:
    load()
except NativeUnavailable as reason:
    pytest.skip(str(reason), allow_module_level=True)

NUM_TICKS = 16
# A slot so short that its window moves several times, and the pinned instructions turn with it.
TICK = TickConfig(max_positions=48, cache_positions=96)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_weights(tmp_path_factory.mktemp("weights"), TICK)


@pytest.fixture(autouse=True)
def default_weights(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("run_server.DEFAULT_WEIGHTS", weights)


def windows() -> list[TickWindow]:
    system = Rewrite((Message(0, Role.SYSTEM, ("be brief",)),))
    result = [TickWindow("s", 0, commands=(system,))]
    for tick in range(1, NUM_TICKS):
        asked = (Message(0, Role.USER, (f"say {tick}",)), Respond(f"r{tick}", max_tokens=16)) if tick % 3 == 1 else ()
        result.append(TickWindow("s", tick, commands=asked))
    return result


def record(engine: Engine, path: Path) -> list[TickOutput]:
    """What a server does with a session, without the waiting."""
    engine.open("s", seed=3)
    outputs = []
    with path.open("xb") as file:
        writer = RecordingWriter(file, RecordingHeader("s", 3, 10**18, engine.info, "0.1.0"))
        for window in windows():
            (tick_input,) = engine.encode([window])
            assert isinstance(tick_input, TickInput)
            writer.input(tick_input, 0)
            for output in engine.step([tick_input]):
                assert isinstance(output, TickOutput)
                writer.output(output, 0)
                outputs.append(output)
        writer.finish(NORMAL_END)
    engine.close("s")
    return outputs


@pytest.mark.parametrize("kv_cache", ["int8", "bfloat16"])
def test_a_session_replays_alone_and_among_others_on_the_cache_it_was_recorded_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kv_cache: str
):
    path = tmp_path / "s.mcap"
    outputs = record(build_engine(backend="native", kv_cache=kv_cache), path)
    assert sum(len(output.ids) for output in outputs) > 40
    assert sum(bool(output.evicted) for output in outputs) > 3
    assert main([str(path), "--backend", "native"]) == 0
    assert main([str(path), "--backend", "native", "--beside", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.count(": identical") == 2
    assert err == ""


def test_another_cache_than_the_recorded_one_is_told_and_seen(tmp_path: Path):
    path = tmp_path / "s.mcap"
    engine, other = (build_engine(backend="native", kv_cache=kv_cache) for kv_cache in ("int8", "bfloat16"))
    record(engine, path)
    assert [fact.split()[0] for fact in changed_facts(engine.info, other.info)] == ["build_hash", "kv_cache"]
    assert not replay_inputs(other, read_recording(path)).is_identical
