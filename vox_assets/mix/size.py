"""Checks whether each lane has enough distinct rows for training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from vox_assets.mix.schema import TRAIN

#: Distinct rows that a lane needs, by tier: a set of LIMA's size teaches a style; rules need more.
SIZE_FLOORS: dict[str, int] = {"style": 400, "domain": 1000}


#: With fewer rows, any adapter memorises them, whatever the tier.
CERTAIN_OVERFITTING_BELOW = 120


@dataclass(frozen=True)
class SizeVerdict:
    """Whether every trained lane has enough rows for the tier; `reason` names the short lanes."""

    passed: bool
    reason: str
    rows_by_lane: dict[str, int]
    floor: int
    tier: str


def distinct_rows_by_lane(rows: pl.DataFrame) -> dict[str, int]:
    """Count the distinct rows of each lane: only kept or training rows if a column marks them."""
    if "kept" in rows.columns:
        rows = rows.filter(pl.col("kept"))
    if "split" in rows.columns:
        rows = rows.filter(pl.col("split") == TRAIN)
    counts = rows.group_by("lane").agg(pl.col("pair_id").n_unique().alias("rows")).sort("lane")
    return dict(zip(counts["lane"].to_list(), counts["rows"].to_list(), strict=True))


def size_verdict(counts: Mapping[str, int], lanes: Sequence[str], tier: str) -> SizeVerdict:
    """Compare the rows of each lane with the floor of the tier.

    A trained lane that is absent from `counts` has zero rows.
    """
    floor = SIZE_FLOORS[tier]
    rows_of_lane = {lane: counts.get(lane, 0) for lane in lanes}
    short = {lane: rows for lane, rows in rows_of_lane.items() if rows < floor}
    if not short:
        listed = ", ".join(f"{lane} has {rows} rows" for lane, rows in rows_of_lane.items())
        reason = f"{listed}; tier {tier!r} needs {floor}"
        return SizeVerdict(True, reason, rows_of_lane, floor, tier)
    parts = []
    for lane, rows in short.items():
        if rows < CERTAIN_OVERFITTING_BELOW:
            why = f"below {CERTAIN_OVERFITTING_BELOW} rows, overfitting is certain"
        elif tier == "domain" and rows >= SIZE_FLOORS["style"]:
            why = "enough only for tier 'style'"
        else:
            why = "too few even for tier 'style'"
        parts.append(
            f"lane {lane} has {rows} distinct rows, tier {tier!r} needs {floor} ({why}): "
            f"{floor - rows} more are needed: use more source files, higher synthesis counts, "
            f"higher caps or a larger token budget"
        )
    return SizeVerdict(False, "; ".join(parts), rows_of_lane, floor, tier)
