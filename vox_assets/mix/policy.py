"""Measures a mix against the lane policy, the context length and the share of human rows."""

from __future__ import annotations

import polars as pl

from vox_assets.contract.answers import dialogue_fault
from vox_assets.mix.schema import TRAIN
from vox_assets.profiles import Profile


def lane_policy_violations(mix_rows: pl.DataFrame, profile: Profile) -> list[str]:
    """Return the rows that the lane policy excludes from training, each as `pair id: reason`."""
    violations = []
    columns = ["pair_id", "lane", "response_mode", "messages"]
    for pair_id, lane, mode, messages in mix_rows.select(columns).iter_rows():
        if lane not in profile.mix.lanes:
            violations.append(f"{pair_id}: lane {lane} is not trained")
            continue
        if fault := dialogue_fault(messages, mode, lane):
            violations.append(f"{pair_id}: {fault}")
    return violations


def rows_over_context(mix_rows: pl.DataFrame, context: int) -> list[str]:
    """Return the rows longer than `context` tokens, each as `pair id: tokens`."""
    too_long = mix_rows.filter(pl.col("tokens") > context).select("pair_id", "tokens")
    return [f"{pair_id}: {tokens} tokens" for pair_id, tokens in too_long.iter_rows()]


def share_of_human_rows(mix_rows: pl.DataFrame) -> float:
    """Return the share of the training rows that a person wrote; 0 if there are no rows."""
    train = mix_rows.filter(pl.col("split") == TRAIN)
    return int((train["origin"] == "human").sum()) / len(train) if len(train) else 0.0
