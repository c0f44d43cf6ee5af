"""Grades the answers of one arm to the exam and makes their table.

The answers may come from a file that another runner wrote (`read_answers`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl
from pydantic import BaseModel, ValidationError

from vox_assets.exam.answer import ANSWER_SCHEMA
from vox_assets.exam.decide import Arm
from vox_assets.exam.grade import grade
from vox_assets.exam.task import Task


class Answered(BaseModel):
    """A line of a file of answers."""

    task_id: str
    answer: str
    ended: bool = True


def read_answers(text: str, tasks: Sequence[Task]) -> list[tuple[str, bool]]:
    """Read one answer per task, and whether it ended by itself, from lines of JSON (`Answered`).

    Raises ValueError for a line that is no answer to a task, a task that is answered twice, and a
    task without an answer.
    """
    known = {task.task_id for task in tasks}
    found: dict[str, tuple[str, bool]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            read = Answered.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "line"
            raise ValueError(
                f"line {number}: {where}: {first['msg']}: expected an object with the texts "
                f"`task_id` and `answer`, and `ended`, which is false for a cut answer"
            ) from None
        if read.task_id not in known:
            raise ValueError(f"line {number}: no task {read.task_id[:40]!r} in this exam")
        if read.task_id in found:
            raise ValueError(f"line {number}: answers task {read.task_id} again")
        found[read.task_id] = (read.answer, read.ended)
    if len(found) < len(known):
        raise ValueError(f"has no answer to {len(known) - len(found)} of {len(known)} tasks")
    return [found[task.task_id] for task in tasks]


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
