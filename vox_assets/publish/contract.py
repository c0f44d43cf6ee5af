"""Writes `train.jsonl`, the training file of the Vox contract."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

SCHEMA_VERSION = "vox_dogfood_v1"


#: Highest `rating` of the Vox contract; ratings are whole numbers from 1.
RATINGS = 5


def write_contract(mix_rows: pl.DataFrame, path: Path, split: str) -> int:
    """Write the rows of one split as JSONL without blank lines; return the number of rows."""
    lines = [json.dumps(row, ensure_ascii=False) for row in _contract_rows(mix_rows, split)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


def _contract_rows(mix_rows: pl.DataFrame, split: str) -> Iterator[dict[str, Any]]:
    rows = mix_rows.filter(pl.col("split") == split)
    for row in rows.iter_rows(named=True):
        yield {
            "prompt": row["prompt"],
            "response": row["response"],
            "messages": row["messages"],
            "instruction": row["prompt"],
            "output": row["response"],
            "category": row["category"],
            "difficulty": row["difficulty"],
            "rating": min(RATINGS, max(1, round(row["score"] * RATINGS / 10))),
            "source": row["source_path"],
            "lane": row["lane"],
            "response_mode": row["response_mode"],
            "task_family": row["task_family"],
            "origin": row["origin"],
            "schema_version": SCHEMA_VERSION,
        }
