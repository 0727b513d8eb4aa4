"""The end of a run, for people: what was trained, how it went and how fast, as a page and plots beside it."""

from dataclasses import dataclass
from pathlib import Path

from model.training.progress import METRICS_NAME, read_lines

PAGE_NAME, PLOT_NAME = "report.md", "curves.png"


@dataclass(frozen=True, slots=True)
class Report:
    """How a run ended. `figures` are those of the last evaluation; `seconds` those of training alone."""

    title: str
    finished: bool  # False where it was asked to stop before its last step
    steps: int  # done so far, resumed ones included
    seconds: float
    units: float
    unit: str
    num_trained: int  # parameters
    num_frozen: int
    figures: dict[str, float]
    best_step: int | None

    @property
    def units_per_second(self) -> float:
        return self.units / self.seconds if self.seconds else 0.0


def write_report(report: Report, out_dir: Path, config: str) -> None:
    """Write the page and its plots into `out_dir`. `config` is shown as it is."""
    lines = read_lines(out_dir / METRICS_NAME)
    plot_curves(lines, out_dir / PLOT_NAME)
    figures = "\n".join(f"| {name} | {value:.6g} |" for name, value in sorted(report.figures.items()))
    best = "" if report.best_step is None else f"- best checkpoint: step {report.best_step:,}\n"
    page = f"""# {report.title}

- {report.steps:,} steps in {report.seconds / 60:,.1f} minutes of training: {report.units:,.6g} {report.unit}, \
{report.units_per_second:,.4g} {report.unit}/s
- {report.num_trained:,} parameters trained, {report.num_frozen:,} frozen
{best}
![curves]({PLOT_NAME})

| figure on held-out data | value |
|---|---|
{figures}

```
{config}
```
"""
    (out_dir / PAGE_NAME).write_text(page, encoding="utf-8")


def plot_curves(lines: list[dict[str, float]], path: Path) -> None:
    """One small plot for each logged figure over steps."""
    import matplotlib as mpl  # a second to import, needed once a run
    from matplotlib.figure import Figure

    names = sorted({name for line in lines for name in line} - {"step"})
    columns = 3
    rows = max(1, -(-len(names) // columns))
    with mpl.rc_context({"axes.grid": True, "grid.alpha": 0.3, "font.size": 8}):
        figure = Figure(figsize=(4 * columns, 2.6 * rows), layout="constrained")
        for index, name in enumerate(names):
            points = [(line["step"], line[name]) for line in lines if name in line]
            axes = figure.add_subplot(rows, columns, index + 1)
            axes.plot(*zip(*points, strict=True), linewidth=1, marker="." if len(points) < 30 else "")
            axes.set_title(name)
        figure.savefig(path, dpi=110)
