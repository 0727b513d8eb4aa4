"""What a run says while it goes: a progress bar, TensorBoard, and JSON lines that hold every logged figure.

Only the first process of a run speaks. A resumed run drops the lines after the step that it goes on from.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

METRICS_NAME = "metrics.jsonl"


class Progress:
    """Open it with the step that the run begins at; `log` figures of a step; `close`."""

    def __init__(self, out_dir: Path, title: str, unit: str, steps: int, first_step: int, speaks: bool) -> None:
        self._bar = tqdm(total=steps, initial=first_step, desc=title, unit="step", disable=not speaks)
        self._unit = unit
        self._file = None
        self._board = None
        if speaks:
            from torch.utils.tensorboard import SummaryWriter  # half a second that processes without it need not wait

            path = out_dir / METRICS_NAME
            kept = [line for line in read_lines(path) if line["step"] <= first_step]
            path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
            self._file = path.open("a", encoding="utf-8")
            self._board = SummaryWriter(str(out_dir / "tensorboard"), purge_step=first_step + 1)

    def advance(self, loss: float, units_per_second: float) -> None:
        """One more step is done."""
        self._bar.set_postfix_str(f"loss {loss:.4g}, {units_per_second:,.4g} {self._unit}/s", refresh=False)
        self._bar.update()

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Write figures after `step` steps."""
        if self._file is None or self._board is None:
            return
        self._file.write(json.dumps({"step": step, **figures}) + "\n")
        self._file.flush()
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)

    def say(self, line: str) -> None:
        """A line above the bar."""
        if self._file is not None:
            self._bar.write(line)

    def close(self) -> None:
        self._bar.close()
        if self._file is not None and self._board is not None:
            self._file.close()
            self._board.close()


def read_lines(path: Path) -> list[dict[str, float]]:
    """The figures logged so far; a last line that was cut off is left out."""
    lines = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return lines
