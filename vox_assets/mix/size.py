"""Minimum size: how many distinct rows a lane needs before it may be trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from vox_assets.mix.schema import TRAIN

#: Distinct rows that a lane needs, by tier: LIMA-sized sets teach a style, rules take more.
SIZE_FLOORS: dict[str, int] = {"style": 400, "domain": 1000}


#: Below this any adapter memorises its rows, whatever the tier.
CERTAIN_OVERFITTING_BELOW = 120


@dataclass(frozen=True)
class SizeVerdict:
    """Whether every trained lane has the rows its tier asks for; `reason` names those short."""

    passed: bool
    reason: str
    rows_by_lane: dict[str, int]
    floor: int
    tier: str


def rows_by_lane(rows: pl.DataFrame) -> dict[str, int]:
    """Distinct rows per lane; a column `kept` or `split` narrows to the rows that train."""
    if "kept" in rows.columns:
        rows = rows.filter(pl.col("kept"))
    if "split" in rows.columns:
        rows = rows.filter(pl.col("split") == TRAIN)
    counts = rows.group_by("lane").agg(pl.col("pair_id").n_unique().alias("rows")).sort("lane")
    return dict(zip(counts["lane"].to_list(), counts["rows"].to_list(), strict=True))


def size_verdict(counts: Mapping[str, int], lanes: Sequence[str], tier: str) -> SizeVerdict:
    """Judge the rows per lane against the tier: 400 for `style`, 1,000 for `domain`, never < 120.

    A lane that is to be trained and has no row counts as zero rows.
    """
    floor = SIZE_FLOORS[tier]
    found = {lane: counts.get(lane, 0) for lane in lanes}
    short = {lane: rows for lane, rows in found.items() if rows < floor}
    if not short:
        listed = ", ".join(f"{lane} has {rows} rows" for lane, rows in found.items())
        return SizeVerdict(True, f"{listed}; tier {tier!r} asks for {floor}", found, floor, tier)
    parts = []
    for lane, rows in short.items():
        if rows < CERTAIN_OVERFITTING_BELOW:
            why = f"below {CERTAIN_OVERFITTING_BELOW} rows overfitting is certain"
        elif tier == "domain" and rows >= SIZE_FLOORS["style"]:
            why = "enough for tier 'style' alone"
        else:
            why = "too few even for a style"
        parts.append(
            f"lane {lane} has {rows} distinct rows and tier {tier!r} asks for {floor} ({why}): "
            f"{floor - rows} more are needed, from more source files, raised synthesis counts, "
            f"wider caps or a larger token budget"
        )
    return SizeVerdict(False, "; ".join(parts), found, floor, tier)
