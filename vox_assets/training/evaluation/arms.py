"""Ablation arms: the same training with one factor changed, judged on the same test.

An arm is one training. All arms see as many tokens, from the same seed, and are judged on the same
held-out rows, so that what differs between them is what the arm is named for. Arms are never
promoted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from vox_assets.contract.rows import Message, in_hash_order
from vox_assets.mix.leakage import leaks, split_leakage
from vox_assets.mix.schema import EVAL, MIX_SCHEMA, TRAIN
from vox_assets.profiles import Dedup, Profile
from vox_assets.training.evaluation.statistics import RowScore, compare_scores
from vox_assets.training.evaluation.verdicts import Evaluation
from vox_assets.training.plan.ranks import RankChoice

CURATED, RANDOM = "curated", "random"
#: More passes than any step budget: the steps alone end an arm, so that all see as many tokens.
EPOCHS_UNBOUNDED = 1e6
#: The same for the clock: a slower arm must not end earlier.
SECONDS_UNBOUNDED = 7 * 24 * 3600

TABLE_HEADER = (
    *("arm", "rows", "tokens seen", "rank", "held-out loss", "ratio to base [95 %]"),
    *("ratio to curated [95 %]", "end and parse [95 %]"),
)


@dataclass(frozen=True)
class Arm:
    """One training of the ablation: which rows, and what of the rank policy it replaces."""

    name: str
    why: str
    rank: Mapping[str, Any]


def arms(profile: Profile) -> dict[str, Arm]:
    """The arms of a profile by name: curated, random, and one per tier of its rank table."""
    found = {
        CURATED: Arm(CURATED, "the training mix, trained by the rank policy", {}),
        RANDOM: Arm(RANDOM, "a random sample of the raw rows of the same lanes", {}),
    }
    for tier in profile.ranks:
        changes = tier.model_dump(include={"rank", "alpha", "learning_rate"})
        name = f"rank_{tier.rank}"
        found[name] = Arm(name, f"the training mix at rank {tier.rank}", changes)
    return found


def arm_profile(profile: Profile, steps: int | None) -> Profile:
    """The profile with a budget of steps alone, and no early stopping."""
    budget = {"max_seconds": SECONDS_UNBOUNDED, "patience": steps or profile.training.max_steps}
    if steps is not None:
        budget |= {"max_steps": steps, "eval_every_steps": max(1, steps // 2)}
    return profile.model_copy(update={"training": profile.training.model_copy(update=budget)})


def arm_rank(chosen: RankChoice, arm: Arm) -> RankChoice:
    """The policy's choice with what the arm replaces, and no bound on passes."""
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
    """A mix of as many training tokens as `mix_rows`, drawn from `raw`, with its held-out rows.

    `raw` are rows of the source tables, before dedup and scoring. Rows of other lanes, rows over
    `context` tokens, and rows that give a held-out row away (by file, parent, text or shape) take
    no part: the sample is as blind to the test as the mix is. Raises ValueError when raw rows are
    too few to draw as many tokens.
    """
    held_out = mix_rows.filter(pl.col("split") == EVAL)
    wanted = int(mix_rows.filter(pl.col("split") == TRAIN)["tokens"].sum())
    family = set(held_out["pair_id"].to_list()) | _parents(held_out)
    rows = raw.unique("pair_id", keep="first", maintain_order=True).filter(
        pl.col("lane").is_in(mix_rows["lane"].unique().to_list())
        & ~pl.col("source_path").is_in(held_out["source_path"].unique().to_list())
        & ~pl.col("pair_id").is_in(list(family))
        & (pl.col("parents").list.set_intersection(list(family)).list.len().fill_null(0) == 0)
    )
    rows = in_hash_order(rows, seed)
    tokens = pl.Series("tokens", [count_tokens(m) for m in rows["messages"]], dtype=pl.Int64)
    rows = rows.with_columns(tokens).filter(pl.col("tokens") <= context)
    rows = rows.with_columns(
        # Only rows of the corpus are embedded: what a raw row means is not compared.
        pl.lit(None, dtype=pl.List(pl.Float32)).alias("embedding"),
        pl.lit(None, dtype=pl.Float64).alias("score"),
        pl.lit(TRAIN).alias("split"),
        pl.lit(1.0, dtype=pl.Float64).alias("weight"),
    ).select([pl.col(name).cast(dtype) for name, dtype in MIX_SCHEMA.items()])

    giving = sorted({leak.train for leak in leaks(held_out, rows, dedup)})
    rows = rows.filter(~pl.col("pair_id").is_in(giving))
    found = int(rows["tokens"].sum())
    if found < wanted:
        raise ValueError(f"raw rows hold {found} tokens: expected {wanted}, as many as the mix")
    sample = rows.filter(pl.col("tokens").cum_sum() <= wanted)
    drawn = pl.concat([sample, held_out.select(MIX_SCHEMA.keys())])
    faults = split_leakage(drawn, dedup)
    if faults:
        raise ValueError(f"random sample gives the test away: {faults[0]}")
    return drawn


def _parents(rows: pl.DataFrame) -> set[str]:
    return {parent for parents in rows["parents"].to_list() for parent in parents or ()}


# Results ------------------------------------------------------------------------------------


def result(
    arm: Arm, mix_rows: pl.DataFrame, manifest: Mapping[str, Any], evaluation: Evaluation
) -> dict[str, Any]:
    """Result of an arm, as plain JSON values."""
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
    """Results on the held-out rows named, curated first: others are of another corpus."""
    same = [item for item in results if item["evaluation"]["eval_digest"] == eval_digest]
    return sorted(
        same, key=lambda item: (item["arm"] != CURATED, item["arm"] != RANDOM, item["arm"])
    )


def table_lines(results: Sequence[Mapping[str, Any]], seed: int) -> list[tuple[str, ...]]:
    """One line per arm, with paired bootstrap intervals over sources."""
    curated = next((item for item in results if item["arm"] == CURATED), None)
    lines: list[tuple[str, ...]] = []
    for item in results:
        evaluation = item["evaluation"]
        held_out, parsed = (
            evaluation["held_out"],
            evaluation["adapter_writes"]["intervals"]["parse_rate"],
        )
        against = "" if curated is None or item is curated else str(_against(curated, item, seed))
        lines.append(
            (
                item["arm"],
                f"{item['rows']:,}",
                f"{item['tokens']:,}",
                f"{item['rank']}",
                f"{held_out['adapter_nll']:.3f}",
                _interval(held_out["ratio"]),
                against,
                f"{parsed['value']:.0%} [{parsed['low']:.0%}, {parsed['high']:.0%}] "
                f"of {evaluation['adapter_writes']['count']}",
            )
        )
    return lines


def _against(curated: Mapping[str, Any], other: Mapping[str, Any], seed: int) -> Any:
    """The other arm's loss over the curated arm's, row by row."""
    mine = {row["pair_id"]: row for row in curated["evaluation"]["rows"]}
    scores = [
        RowScore(**row | {"base_nll": mine[row["pair_id"]]["adapter_nll"]})
        for row in other["evaluation"]["rows"]
    ]
    return compare_scores(scores, seed).ratio


def _interval(interval: Mapping[str, float]) -> str:
    return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"
