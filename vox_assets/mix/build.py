"""Builds the training mix: split, selection of training rows, selection of held-out rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from vox_assets.contract.rows import Drop, Reason, each_dialogue
from vox_assets.curate.dedup import similar_rows
from vox_assets.mix.leakage import LEAK_JACCARD, leaks, seen_in_training
from vox_assets.mix.schema import EVAL, MIX_SCHEMA, TRAIN, CountTokens, DropLog
from vox_assets.mix.shares import alternate_categories, sampling_weights, select_training_rows
from vox_assets.mix.split import EVAL_ROWS_PER_SOURCE, components, hold_out
from vox_assets.profiles import Profile
from vox_assets.synthesize.vox.reserved import is_exam_path


@dataclass(frozen=True)
class Mix:
    """The rows of the mix (MIX_SCHEMA, training rows first) and a drop for every other kept row."""

    rows: pl.DataFrame
    drops: list[Drop]


def build_mix(
    scored: pl.DataFrame,
    profile: Profile,
    count_tokens: CountTokens,
    copies: Sequence[tuple[str, str]] = (),
) -> Mix:
    """Select training rows and held-out rows from the kept rows of a scored corpus.

    First the sources are split: rows that share a source file, a parent or a duplicate cluster stay
    on one side, and so do the two files of each pair in `copies`. Then training rows are selected
    best first, alternating between categories, under the caps and the token budget. Held-out rows
    that training contains in another form are dropped; where the held-out row is from a template
    that is kept for the exam, the training row is dropped instead. Every kept row is in the mix or
    in the drops, exactly once. Raises ValueError if a pair id appears twice.
    """
    policy = profile.mix
    rows = scored.filter(pl.col("kept"))
    if rows["pair_id"].is_duplicated().any():
        raise ValueError("training_mix: the scored corpus contains a pair id twice")
    drop_log = DropLog(rows)

    in_lane = rows["lane"].is_in(list(policy.lanes))
    for row in rows.filter(~in_lane).select("pair_id", "lane").iter_rows(named=True):
        drop_log.drop(
            row["pair_id"],
            Reason(
                f"lane {row['lane']} is not trained", f"trained lanes: {', '.join(policy.lanes)}"
            ),
        )
    rows = rows.filter(in_lane).sort("pair_id")
    rows = rows.with_columns(
        pl.Series("tokens", [count_tokens(m) for m in each_dialogue(rows)], dtype=pl.Int64)
    )
    for pair_id in rows.filter(pl.col("tokens") > policy.context)["pair_id"].to_list():
        drop_log.drop(pair_id, f"longer than the context of {policy.context} tokens")
    rows = rows.filter(pl.col("tokens") <= policy.context)

    if profile.repositories:
        names = [profile.locate(path)[0] for path in rows["source_path"]]
        rows = rows.with_columns(pl.Series("_repository", names, dtype=pl.String))

    pairs = similar_rows(rows, LEAK_JACCARD)
    # The language shares of a mix without a split are the quotas of the held-out rows.
    planned = Counter(select_training_rows(rows, policy, None)["language"].to_list())
    held_out = hold_out(rows, components(rows, scored, copies), pairs, planned, policy)
    is_held_out = pl.col("pair_id").is_in(list(held_out))
    open_rows = _without_exam_answers(
        rows.filter(~is_held_out), rows.filter(is_held_out), profile, drop_log
    )
    train = select_training_rows(open_rows, policy, drop_log)
    eval_rows = _select_held_out_rows(rows.filter(is_held_out), train, profile, drop_log)

    selected = pl.concat(
        [
            train.with_columns(pl.lit(TRAIN).alias("split"), sampling_weights(train, policy)),
            eval_rows.with_columns(
                pl.lit(EVAL).alias("split"), pl.lit(1.0, dtype=pl.Float64).alias("weight")
            ),
        ]
    ).select([pl.col(name).cast(dtype) for name, dtype in MIX_SCHEMA.items()])
    return Mix(selected, drop_log.drops)


def _without_exam_answers(
    rows: pl.DataFrame, held_out: pl.DataFrame, profile: Profile, drop_log: DropLog
) -> pl.DataFrame:
    """Drop the rows that contain an answer of an exam template in any form."""
    of_exam = held_out.filter([is_exam_path(path) for path in held_out["source_path"]])
    copies = {leak.train: leak for leak in leaks(of_exam, rows, profile.dedup)}
    for pair_id, leak in sorted(copies.items()):
        drop_log.drop(
            pair_id,
            Reason("reveals a row that is kept for the exam", leak.reason),
            leak.held_out,
            leak.similarity,
        )
    return rows.filter(~pl.col("pair_id").is_in(list(copies)))


def _select_held_out_rows(
    rows: pl.DataFrame,
    train: pl.DataFrame,
    profile: Profile,
    drop_log: DropLog,
) -> pl.DataFrame:
    """Select at most `eval_rows` held-out rows whose answers no training row contains."""
    seen = seen_in_training(rows, train, profile.dedup)
    for pair_id, leak in seen.items():
        drop_log.drop(pair_id, leak.reason, leak.train, leak.similarity)
    ordered = alternate_categories(rows.filter(~pl.col("pair_id").is_in(list(seen))))
    limit = profile.mix.eval_rows
    rank = pl.int_range(pl.len()).over("source_path")
    for pair_id in ordered.filter(rank >= EVAL_ROWS_PER_SOURCE)["pair_id"].to_list():
        drop_log.drop(pair_id, f"its source already has {EVAL_ROWS_PER_SOURCE} held-out rows")
    ordered = ordered.filter(rank < EVAL_ROWS_PER_SOURCE)
    for pair_id in ordered["pair_id"][limit:].to_list():
        drop_log.drop(
            pair_id, f"its source is held out, and the mix already has {limit} held-out rows"
        )
    return ordered.head(limit)
