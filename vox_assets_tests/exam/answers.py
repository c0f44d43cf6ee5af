"""Makes tables of answers to an exam that reach given rungs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from vox_assets.exam.answer import ANSWER_SCHEMA
from vox_assets.exam.task import RUNGS

EMPTY: dict[str, Any] = dict.fromkeys(ANSWER_SCHEMA)


def answers(
    arm: str, reached: Sequence[int | None], sample: int = 0, **columns: Any
) -> pl.DataFrame:
    """One answer per task; `reached` counts the rungs that hold, without the compiler's rung."""
    lines: list[dict[str, Any]] = []
    for number, count in enumerate(reached):
        if count is None:
            continue
        applied = [rung for rung in RUNGS if rung != "checks"]
        lines.append(
            {
                **EMPTY,
                "task_id": f"task{number}",
                "kind": ("familiar", "live")[number % 2],
                "construct": ("lists", "tables")[number % 2],
                "source_path": f"template{number % 5}",
                "level": 1,
                "arm": arm,
                "sample": sample,
                "reached": applied[count - 1] if count else "",
                **{rung: place < count for place, rung in enumerate(applied)},
                "passed": count == len(applied),
                **columns,
            }
        )
    return pl.DataFrame(lines, schema=ANSWER_SCHEMA)
