"""Where a tick's time goes: sessions that hear, see and are asked, on the default weights.

    python -m benchmarks.tick --sessions 1 --ticks 200

Each tick of each session brings one frame of sound, and a picture every fourth; a typed question opens an answer
whenever the last one ended, so almost every tick decodes up to the step budget. Times are the engine's own, wall clock,
on the threads given. The limit named in the table is the tick itself, 250 ms. The last line is one JSON object.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from model.loading import load_engine
from streams.types import TICK_US, Message, Respond, Rewrite, Role, TickFailure, TickOutput, TickWindow, VideoFrame

DEFAULT_WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "nano"
QUESTIONS = ("What is the capital of France?", "Tell me a short story about a lighthouse.", "Why is the sky blue?")
WARM_UP_TICKS = 8


def main() -> None:
    arguments = parser().parse_args()
    engine = load_engine(
        arguments.weights,
        backend=arguments.backend,
        max_sessions=arguments.sessions,
        num_threads=arguments.threads,
    )
    print(f"{engine.info.name} on {engine.info.backend}, {arguments.sessions} sessions, {arguments.threads} threads")
    sessions = [Talker(f"s{index}", index) for index in range(arguments.sessions)]
    for session in sessions:
        engine.open(session.name, seed=session.index)
    total_ms, parts_ms = [], []
    for tick in range(arguments.ticks + WARM_UP_TICKS):
        windows = [session.window(tick) for session in sessions]
        started = time.perf_counter()
        outputs = list(engine.step(engine.encode(windows)))
        elapsed_ms = (time.perf_counter() - started) * 1e3
        for session in sessions:
            session.take(outputs)
        if tick >= WARM_UP_TICKS:
            total_ms.append(elapsed_ms)
            timings = next(output.timings for output in outputs if isinstance(output, TickOutput) and output.done)
            parts_ms.append([timings.encode_us, timings.prefill_us, timings.decode_us, timings.codec_us])
    report(np.array(total_ms), np.array(parts_ms) / 1e3)


class Talker:
    """One scripted session."""

    def __init__(self, name: str, index: int) -> None:
        self.name, self.index = name, index
        self._random = np.random.default_rng(index)
        self._answering = False
        self._asked = 0

    def window(self, tick: int) -> TickWindow:
        """Sound always, a picture every fourth tick, a question when nothing is being answered."""
        pts_us = tick * TICK_US
        commands: list[Message | Respond | Rewrite] = []
        if tick == 0:
            commands.append(Rewrite((Message(0, Role.SYSTEM, ("You are a helpful assistant.",)),)))
        if not self._answering:
            question = QUESTIONS[self._asked % len(QUESTIONS)]
            commands += [Message(pts_us, Role.USER, (question,)), Respond(f"r{self._asked}")]
            self._asked += 1
            self._answering = True
        frame = VideoFrame(pts_us, self._random.integers(0, 256, (240, 320, 3), np.uint8))
        sound = self._random.uniform(-0.3, 0.3, 6000).astype(np.float32)
        return TickWindow(self.name, tick, sound, (frame,) if tick % 4 == 0 else (), tuple(commands))

    def take(self, outputs: list[TickOutput | TickFailure]) -> None:
        """Notice that an answer ended."""
        for output in outputs:
            if isinstance(output, TickFailure):
                raise RuntimeError(f"{output.session} failed at tick {output.tick}: {output.reason}")
            if output.session == self.name and output.finish is not None:
                self._answering = False


def report(total_ms: np.ndarray, parts_ms: np.ndarray) -> None:
    """Print the table and the JSON line. `parts_ms` [ticks, 4]; decoding includes the voice's codec."""
    encode, prefill, decode, codec = parts_ms.T
    parts = {"tokenize": encode, "prefill": prefill, "decode": decode - codec, "voice": codec}
    parts["rest"] = total_ms - encode - prefill - decode
    p50, p99 = np.percentile(total_ms, [50, 99])
    print(f"\n{'part':<10}{'p50 ms':>10}{'p99 ms':>10}{'share':>9}")
    for name, values in parts.items():
        part_p50, part_p99 = np.percentile(values, [50, 99])
        print(f"{name:<10}{part_p50:>10.2f}{part_p99:>10.2f}{values.sum() / total_ms.sum():>9.1%}")
    print(f"{'tick':<10}{p50:>10.2f}{p99:>10.2f}{'':>9}   of 250 ms: {p50 / 250:.0%} and {p99 / 250:.0%}")
    shares = {f"share_{name}": round(float(values.sum() / total_ms.sum()), 4) for name, values in parts.items()}
    ratio = round(float(p99 / 250), 4)
    print(json.dumps({"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2), "p99_of_tick": ratio, **shares}))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--weights", type=Path, default=DEFAULT_WEIGHTS, help="checkpoint directory")
    result.add_argument("--backend", default="auto", help="auto, native, dequantized or reference")
    result.add_argument("--sessions", type=int, default=1, help="sessions in one batch")
    result.add_argument("--ticks", type=int, default=200, help="ticks that count")
    result.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads of the engine")
    return result


if __name__ == "__main__":
    main()
