"""Computes the figures of the exam from its answers: shares per rung, pass@k and differences.

Every function reads a table with the columns of `answer.ANSWER_SCHEMA`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from math import comb
from typing import Any, Literal, get_args

import polars as pl

from vox_assets.contract.interval import Interval, clustered_difference, share_of_groups, wilson
from vox_assets.exam.decide import Arm, Difference
from vox_assets.exam.task import KINDS, RUNGS
from vox_assets.synthesize.vox.reserved import EXAM_TEMPLATES

ARMS: tuple[Arm, ...] = get_args(Arm)
#: Numbers of samples k of pass@k, as far as a task has so many.
PASS_AT = (1, 5, 10)
#: The last line of a ladder: the task is passed on the last rung that applies to it.
PASSED = "passed"


def shares(answers: pl.DataFrame, *by: str) -> pl.DataFrame:
    """Return the share of greedy answers that reach each rung, per arm and value of `by`.

    Columns: `arm`, the columns `by`, `rung` (RUNGS and PASSED), `tasks`, `reached`, `share`, and
    the bounds `low`, `high` of its Wilson interval. A rung that applies to no answer is left out.
    """
    groups = ["arm", *by]
    lines = (
        greedy(answers)
        .select(*groups, *RUNGS, PASSED)
        .unpivot(index=groups, on=[*RUNGS, PASSED], variable_name="rung", value_name="holds")
        .drop_nulls("holds")
        .group_by(*groups, "rung")
        .agg(pl.len().alias("tasks"), pl.col("holds").sum().alias("reached"))
        .with_columns((pl.col("reached") / pl.col("tasks")).alias("share"))
    )
    bounds = [wilson(*line) for line in lines.select("reached", "tasks").iter_rows()]
    return (
        lines.with_columns(
            pl.Series("low", [bound.low for bound in bounds], pl.Float64),
            pl.Series("high", [bound.high for bound in bounds], pl.Float64),
            _place("arm", ARMS),
            _place("rung", (*RUNGS, PASSED)),
            *(_place(column, KINDS) for column in by if column == "kind"),
        )
        .sort(*(f"_{name}" if name in ("arm", "kind") else name for name in groups), "_rung")
        .select(*groups, "rung", "tasks", "reached", "share", "low", "high")
    )


def _place(column: str, order: Sequence[str]) -> pl.Expr:
    return (
        pl.col(column)
        .replace_strict(order, range(len(order)), default=len(order))
        .alias(f"_{column}")
    )


def greedy(answers: pl.DataFrame) -> pl.DataFrame:
    """Return the greedy answers alone."""
    return answers.filter(pl.col("sample") == 0)


def differences(answers: pl.DataFrame, rungs: Iterable[str]) -> list[Difference]:
    """Compare the adapter with every other arm on each rung, paired by task.

    Only tasks that both arms answered and to which the rung applies count. Intervals are clustered
    by template file or source file, because answers to tasks of one file are alike.
    """
    first_answers = greedy(answers)
    adapter = first_answers.filter(arm="adapter")
    found = []
    for arm in ARMS:
        other = first_answers.filter(arm=arm)
        if arm == "adapter" or other.is_empty():
            continue
        found += [Difference(arm, rung, *paired(adapter, other, rung)) for rung in rungs]
    return found


def paired(answers: pl.DataFrame, other: pl.DataFrame, rung: str) -> tuple[int, Interval]:
    """Compare the greedy answers of two models on a rung; return the tasks that both answered.

    The interval is that of the first share minus the other, as in `differences`.
    """
    pairs = (
        answers.select("task_id", "source_path", rung)
        .join(other.select("task_id", pl.col(rung).alias("other")), on="task_id")
        .drop_nulls()
        .sort("task_id")
    )
    interval = clustered_difference(
        list(pairs.select(rung, "other").iter_rows()), pairs["source_path"].to_list()
    )
    return pairs.height, interval


def half(answers: pl.DataFrame, name: Literal["development", "report"]) -> pl.DataFrame:
    """Return the answers to one half of the tasks, split by template file or source file.

    A recipe is chosen by the development half, and its figures are those of the report half.
    """
    digests = [hashlib.sha256(path.encode()).digest()[0] % 2 for path in answers["source_path"]]
    return answers.filter(pl.Series(digests, dtype=pl.Int64) == (name == "report"))


def pass_at(answers: pl.DataFrame, k: int) -> dict[str, Interval]:
    """Return pass@k of each arm that sampled at least `k` answers, by the unbiased estimator.

    M. Chen et al., Evaluating large language models trained on code (2021), arXiv 2107.03374: of n
    samples of a task with c correct ones, 1 - C(n - c, k) / C(n, k), averaged over tasks. The
    interval is over template files or source files.
    """
    counts = (
        answers.filter(pl.col("sample") > 0)
        .group_by("arm", "source_path", "task_id")
        .agg(pl.len().alias("n"), pl.col(PASSED).sum().alias("c"))
        .filter(pl.col("n") >= k)
        .sort("arm", "source_path", "task_id")
    )
    rates: dict[str, Interval] = {}
    for arm in ARMS:
        lines = counts.filter(arm=arm)
        if lines.is_empty():
            continue
        values = [1 - comb(n - c, k) / comb(n, k) for n, c in lines.select("n", "c").iter_rows()]
        rates[arm] = share_of_groups(values, lines["source_path"].to_list())
    return rates


#: Tasks of a construct below which its share says nothing.
MIN_TASKS_OF_CONSTRUCT = 3


def weak_constructs(exam: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Return the constructs of which an adapter passes a smaller share of tasks than of all tasks.

    `exam` has the figures of its exam. Constructs with few tasks, and those that the exam keeps
    from training as a whole, are left out. The values are the tasks passed and the tasks.
    """
    overall = max(
        (
            line["share"]
            for line in exam["shares"]
            if line["arm"] == "adapter" and line["rung"] == PASSED
        ),
        # The training of the adapter saw every task, so it answered none.
        default=0.0,
    )
    return {
        line["construct"]: (line["reached"], line["tasks"])
        for line in exam["constructs"]
        if line["arm"] == "adapter"
        and line["rung"] == PASSED
        and line["tasks"] >= MIN_TASKS_OF_CONSTRUCT
        and line["share"] < overall
        and line["construct"] not in EXAM_TEMPLATES
    }


def pass_rates(answers: pl.DataFrame) -> list[dict[str, Any]]:
    """Return pass@k of each arm for each k of PASS_AT that its samples allow, as plain values."""
    return [
        {"arm": arm, "k": k, **asdict(interval)}
        for k in PASS_AT
        for arm, interval in pass_at(answers, k).items()
    ]


def figures(answers: pl.DataFrame, rungs: Sequence[str]) -> dict[str, Any]:
    """Return all figures of an exam as plain JSON values, for the manifest of an adapter."""
    return {
        "digest": digest(answers),
        "tasks": answers["task_id"].n_unique(),
        "shares": shares(answers).to_dicts(),
        "kinds": shares(answers, "kind").to_dicts(),
        "constructs": shares(answers, "construct").to_dicts(),
        "differences": [
            {"other": item.other, "rung": item.rung, "tasks": item.tasks, **asdict(item.interval)}
            for item in differences(answers, rungs)
        ],
        "pass_at": pass_rates(answers),
    }


def digest(answers: pl.DataFrame) -> str:
    """Return the digest of the exam that was answered: of the ids of its tasks."""
    ids = sorted(answers["task_id"].unique().to_list())
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]
