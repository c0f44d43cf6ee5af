"""The gates that a training mix must pass before training starts, by name.

The checks on `training_mix` report these, and `qlora_adapter` asks them again itself, because a
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
    """Each lane that is trained has enough distinct rows for the profile's tier."""
    verdict = size.size_verdict(size.rows_by_lane(rows), profile.mix.lanes, profile.size.tier)
    return Verdict(
        verdict.passed,
        verdict.reason,
        {"floor": verdict.floor, **{f"rows/{k}": v for k, v in verdict.rows_by_lane.items()}},
    )


def lane_policy(rows: pl.DataFrame, profile: Profile) -> Verdict:
    """Only the lanes that the profile trains, each in its own response mode."""
    faults = policy.lane_policy_violations(rows, profile)
    return Verdict.none_of(faults, "rows outside the lane policy", rows.height)


def no_split_leakage(rows: pl.DataFrame, profile: Profile) -> Verdict:
    """Training and evaluation share no source, parent, or equal, near or synonymous row."""
    faults = leakage.split_leakage(rows, profile.dedup)
    return Verdict.none_of(faults, "leaks across the split", rows.height)


def no_secrets(rows: pl.DataFrame, profile: Profile) -> Verdict:
    """No row holds a key, a token, a private key or personal data."""
    faults = []
    for pair_id, dialogue in rows.select("pair_id", "messages").iter_rows():
        kinds = findings("\n".join(turn["content"] for turn in dialogue))
        if kinds:
            faults.append(f"{pair_id} holds {', '.join(kinds)}")
    return Verdict.none_of(faults, "rows with secrets", rows.height)


def fits_context(rows: pl.DataFrame, profile: Profile) -> Verdict:
    """Every dialogue fits the context that the adapter is trained with, uncut."""
    faults = policy.over_context(rows, profile.mix.context)
    return Verdict.none_of(faults, f"rows over {profile.mix.context} tokens", rows.height)


def human_share(rows: pl.DataFrame, profile: Profile) -> Verdict:
    """Enough of what is trained was written by people."""
    share = policy.human_share(rows)
    floor = profile.mix.human_share_floor
    return Verdict(
        share >= floor,
        f"{share:.0%} of the rows are human-written (at least {floor:.0%} wanted)",
        {"share": round(share, 4), "floor": floor},
    )


#: The blocking gates, by the name of the check that reports each.
GATES: Mapping[str, Callable[[pl.DataFrame, Profile], Verdict]] = {
    "minimum_size": minimum_size,
    "lane_policy": lane_policy,
    "no_split_leakage": no_split_leakage,
    "no_secrets": no_secrets,
    "fits_context": fits_context,
}


def refusals(rows: pl.DataFrame, profile: Profile) -> list[str]:
    """The gates that a mix does not pass, one line each, by name; empty when it may be trained."""
    verdicts = {name: gate(rows, profile) for name, gate in GATES.items()}
    return [f"{name}: {v.summary}" for name, v in verdicts.items() if not v.passed]
