"""Writes the tasks of the exam, so that others can grade answers with their own runner."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

#: What a model may see.
TASKS = "tasks.jsonl"
#: What decides a grade; it belongs into no prompt and no training file.
HIDDEN = "hidden.jsonl"

_SHOWN = ("task_id", "kind", "construct", "level", "prompt")
_HIDDEN = ("task_id", "reference", "declarations", "facts", "calls")

README = f"""# The exam

`{TASKS}` has a task per line: `task_id`, `kind`, `construct`, `level` and the `prompt`.
`{HIDDEN}` has what decides a grade, by `task_id`: a correct answer (`reference`), the
`declarations` that an answer has to contain, structural `facts`, and hidden `calls`. Each call runs
its `steps` one after another on a fresh state of the program; `outcomes` has the expected value of
each step. Keep `{HIDDEN}` out of prompts and of training.

A task is passed when the answer ends by itself, is code alone, parses, contains the declarations,
gives the outcome of every call, and has every structural fact. `vox-assets exam --answers FILE`
grades a file with a line for each task, beside the lake that the exam was exported from:

    {{"task_id": "...", "answer": "fn ...", "ended": true}}

`ended` is false for an answer that was cut off at a limit of tokens; it may be left out.
"""


def write_exam(tasks: pl.DataFrame, folder: Path) -> None:
    """Write the exam (`exam.task.TASK_SCHEMA`) as two JSONL files and a description."""
    folder.mkdir(parents=True)
    _write(tasks.select(_SHOWN).iter_rows(named=True), folder / TASKS)
    _write(tasks.select(_HIDDEN).iter_rows(named=True), folder / HIDDEN)
    (folder / "README.md").write_text(README, encoding="utf-8")


def _write(lines: Iterable[Mapping[str, Any]], path: Path) -> None:
    text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    path.write_text(text, encoding="utf-8")
