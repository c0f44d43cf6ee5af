"""Tests of the rank table: the choice by rows and response tokens, and the overrides of a run."""

from __future__ import annotations

import pytest

from vox_assets.profiles import load
from vox_assets.training.plan.ranks import choose_rank


@pytest.mark.parametrize(
    ("rows", "tokens", "rank"),
    [
        (400, 100_000, 64),
        (2000, 400_000, 64),
        (2001, 100_000, 32),
        # A few rows with long answers contain as much as many rows with short answers.
        (2000, 400_001, 32),
        (400, 5_000_000, 16),
        (90_000, 100_000, 16),
    ],
)
def test_more_data_gets_a_lower_rank(rows: int, tokens: int, rank: int) -> None:
    choice = choose_rank(rows, tokens, load("vox").ranks)
    assert choice.rank == rank
    assert f"{rows} distinct rows, {tokens} response tokens" in choice.reason


def test_a_rank_override_keeps_the_ratio_of_alpha_and_is_in_the_reason() -> None:
    choice = choose_rank(500, 9_000, load("vox").ranks, {"rank": 8, "epochs": None})
    assert (choice.rank, choice.alpha) == (8, 8)
    assert "asks for rank 8 instead of 64" in choice.reason


def test_every_part_can_be_overridden_for_one_run() -> None:
    overrides = {"rank": 16, "alpha": 32, "learning_rate": 1e-4, "epochs": 0.5}
    choice = choose_rank(500, 9_000, load("vox").ranks, overrides)
    assert (choice.rank, choice.alpha, choice.learning_rate, choice.epochs) == (16, 32, 1e-4, 0.5)
    assert "alpha 32 instead of 64" in choice.reason and "epochs 0.5" in choice.reason


@pytest.mark.parametrize("overrides", [{"rank": 0}, {"alpha": 0.5}, {"epochs": -1.0}])
def test_an_override_that_is_not_positive_is_an_error(overrides: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(overrides))} override"):
        choose_rank(500, 9_000, load("vox").ranks, overrides)
