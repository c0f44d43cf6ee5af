"""The rank table is read by rows, and a run may override it."""

from __future__ import annotations

import pytest

from vox_assets.profiles import load
from vox_assets.training.ranks import choose_rank


@pytest.mark.parametrize(("rows", "rank"), [(400, 64), (2000, 64), (2001, 32), (90_000, 16)])
def test_more_rows_get_less_rank(rows: int, rank: int) -> None:
    choice = choose_rank(rows, 100_000, load("vox").ranks)
    assert choice.rank == rank
    assert f"{rows} distinct rows, 100000 response tokens" in choice.reason


def test_an_override_keeps_the_scale_and_says_so() -> None:
    choice = choose_rank(500, 9_000, load("vox").ranks, override=8)
    assert (choice.rank, choice.alpha) == (8, 8)
    assert "asks for rank 8 instead of 64" in choice.reason


def test_an_override_below_one_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        choose_rank(500, 9_000, load("vox").ranks, override=0)
