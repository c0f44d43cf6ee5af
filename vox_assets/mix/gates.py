"""Defines the gates that a training mix must pass before training starts.

The checks on `training_mix` report them, and `qlora_adapter` evaluates them again, because a
blocking check protects only the runs that include it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from vox_assets.contract.verdict import Verdict
from vox_assets.curate.secrets import findings
from vox_assets.mix import leakage, policy, size
from vox_assets.profiles import Profile


def minimum_size(rows: pl.DataFrame, profile: Profile) -> Verdict:
    """Check that each trained lane has enough distinct rows for the profile's tier."""
    verdict = size.size_verdict(
        size.distinct_rows_by_lane(rows), profile.mix.lanes, profile.size.tier
    )
    return Verdict(
        verdict.passed,
        verdict.reason,
        {
            "floor": verdict.floor,
            **{f"rows/{lane}": count for lane, count in verdict.rows_by_lane.items()},
        },
    )


def lane_policy(rows: pl.DataFrame, profile: Profile) -> Verdict:
    """Check that rows belong to lanes that the profile trains, each in its lane's response mode."""
    faults = policy.lane_policy_violations(rows, profile)
    return Verdict.none_of(faults, "rows outside the lane policy", rows.height)


def no_split_leakage(rows: pl.DataFrame, profile: Profile) -> Verdict:
    """Check that the two sides of the split share no source, parent, or similar row."""
    faults = leakage.split_leakage(rows, profile.dedup)
    return Verdict.none_of(faults, "leaks across the split", rows.height)


def no_secrets(rows: pl.DataFrame, profile: Profile) -> Verdict:
    """Check that no row contains a key, a token, a private key or personal data."""
    faults = []
    for pair_id, dialogue in rows.select("pair_id", "messages").iter_rows():
        kinds = findings("\n".join(turn["content"] for turn in dialogue))
        if kinds:
            faults.append(f"{pair_id} contains {', '.join(kinds)}")
    return Verdict.none_of(faults, "rows with secrets", rows.height)


def fits_context(rows: pl.DataFrame, profile: Profile) -> Verdict:
    """Check that every dialogue fits the context of the training without truncation."""
    faults = policy.rows_over_context(rows, profile.mix.context)
    return Verdict.none_of(faults, f"rows over {profile.mix.context} tokens", rows.height)


def human_share(rows: pl.DataFrame, profile: Profile) -> Verdict:
    """Check that people wrote enough of the training rows."""
    share = policy.share_of_human_rows(rows)
    floor = profile.mix.human_share_floor
    return Verdict(
        share >= floor,
        f"{share:.0%} of the rows are human-written (at least {floor:.0%} required)",
        {"share": round(share, 4), "floor": floor},
    )


#: The blocking gates by check name.
GATES: Mapping[str, Callable[[pl.DataFrame, Profile], Verdict]] = {
    "minimum_size": minimum_size,
    "lane_policy": lane_policy,
    "no_split_leakage": no_split_leakage,
    "no_secrets": no_secrets,
    "fits_context": fits_context,
}


def refusals(rows: pl.DataFrame, profile: Profile) -> list[str]:
    """Return one line per failed gate, with its name and the reason."""
    verdicts = {name: gate(rows, profile) for name, gate in GATES.items()}
    return [
        f"{name}: {verdict.summary}" for name, verdict in verdicts.items() if not verdict.passed
    ]
