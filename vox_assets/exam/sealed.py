"""Finds tasks of the exam that training rows reveal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from vox_assets.contract.verdict import Verdict
from vox_assets.exam.task import Kind, Task
from vox_assets.mix.leakage import RENAMED, Leak, leaks
from vox_assets.mix.schema import TRAIN
from vox_assets.profiles import Dedup


def reveals(leak: Leak, kind: Kind) -> bool:
    """Decide whether what a training row has of a task of this kind reveals it.

    The answer of a familiar task has the shape of trained answers by design; only its names and
    values are new.
    """
    return kind != "familiar" or not leak.reason.endswith(RENAMED)


def sealed(tasks: Sequence[Task], rows: pl.DataFrame, dedup: Dedup) -> list[str]:
    """Return every reference and prompt that a training row reveals, as `task: part: reason`.

    `rows` needs `pair_id` and `messages`; of a mix, only the training rows count. Each reference is
    compared with every turn of every row: whole, inside the turn, and under other names. A prompt
    is compared as prose: whole, and inside the turn.
    """
    return sorted(
        f"{leak.held_out}: {part}: {leak.reason} ({leak.similarity:.2f}): {leak.train}"
        for part, leak in _revealed(tasks, rows, dedup)
    )


def revealing_rows(tasks: Sequence[Task], rows: pl.DataFrame, dedup: Dedup) -> set[str]:
    """Return the ids of the training rows that reveal a task, as `sealed` finds them."""
    return {leak.train for _, leak in _revealed(tasks, rows, dedup)}


def _revealed(
    tasks: Sequence[Task], rows: pl.DataFrame, dedup: Dedup
) -> Iterator[tuple[str, Leak]]:
    train = _trained(rows)
    by_id = {task.task_id: task for task in tasks}
    for part, mode in (("reference", "code_only"), ("prompt", "prose_only")):
        held_out = pl.DataFrame(
            {
                "pair_id": list(by_id),
                "messages": [
                    [{"role": "assistant", "content": getattr(task, part)}]
                    for task in by_id.values()
                ],
                "response_mode": [mode] * len(by_id),
            },
            schema={
                "pair_id": pl.String(),
                "messages": train.schema["messages"],
                "response_mode": pl.String(),
            },
        )
        for leak in leaks(held_out, train.select("pair_id", "messages"), dedup):
            if reveals(leak, by_id[leak.held_out].kind):
                yield part, leak


def exam_sealed(tasks: Sequence[Task], rows: pl.DataFrame, dedup: Dedup) -> Verdict:
    """Check that no training row reveals a task."""
    return Verdict.none_of(
        sealed(tasks, rows, dedup), "tasks that training rows reveal", len(tasks)
    )


def seen_tasks(tasks: Sequence[Task], rows: pl.DataFrame, dedup: Dedup) -> set[str]:
    """Return the ids of the tasks that the training of an adapter saw.

    `rows` lists the rows that it was trained on. With their `messages`, the tasks are compared with
    them as in `sealed`. The list that an adapter keeps has no texts; then a task was seen if its
    program was trained, by `source_symbol`, or by `source_path` where the list has no symbols.
    """
    if "messages" in rows.columns:
        return {fault.partition(":")[0] for fault in sealed(tasks, rows, dedup)}
    trained = _trained(rows)
    paths = set(trained["source_path"].drop_nulls())
    if "source_symbol" not in rows.columns:
        return {task.task_id for task in tasks if task.source_path in paths}
    symbols = set(trained["source_symbol"].drop_nulls())
    known = symbols | {symbol.rpartition("::")[0] for symbol in symbols}
    return {
        task.task_id
        for task in tasks
        if (
            task.source_path in paths
            if task.kind in ("new_construct", "live")
            else _symbol(task) in known
        )
    }


def _symbol(task: Task) -> str:
    """Return the symbol of rows that reveal a task: its program, or its variant in any domain."""
    variant = f"{task.construct}::{task.variant}"
    return f"{variant}::{task.domain}" if task.kind == "familiar" else variant


def _trained(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("split") == TRAIN) if "split" in rows.columns else rows
