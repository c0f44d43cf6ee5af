"""Intervals have their published values and decide on one side of a limit only."""

from __future__ import annotations

import pytest

from vox_assets.contract.interval import Interval, area_under_curve, share_difference, wilson


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(0, 8, 0.0, 0.324), (8, 8, 0.676, 1.0), (5, 10, 0.237, 0.763), (0, 0, 0.0, 1.0)],
)
def test_shares_have_wilson_intervals(hits: int, count: int, low: float, high: float) -> None:
    interval = wilson(hits, count)
    assert interval.low == pytest.approx(low, abs=1e-3)
    assert interval.high == pytest.approx(high, abs=1e-3)


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
