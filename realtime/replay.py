"""Runs recorded sessions through an engine again: `python -m realtime.replay FILE [FILE ...]`.

Says that every tick's output tokens are identical, and exits with 0; or shows the first tick that differs, and exits
with 1; or, with 2, why it cannot tell. The engine comes from a factory that is named on the command line and imported
at run time, so nothing here knows a model. The comparison itself is `realtime.replay_run`.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Protocol, cast

import msgspec

from realtime.echo import EchoEngine
from realtime.engine import Engine, EngineFull, EngineInfo
from realtime.recording.recorder import Recording, read_recording
from realtime.recording.summary import summarize, summary_lines
from realtime.replay_fork import fork
from realtime.replay_run import EVERY_TICK, ReplayResult, replay_inputs, replay_together
from streams.types import TICK_US, Sampling

__all__ = ["main", "replay_inputs", "replay_together"]

DEFAULT_FACTORY = "run_server:build_engine"
SHOWN_CHARACTERS = 2000  # of each side of a difference


class EngineFactory(Protocol):
    """Builds an engine with room for `max_sessions`. `backend` None and `kv_cache` "" leave the choice to the factory.

    `kv_cache` is passed only where the recorded engine named one, so an engine without need not know of it.
    """

    def __call__(self, *, backend: str | None, max_sessions: int, kv_cache: str = "") -> Engine: ...


def load_factory(name: str) -> EngineFactory:
    """Imports `MODULE:FACTORY`."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise ValueError(f"an engine factory is named MODULE:FACTORY, got {name!r}")
    try:
        return cast(EngineFactory, getattr(importlib.import_module(module_name), attribute))
    except (ImportError, AttributeError) as error:
        raise ValueError(f"no engine factory {name!r}: {error}") from error


def build_echo(*, backend: str | None, max_sessions: int) -> Engine:
    """For recordings of a server that ran with `--engine echo`."""
    if backend is not None:
        raise ValueError(f"the echo engine has no backends, got {backend!r}")
    return EchoEngine(max_sessions)


def build(factory: EngineFactory, backend: str | None, recordings: Sequence[Recording], max_sessions: int) -> Engine:
    """An engine that stores keys and values as these recordings' did. ValueError where they do not agree."""
    formats = sorted({recording.header.engine.kv_cache for recording in recordings} - {""})
    if len(formats) > 1:
        raise ValueError(f"recorded with different key/value caches, so not in one replay: {', '.join(formats)}")
    if not formats:
        return factory(backend=backend, max_sessions=max_sessions)
    return factory(backend=backend, max_sessions=max_sessions, kv_cache=formats[0])


def changed_facts(recorded: EngineInfo, now: EngineInfo) -> list[str]:
    """What makes different tokens no surprise."""
    facts = ("name", "weights_hash", "build_hash", "backend", "kv_cache", "max_steps_per_tick")
    return [
        f"{fact} was {getattr(recorded, fact)!r} when this was recorded and is {getattr(now, fact)!r} now"
        for fact in facts
        if getattr(recorded, fact) != getattr(now, fact)
    ]


# --- the command line -----------------------------------------------------------------------------------------------


def parse_ticks(text: str) -> range:
    """`A:B`, either side may be empty."""
    first, colon, last = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"ticks are given as A:B, got {text!r}")
    try:
        return range(int(first or 0), int(last) if last else EVERY_TICK.stop)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"ticks are given as A:B, got {text!r}") from error


