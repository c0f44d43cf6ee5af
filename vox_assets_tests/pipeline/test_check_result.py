"""A check result shows the verdict of its predicate with figures that a person can read."""

from __future__ import annotations

import dagster as dg

from vox_assets.contract.verdict import Verdict
from vox_assets.pipeline.check_result import report


def test_figures_are_rounded_and_counts_and_words_are_not() -> None:
    figures: dict[str, int | float | str] = {
        "ratio": 0.7186114572190675,
        "tokens": 1234567,
        "limit": 1.0,
        "tier": "micro",
    }
    metadata = report(Verdict(True, "better", figures)).metadata
    assert {name: value.value for name, value in metadata.items()} == {
        "ratio": 0.7186,
        "tokens": 1234567,
        "limit": 1.0,
        "tier": "micro",
    }


def test_an_undecided_verdict_warns_and_says_so() -> None:
    result = report(Verdict(False, "too few rows", {}, undecided=True))
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.description == "undecided: too few rows"
