"""Makes the sections about the exam of the report of an adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from vox_assets.contract.rows import in_hash_order
from vox_assets.exam.decide import NAMES
from vox_assets.exam.results import PASSED
from vox_assets.exam.task import RUNGS
from vox_assets.publish.exam_figures import constructs_by_rung, ladders, pass_rates
from vox_assets.publish.pages import Section, Table
from vox_assets.training.adapter.evaluation_table import kind_table, ladder_table, sample_table

#: Answers of the adapter that a report shows.
SHOWN_ANSWERS = 5


def exam_sections(
    exam: Mapping[str, Any], tasks: pl.DataFrame, answers: pl.DataFrame, history: pl.DataFrame
) -> list[Section]:
    """Return the sections about the exam.

    `exam` has the figures of an evaluation, `tasks` and `answers` are the tables of the exam, and
    `history` has `digest`, `share`, `low`, `high` of the adapters, the oldest first.
    """
    shares = pl.DataFrame(exam["shares"])
    constructs = pl.DataFrame(exam["constructs"]).filter(arm="adapter")
    verdict = exam["verdict"]
    serving = exam["serving"]
    text = f"{exam['tasks']} tasks (exam {exam['digest']}). {verdict['reason']}."
    if serving:
        text += f" Against the serving adapter {serving['digest']}: {serving['summary']}."
    return [
        Section(
            "The exam",
            f"{text} The profile lets the {exam['decides']} decide: {exam['reason']}.",
            table=Table(*ladder_table(exam)),
            figures=[ladders(shares, NAMES, "svg")],
        ),
        Section("The exam by kind of task", table=Table(*kind_table(exam))),
        *(
            [Section("Samples at temperature", table=Table(*sample_table(exam["pass_at"])))]
            if exam["pass_at"]
            else []
        ),
        Section(
            "The exam by construct",
            figures=[constructs_by_rung(constructs.filter(pl.col("rung") != PASSED), "svg")],
        ),
        Section(
            "Tasks passed over builds",
            figures=[pass_rates(list(history.iter_rows()), "svg")],
        ),
        Section("Answers of the adapter", samples=shown_answers(tasks, answers)),
    ]


def shown_answers(tasks: pl.DataFrame, answers: pl.DataFrame) -> list[dict[str, Any]]:
    """Choose a few answers of the adapter, in turn from every highest rung, with their verdicts."""
    prompts = dict(tasks.select("task_id", "prompt").iter_rows())
    chosen = (
        in_hash_order(
            answers.filter((pl.col("arm") == "adapter") & (pl.col("sample") == 0)).with_columns(
                pl.col("task_id").alias("pair_id")
            ),
            "exam",
        )
        .with_columns(
            pl.int_range(pl.len()).over("reached").alias("_turn"),
            pl.col("reached").replace_strict(RUNGS, range(len(RUNGS)), default=-1).alias("_rung"),
        )
        .sort("_turn", "_rung", descending=[False, True], maintain_order=True)
        .head(SHOWN_ANSWERS)
    )
    return [
        {
            "label": f"{line['kind'].replace('_', ' ')} · {line['construct']} · {verdict_of(line)}",
            "messages": [
                {"role": "user", "content": prompts[line["task_id"]]},
                {"role": "assistant", "content": line["answer"]},
            ],
        }
        for line in chosen.iter_rows(named=True)
    ]


def verdict_of(line: Mapping[str, Any]) -> str:
    """Describe the grade of an answer in one line."""
    if line["passed"]:
        return "passed"
    found = f"fails after {line['reached']}" if line["reached"] else "fails"
    if line["call"]:
        return f"{found}: {line['call']} gives {line['got']}, expected {line['expected']}"
    return f"{found}: {line['fault']}" if line["fault"] else found


def ladder_lines(found: pl.DataFrame, by: str | None = None) -> list[str]:
    """Format shares (`exam.results.shares`) as text for a terminal, a column per arm.

    The lines are rungs, or with `by` the values of that column, of which the share of passed tasks
    is shown. A cell has the share, its interval, and the number of tasks.
    """
    if by is not None:
        found = found.filter(rung=PASSED)
    arms = found["arm"].unique(maintain_order=True).to_list()
    header = f"{by or 'rung':<12}" + "".join(f"{NAMES[arm]!s:>22}" for arm in arms)
    lines = [header.rstrip()]
    for name in found[by or "rung"].unique(maintain_order=True).to_list():
        cells = []
        for arm in arms:
            line = found.filter(pl.col(by or "rung") == name, pl.col("arm") == arm)
            cells.append(f"{_cell(line.row(0, named=True)) if line.height else '-':>22}")
        lines.append(f"{name.replace('_', ' '):<12}{''.join(cells)}")
    return lines


def sample_lines(rates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Format pass@k (`exam.results.pass_rates`) as text for a terminal, a column per arm."""
    header, lines = sample_table(rates)
    names = ("samples", *(name.removesuffix(" [95 %]") for name in header[1:]))
    return [
        f"{line[0]:<12}{''.join(f'{cell:>22}' for cell in line[1:])}" for line in (names, *lines)
    ]


def _cell(line: Mapping[str, Any]) -> str:
    bounds = f"[{100 * line['low']:.0f}, {100 * line['high']:.0f}]"
    return f"{line['share']:.0%} {bounds} of {line['tasks']}"
