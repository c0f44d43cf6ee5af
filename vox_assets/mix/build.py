"""Builds the training mix: split, selection of training rows, selection of held-out rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from vox_assets.contract.rows import Drop, Reason, each_dialogue
from vox_assets.curate.dedup import similar_rows
from vox_assets.mix.leakage import LEAK_JACCARD, seen_in_training
from vox_assets.mix.schema import EVAL, MIX_SCHEMA, TRAIN, CountTokens, DropLog
from vox_assets.mix.shares import by_turns, sampling_weights, take_train
from vox_assets.mix.split import EVAL_ROWS_PER_SOURCE, components, hold_out
from vox_assets.profiles import Profile


@dataclass(frozen=True)
class Mix:
    """`rows` has MIX_SCHEMA, training rows first; `drops` accounts for every other kept row."""

    rows: pl.DataFrame
    drops: list[Drop]


def build_mix(
    scored: pl.DataFrame,
    profile: Profile,
    count_tokens: CountTokens,
    copies: Sequence[tuple[str, str]] = (),
) -> Mix:
    """Choose the rows to train and to hold out from a scored corpus (rows with `kept`).

    The split comes first and follows sources: rows that share a source file, a parent or a
    duplicate cluster stay on one side, and so do the files that a pair of `copies` names. Then
    training rows are taken best first, in turn from every category, under the caps and the token
    budget; held-out rows that training has seen in another form are dropped. Kept rows in = rows
    out + drops, and no row appears twice. Raises ValueError when a pair id appears twice.
    """
    policy = profile.mix
    rows = scored.filter(pl.col("kept"))
    if rows["pair_id"].is_duplicated().any():
        raise ValueError("training_mix: the scored corpus holds a pair id twice")
    ledger = DropLog(rows)

    in_lane = rows["lane"].is_in(list(policy.lanes))
    for row in rows.filter(~in_lane).select("pair_id", "lane").iter_rows(named=True):
        ledger.drop(
            row["pair_id"],
            Reason(f"lane {row['lane']} is not trained", f"{', '.join(policy.lanes)} is"),
        )
    rows = rows.filter(in_lane).sort("pair_id")
    rows = rows.with_columns(
        pl.Series("tokens", [count_tokens(m) for m in each_dialogue(rows)], dtype=pl.Int64)
    )
    for pair_id in rows.filter(pl.col("tokens") > policy.context)["pair_id"].to_list():
        ledger.drop(pair_id, f"longer than the context of {policy.context} tokens")
    rows = rows.filter(pl.col("tokens") <= policy.context)

    if profile.repositories:
        names = [profile.locate(path)[0] for path in rows["source_path"]]
        rows = rows.with_columns(pl.Series("_repository", names, dtype=pl.String))

    pairs = similar_rows(rows, LEAK_JACCARD)
    # The languages of a mix without a split give the quotas of the held-out rows.
    planned = Counter(take_train(rows, policy, None)["language"].to_list())
    held_out = hold_out(rows, components(rows, scored, copies), pairs, planned, policy)
    is_held_out = pl.col("pair_id").is_in(list(held_out))
    train = take_train(rows.filter(~is_held_out), policy, ledger)
    eval_rows = _take_eval(rows.filter(is_held_out), train, profile, ledger)

    out = pl.concat(
        [
            train.with_columns(pl.lit(TRAIN).alias("split"), sampling_weights(train, policy)),
            eval_rows.with_columns(
                pl.lit(EVAL).alias("split"), pl.lit(1.0, dtype=pl.Float64).alias("weight")
            ),
        ]
    ).select([pl.col(name).cast(dtype) for name, dtype in MIX_SCHEMA.items()])
    return Mix(out, ledger.drops)


def _take_eval(
    rows: pl.DataFrame,
    train: pl.DataFrame,
    profile: Profile,
    ledger: DropLog,
) -> pl.DataFrame:
    """Held-out rows that no training row gives away, at most `eval_rows` of them."""
    seen = seen_in_training(rows, train, profile.dedup)
    for pair_id, leak in seen.items():
        ledger.drop(pair_id, leak.how, leak.train, leak.similarity)
    ordered = by_turns(rows.filter(~pl.col("pair_id").is_in(list(seen))))
    limit = profile.mix.eval_rows
    rank = pl.int_range(pl.len()).over("source_path")
    for pair_id in ordered.filter(rank >= EVAL_ROWS_PER_SOURCE)["pair_id"].to_list():
        ledger.drop(pair_id, f"{EVAL_ROWS_PER_SOURCE} rows of its held-out source are tested")
    ordered = ordered.filter(rank < EVAL_ROWS_PER_SOURCE)
    for pair_id in ordered["pair_id"][limit:].to_list():
        ledger.drop(pair_id, f"its source is held out and {limit} rows are tested already")
    return ordered.head(limit)
