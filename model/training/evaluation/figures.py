"""A measured figure with its bar, its aim and its interval; the table that shows all of them; their file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from model.training.evaluation.intervals import bootstrap, none_seen, ratio_of, wilson
from streams.types import EngineInfo


class Unit(StrEnum):
    """What a figure is counted in."""

    SHARE = "%"  # kept from 0 to 1, shown in per cent
    POINTS = "points"  # of per cent
    PER_MINUTE = "/min"
    MILLISECONDS = "ms"
    RATIO = "x"
    PLAIN = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a measure is judged by. None: only reported. `at_least`: a higher figure is better."""

    at_least: bool
    bar: float | None = None
    aim: float | None = None


AT_LEAST_85 = Bar(at_least=True, bar=0.85, aim=0.95)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `figure` None: the weights do not claim what it needs, or nothing was there to measure.

    `remark` says more in a few words. `count` is of `counted`.
    """

    name: str
    judged: Bar
    unit: Unit
    figure: float | None = None
    low: float | None = None
    high: float | None = None
    count: int = 0
    counted: str = "exams"
    remark: str = ""

    @property
    def verdict(self) -> str:
        if self.judged.bar is None:
            return "reported"
        for name, level in (("aim", self.judged.aim), ("bar", self.judged.bar)):
            if self._meets(level):
                return name
        return "missed"

    def _meets(self, level: float | None) -> bool:
        if self.figure is None or level is None:
            return False
        return self.figure >= level if self.judged.at_least else self.figure <= level

    @property
    def cells(self) -> tuple[str, ...]:
        if self.figure is None:
            figure = self.remark or "not measured"
        else:
            figure = self._shown(self.figure) + (f" ({self.remark})" if self.remark else "")
        has_bounds = self.low is not None and self.high is not None
        interval = f"{self._shown(self.low)} to {self._shown(self.high)}" if has_bounds else ""
        count = f"{self.count} {self.counted}" if self.count else ""
        bar, aim = (self._shown(level) for level in (self.judged.bar, self.judged.aim))
        return self.name, bar, aim, figure, interval, count, self.verdict

    def _shown(self, value: float | None) -> str:
        if value is None:
            return ""
        if self.unit is Unit.SHARE:
            return f"{100 * value:.1f} %"
        return f"{value:.3g} {self.unit}".strip()


CANNOT = "cannot"


def missing(info: EngineInfo, *needed: str) -> str:
    """Which of these abilities the weights do not claim, in words; "" where there is none."""
    return lacking([ability for ability in needed if not getattr(info, ability)])


def lacking(abilities: Sequence[str]) -> str:
    """The same of abilities that are known to be missing."""
    return ", ".join(f"no {ability!r}" for ability in abilities)


def cannot(name: str, judged: Bar, unit: Unit, lacks: str) -> Row:
    """The weights do not claim an ability that is needed: counts as missed."""
    return Row(name, judged, unit, remark=f"{CANNOT}: {lacks}")


def share(name: str, judged: Bar, right: Sequence[bool], counted: str = "exams", remark: str = "") -> Row:
    """Of true and false."""
    if not right:
        return Row(name, judged, Unit.SHARE, remark=remark)
    low, high = wilson(sum(right), len(right))
    return Row(name, judged, Unit.SHARE, sum(right) / len(right), low, high, len(right), counted, remark)


def rate(
    name: str, judged: Bar, unit: Unit, parts: Sequence[tuple[float, float]], counted: str, remark: str = ""
) -> Row:
    """Of pairs (events, exposure), resampled by pair."""
    if not parts or sum(part[1] for part in parts) <= 0:
        return Row(name, judged, unit, remark=remark)
    figure, count = ratio_of(parts), len(parts)
    if unit is Unit.PER_MINUTE and not any(part[0] for part in parts):  # events of no number, unlike words and ticks
        return Row(name, judged, unit, figure, 0.0, none_seen(sum(part[1] for part in parts)), count, counted, remark)
    varies = len({part[0] / part[1] for part in parts if part[1] > 0}) > 1  # or else nothing tells how far off it is
    low, high = bootstrap(parts) if varies else (None, None)
    return Row(name, judged, unit, figure, low, high, count, counted, remark)


def table(rows: Sequence[Row]) -> str:
    """All of it as markdown."""
    head = ("measure", "bar", "aim", "figure", "95 % interval", "count", "met")
    lines = [head, ("---",) * len(head), *(row.cells for row in rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def write_figures(path: Path, about: dict[str, object], rows: Sequence[Row]) -> None:
    """Shares from 0 to 1, all else in its unit."""
    content = {**about, "rows": [asdict(row) | {"verdict": row.verdict} for row in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
