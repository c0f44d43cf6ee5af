"""The rank table is read by rows and response tokens, and a run may override it."""

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
        # Few rows with long answers hold as much as many with short ones.
        (2000, 400_001, 32),
        (400, 5_000_000, 16),
        (90_000, 100_000, 16),
    ],
)
def test_more_to_learn_from_gets_less_rank(rows: int, tokens: int, rank: int) -> None:
    choice = choose_rank(rows, tokens, load("vox").ranks)
    assert choice.rank == rank
    assert f"{rows} distinct rows, {tokens} response tokens" in choice.reason


def test_a_rank_override_keeps_the_scale_and_says_so() -> None:
    choice = choose_rank(500, 9_000, load("vox").ranks, {"rank": 8, "epochs": None})
    assert (choice.rank, choice.alpha) == (8, 8)
    assert "asks for rank 8 instead of 64" in choice.reason


def test_every_part_can_be_overridden_for_one_run() -> None:
    asked = {"rank": 16, "alpha": 32, "learning_rate": 1e-4, "epochs": 0.5}
    choice = choose_rank(500, 9_000, load("vox").ranks, asked)
    assert (choice.rank, choice.alpha, choice.learning_rate, choice.epochs) == (16, 32, 1e-4, 0.5)
    assert "alpha 32 instead of 64" in choice.reason and "epochs 0.5" in choice.reason


@pytest.mark.parametrize("asked", [{"rank": 0}, {"alpha": 0.5}, {"epochs": -1.0}])
def test_an_override_that_is_not_positive_is_an_error(asked: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(asked))} override"):
        choose_rank(500, 9_000, load("vox").ranks, asked)
