#!/usr/bin/env python
"""Drives a running server as a person would: speaks, shows pictures and types questions at once, in real time.

    python run_server.py &
    python scripts/live_session.py --seconds 60

Speech streams without a break, with four JPEG frames a second, and a typed question every few seconds. Each line
printed is a moment of the session; the last line is one JSON object. The exit status is 0 if every question was
answered while sound was still arriving, no tick was lost, and nothing was refused. What counts as a lost tick is said
in `live_ticks.py`.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "clients" / "python" / "src")]

from omniweave_client import (  # noqa: E402
    Answer,
    AudioDelta,
    ClientError,
    Error,
    Event,
    Output,
    ResponseStatus,
    Session,
    SessionConfig,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    TranscriptDelta,
    connect,
)
from omniweave_client.connection import DEFAULT_URL  # noqa: E402
from omniweave_client.feeds import BLOCK_SAMPLES, Pace, feed_frames  # noqa: E402
from omniweave_client.pcm import SAMPLE_RATE_HZ, Samples  # noqa: E402
from scripts.live_media import drawn_frames, speech  # noqa: E402
from scripts.live_server import find_listener, read_counters, resident_mib  # noqa: E402
from scripts.live_ticks import TickLog  # noqa: E402

FRAMES_PER_S = 4.0
REPORT_EVERY_S = 5.0
QUESTIONS = (
    "What is the capital of France?",
    "And how many people live there, roughly?",
    "Name three colours.",
    "What did I ask first?",
    "Write one sentence about the sea.",
)


@dataclass(slots=True)
class Run:
    """What happened so far."""

    start_s: float
    ticks: TickLog = field(default_factory=TickLog)
    sent_samples: int = 0
    sent_frames: int = 0
    received: dict[str, int] = field(default_factory=dict)
    heard_samples: int = 0
    turns: int = 0
    asked: int = 0
    first_tokens_ms: list[float] = field(default_factory=list)  # of answers that came while sound was arriving
    problems: list[str] = field(default_factory=list)

    def now_s(self) -> float:
        return time.monotonic() - self.start_s

    def tell(self, text: str) -> None:
        print(f"{self.now_s():7.2f} s  {text}", flush=True)

    def complain(self, text: str) -> None:
        self.problems.append(text)
        self.tell(f"PROBLEM: {text}")


# --- the parts of a session that run beside each other --------------------------------------------------------------


async def speak(session: Session, sound: Samples, run: Run, seconds: float) -> None:
    """Stream `sound` over and over, as a microphone would, for `seconds`."""
    pace = Pace()
    position = 0
    looped = np.concatenate([sound, sound[:BLOCK_SAMPLES]])  # so that a block may reach over the end
    while run.sent_samples < seconds * SAMPLE_RATE_HZ:
        block = looped[position : position + BLOCK_SAMPLES]
        position = (position + BLOCK_SAMPLES) % len(sound)
        run.sent_samples += len(block)
        await pace.until(run.sent_samples / SAMPLE_RATE_HZ)
        await session.send_audio(block)


async def show(session: Session, run: Run) -> None:
    await feed_frames(session, _counted(drawn_frames(), run), FRAMES_PER_S, Pace())


def _counted(frames: Iterator[bytes], run: Run) -> Iterator[bytes]:
    for frame in frames:
        yield frame
        run.sent_frames += 1  # it was sent if another is wanted


async def listen(session: Session, run: Run) -> None:
    async for event in session:
        note(event, run)
    run.complain("the server ended the session")


def note(event: Event, run: Run) -> None:
    kind = type(event).__name__
    run.received[kind] = run.received.get(kind, 0) + 1
    if isinstance(event, TextDelta | TranscriptDelta | AudioDelta):
        run.ticks.push(event, run.now_s())
    if isinstance(event, AudioDelta):
        run.heard_samples += len(event.pcm)
    elif isinstance(event, SpeechStarted):
        run.tell(f"hears speech from {event.audio_start_ms / 1000:.2f} s")
    elif isinstance(event, SpeechStopped):
        run.turns += 1
        run.tell(f"hears its end at {event.audio_end_ms / 1000:.2f} s")
    elif isinstance(event, Error):
        run.complain(f"error event: {event.message} ({event.code})")


async def ask(session: Session, run: Run, speaking: "asyncio.Task[None]", every_s: float) -> None:
    """A question, its answer, a pause, until nobody speaks any more."""
    pace = Pace()
    for number, question in enumerate(cycle(QUESTIONS)):
        await pace.until(number * every_s)
        if speaking.done():
            return
        run.asked += 1
        run.tell(f"asks: {question}")
        judge(await session.answer(question), run, while_speaking=not speaking.done())


def judge(answer: Answer, run: Run, while_speaking: bool) -> None:
    first_ms = None if answer.first_token_us is None else answer.first_token_us / 1000
    shown = " ".join(answer.text.split())
    first = "no token" if first_ms is None else f"first token {first_ms:.0f} ms"
    run.tell(f"answer ({first}, all {answer.total_us / 1e6:.1f} s, {answer.status}): {shown[:160]}")
    if first_ms is None or answer.status in (ResponseStatus.FAILED, ResponseStatus.CANCELLED):
        run.complain(f"a question got no answer: {answer.status} {answer.reason or ''}")
    elif while_speaking:
        run.first_tokens_ms.append(first_ms)


async def report(run: Run, pid: int | None) -> None:
    """A line every few seconds."""
    pace = Pace()
    for number in count():
        await pace.until(number * REPORT_EVERY_S)
        tick = "-" if run.ticks.last is None else str(run.ticks.last[0])
        memory = "-" if pid is None else f"{resident_mib(pid) or 0:.1f} MiB"
        run.tell(
            f"tick {tick}, sent {run.sent_samples / SAMPLE_RATE_HZ:.1f} s of sound and {run.sent_frames} frames, "
            f"heard {run.heard_samples / SAMPLE_RATE_HZ:.1f} s, server memory {memory}"
        )


# --- the whole ------------------------------------------------------------------------------------------------------


async def live(args: argparse.Namespace, run: Run, sound: Samples, pid: int | None) -> None:
    outputs = tuple(Output(name) for name in args.outputs)
    config = SessionConfig(outputs=outputs, video=True, ticks=True, max_output_tokens=args.max_tokens)
    async with connect(args.url, api_key=args.api_key, config=config) as session:
        run.start_s = time.monotonic()
        run.tell(f"connected to {session.model}, session {session.id}")
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(speak(session, sound, run, args.seconds))
            beside = [
                group.create_task(show(session, run)),
                group.create_task(listen(session, run)),
                group.create_task(report(run, pid)),
            ]
            asking = group.create_task(ask(session, run, speaking, args.question_every))
            await asyncio.gather(speaking, asking)
            for task in beside:
                task.cancel()


def summarize(run: Run, source: str, memory: tuple[float | None, float | None], counters: dict[str, float]) -> int:
    """Print what became of it, as words and as JSON. Returns the exit status."""
    ticks = run.ticks
    if run.sent_samples == 0:
        return 1  # it never began, and why was said
    if ticks.lost:
        run.complain(
            f"{ticks.lost} ticks lost: {ticks.jumped} missing inside answers, {ticks.backwards} out of order, "
            f"at most {ticks.furthest_behind:.1f} behind the clock"
        )
    if ticks.first is None:
        run.complain("no event carried a tick number")
    if not run.asked or len(run.first_tokens_ms) < run.asked - 1:  # the last may end after the sound did
        run.complain(f"{len(run.first_tokens_ms)} of {run.asked} questions were answered while sound was arriving")
    first_tokens = sorted(run.first_tokens_ms)
    changed = {name: value for name, value in counters.items() if value}
    for name, value in sorted(changed.items()):
        print(f"  {name} +{value:g}")
    result = {
        "ok": not run.problems,
        "problems": run.problems,
        "seconds": round(run.now_s(), 1),
        "speech": source,
        "sent_audio_s": round(run.sent_samples / SAMPLE_RATE_HZ, 2),
        "sent_frames": run.sent_frames,
        "received": run.received,
        "heard_audio_s": round(run.heard_samples / SAMPLE_RATE_HZ, 2),
        "turns": run.turns,
        "questions": run.asked,
        "answered_while_speaking": len(first_tokens),
        "first_token_ms_median": round(first_tokens[len(first_tokens) // 2], 1) if first_tokens else None,
        "first_token_ms_max": round(first_tokens[-1], 1) if first_tokens else None,
        "ticks_seen": None if ticks.first is None or ticks.last is None else [ticks.first[0], ticks.last[0]],
        "lost_ticks": ticks.lost,
        "furthest_behind_ticks": round(ticks.furthest_behind, 2),
        "server_mib": [None if mib is None else round(mib, 1) for mib in memory],
        "server_late_ticks": counters.get("omniweave_late_ticks_total"),
        "server_skipped_ticks": counters.get("omniweave_skipped_ticks_total"),
    }
    print(json.dumps(result))
    return 0 if result["ok"] else 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Speak, show and type to a running server at once, in real time, and say how it went.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--url", default=DEFAULT_URL, help="the server")
    parser.add_argument("--api-key", help="its key")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to speak")
    parser.add_argument("--wav", type=Path, help="what to say; espeak-ng, flite or a synthetic signal otherwise")
    parser.add_argument("--question-every", type=float, default=8.0, metavar="SECONDS", help="between questions")
    parser.add_argument("--outputs", nargs="+", default=["text"], choices=[str(o) for o in Output], help="asked for")
    parser.add_argument("--max-tokens", type=int, default=60, help="of an answer")
    parser.add_argument("--pid", type=int, help="the server's process; found by its port if it runs on this machine")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse(arguments)
    sound, source = speech(args.wav)
    pid = args.pid or find_listener(urlsplit(args.url).port or 80)
    print(f"speech: {source}, {len(sound) / SAMPLE_RATE_HZ:.1f} s, repeated; server process {pid or 'unknown'}")
    run = Run(time.monotonic())
    counters_before = read_counters(args.url) or {}
    memory_before = None if pid is None else resident_mib(pid)
    try:
        asyncio.run(live(args, run, sound, pid))
    except* (ClientError, OSError) as failed:
        run.complain("; ".join(str(error) for error in failed.exceptions))
    memory = (memory_before, None if pid is None else resident_mib(pid))
    counters = {name: value - counters_before.get(name, 0.0) for name, value in (read_counters(args.url) or {}).items()}
    return summarize(run, source, memory, counters)


if __name__ == "__main__":
    sys.exit(main())
