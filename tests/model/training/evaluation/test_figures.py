import json

import pytest

from model.training.evaluation.figures import (
    AT_LEAST_85,
    Bar,
    Row,
    Unit,
    cannot,
    missing,
    rate,
    share,
    table,
    write_figures,
)
from streams.types import EngineInfo


@pytest.mark.parametrize(("right", "verdict"), [(96, "aim"), (90, "bar"), (80, "missed")])
def test_a_share_is_judged_by_its_figure(right, verdict):
    row = share("seen", AT_LEAST_85, [True] * right + [False] * (100 - right))
    assert row.verdict == verdict
    assert row.low < row.figure < row.high


@pytest.mark.parametrize(("events", "verdict"), [(0, "aim"), (1, "bar"), (9, "missed")])
def test_a_rate_is_judged_the_other_way_round(events, verdict):
    parts = [(float(number < events), 0.5) for number in range(10)]
    assert rate("false starts", Bar(False, 0.5, 0.1), Unit.PER_MINUTE, parts, "sessions").verdict == verdict


def test_what_the_weights_cannot_do_counts_as_missed_and_has_no_figure():
    row = cannot("seen", AT_LEAST_85, Unit.SHARE, "no 'sees'")
    assert row.verdict == "missed"
    assert "| cannot: no 'sees' |" in table([row])


def test_what_has_no_bar_is_reported():
    assert Row("people", Bar(True), Unit.SHARE, 0.2).verdict == "reported"


def test_what_was_not_measured_is_said_to_be_so():
    assert "| not measured |" in table([share("seen", AT_LEAST_85, [])])
    assert share("seen", AT_LEAST_85, []).verdict == "missed"


def test_table_shows_bar_aim_figure_interval_and_count():
    line = table([share("seen", AT_LEAST_85, [True] * 9 + [False])]).splitlines()[-1]
    assert line == "| seen | 85.0 % | 95.0 % | 90.0 % | 59.6 % to 98.2 % | 10 exams | bar |"


def test_figures_are_kept_as_numbers(tmp_path):
    write_figures(tmp_path / "figures.json", {"weights": "w"}, [share("seen", AT_LEAST_85, [True, False])])
    kept = json.loads((tmp_path / "figures.json").read_text())
    assert kept["weights"] == "w"
    assert kept["rows"][0]["figure"] == 0.5
    assert kept["rows"][0]["verdict"] == "missed"


def test_a_rate_of_nothing_still_has_an_upper_bound():
    row = rate("false starts", Bar(False, 0.5, 0.1), Unit.PER_MINUTE, [(0.0, 0.5)] * 8, "sessions")
    assert (row.figure, row.low) == (0, 0)
    assert 0.9 < row.high < 1


def test_one_part_alone_has_no_interval():
    assert rate("words", Bar(False), Unit.SHARE, [(1.0, 4.0)], "sentences").low is None


def test_only_what_is_counted_by_the_minute_has_a_bound_where_nothing_was_seen():
    for unit in (Unit.SHARE, Unit.RATIO):
        row = rate("talk-over", Bar(False, 0.03), unit, [(0.0, 1.0), (0.0, 2.0)], "turns")
        assert (row.figure, row.low, row.high) == (0, None, None)


def test_what_is_missing_is_said_in_words():
    text_only = EngineInfo("told", 1, 8, "w", "b", "none", False, False, False, True, True)
    assert missing(text_only, "hears", "speaks") == ", ".join(
        f"no {ability!r}" for ability in ("hears", "speaks") if not getattr(text_only, ability)
    )
    assert "no 'hears'" in missing(text_only, "hears")
