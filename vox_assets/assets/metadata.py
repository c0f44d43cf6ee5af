"""What every corpus asset shows in the UI: counts by lane, a preview, reasons for drops."""

from __future__ import annotations

from typing import Any

import dagster as dg
import polars as pl

from vox_assets.curate.secrets import findings
from vox_assets.training.report import Figure as Picture

PREVIEW_ROWS = 5
PREVIEW_CHARACTERS = 100
REASONS_SHOWN = 10
OWNERS = ["team:vox-maintainers"]


def corpus_metadata(rows: pl.DataFrame) -> dict[str, Any]:
    """Counts by lane, a count table over the lane contract, and a preview of a few rows."""
    lanes = rows.group_by("lane").len().sort("lane")
    return {
        **{f"rows/{lane}": count for lane, count in lanes.iter_rows()},
        "rows_by_family": table(
            rows.group_by("lane", "response_mode", "task_family", "language", "origin")
            .len("rows")
            .sort("rows", "lane", "task_family", descending=[True, False, False])
        ),
        "preview": table(_preview(rows)),
    }


def drop_metadata(drops: pl.DataFrame) -> dict[str, Any]:
    """How many rows were dropped and for which reasons, the most frequent first."""
    return {
        "dropped": drops.height,
        "drop_reasons": table(drop_reasons(drops).head(REASONS_SHOWN)),
    }


def drop_reasons(drops: pl.DataFrame) -> pl.DataFrame:
    """Reasons and their number of rows, the most frequent first.

    A reason may end in the particulars of one row; what stands before them is the kind.
    """
    return (
        drops.with_columns(pl.col("reason").str.split(": ").list.first())
        .group_by("reason")
        .len("rows")
        .sort("rows", "reason", descending=[True, False])
    )


def table(frame: pl.DataFrame) -> dg.MetadataValue:
    """A small frame as a table in the UI."""
    columns = [
        dg.TableColumn(
            name, "int" if dtype.is_integer() else "float" if dtype.is_float() else "string"
        )
        for name, dtype in frame.schema.items()
    ]
    records = [
        dg.TableRecord({key: _cell(value) for key, value in row.items()})
        for row in frame.iter_rows(named=True)
    ]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def picture(figure: Picture) -> dg.MetadataValue:
    """A picture that the UI shows beside the asset."""
    return dg.MetadataValue.md(f"![{figure.caption}]({figure.source})")


def _cell(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def _preview(rows: pl.DataFrame) -> pl.DataFrame:
    """A few rows spread over the table; one that holds a secret is never shown."""
    step = max(1, rows.height // PREVIEW_ROWS)
    spread = rows.gather_every(step).head(PREVIEW_ROWS)
    clean = [not findings(prompt) for prompt in spread["prompt"]]
    return spread.filter(pl.Series(clean, dtype=pl.Boolean)).select(
        "pair_id",
        "lane",
        "task_family",
        "source_symbol",
        pl.col("prompt").str.slice(0, PREVIEW_CHARACTERS),
    )
