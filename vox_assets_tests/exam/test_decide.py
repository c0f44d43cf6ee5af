"""Tests of the decisions by the exam: they follow intervals, and few tasks leave them open."""

from __future__ import annotations

import pytest

from vox_assets.contract.interval import Interval
from vox_assets.exam.decide import Arm, Difference, against_serving, beats_untrained
from vox_assets.profiles import load

POLICY = load("vox").exam.model_copy(update={"rungs": ("parses",), "margin": 0.05})


def difference(other: Arm, low: float, high: float, rung: str = "parses") -> Difference:
    return Difference(other, rung, 40, Interval((low + high) / 2, low, high))


def untrained(low: float, high: float) -> list[Difference]:
    return [difference("base", 0.2, 0.4), difference("base_with_help", low, high)]


def test_an_adapter_whose_intervals_are_above_zero_beats_the_base() -> None:
    verdict = beats_untrained(untrained(0.01, 0.3), POLICY)
    assert verdict.passed and not verdict.undecided
    assert "parses +16% [+1%, +30%] against base with help; 40 tasks" in verdict.summary


def test_an_interval_around_zero_is_undecided() -> None:
    verdict = beats_untrained(untrained(-0.01, 0.3), POLICY)
    assert not verdict.passed and verdict.undecided


def test_an_adapter_that_equals_the_base_with_help_on_every_task_fails() -> None:
    verdict = beats_untrained(untrained(0.0, 0.0), POLICY)
    assert not verdict.passed and not verdict.undecided


def test_a_rung_that_the_profile_does_not_name_decides_nothing() -> None:
    others = [*untrained(0.01, 0.3), difference("base", -0.5, -0.4, rung="behaves")]
    assert beats_untrained(others, POLICY).passed


def test_a_missing_arm_is_refused_with_its_name() -> None:
    with pytest.raises(ValueError, match="parses against base with help"):
        beats_untrained([difference("base", 0.1, 0.2)], POLICY)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-0.04, 0.1, "not_worse"),
        (0.0, 0.0, "not_worse"),
        (-0.3, -0.06, "worse"),
        (-0.3, 0.2, "undecided"),
    ],
)
def test_the_margin_decides_against_the_serving_adapter(
    low: float, high: float, outcome: str
) -> None:
    compared = against_serving("old", [difference("serving", low, high)], POLICY)
    assert compared["outcome"] == outcome and compared["digest"] == "old"


def test_without_a_common_task_nothing_is_decided() -> None:
    assert against_serving("old", untrained(0.1, 0.2), POLICY)["outcome"] == "undecided"
