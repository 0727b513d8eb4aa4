"""What a tick costs: wall time of encode and step while one session has everything going on at once."""

import time
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from model.training.data.clip import Split
from model.training.data.seeding import random_for
from model.training.evaluation.bench import Bench
from model.training.evaluation.figures import Bar, Row, Unit
from model.training.evaluation.intervals import RESAMPLES
from model.training.evaluation.live import LostSession
from model.training.evaluation.questions import QUESTIONS
from model.training.simulation.pictures import draw_picture
from model.training.simulation.script import PictureKind

QUESTION_TICKS = 40  # from one typed question to the next
WARM_UP_TICKS = 8
PERCENTILE = 99.0


@dataclass
class Compute:
    """An open microphone, four pictures a second and a typed question every ten seconds, for `ticks` ticks."""

    bench: Bench
    ticks: int
    tick_ns: list[int] = field(default_factory=list)
    lost: str = ""  # how the session broke off, if it did

    def run(self) -> None:
        random = random_for("compute", Split.EVAL)
        session = self.bench.user("compute", spoken=True, clock_ns=time.perf_counter_ns)
        with session as user:
            user.show(draw_picture(random, PictureKind.SHAPE))
            self.tick_ns = user.tick_ns
            for tick in tqdm(range(WARM_UP_TICKS + self.ticks), "tick compute", unit="tick"):
                try:
                    user.tick()
                except LostSession as lost:
                    self.lost = f"lost after {len(user.tick_ns)} ticks: {lost}"
                    return
                if tick % QUESTION_TICKS == WARM_UP_TICKS and user.is_answered:
                    user.type(QUESTIONS[tick // QUESTION_TICKS % len(QUESTIONS)][0])

    def rows(self) -> list[Row]:
        name, judged = "tick compute, 99th percentile, one session", Bar(False, 100.0, 60.0)
        ms = np.array(self.tick_ns[WARM_UP_TICKS:], np.float64) / 1e6
        if len(ms) == 0 or self.lost:
            return [Row(name, judged, Unit.MILLISECONDS, remark=self.lost)]
        drawn = np.random.default_rng(0).integers(len(ms), size=(RESAMPLES, len(ms)))
        low, high = np.quantile(np.percentile(ms[drawn], PERCENTILE, axis=1), (0.025, 0.975))
        figure, remark = float(np.percentile(ms, PERCENTILE)), f"median {np.median(ms):.3g} ms"
        return [Row(name, judged, Unit.MILLISECONDS, figure, float(low), float(high), len(ms), "ticks", remark)]