def parse_sampling(text: str) -> Sampling:
    """`temperature=0,top_k=5`: what is not named keeps its default."""
    sampling = Sampling()
    names = [field.name for field in fields(Sampling)]
    try:
        for setting in text.split(","):
            name, _, value = setting.partition("=")
            if name not in names:
                raise ValueError(f"{name!r} is not one of {', '.join(names)}")
            sampling = replace(sampling, **{name: type(getattr(sampling, name))(value)})
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return sampling


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="python -m realtime.replay", description="Replay recorded sessions.")
    add = result.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="recordings; several replay in the same batches")
    add("--engine", default=DEFAULT_FACTORY, metavar="MODULE:FACTORY", help="what builds the engine (%(default)s)")
    add("--backend", help="the backend to ask the factory for, instead of its own choice")
    add("--beside", type=int, default=0, metavar="K", help="run K more sessions in the same batches")
    add("--ticks", type=parse_ticks, default=EVERY_TICK, metavar="A:B", help="compare these ticks only")
    add("--from-media", action="store_true", help="also encode the recorded media again and compare the inputs")
    add("--summary", action="store_true", help="say what is in the recordings; needs no engine")
    add("--json", action="store_true", help="print one JSON object for each recording")
    add("--fork", type=int, metavar="TICK", help="instead: draw answers differently from TICK on, and record that")
    add("--sampling", type=parse_sampling, metavar="NAME=VALUE,...", help="the sampling of a fork")
    add("--out", type=Path, metavar="FILE", help="where a fork is recorded")
    return result


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        recordings = [read_recording(path) for path in args.files]
        if args.summary:
            return _print_summaries(recordings, args.json)
        engine = build(load_factory(args.engine), args.backend, recordings, len(recordings) + args.beside)
        _warn(recordings, engine)
        if args.fork is not None:
            return _fork(engine, recordings, args.fork, args.sampling, args.out)
        started_s = time.monotonic()
        run = replay_together(
            engine,
            recordings,
            num_beside=args.beside,
            ticks=args.ticks,
            from_media=args.from_media,
            on_round=_show_round if sys.stderr.isatty() else None,
        )
        elapsed_s = time.monotonic() - started_s
    except (OSError, ValueError, EngineFull) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 2
    if sys.stderr.isatty():
        print(file=sys.stderr)
    for failure in run.beside_failures:
        print(f"a session beside failed at tick {failure.tick}: {failure.reason}", file=sys.stderr)
    show: Callable[[ReplayResult, float], str] = result_json if args.json else result_text
    for result in run.results:
        print(show(result, elapsed_s))
    return 0 if all(result.is_identical for result in run.results) else 1


def _show_round(num_rounds: int) -> None:
    print(f"\rtick {num_rounds}", end="", file=sys.stderr, flush=True)


def _warn(recordings: Sequence[Recording], engine: Engine) -> None:
    for recording in recordings:
        for fact in changed_facts(recording.header.engine, engine.info):
            print(f"warning: {recording.path}: {fact}", file=sys.stderr)
        if recording.ending is not None:
            print(f"warning: {recording.path}: {recording.ending}", file=sys.stderr)


def _print_summaries(recordings: Sequence[Recording], as_json: bool) -> int:
    for recording in recordings:
        summary = summarize(recording)
        if as_json:
            print(msgspec.json.encode({"file": str(recording.path), **asdict(summary)}).decode())
        else:
            print("\n".join([f"{recording.path}", *(f"  {line}" for line in summary_lines(summary))]))
    return 0


def _fork(
    engine: Engine, recordings: Sequence[Recording], tick: int, sampling: Sampling | None, out: Path | None
) -> int:
    if len(recordings) != 1 or sampling is None or out is None:
        raise ValueError("a fork needs one recording, --sampling and --out")
    num_ticks = fork(engine, recordings[0], tick, sampling, out, time.time_ns())
    print(f"{num_ticks} ticks, forked at tick {tick}: {out}")
    return 0


# --- results --------------------------------------------------------------------------------------------------------


def result_text(result: ReplayResult, elapsed_s: float) -> str:
    counts = f"{result.num_ticks} ticks, {result.num_tokens} tokens"
    found = result.difference
    if found is None:
        speed = result.num_ticks * TICK_US / 1e6 / elapsed_s if elapsed_s > 0 else 0.0
        text = f"{counts}: identical ({speed:.1f} times real time)"
        if result.unfinished_tick is not None:
            text += f"; the recording breaks off in tick {result.unfinished_tick}, which was not compared"
        return f"{result.recording.path}: {text}"
    return "\n".join(
        (
            f"{result.recording.path}: {found.compared} differ first at tick {found.tick}, after {counts} identical",
            f"  recorded  {_cut(found.recorded)}",
            f"  replayed  {_cut(found.replayed)}",
        )
    )


def _cut(text: str) -> str:
    if len(text) <= SHOWN_CHARACTERS:
        return text
    return f"{text[:SHOWN_CHARACTERS]} ... ({len(text)} characters)"


def result_json(result: ReplayResult, elapsed_s: float) -> str:
    return msgspec.json.encode(
        {
            "file": str(result.recording.path),
            "identical": result.is_identical,
            "ticks": result.num_ticks,
            "tokens": result.num_tokens,
            "unfinished_tick": result.unfinished_tick,
            "difference": None if result.difference is None else asdict(result.difference),
            "elapsed_s": elapsed_s,
        }
    ).decode()


if __name__ == "__main__":
    sys.exit(main())
