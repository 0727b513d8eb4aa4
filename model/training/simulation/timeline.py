"""A picture of a session: its five streams over ticks, who spoke when, and what was said.

`python -m model.training.simulation.timeline FILE.mcap --out FILE.png [--ticks 0:120]` draws a stored one.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model.training.simulation.session import SimulatedSession, Story
from model.training.simulation.staging import Span, Who
from model.training.simulation.store import read_session
from streams.types import SAMPLES_PER_TICK, TICK_US, Message, Samples, TickOutput, TickWindow

matplotlib.use("agg")

ROWS = ("text in", "audio in", "image in", "text out", "image out", "audio out")
COLORS = {Who.USER: "#2060c0", Who.AGENT: "#c05020", Who.ROOM: "#808080"}
MAX_TICKS = 120  # shown unless others are asked for
ENVELOPE_POINTS = 12  # of a tick's loudness curve


def draw_timeline(session: SimulatedSession, path: Path, ticks: range | None = None) -> None:
    """Write a PNG of these ticks, or of the first half minute."""
    draw(session.story, session.windows, session.outputs, path, ticks)


def draw(
    story: Story,
    windows: Sequence[TickWindow],
    outputs: Sequence[TickOutput],
    path: Path,
    ticks: range | None = None,
) -> None:
    shown = ticks if ticks is not None else range(MAX_TICKS)
    shown = range(max(shown.start, 0), min(shown.stop, len(windows)))
    figure = Figure(figsize=(max(10.0, 0.16 * len(shown)), 6.0), layout="constrained")
    axes = figure.subplots()
    for tick in range(shown.start, shown.stop, 4):
        axes.axvline(tick, color="#e8e8e8", linewidth=0.6, zorder=0)
    for span in story.spans:
        _draw_span(axes, span, shown)
    for window in windows[shown.start : shown.stop]:
        _draw_window(axes, window)
    for output in outputs:
        if output.tick in shown:
            _draw_output(axes, output)
    axes.set_yticks(range(len(ROWS)), ROWS)
    axes.set_ylim(len(ROWS) - 0.4, -0.9)
    axes.set_xlim(shown.start, shown.stop)
    axes.set_xlabel("tick (250 ms)")
    axes.set_title(
        f"{windows[0].session}: user {story.script.user_voice}, agent {story.script.agent_voice}", loc="left"
    )
    figure.savefig(path, dpi=110)


def _draw_span(axes: Axes, span: Span, shown: range) -> None:
    """A band behind the row that a span belongs to, with its words above."""
    row = ROWS.index("audio out" if span.who is Who.AGENT and span.note != "written" else "audio in")
    if span.who is Who.AGENT and span.note == "written":
        row = ROWS.index("text out")
    start, end = span.start_us / TICK_US, span.end_us / TICK_US
    if end < shown.start or start >= shown.stop:
        return
    axes.axvspan(
        start,
        end,
        *((len(ROWS) - 0.4 - y) / (len(ROWS) + 0.5) for y in (row + 0.4, row - 0.4)),
        color=COLORS[span.who],
        alpha=0.15,
        linewidth=0,
    )
    label = span.text if span.who is Who.USER else span.note if span.who is Who.ROOM else ""
    held = " (cut off)" if span.note == "held" else ""
    axes.text(start, row - 0.42, label + held, fontsize=7, color=COLORS[span.who], clip_on=True)


def _draw_window(axes: Axes, window: TickWindow) -> None:
    for command in window.commands:
        if isinstance(command, Message):
            axes.text(window.tick, 0, command.text, fontsize=7, color=COLORS[Who.USER], va="center", clip_on=True)
        elif window.tick == 0:
            axes.text(0, 0, type(command).__name__, fontsize=7, va="bottom" if window.commands[0] is command else "top")
    if window.audio is not None:
        _draw_sound(axes, window.tick, ROWS.index("audio in"), window.audio, COLORS[Who.USER])
    for frame in window.frames:
        _draw_picture(axes, frame.rgb, window.tick, ROWS.index("image in"))


def _draw_output(axes: Axes, output: TickOutput) -> None:
    if output.text:
        place = ROWS.index("text out") + 0.35 - 0.175 * (output.tick % 5)
        axes.text(output.tick, place, output.text.strip(), fontsize=7, color=COLORS[Who.AGENT], clip_on=True)
    if output.pcm is not None:
        _draw_sound(axes, output.tick, ROWS.index("audio out"), output.pcm, COLORS[Who.AGENT])
    if output.image is not None:
        _draw_picture(axes, output.image, output.tick, ROWS.index("image out"))


def _draw_sound(axes: Axes, tick: int, row: int, pcm: Samples, color: str) -> None:
    """Loudness as a band: its square root, so that soft sounds show."""
    peaks = np.abs(pcm).reshape(ENVELOPE_POINTS, -1).max(axis=1)
    height = 0.38 * np.sqrt(np.minimum(peaks, 1.0))
    at = tick + (np.arange(ENVELOPE_POINTS) + 0.5) / ENVELOPE_POINTS
    assert len(pcm) == SAMPLES_PER_TICK, "a tick's sound"
    axes.fill_between(at, row - height, row + height, color=color, linewidth=0)


def _draw_picture(axes: Axes, rgb: np.ndarray, tick: int, row: int) -> None:
    axes.imshow(rgb, extent=(tick, tick + 2.6, row + 0.4, row - 0.4), aspect="auto", zorder=2 + tick / 1e4)


def _ticks(text: str) -> range:
    first, _, last = text.partition(":")
    return range(int(first or 0), int(last or 1 << 30))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m model.training.simulation.timeline", description=__doc__)
    parser.add_argument("file", type=Path, help="a recording that the stage simulate made")
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write")
    parser.add_argument("--ticks", type=_ticks, metavar="A:B", help=f"these ticks, instead of the first {MAX_TICKS}")
    chosen = parser.parse_args(arguments)
    try:
        stored = read_session(chosen.file)
    except (OSError, ValueError) as error:
        print(f"timeline: {error}", file=sys.stderr)
        return 1
    draw(stored.story, list(stored.windows), list(stored.outputs), chosen.out, chosen.ticks)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
