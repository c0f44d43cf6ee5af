"""Rank, alpha, rate and epochs from the amount of data, with the reason that a manifest records.

The table is the profile's; how it is read, and what a run may ask for instead, is decided here.
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
    overrides: Mapping[str, int | float | None] | None = None,
) -> RankChoice:
    """The first tier that holds both the rows and their response tokens.

    An adapter learns like full fine-tuning while its parameters are not far below the tokens it is
    trained on (LoRA Without Regret), which is why tokens count beside rows. `overrides` replaces
    `rank`, `alpha`, `learning_rate` or `epochs` for one run; a rank alone keeps the tier's ratio of
    alpha to rank, so that it changes capacity and not the scale of the update. Raises ValueError
    for an override that is not positive.
    """
    tier = next(
        tier
        for tier in table
        if (tier.rows_up_to is None or distinct_rows <= tier.rows_up_to)
        and (tier.response_tokens_up_to is None or response_tokens <= tier.response_tokens_up_to)
    )
    volume = f"{distinct_rows} distinct rows, {response_tokens} response tokens"
    asked = {name: value for name, value in (overrides or {}).items() if value is not None}
    for name, value in asked.items():
        if value <= 0 or (name in ("rank", "alpha") and value < 1):
            raise ValueError(f"{name} override: expected 1 or more, got {value}")
    chosen: dict[str, Any] = {
        "rank": tier.rank,
        "alpha": tier.alpha,
        "learning_rate": tier.learning_rate,
        "epochs": tier.epochs,
    }
    if not asked:
        return RankChoice(**chosen, reason=f"{volume}: {tier.reason}")
    asked_text = ", ".join(
        f"{name} {value:g} instead of {chosen[name]:g}" for name, value in asked.items()
    )
    if "rank" in asked and "alpha" not in asked:
        chosen["alpha"] = max(1, round(asked["rank"] * tier.alpha / tier.rank))
    return RankChoice(**chosen | asked, reason=f"{volume}: this run asks for {asked_text}")


def response_tokens(mix_rows: pl.DataFrame, tokenizer: Any) -> int:
    """Tokens that the training rows' answers hold, each with its end token."""
    dialogues: Iterable[Sequence[Message]] = mix_rows.filter(pl.col("split") == TRAIN)["messages"]
    answers = [
        turn["content"] for turns in dialogues for turn in turns if turn["role"] == "assistant"
    ]
    if not answers:
        return 0
    return sum(len(ids) + 1 for ids in tokenizer(answers, add_special_tokens=False)["input_ids"])
