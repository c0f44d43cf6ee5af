"""Damaged rows are separated from real rows by language and kind, against all real rows."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from vox_assets.curate.audit import evaluator_separates
from vox_assets.curate.mutants import KINDS
from vox_assets.curate.planted_artefacts import PLANTED
from vox_assets.curate.separation import (
    SEPARATION_SCHEMA,
    auc,
    plant_artefacts,
    separation_report,
)


def separated(*groups: tuple[str | None, str, list[float]]) -> pl.DataFrame:
    """A table of (mutant, language, scores); rows below 7 are rejected."""
    return pl.DataFrame(
        [
            (f"{language}{kind}{n}", kind, language, score, score < 7)
            for kind, language, scores in groups
            for n, score in enumerate(scores)
        ],
        schema=SEPARATION_SCHEMA,
        orient="row",
    )


def test_auc_counts_pairs_and_halves_ties() -> None:
    rng = np.random.default_rng(1)
    real, mutants = rng.integers(0, 20, 50) / 2, rng.integers(0, 15, 40) / 2
    pairs = [(a > b) + (a == b) / 2 for a in real for b in mutants]
    assert auc(real, mutants) == pytest.approx(np.mean(pairs))
    assert math.isnan(auc(real, mutants[:0]))


def test_each_language_is_compared_with_its_own_real_rows() -> None:
    table = separated(
        (None, "rust", [9.0] * 20),
        (None, "markdown", [7.5] * 20),
        ("swapped", "rust", [8.0] * 10),
        ("swapped", "markdown", [8.0] * 10),
    )
    report = {
        (line["language"], line["kind"]): line for line in separation_report(table).to_dicts()
    }
    assert report["rust", "swapped"]["auc"] == 1.0
    assert report["markdown", "swapped"]["auc"] == 0.0
    assert report["rust", "swapped"]["rejected"] == 0.0
    assert (report["rust", "swapped"]["planted"], report["rust", "swapped"]["real"]) == (10, 20)


def test_rejected_real_rows_count_too() -> None:
    """A score that drops half of the real rows must not look as if it separated them."""
    half = separated((None, "rust", [9.0] * 20 + [2.0] * 20), ("swapped", "rust", [3.0] * 20))
    assert separation_report(half)["auc"].item() == 0.5


def test_the_check_shows_what_the_report_shows_and_decides_on_intervals() -> None:
    real = (None, "rust", [9.0] * 100)
    good = separated(real, ("swapped", "rust", [2.0] * 40), ("chatter", "rust", [1.0] * 40))
    verdict = evaluator_separates(good)
    assert verdict.passed
    assert verdict.figures["auc/rust/swapped"] == 1.0
    assert verdict.figures["rejected/rust/chatter"] == 1.0
    few = separated(real, ("chatter", "rust", [1.0] * 5))
    assert evaluator_separates(few).outcome == "undecided"
    bad = separated(real, ("swapped", "rust", [9.5] * 40), ("chatter", "rust", [1.0] * 40))
    verdict = evaluator_separates(bad)
    assert verdict.outcome == "failed"
    assert "auc/rust/swapped 0.000" in verdict.summary


def test_no_mutants_fail_the_check() -> None:
    assert not evaluator_separates(separated((None, "rust", [9.0]))).passed


def test_planting_is_repeatable_and_limited_per_kind() -> None:
    rows = pl.DataFrame(
        {
            "pair_id": [f"{n:032x}" for n in range(30)],
            "prompt": ["Write it. Which function adds the two numbers?"] * 30,
            "response": [
                f"fn add_{n}(left: u8, right: u8) -> u8 {{\n    let sum = left + right;\n"
                f"    checked(sum)\n}}"
                for n in range(30)
            ],
            "language": ["rust"] * 30,
        }
    )
    planted = plant_artefacts(rows, 4, seed=1)
    assert planted.equals(plant_artefacts(rows.reverse(), 4, seed=1))
    assert set(planted["mutant"]) == set(PLANTED) - {"html", "foreign language"}
    assert planted["mutant"].value_counts()["count"].max() == 4


def test_no_kind_has_two_meanings() -> None:
    assert not set(KINDS) & set(PLANTED)
