"""Intervals have their published values and decide on one side of a limit only."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from vox_assets.contract.interval import (
    Interval,
    area_under_curve,
    clustered_difference,
    paired_difference,
    ratio_of_sums,
    share_difference,
    share_of_groups,
    wilson,
)


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(0, 8, 0.0, 0.324), (8, 8, 0.676, 1.0), (5, 10, 0.237, 0.763), (0, 0, 0.0, 1.0)],
)
def test_shares_have_wilson_intervals(hits: int, count: int, low: float, high: float) -> None:
    interval = wilson(hits, count)
    assert interval.low == pytest.approx(low, abs=1e-3)
    assert interval.high == pytest.approx(high, abs=1e-3)


def test_the_interval_of_a_share_is_that_of_scipy() -> None:
    for hits, count in ((0, 1), (3, 7), (17, 40), (310, 310)):
        expected = binomtest(hits, count).proportion_ci(0.95, method="wilson")
        interval = wilson(hits, count)
        assert (interval.low, interval.high) == pytest.approx(tuple(expected))


def test_an_interval_is_on_one_side_of_a_limit_or_undecided() -> None:
    interval = Interval(0.5, 0.4, 0.6)
    assert [interval.at_most(limit) for limit in (0.3, 0.5, 0.6)] == [False, None, True]
    assert [interval.at_least(limit) for limit in (0.4, 0.5, 0.7)] == [True, None, False]


def test_the_difference_of_two_shares_has_newcombes_interval() -> None:
    # The worked example of Newcombe (1998): 56/70 less 48/80.
    difference = share_difference(56, 70, 48, 80)
    assert difference.value == pytest.approx(0.2)
    assert difference.low == pytest.approx(0.0524, abs=1e-4)
    assert difference.high == pytest.approx(0.3339, abs=1e-4)


def test_an_area_under_the_curve_has_a_width_at_one_and_contains_its_value() -> None:
    perfect = area_under_curve(1.0, 200, 40)
    assert 0.9 < perfect.low < 1.0 == perfect.high
    middle = area_under_curve(0.8, 200, 40)
    assert 0.7 < middle.low < 0.8 < middle.high < 0.9
    # Fewer rows, a wider interval.
    few = area_under_curve(0.8, 20, 10)
    assert few.high - few.low > middle.high - middle.low
    assert area_under_curve(0.5, 0, 10) == Interval(0.5, 0.0, 1.0)


def test_the_difference_of_paired_shares_has_newcombes_interval() -> None:
    # The worked example of Fagerland, Lydersen and Laake (2014): 1, 1, 7, 12 of 21 pairs.
    difference = paired_difference(1, 1, 7, 12)
    assert difference.value == pytest.approx(-0.286, abs=1e-3)
    assert difference.low == pytest.approx(-0.507, abs=1e-3)
    assert difference.high == pytest.approx(-0.026, abs=1e-3)


def test_pairs_that_all_agree_leave_a_difference_undecided() -> None:
    none = clustered_difference([(False, False)] * 40, list(range(40)))
    assert none.low < 0 < none.high
    three_won = clustered_difference([(True, False)] * 3, list(range(3)))
    assert three_won.low < 0 < three_won.value == 1.0
    assert clustered_difference([(True, False)] * 12, list(range(12))).low > 0
    assert clustered_difference([(True, False)] * 3, ["one"] * 3) == Interval(1.0, -1.0, 1.0)


def test_pairs_that_are_alike_within_groups_give_a_wider_interval() -> None:
    pairs = [(number % 20 < 10, False) for number in range(40)]
    apart = clustered_difference(pairs, list(range(40)))
    alike = clustered_difference(pairs, [number // 10 for number in range(40)])
    assert alike.value == apart.value
    assert alike.high - alike.low > 1.5 * (apart.high - apart.low)


@pytest.mark.parametrize(("groups", "size"), [(4, 10), (12, 4), (40, 2)])
def test_two_models_of_equal_strength_rarely_differ(groups: int, size: int) -> None:
    """Nominally 2.5 % of the lower bounds exceed 0; answers within a group are alike."""
    rng = np.random.default_rng(groups)
    clusters = [group for group in range(groups) for _ in range(size)]
    better = 0
    for _ in range(500):
        strength = rng.beta(1, 2, (groups, 2))
        won = rng.random((groups, size, 2)) < strength[:, None, :]
        pairs = [(bool(a), bool(b)) for a, b in won.reshape(-1, 2)]
        better += clustered_difference(pairs, clusters).low > 0
    assert better / 500 < 0.045


@pytest.mark.parametrize("sources", [2, 4, 12, 40])
def test_a_ratio_of_equal_sums_is_rarely_below_one(sources: int) -> None:
    """By chance 2.5 % may be; with few sources a percentile bootstrap gives 30 %."""
    rng = np.random.default_rng(sources)
    below = 0
    for _ in range(1000):
        base = rng.lognormal(3, 0.5, sources)
        adapted = base * rng.lognormal(0, 0.1, sources)
        below += bool(ratio_of_sums(adapted.tolist(), base.tolist()).at_most(1.0))
    assert below / 1000 < 0.045


def test_a_share_over_groups_has_a_width_where_all_values_are_equal() -> None:
    groups = [f"file{number % 10}" for number in range(40)]
    nothing = share_of_groups([0.0] * 40, groups)
    assert (nothing.value, nothing.low) == (0.0, 0.0)
    assert wilson(0, 40).high < nothing.high < 0.2
    quarter = share_of_groups([0.25] * 40, groups)
    assert quarter.value == 0.25 and quarter.low < 0.2 and quarter.high > 0.3
    assert share_of_groups([1.0] * 40, groups).high == 1.0
    assert share_of_groups([0.5], ["a"]) == Interval(0.5, 0.0, 1.0)


def test_the_interval_of_a_share_over_groups_contains_the_true_share() -> None:
    """Pass@1 of five samples: the rate of a group varies, and each of its tasks has some rate."""
    rng = np.random.default_rng(5)
    groups = [number % 12 for number in range(48)]
    outside = 0
    for _ in range(400):
        rate = np.clip(rng.beta(1, 3, 12), 0, 1)
        values = [float(rng.binomial(5, rate[group]) / 5) for group in groups]
        interval = share_of_groups(values, groups)
        outside += not interval.low <= 0.25 <= interval.high
    assert outside / 400 < 0.08
