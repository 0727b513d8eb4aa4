"""Capacity: what ticks cost, learned from those that ran, and whether one more session fits.

Enters: the duration of each tick and how many sessions shared it. Leaves: predictions and an admission. Deterministic:
the same history gives the same answers. Never sleeps, never reads the clock.

A count of sessions that was never measured is bounded from those that were. Two things are taken for granted of every
engine that runs its sessions as one batch: a tick of more sessions costs no less, and it costs no more per session.
So a measured count m bounds the cost of n sessions by cost(m) where m >= n, and by cost(m) * n / m where m < n; the
smallest bound counts. That also keeps one old outlier from refusing sessions for ever: the counts that still run
bound the one that no longer does.
"""

import math
from bisect import bisect_left, insort
from collections import deque

from streams.types import TICK_US

HISTORY_TICKS = 1_024  # per count of sessions: about four minutes of live ticks, and just enough for a p99.9
SPARE_TICKS = 20  # from so many on, the slowest tick of a count is left out: most often the first, with the prompt
ADMISSION_QUANTILE = 0.999
ADMISSION_SHARE = 0.8  # of a tick; the rest is for the event loop, the transports and the machine's other work
SLACK_QUANTILE = 0.95  # a tick in the slack may now and then delay a live one, or one long prompt would bar all slack


class TickCosts:
    """The durations of the last `HISTORY_TICKS` ticks for each count of sessions, at one quantile."""

    def __init__(self, quantile: float) -> None:
        if not 0.0 < quantile <= 1.0:
            raise ValueError(f"a quantile lies in (0, 1], got {quantile}")
        self._quantile = quantile
        self._recent: dict[int, deque[int]] = {}
        self._sorted: dict[int, list[int]] = {}

    def learn(self, num_sessions: int, duration_us: int) -> None:
        if num_sessions < 1 or duration_us < 0:
            raise ValueError(f"no tick has {num_sessions} sessions and takes {duration_us} us")
        recent = self._recent.setdefault(num_sessions, deque())
        ascending = self._sorted.setdefault(num_sessions, [])
        recent.append(duration_us)
        insort(ascending, duration_us)
        if len(recent) > HISTORY_TICKS:
            del ascending[bisect_left(ascending, recent.popleft())]

    def predict_us(self, num_sessions: int) -> int | None:
        """An upper bound of the quantile for `num_sessions`, or None where nothing was measured yet."""
        bounds = [
            cost_us if measured >= num_sessions else math.ceil(cost_us * num_sessions / measured)
            for measured, cost_us in ((count, self._measured_us(count)) for count in self._sorted)
        ]
        return min(bounds, default=None)

    def _measured_us(self, num_sessions: int) -> int:
        """The smallest duration that the quantile's share of ticks did not exceed.

        A full history tells p99.9 from the slowest tick; a shorter one cannot, and leaves that tick out all the same.
        """
        ascending = self._sorted[num_sessions]
        rank = math.ceil(self._quantile * len(ascending))
        if len(ascending) >= SPARE_TICKS:
            rank = min(rank, len(ascending) - 1)
        return ascending[rank - 1]


class Capacity:
    """Admits sessions as long as the engine would still meet its deadlines with all of them live.

    Only ticks with a live session decide about admission: the others have no deadline, and a long typed prompt may
    take as long as it takes. Until the first of them was measured, `max_sessions` alone decides.
    """

    def __init__(self, max_sessions: int) -> None:
        if max_sessions < 1:
            raise ValueError(f"a server holds at least one session, got {max_sessions}")
        self.max_sessions = max_sessions
        self._live_costs = TickCosts(ADMISSION_QUANTILE)
        self._all_costs = TickCosts(SLACK_QUANTILE)

    def learn(self, num_sessions: int, duration_us: int, live: bool = True) -> None:
        """Note a tick of `num_sessions` sessions, of which some were `live` or none."""
        self._all_costs.learn(num_sessions, duration_us)
        if live:
            self._live_costs.learn(num_sessions, duration_us)

    def predict_us(self, num_sessions: int) -> int | None:
        """The p99.9 cost of a tick of that many sessions, or None where nothing was measured yet."""
        return self._live_costs.predict_us(num_sessions)

    def admits(self, num_sessions: int) -> bool:
        """Whether that many sessions may be connected at once.

        The first is always admitted: nobody else would suffer, and without it nothing new would be learned.
        """
        if num_sessions > self.max_sessions:
            return False
        predicted_us = self.predict_us(num_sessions)
        return num_sessions <= 1 or predicted_us is None or predicted_us <= ADMISSION_SHARE * TICK_US

    def fits(self, num_sessions: int, slack_us: int) -> bool:
        """Whether a tick of that many sessions likely ends within `slack_us`. Not, where nothing was measured yet."""
        predicted_us = self._all_costs.predict_us(num_sessions)
        return predicted_us is not None and predicted_us <= slack_us
