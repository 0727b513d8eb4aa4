"""What is in a recording, counted: streams and sources, ticks, gaps, evictions, events, speed.

A `Recording` in, a `Summary` out, in one pass over each of its channels. Never needs an engine.
"""

from collections import Counter
from dataclasses import dataclass

import msgspec

from realtime.recording.format import SoundForm
from realtime.recording.recorder import Recording
from streams.types import SAMPLE_RATE_HZ, TICK_US, Source, Stream


@dataclass(frozen=True, slots=True)
class Summary:
    """`positions` counts what each stream added to the sequence, received and produced."""

    session: str
    engine: str
    seed: int
    ending: str | None
    num_ticks: int
    first_tick: int | None
    last_tick: int | None
    duration_s: float
    positions: dict[str, int]
    num_windows_with_sound: int
    gap_samples: int
    num_frames: int
    num_evicted_ticks: int
    num_answers: dict[str, int]
    failures: tuple[str, ...]
    num_events: dict[str, int]
    tokens_per_s: float | None


class _EventType(msgspec.Struct):
    type: str = "(not an event)"


def summarize(recording: Recording) -> Summary:
    positions: Counter[str] = Counter()
    ticks: set[int] = set()
    for tick_input in recording.inputs():
        ticks.add(tick_input.tick)
        for block in tick_input.blocks:
            positions[_name(block.stream, block.source)] += len(block)

    finishes: Counter[str] = Counter()
    num_evicted_ticks = engine_us = num_tokens = 0
    for output in recording.outputs():
        positions[_name(Stream.TEXT_IMAGE_OUT, Source.PRODUCED)] += len(output.ids)
        positions[_name(Stream.AUDIO_OUT, Source.PRODUCED)] += len(output.codes)
        num_evicted_ticks += len(output.evicted)
        if output.finish is not None:
            finishes[output.finish] += 1
        if len(output.ids) or len(output.codes):
            num_tokens += len(output.ids) + len(output.codes)
            engine_us += output.timings.prefill_us + output.timings.decode_us + output.timings.codec_us

    num_windows_with_sound = gap_samples = num_frames = 0
    for window in recording.window_records():
        ticks.add(window.tick)  # what was only simulated has no inputs
        num_windows_with_sound += window.sound is not SoundForm.NONE
        gap_samples += window.gap_samples
        num_frames += len(window.frames_pts_us)

    events = Counter(
        f"{event.direction} {msgspec.json.decode(event.text, type=_EventType).type}" for event in recording.events()
    )
    header = recording.header
    return Summary(
        session=header.session,
        engine=f"{header.engine.name} on {header.engine.backend}, weights {header.engine.weights_hash}",
        seed=header.seed,
        ending=recording.ending,
        num_ticks=len(ticks),
        first_tick=min(ticks, default=None),
        last_tick=max(ticks, default=None),
        duration_s=(max(ticks) + 1 - min(ticks)) * TICK_US / 1e6 if ticks else 0.0,
        positions={name: count for name, count in sorted(positions.items()) if count},
        num_windows_with_sound=num_windows_with_sound,
        gap_samples=gap_samples,
        num_frames=num_frames,
        num_evicted_ticks=num_evicted_ticks,
        num_answers=dict(finishes),
        failures=tuple(f"tick {failure.tick}: {failure.reason}" for failure in recording.failures()),
        num_events=dict(sorted(events.items())),
        tokens_per_s=num_tokens * 1e6 / engine_us if engine_us else None,
    )


def _name(stream: Stream, source: Source) -> str:
    return f"{stream.name.lower()} {source.name.lower()}"


def summary_lines(summary: Summary) -> list[str]:
    """For a terminal."""
    ticks = f"{summary.num_ticks} ticks"
    if summary.num_ticks:
        ticks += f" ({summary.first_tick} to {summary.last_tick}), {summary.duration_s:g} s"
    lines = [
        f"session     {summary.session}, seed {summary.seed}",
        f"engine      {summary.engine}",
        f"ticks       {ticks}",
        f"sound in    {summary.num_windows_with_sound} ticks, {summary.gap_samples} samples"
        f" ({summary.gap_samples / SAMPLE_RATE_HZ:.3f} s) of gaps filled with silence",
        f"frames in   {summary.num_frames}",
        f"evicted     {summary.num_evicted_ticks} ticks",
    ]
    for title, counts in (
        ("positions", summary.positions),
        ("answers", summary.num_answers),
        ("events", summary.num_events),
    ):
        lines += [f"{title if i == 0 else '':12}{name}: {count}" for i, (name, count) in enumerate(counts.items())]
    if summary.tokens_per_s is not None:
        lines.append(f"speed       {summary.tokens_per_s:.1f} tokens/s of engine time in ticks that produced")
    lines += [f"failure     {failure}" for failure in summary.failures]
    if summary.ending is not None:
        lines.append(f"incomplete  {summary.ending}")
    return lines
