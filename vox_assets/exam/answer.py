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
