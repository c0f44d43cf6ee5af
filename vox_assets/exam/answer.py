"""Defines the table of answers to the exam."""

from __future__ import annotations

import polars as pl

from vox_assets.exam.task import RUNGS

#: A line per task, arm and sample. `model` is the digest of the adapter or the name of the served
#: model; sample 0 is the greedy answer. A rung is null where it does not apply. `reached` is the
#: highest rung of the answer, `passed` whether it passed the last rung that applies. `call`,
#: `expected` and `got` describe the first hidden call or structural fact that failed.
ANSWER_SCHEMA: dict[str, pl.DataType] = {
    "task_id": pl.String(),
    "kind": pl.String(),
    "construct": pl.String(),
    "variant": pl.String(),
    "source_path": pl.String(),
    "level": pl.Int64(),
    "arm": pl.String(),
    "model": pl.String(),
    "sample": pl.Int64(),
    "answer": pl.String(),
    "ended": pl.Boolean(),
    **dict.fromkeys(RUNGS, pl.Boolean()),
    "reached": pl.String(),
    "passed": pl.Boolean(),
    "fault": pl.String(),
    "call": pl.String(),
    "expected": pl.String(),
    "got": pl.String(),
}

ANSWER_MEANINGS: dict[str, str] = {
    "task_id": "task of exam_tasks",
    "kind": "kind of the task",
    "construct": "construct of the task",
    "variant": "variant of the task",
    "source_path": "template file or source file of the task",
    "level": "level of the task",
    "arm": "base, base_with_help, adapter or serving",
    "model": "digest of the adapter, or name of the base or served model",
    "sample": "0 for the greedy answer, then sampled answers",
    "answer": "text of the answer",
    "ended": "whether the answer ended by itself",
    "ends": "rung: the answer ends by itself",
    "code_only": "rung: it has nothing but code",
    "parses": "rung: it parses",
    "checks": "rung: the compiler accepts it; null without a compiler",
    "declares": "rung: it declares what was asked",
    "behaves": "rung: it behaves as the reference",
    "reached": "highest rung of the answer; empty if it reaches none",
    "passed": "whether it passes the last rung that applies",
    "fault": "why it does not reach the next rung",
    "call": "first hidden call or structural fact that failed",
    "expected": "outcome of that call in the reference",
    "got": "outcome of that call in the answer",
}
