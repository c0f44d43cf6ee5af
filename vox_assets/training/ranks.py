"""Rank, alpha, rate and epochs from the amount of data, with the reason that a manifest records.

The table is the profile's; what is added here is the capacity check behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vox_assets.profiles import RankTier


@dataclass(frozen=True)
class RankChoice:
    """LoRA rank and alpha, peak learning rate, passes over the data, and why these."""

    rank: int
    alpha: int
    learning_rate: float
    epochs: float
    reason: str


def choose_rank(
    distinct_rows: int,
    response_tokens: int,
    table: Sequence[RankTier],
    override: int | None = None,
) -> RankChoice:
    """The first tier whose `rows_up_to` holds `distinct_rows`; `override` replaces its rank.

    Alpha keeps the tier's ratio to rank, so that an override changes capacity and not the scale of
    the update. `response_tokens` is what the adapter has to hold; it is recorded in the reason
    (LoRA Without Regret: an adapter learns like full fine-tuning while its parameters are not far
    below the tokens it is trained on). Raises ValueError for an override below 1.
    """
    tier = next(
        tier for tier in table if tier.rows_up_to is None or distinct_rows <= tier.rows_up_to
    )
    volume = f"{distinct_rows} distinct rows, {response_tokens} response tokens"
    if override is None:
        return RankChoice(
            tier.rank, tier.alpha, tier.learning_rate, tier.epochs, f"{volume}: {tier.reason}"
        )
    if override < 1:
        raise ValueError(f"rank override: expected 1 or more, got {override}")
    return RankChoice(
        rank=override,
        alpha=max(1, round(override * tier.alpha / tier.rank)),
        learning_rate=tier.learning_rate,
        epochs=tier.epochs,
        reason=f"{volume}: this run asks for rank {override} instead of {tier.rank}",
    )
