import numpy as np
import pytest

from model.training.evaluation.intervals import bootstrap, none_seen, ratio_of, wilson


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [  # Newcombe (Statistics in Medicine 1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_bounds_are_the_published_ones(hits, count, low, high):
    assert wilson(hits, count) == pytest.approx((low, high), abs=5e-5)


def test_wilson_bounds_of_all_mirror_those_of_none():
    low, high = wilson(20, 20)
    assert (1 - high, 1 - low) == pytest.approx(wilson(0, 20))


@pytest.mark.parametrize(("hits", "count"), [(0, 0), (3, 2), (-1, 2)])
def test_no_share_without_tries(hits, count):
    with pytest.raises(ValueError, match="share"):
        wilson(hits, count)


def test_ratio_is_of_sums_and_not_a_mean_of_ratios():
    assert ratio_of([(1, 1), (0, 9)]) == 0.1
    with pytest.raises(ValueError, match="nothing"):
        ratio_of([(1, 0)])


def test_bootstrap_of_equal_parts_is_a_point():
    assert bootstrap([(2, 8)] * 30) == (0.25, 0.25)


def test_bootstrap_bounds_are_those_of_the_normal_distribution_for_many_parts():
    hits = np.random.default_rng(1).random(4_000) < 0.3
    low, high = bootstrap([(float(hit), 1.0) for hit in hits])
    middle, half = hits.mean(), 1.96 * hits.std() / np.sqrt(len(hits))
    assert (low, high) == pytest.approx((middle - half, middle + half), abs=0.002)


def test_bootstrap_gives_the_same_bounds_again():
    parts = [(1, 4), (0, 3), (2, 5), (1, 1)]
    assert bootstrap(parts) == bootstrap(parts)


def test_of_what_was_not_seen_three_and_some_may_have_been_expected():
    """Exactly chi2(0.975, 2) / 2 = 3.689 events (Garwood, Biometrika 1936)."""
    assert none_seen(1.0) == pytest.approx(3.689, abs=1e-3)
    assert none_seen(10.0) == pytest.approx(0.3689, abs=1e-4)
