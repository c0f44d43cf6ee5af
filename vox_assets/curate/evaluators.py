"""The interface of evaluators, the choice of rows to rate, and the agreement of two evaluators.

The local evaluator (`scoring`), a model judge (`judge`) and a reward model (`reward`) implement
it. Dropping rows by their ratings belongs here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from vox_assets.contract.rows import in_hash_order, reason_text
from vox_assets.curate.secrets import HOLDS

RATED = "rated"
#: The reply could not be parsed: the row is dropped and never gets a default score.
QUARANTINED = "quarantined"
#: There is no rating, for instance because a budget is spent: the row stays as it is.
UNRATED = "unrated"

#: One line per row: `score` is 1 to 10 where `state` is `rated`, else null; `note` says why.
RATINGS = pl.Schema(
    {"pair_id": pl.String, "score": pl.Float64, "state": pl.String, "note": pl.String}
)

#: Evaluators besides the local evaluator.
SECOND_OPINIONS = ("judge", "reward")
#: Columns that second opinions add to a scored table, in order.
OPINION_COLUMNS: dict[str, pl.DataType] = {
    f"{name}_score": pl.Float64() for name in SECOND_OPINIONS
}
#: Meaning of each of these columns.
OPINION_MEANINGS: dict[str, str] = {
    "judge_score": "rating of the language model from 1 to 10; null where it did not judge the row",
    "reward_score": "rating of the reward model from 1 to 10; null where none is configured",
}
#: Evaluators that may drop rows: a rubric fixes their scale, so the threshold applies to it.
HEEDED = ("judge",)

# Rows for a second opinion that are spread over all whole scores, so that agreement is measured on
# bad rows too.
SPREAD_ROWS = 50


class Evaluator(Protocol):
    """Rates rows from 1 to 10."""

    @property
    def name(self) -> str:
        """Name of the evaluator: its ratings are the column `<name>_score`."""

    def rate(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rate rows: one line of `RATINGS` for each row, in order.

        Needs `pair_id`, `prompt`, `response`, `lane`, `language`; uses `messages` where present.
        """


def second_opinions(
    scored: pl.DataFrame, evaluators: Sequence[Evaluator], limit: int, threshold: float
) -> tuple[pl.DataFrame, dict[str, dict[str, float | int]]]:
    """Ask each evaluator about up to `limit` rows of a scored table.

    Adds `judge_score` and `reward_score` (null for rows without a rating), drops rows that the
    judge rates low, and returns how far each evaluator agrees with the local score. Rows with a
    secret are never passed on: an evaluator may be a remote service.
    """
    figures = {}
    scored = scored.with_columns(
        pl.lit(None, dtype).alias(name) for name, dtype in OPINION_COLUMNS.items()
    )
    for evaluator in evaluators:
        ratings = evaluator.rate(rows_to_rate(scored, limit))
        scored = _heeded(scored, ratings, evaluator.name, threshold)
        figures[evaluator.name] = {
            **agreement(scored, evaluator.name, threshold),
            QUARANTINED: ratings.filter(pl.col("state") == QUARANTINED).height,
            UNRATED: ratings.filter(pl.col("state") == UNRATED).height,
        }
    return scored, figures


def rows_to_rate(scored: pl.DataFrame, limit: int) -> pl.DataFrame:
    """Choose rows to rate: equal numbers of every score, then kept rows nearest to the threshold.

    Rows are taken in turn from each whole score, in hash order, so that the few bad rows of a good
    corpus are among them.
    """
    clean = scored.filter(pl.col("drop_kind").ne_missing(HOLDS))
    in_turns = (
        in_hash_order(clean, "second opinion")
        .with_columns(pl.col("score").floor().alias("_band"))
        .with_columns(pl.int_range(pl.len()).over("_band").alias("_turn"))
        .sort("_turn", "_band", maintain_order=True)
    )
    spread = in_turns.head(min(limit, SPREAD_ROWS)).drop("_band", "_turn")
    rest = clean.filter("kept", ~pl.col("pair_id").is_in(spread["pair_id"].to_list()))
    return pl.concat([spread, rest.sort("score", "pair_id").head(limit - spread.height)])


def _heeded(
    scored: pl.DataFrame, ratings: pl.DataFrame, name: str, threshold: float
) -> pl.DataFrame:
    """Fill in `<name>_score`; drop rows that the judge rated low or whose reply was unreadable."""
    column = f"{name}_score"
    joined = scored.drop(column).join(
        ratings.rename({"score": column}), on="pair_id", how="left", maintain_order="left"
    )
    if name in HEEDED:
        low = pl.col("kept") & (pl.col(column) < threshold).fill_null(False)
        unread = pl.col("kept") & (pl.col("state") == QUARANTINED).fill_null(False)
        joined = (
            joined.with_columns(
                pl.when(low)
                .then(pl.lit(f"{name} below {threshold:g}"))
                .when(unread)
                .then(pl.lit(f"{name} quarantined"))
                .otherwise("drop_kind")
                .alias("drop_kind"),
                pl.when(low)
                .then(pl.format("{}, {}", pl.col(column).round(1), "note"))
                .when(unread)
                .then("note")
                .otherwise("drop_detail")
                .alias("drop_detail"),
            )
            .with_columns(
                reason_text(pl.col("drop_kind"), pl.col("drop_detail")).alias("drop_reason")
            )
            .with_columns((pl.col("kept") & pl.col("drop_kind").is_null()).alias("kept"))
        )
    return joined.select(scored.columns)


def agreement(scored: pl.DataFrame, name: str, threshold: float) -> dict[str, float | int]:
    """Measure how well `<name>_score` and the local `score` agree, on rows that have both.

    Returns the number of rows, Spearman's rank correlation, and the share of rows that both put on
    the same side of the threshold.
    """
    both = scored.select("score", pl.col(f"{name}_score").alias("other")).drop_nulls()
    figures: dict[str, float | int] = {"rows": both.height}
    if both.height > 1:
        rank = both.select(pl.corr("score", "other", method="spearman")).item()
        same = (pl.col("score") >= threshold) == (pl.col("other") >= threshold)
        figures["same_verdict"] = round(float(both.select(same.mean()).item()), 4)
        # NaN where all rows have the same score: there is no rank to compare.
        if rank == rank:
            figures["rank_correlation"] = round(float(rank), 4)
    return figures
