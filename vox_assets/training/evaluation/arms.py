"""Defines the arms of the ablation and compares their results.

An arm is one training with one factor changed. All arms have the same number of tokens, the same
seed and the same held-out rows, so only that factor explains a difference. Arms are never promoted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from vox_assets.contract.interval import Interval
from vox_assets.contract.rows import Message, in_hash_order
from vox_assets.mix.leakage import leaks, split_leakage
from vox_assets.mix.schema import EVAL, MIX_SCHEMA, TRAIN
from vox_assets.profiles import Dedup, Profile
from vox_assets.training.evaluation.statistics import paired_ratio
from vox_assets.training.evaluation.verdicts import Evaluation
from vox_assets.training.plan.ranks import RankChoice

CURATED, RANDOM = "curated", "random"
#: Epochs beyond any step budget, so that only the step limit ends an arm and all arms see the same
#: number of tokens.
EPOCHS_UNBOUNDED = 1e6
#: Seconds beyond any run, so that a slower arm does not end earlier.
SECONDS_UNBOUNDED = 7 * 24 * 3600

TABLE_HEADER = (
    *("arm", "rows", "tokens seen", "rank", "held-out loss", "ratio to base [95 %]"),
    *("ratio to curated [95 %]", "end and parse [95 %]"),
)


@dataclass(frozen=True)
class Arm:
    """One training of the ablation; `rank` holds the fields of the rank choice that it replaces."""

    name: str
    why: str
    rank: Mapping[str, Any]


def arms(profile: Profile) -> dict[str, Arm]:
    """Return the arms of a profile by name: curated, random, and one per tier of its rank table."""
    by_name = {
        CURATED: Arm(CURATED, "the training mix, trained by the rank policy", {}),
        RANDOM: Arm(RANDOM, "a random sample of the raw rows of the same lanes", {}),
    }
    for tier in profile.ranks:
        changes = tier.model_dump(include={"rank", "alpha", "learning_rate"})
        name = f"rank_{tier.rank}"
        by_name[name] = Arm(name, f"the training mix at rank {tier.rank}", changes)
    return by_name


def arm_profile(profile: Profile, steps: int | None) -> Profile:
    """Return the profile with a budget of steps only, and without early stopping."""
    budget = {"max_seconds": SECONDS_UNBOUNDED, "patience": steps or profile.training.max_steps}
    if steps is not None:
        budget |= {"max_steps": steps, "eval_every_steps": max(1, steps // 2)}
    return profile.model_copy(update={"training": profile.training.model_copy(update=budget)})


def arm_rank(chosen: RankChoice, arm: Arm) -> RankChoice:
    """Apply the changes of an arm to a rank choice, with unlimited epochs."""
    return RankChoice(
        **asdict(chosen) | dict(arm.rank) | {"epochs": EPOCHS_UNBOUNDED, "reason": arm.why}
    )


def random_mix(
    raw: pl.DataFrame,
    mix_rows: pl.DataFrame,
    dedup: Dedup,
    context: int,
    seed: int,
    count_tokens: Callable[[list[Message]], int],
) -> pl.DataFrame:
    """Draw a mix from `raw` with the held-out rows and the number of training tokens of `mix_rows`.

    `raw` contains rows of the source tables, before dedup and scoring. The sample excludes rows of
    other lanes, rows longer than `context` tokens, and rows that reveal a held-out row by file,
    parent, text or shape, so that it is as free of leakage as the mix. Raises ValueError if the raw
    rows have too few tokens.
    """
    held_out = mix_rows.filter(pl.col("split") == EVAL)
    token_budget = int(mix_rows.filter(pl.col("split") == TRAIN)["tokens"].sum())
    related = set(held_out["pair_id"].to_list()) | _parents(held_out)
    rows = raw.unique("pair_id", keep="first", maintain_order=True).filter(
        pl.col("lane").is_in(mix_rows["lane"].unique().to_list())
        & ~pl.col("source_path").is_in(held_out["source_path"].unique().to_list())
        & ~pl.col("pair_id").is_in(list(related))
        & (pl.col("parents").list.set_intersection(list(related)).list.len().fill_null(0) == 0)
    )
    rows = in_hash_order(rows, seed)
    tokens = pl.Series("tokens", [count_tokens(m) for m in rows["messages"]], dtype=pl.Int64)
    rows = rows.with_columns(tokens).filter(pl.col("tokens") <= context)
    rows = rows.with_columns(
        # Only rows of the corpus have embeddings, so raw rows are not compared by meaning.
        pl.lit(None, dtype=pl.List(pl.Float32)).alias("embedding"),
        pl.lit(None, dtype=pl.Float64).alias("score"),
        pl.lit(TRAIN).alias("split"),
        pl.lit(1.0, dtype=pl.Float64).alias("weight"),
    ).select([pl.col(name).cast(dtype) for name, dtype in MIX_SCHEMA.items()])

    leaking = sorted({leak.train for leak in leaks(held_out, rows, dedup)})
    rows = rows.filter(~pl.col("pair_id").is_in(leaking))
    total = int(rows["tokens"].sum())
    if total < token_budget:
        raise ValueError(
            f"raw rows have {total} tokens: expected at least {token_budget}, as in the mix"
        )
    sample = rows.filter(pl.col("tokens").cum_sum() <= token_budget)
    drawn = pl.concat([sample, held_out.select(MIX_SCHEMA.keys())])
    faults = split_leakage(drawn, dedup)
    if faults:
        raise ValueError(f"random sample leaks held-out rows: {faults[0]}")
    return drawn


def _parents(rows: pl.DataFrame) -> set[str]:
    return {parent for parents in rows["parents"].to_list() for parent in parents or ()}


# Results ------------------------------------------------------------------------------------


def result(
    arm: Arm, mix_rows: pl.DataFrame, manifest: Mapping[str, Any], evaluation: Evaluation
) -> dict[str, Any]:
    """Return the result of an arm as plain JSON values."""
    return {
        "arm": arm.name,
        "why": arm.why,
        "rows": int((mix_rows["split"] == TRAIN).sum()),
        "rank": manifest["rank"]["rank"],
        "tokens": manifest["training"]["tokens"],
        "steps": manifest["training"]["steps"],
        "seed": manifest["config"]["training"]["seed"],
        "evaluation": evaluation.to_json(),
    }


def comparable(results: Sequence[Mapping[str, Any]], eval_digest: str) -> list[Mapping[str, Any]]:
    """Select the results on the held-out rows of `eval_digest`: curated, random, then the tiers."""
    same = [item for item in results if item["evaluation"]["eval_digest"] == eval_digest]
    return sorted(
        same, key=lambda item: (item["arm"] != CURATED, item["arm"] != RANDOM, item["arm"])
    )


def table_lines(results: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Format one line per arm, with paired intervals over sources."""
    curated = next((item for item in results if item["arm"] == CURATED), None)
    lines: list[tuple[str, ...]] = []
    for item in results:
        evaluation = item["evaluation"]
        held_out, parsed = (
            evaluation["held_out"],
            evaluation["adapter_writes"]["intervals"]["parse_rate"],
        )
        ratio_to_curated = (
            "" if curated is None or item is curated else str(_ratio_to(curated, item))
        )
        lines.append(
            (
                item["arm"],
                f"{item['rows']:,}",
                f"{item['tokens']:,}",
                f"{item['rank']}",
                f"{held_out['adapter_nll']:.3f}",
                _format_interval(held_out["ratio"]),
                ratio_to_curated,
                f"{parsed['value']:.0%} [{parsed['low']:.0%}, {parsed['high']:.0%}] "
                f"of {evaluation['adapter_writes']['count']}",
            )
        )
    return lines


def _ratio_to(curated: Mapping[str, Any], other: Mapping[str, Any]) -> Interval:
    return paired_ratio(curated["evaluation"]["rows"], other["evaluation"]["rows"])


def _format_interval(interval: Mapping[str, float]) -> str:
    return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"
