"""Tests of tasks and their table."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from vox_assets.exam.task import TASK_SCHEMA, Call, Declared, Task, from_frame, to_frame

TASK = Task(
    prompt="Write `twice(n: int) to int`.",
    reference="fn twice(n: int) to int {\n    return n * 2\n}",
    construct="functions",
    variant="twice",
    domain="library",
    level=1,
    kind="familiar",
    source_path="synthesize/templates/functions.vox.j2",
    declarations=(Declared("function", "twice", (("n", "int"),), "int"),),
    calls=(Call(("twice(2)",), ("4",)),),
)
STRUCTURAL = replace(TASK, calls=(), facts=("table Loan: title str",), declarations=())


def test_a_table_of_tasks_gives_the_same_tasks_back() -> None:
    table = to_frame([TASK, STRUCTURAL])
    assert dict(table.schema) == TASK_SCHEMA
    assert from_frame(table) == [TASK, STRUCTURAL]
    assert table["decided_by"].to_list() == ["running", "structure"]


def test_an_empty_exam_has_the_schema_of_the_table() -> None:
    assert from_frame(to_frame([])) == []


@pytest.mark.parametrize(
    "change", [{"prompt": "Other."}, {"calls": (Call(("twice(2)",), ("5",)),)}, {"facts": ("x",)}]
)
def test_a_task_has_another_id_if_anything_that_decides_a_grade_differs(change: dict) -> None:  # type: ignore[type-arg]
    assert replace(TASK, **change).task_id != TASK.task_id


def test_a_table_with_a_changed_reference_is_refused_with_the_id_of_the_task() -> None:
    table = to_frame([TASK]).with_columns(pl.lit("fn other() {}").alias("reference"))
    with pytest.raises(ValueError, match=TASK.task_id):
        from_frame(table)
