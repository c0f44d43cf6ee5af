"""Defines the arms of the ablation and compares their results.

An arm is one training with one factor changed. Unless that factor is the budget, all arms have the
same number of steps and tokens. They have the same held-out rows and the same exam, so only that
factor explains a difference. Arms are never promoted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from vox_assets.contract.interval import Interval, wilson
from vox_assets.contract.rows import Message, in_hash_order
from vox_assets.curate.scoring import NOT_SCORED
from vox_assets.curate.secrets import HOLDS
from vox_assets.exam import results
from vox_assets.exam.sealed import revealing_rows
from vox_assets.exam.task import RUNGS, Task
from vox_assets.mix.build import build_mix
from vox_assets.mix.leakage import leaks, split_leakage
from vox_assets.mix.schema import EVAL, MIX_SCHEMA, TRAIN
from vox_assets.profiles import CURATED, Arm, Profile
from vox_assets.synthesize.vox.reserved import is_exam_path
from vox_assets.training.evaluation.statistics import paired_ratio
from vox_assets.training.evaluation.verdicts import Evaluation
from vox_assets.training.plan.ranks import RankChoice

#: Epochs beyond any step budget, so that only the step limit ends an arm and all arms see the same
#: number of tokens.
EPOCHS_UNBOUNDED = 1e6
#: Seconds beyond any run, so that a slower arm does not end earlier.
SECONDS_UNBOUNDED = 7 * 24 * 3600

#: A recipe is chosen by the development half of the exam, so the table shows no other.
TABLE_HEADER = (
    *("arm", "rows", "tokens seen", "rank", "held-out loss", "ratio to base [95 %]"),
    *("ratio to curated [95 %]", "parses [95 %]", "passes [95 %]", "passes over curated [95 %]"),
)


@dataclass(frozen=True)
class Corpus:
    """The tables that arms draw training rows from."""

    #: `scored_corpus`.
    scored: pl.DataFrame
    #: Rows of the source tables, before dedup and scoring.
    raw: pl.DataFrame
    #: The drops of dedup, each with the row that was kept instead.
    duplicates: pl.DataFrame
    #: The training mix, whose held-out rows all arms share.
    mix: pl.DataFrame
    #: The exam, which no arm's training rows may reveal.
    tasks: Sequence[Task]


def arms(profile: Profile) -> dict[str, Arm]:
    """Return the arms of a profile by name; the first is the mix as it is."""
    curated = Arm(name=CURATED, why="the training mix, trained by the rank table")
    return {arm.name: arm for arm in (curated, *profile.ablation)}


def arm_profile(profile: Profile, arm: Arm, steps: int | None) -> Profile:
    """Return the profile of an arm: its changes, a budget of steps only, and no early stopping."""
    changed = profile.for_arm(arm)
    budget: dict[str, Any] = {"max_seconds": SECONDS_UNBOUNDED, "patience": None}
    if steps is not None:
        budget |= {"max_steps": steps, "eval_every_steps": max(1, steps // 2)}
    return changed.model_copy(update={"training": changed.training.model_copy(update=budget)})


def arm_rank(chosen: RankChoice, arm: Arm) -> RankChoice:
    """Apply the changes of an arm to a rank choice, with unlimited epochs."""
    return RankChoice(**asdict(chosen) | arm.rank | {"epochs": EPOCHS_UNBOUNDED, "reason": arm.why})


def arm_rows(
    arm: Arm, profile: Profile, corpus: Corpus, count_tokens: Callable[[list[Message]], int]
) -> pl.DataFrame:
    """Return the rows of an arm (MIX_SCHEMA): its training rows, and the held-out rows of the mix.

    Raises ValueError if a random sample has too few tokens or a held-out row leaks.
    """
    if arm.rows == "random":
        return random_mix(corpus, profile, count_tokens)
    if not arm.mix and not arm.without:
        return corpus.mix
    built = build_mix(taken_back(corpus, arm), profile.for_arm(arm), count_tokens).rows
    return _checked(_sealed(built.filter(split=TRAIN), profile, corpus), profile, corpus)


def taken_back(corpus: Corpus, arm: Arm) -> pl.DataFrame:
    """Return `scored_corpus` as it is without the stages that an arm leaves out.

    A duplicate has the score of the row that was kept instead, and is in a cluster of its own.
    """
    scored = corpus.scored
    if "score" in arm.without:
        refused = pl.col("drop_kind").is_in([HOLDS, NOT_SCORED])
        scored = scored.with_columns(kept=pl.col("kept") | ~refused.fill_null(False))
    if "dedup" in arm.without:
        lost_to = dict(corpus.duplicates.select("pair_id", "lost_to").iter_rows())
        survivors = [_survivor(pair_id, lost_to) for pair_id in lost_to]
        own = [*corpus.raw.columns, "cluster_id", "cluster_size"]
        judged = scored.select(
            pl.col("pair_id").alias("survivor"), *(c for c in scored.columns if c not in own)
        )
        copies = (
            pl.DataFrame({"pair_id": list(lost_to), "survivor": survivors})
            .join(corpus.raw.unique("pair_id", keep="first"), on="pair_id", maintain_order="left")
            .join(judged, on="survivor", maintain_order="left")
            .with_columns(
                pl.col("pair_id").alias("cluster_id"),
                pl.lit(1, dtype=scored.schema["cluster_size"]).alias("cluster_size"),
            )
        )
        scored = pl.concat([scored, copies.select(scored.columns)])
    return scored


def _survivor(pair_id: str, lost_to: Mapping[str, str]) -> str:
    """Follow the rows that were kept instead to the one that is in the corpus."""
    while pair_id in lost_to:
        pair_id = lost_to[pair_id]
    return pair_id


def random_mix(
    corpus: Corpus, profile: Profile, count_tokens: Callable[[list[Message]], int]
) -> pl.DataFrame:
    """Draw a mix from the raw rows with the held-out rows and the training tokens of the mix.

    The sample excludes rows of other lanes, rows longer than the context, and rows that reveal a
    held-out row or a task of the exam, so that it is as free of leakage as the mix. Raises
    ValueError if the raw rows have too few tokens.
    """
    mix = corpus.mix
    token_budget = int(mix.filter(split=TRAIN)["tokens"].sum())
    rows = corpus.raw.unique("pair_id", keep="first", maintain_order=True).filter(
        pl.col("lane").is_in(mix["lane"].unique().to_list())
    )
    rows = in_hash_order(rows, profile.training.seed)
    tokens = pl.Series("tokens", [count_tokens(m) for m in rows["messages"]], dtype=pl.Int64)
    rows = rows.with_columns(tokens).filter(pl.col("tokens") <= profile.mix.context)
    rows = rows.with_columns(
        # Only rows of the corpus have embeddings, so raw rows are not compared by meaning.
        pl.lit(None, dtype=pl.List(pl.Float32)).alias("embedding"),
        pl.lit(None, dtype=pl.Float64).alias("score"),
        pl.lit(TRAIN).alias("split"),
        pl.lit(1.0, dtype=pl.Float64).alias("weight"),
    ).select([pl.col(name).cast(dtype) for name, dtype in MIX_SCHEMA.items()])
    rows = _sealed(rows, profile, corpus)
    total = int(rows["tokens"].sum())
    if total < token_budget:
        raise ValueError(
            f"raw rows have {total} tokens: expected at least {token_budget}, as in the mix"
        )
    return _checked(rows.filter(pl.col("tokens").cum_sum() <= token_budget), profile, corpus)


def _sealed(rows: pl.DataFrame, profile: Profile, corpus: Corpus) -> pl.DataFrame:
    """Leave out training rows that reveal a held-out row, by file, parent or text, or a task."""
    held_out = corpus.mix.filter(split=EVAL)
    related = set(held_out["pair_id"].to_list()) | {
        parent for parents in held_out["parents"].to_list() for parent in parents or ()
    }
    rows = rows.filter(
        ~pl.col("source_path").is_in(held_out["source_path"].unique().to_list())
        & ~pl.Series([is_exam_path(path) for path in rows["source_path"]], dtype=pl.Boolean)
        & ~pl.col("pair_id").is_in(list(related))
        & (pl.col("parents").list.set_intersection(list(related)).list.len().fill_null(0) == 0)
    )
    revealing = {leak.train for leak in leaks(held_out, rows, profile.dedup)}
    revealing |= revealing_rows(corpus.tasks, rows, profile.dedup)
    return rows.filter(~pl.col("pair_id").is_in(sorted(revealing)))


def _checked(train: pl.DataFrame, profile: Profile, corpus: Corpus) -> pl.DataFrame:
    """Join training rows and the held-out rows of the mix; raises ValueError if one leaks."""
    rows = pl.concat([train, corpus.mix.filter(split=EVAL).select(MIX_SCHEMA.keys())])
    faults = split_leakage(rows, profile.dedup)
    if faults:
        raise ValueError(f"the rows of the arm leak held-out rows: {faults[0]}")
    return rows


# Results ------------------------------------------------------------------------------------


def result(
    arm: Arm,
    rows: pl.DataFrame,
    manifest: Mapping[str, Any],
    evaluation: Evaluation,
    answers: pl.DataFrame,
) -> dict[str, Any]:
    """Return the result of an arm as plain JSON values; `languages` counts training tokens."""
    exam = answers.filter(arm="adapter", sample=0)
    return {
        "arm": arm.name,
        "why": arm.why,
        "rows": rows.filter(split=TRAIN).height,
        "languages": dict(
            rows.filter(split=TRAIN)
            .group_by("language")
            .agg(pl.sum("tokens"))
            .sort("language")
            .iter_rows()
        ),
        "rank": manifest["rank"]["rank"],
        "learning_rate": manifest["rank"]["learning_rate"],
        "tokens": manifest["training"]["tokens"],
        "seconds": manifest["training"]["seconds"],
        "steps": manifest["training"]["steps"],
        "seed": manifest["config"]["training"]["seed"],
        "evaluation": evaluation.to_json(),
        "exam_digest": results.digest(answers),
        "exam": exam.select(
            "task_id", "source_path", "kind", "construct", "sample", *RUNGS, results.PASSED
        ).to_dicts(),
    }


def comparable(
    trained: Sequence[Mapping[str, Any]], eval_digest: str, exam_digest: str
) -> list[Mapping[str, Any]]:
    """Select the results on the held-out rows and the exam of the digests, curated first."""
    same = [
        item
        for item in trained
        if item["evaluation"]["eval_digest"] == eval_digest and item["exam_digest"] == exam_digest
    ]
    return sorted(same, key=lambda item: item["arm"] != CURATED)


def table_lines(trained: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Format one line per arm, with intervals paired with `curated`: by source and by task."""
    curated = next((item for item in trained if item["arm"] == CURATED), None)
    exam_of_curated = None if curated is None else development_answers(curated)
    lines: list[tuple[str, ...]] = []
    for item in trained:
        held_out = item["evaluation"]["held_out"]
        exam = development_answers(item)
        loss, passes = "", ""
        if curated is not None and exam_of_curated is not None and item is not curated:
            loss = str(_ratio_to(curated, item))
            passes = _points(results.paired(exam, exam_of_curated, results.PASSED)[1])
        lines.append(
            (
                item["arm"],
                f"{item['rows']:,}",
                f"{item['tokens']:,}",
                f"{item['rank']}",
                f"{held_out['adapter_nll']:.3f}",
                _format_interval(held_out["ratio"]),
                loss,
                _share(exam, "parses"),
                _share(exam, results.PASSED),
                passes,
            )
        )
    return lines


def development_answers(item: Mapping[str, Any]) -> pl.DataFrame:
    """Return the answers of an arm to the development half of the exam, as rungs without texts."""
    schema = {
        **dict.fromkeys(("task_id", "source_path", "kind", "construct"), pl.String),
        "sample": pl.Int64,
        **dict.fromkeys((*RUNGS, results.PASSED), pl.Boolean),
    }
    return results.half(pl.DataFrame(item["exam"], schema=schema), "development")


def _share(answers: pl.DataFrame, rung: str) -> str:
    holds = answers[rung].drop_nulls()
    if holds.is_empty():
        return "no task"
    interval = wilson(int(holds.sum()), len(holds))
    return f"{interval.value:.0%} [{interval.low:.0%}, {interval.high:.0%}] of {len(holds)}"


def _points(interval: Interval) -> str:
    return f"{interval.value:+.0%} [{interval.low:+.0%}, {interval.high:+.0%}]"


def _ratio_to(curated: Mapping[str, Any], other: Mapping[str, Any]) -> Interval:
    return paired_ratio(curated["evaluation"]["rows"], other["evaluation"]["rows"])


def _format_interval(interval: Mapping[str, float]) -> str:
    return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"
