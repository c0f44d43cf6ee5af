"""Grades the answers of one arm to the exam and makes their table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from vox_assets.exam.answer import ANSWER_SCHEMA
from vox_assets.exam.decide import Arm
from vox_assets.exam.grade import grade
from vox_assets.exam.task import Task


def graded(
    tasks: Sequence[Task],
    texts: Sequence[tuple[str, bool]],
    *,
    arm: Arm,
    model: str,
    sample: int = 0,
    checks: Callable[[str], str | None] | None = None,
) -> pl.DataFrame:
    """Grade one answer per task; returns a table with the columns of ANSWER_SCHEMA.

    `texts` has the answers and whether each ended by itself. `model` is the digest of the adapter
    or the name of the model. `checks` returns why the compiler refuses a program, or None; without
    a compiler it is None.
    """
    lines: list[dict[str, object]] = []
    for task, (text, ended) in zip(tasks, texts, strict=True):
        found = grade(task, text, ended, checks)
        lines.append(
            {
                "task_id": task.task_id,
                "kind": task.kind,
                "construct": task.construct,
                "variant": task.variant,
                "source_path": task.source_path,
                "level": task.level,
                "arm": arm,
                "model": model,
                "sample": sample,
                # An endpoint may send half a surrogate pair, which a table cannot hold.
                "answer": text.encode("utf-8", "replace").decode("utf-8"),
                "ended": ended,
                **{str(rung): holds for rung, holds in found.rungs.items()},
                "reached": found.reached,
                "passed": found.passed,
                "fault": found.fault,
                "call": found.call,
                "expected": found.expected,
                "got": found.got,
            }
        )
    return pl.DataFrame(lines, schema=ANSWER_SCHEMA)
