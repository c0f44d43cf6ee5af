"""Chooses rank, alpha, learning rate and epochs by the amount of training data.

The profile contains the rank table. This module looks up the tier and applies a run's overrides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from vox_assets.contract.rows import Message
from vox_assets.mix.schema import TRAIN
from vox_assets.profiles import RankTier


@dataclass(frozen=True)
class RankChoice:
    """LoRA rank and alpha, peak learning rate, epochs, and the reason for this choice."""

    rank: int
    alpha: int
    learning_rate: float
    epochs: float
    reason: str


def choose_rank(
    distinct_rows: int,
    response_tokens: int,
    table: Sequence[RankTier],
    overrides: Mapping[str, int | float | None] | None = None,
) -> RankChoice:
    """Choose the first tier whose limits cover both the rows and their response tokens.

    An adapter learns like full fine-tuning as long as its number of parameters is not far below the
    number of trained tokens (LoRA Without Regret), so the tier depends on tokens as well as rows.
    `overrides` replaces `rank`, `alpha`, `learning_rate` or `epochs` for one run. If it replaces
    the rank but not alpha, alpha keeps the tier's ratio to the rank: the capacity changes, but the
    scale of the update does not. Raises ValueError for an override that is not positive.
    """
    tier = next(
        tier
        for tier in table
        if (tier.rows_up_to is None or distinct_rows <= tier.rows_up_to)
        and (tier.response_tokens_up_to is None or response_tokens <= tier.response_tokens_up_to)
    )
    volume = f"{distinct_rows} distinct rows, {response_tokens} response tokens"
    replaced = {name: value for name, value in (overrides or {}).items() if value is not None}
    for name, value in replaced.items():
        if value <= 0 or (name in ("rank", "alpha") and value < 1):
            raise ValueError(f"{name} override: expected 1 or more, got {value}")
    chosen: dict[str, Any] = {
        "rank": tier.rank,
        "alpha": tier.alpha,
        "learning_rate": tier.learning_rate,
        "epochs": tier.epochs,
    }
    if not replaced:
        return RankChoice(**chosen, reason=f"{volume}: {tier.reason}")
    changes = ", ".join(
        f"{name} {value:g} instead of {chosen[name]:g}" for name, value in replaced.items()
    )
    if "rank" in replaced and "alpha" not in replaced:
        chosen["alpha"] = max(1, round(replaced["rank"] * tier.alpha / tier.rank))
    return RankChoice(**chosen | replaced, reason=f"{volume}: this run asks for {changes}")


def response_tokens(mix_rows: pl.DataFrame, tokenizer: Any) -> int:
    """Count the tokens of all answers in the training rows, with one end token per answer."""
    dialogues: Iterable[Sequence[Message]] = mix_rows.filter(pl.col("split") == TRAIN)["messages"]
    answers = [
        turn["content"] for turns in dialogues for turn in turns if turn["role"] == "assistant"
    ]
    if not answers:
        return 0
    return sum(len(ids) + 1 for ids in tokenizer(answers, add_special_tokens=False)["input_ids"])
