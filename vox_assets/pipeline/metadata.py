"""Metadata of assets in the UI: counts by lane, a preview, reasons for drops, lineage."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import dagster as dg
import polars as pl

from vox_assets.curate.secrets import findings
from vox_assets.publish.figures import Figure as Picture

PREVIEW_ROWS = 5
PREVIEW_CHARACTERS = 100
REASONS_SHOWN = 10
OWNERS = ["team:vox-maintainers"]

# The nightly run builds at least once a week, even when nothing has changed; half a day later it
# it warns, and a day later a failed night has not been repaired.
FRESHNESS = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(days=7, hours=12), fail_window=timedelta(days=8)
)

_PICTURE = re.compile(r'<img alt="([^"]*)" src="(data:image/[^"]+)"')


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
    """Number of dropped rows and their reasons, the most frequent first."""
    return {
        "dropped": drops.height,
        "drop_reasons": table(drop_reasons(drops).head(REASONS_SHOWN)),
    }


def drop_reasons(drops: pl.DataFrame) -> pl.DataFrame:
    """Kinds of drop, as `reason`, and their number of rows, the most frequent first."""
    return (
        drops.group_by(pl.col("kind").alias("reason"))
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


def lineage(
    columns: Sequence[str], parents: Mapping[str, Collection[str]], made_from: Sequence[str]
) -> dict[str, Any]:
    """Column lineage of a table; `parents` maps each table it is made of to that one's columns.

    A column that a parent has too is passed on from there; one that no parent has, such as a
    score, is made from the columns `made_from` of every parent.
    """

    def sources(column: str) -> list[dg.TableColumnDep]:
        having = [parent for parent, theirs in parents.items() if column in theirs]
        pairs = [(parent, column) for parent in having] or [
            (parent, name) for parent in parents for name in made_from
        ]
        return [dg.TableColumnDep(asset_key=parent, column_name=name) for parent, name in pairs]

    deps = {column: sources(column) for column in columns}
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}


def pictures(report: str) -> dg.MetadataValue:
    """The plots of an HTML report, as Markdown: the UI shows the ones that the report has."""
    found = _PICTURE.findall(report)
    return dg.MetadataValue.md("\n\n".join(f"![{label}]({data})" for label, data in found))


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
