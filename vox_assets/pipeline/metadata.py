"""Builds asset metadata for the UI: counts by lane, a preview, drop reasons, column lineage."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl

from vox_assets.curate.secrets import findings
from vox_assets.extract import NO_COMMIT, commits
from vox_assets.pipeline.resources.lake_io import ASSET_SCHEMAS, column_schema
from vox_assets.publish.figures import Figure as Picture
from vox_assets.settings import Settings
from vox_assets.store.lake import Lake, without_keys

PREVIEW_ROWS = 5
PREVIEW_CHARACTERS = 100
REASONS_SHOWN = 10
OWNERS = ["team:vox-maintainers"]

# The nightly run builds at least once a week, even when nothing changed. An asset warns half a day
# after that and fails a day after that, when the next night has not built it either.
FRESHNESS = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(days=7, hours=12), fail_window=timedelta(days=8)
)

#: Characters of a run id that the UI shows.
RUN_ID_SHOWN = 8
_HEX = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b")
_MARKUP = re.compile(r"[\\`*_{}\[\]()<>#+!|~]")


def with_table(lake: Lake, spec: dg.AssetSpec) -> dg.AssetSpec:
    """Add the columns and the URI of an asset's table to its definition, for the UI."""
    name = spec.key.to_user_string()
    if name not in ASSET_SCHEMAS:
        return spec
    return spec.merge_attributes(
        metadata={
            "dagster/column_schema": column_schema(name, ASSET_SCHEMAS[name]),
            "dagster/uri": without_keys(lake.uri(name)),
        }
    )


def corpus_metadata(rows: pl.DataFrame) -> dict[str, Any]:
    """Return counts by lane, a table of counts by lane and family, and a preview of a few rows."""
    lanes = rows.group_by("lane").len().sort("lane")
    return {
        **{f"rows/{lane}": count for lane, count in lanes.iter_rows()},
        "rows_by_family": wide_table(
            rows.group_by("lane", "response_mode", "task_family", "language", "origin")
            .len("rows")
            .sort("rows", "lane", "task_family", descending=[True, False, False])
        ),
        "preview": wide_table(_preview(rows)),
    }


def summary(
    context: dg.AssetExecutionContext,
    settings: Settings,
    *,
    rows_in: str,
    rows_out: int,
    drops: pl.DataFrame | None,
    how_good: str,
    next_step: str,
) -> dict[str, Any]:
    """Return the first table of an asset's page: what came in and out, why, how good, since when.

    `drops` has a line with `kind` for each dropped row, and is None for an asset that drops none.
    """
    answers = {
        "rows in": rows_in,
        "rows out": f"{rows_out:,}{_since_the_build_before(context, rows_out)}",
        "why fewer": why_dropped(drops),
        "how good": how_good,
    }
    return outline(context, settings, answers, next_step)


def outline(
    context: dg.AssetExecutionContext,
    settings: Settings,
    answers: Mapping[str, str],
    next_step: str,
) -> dict[str, Any]:
    """Return the first table of an asset's page: `answers`, what it was built from, what is next.

    A question without an answer is left out.
    """
    lines = {
        **answers,
        "built from": f"commit {short(commits(settings.source_roots) or NO_COMMIT)}, profile "
        f"{settings.profile.name}, run {context.run.run_id[:RUN_ID_SHOWN]}",
        "what next": next_step,
    }
    answered = [(question, answer) for question, answer in lines.items() if answer]
    return {"summary": table(pl.DataFrame(answered, schema=["question", "answer"], orient="row"))}


def short(text: str) -> str:
    """Shorten digests and commits to the digits that a person compares; the page stays narrow."""
    return _HEX.sub(r"\1", text)


def counted(counts: Mapping[str, int]) -> str:
    """Format a total and its parts: `12: a 5, b 7`."""
    parts = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return f"{sum(counts.values()):,}: {parts}"


def why_dropped(drops: pl.DataFrame | None) -> str:
    """Name the most frequent reasons of drops with their numbers of rows."""
    if drops is None:
        return ""
    if drops.is_empty():
        return "nothing was dropped"
    return f"{drops.height:,} dropped: " + "; ".join(
        f"{reason} ({count:,})" for reason, count in drop_reasons(drops).head(REASONS_SHOWN).rows()
    )


def _since_the_build_before(context: dg.AssetExecutionContext, rows: int) -> str:
    """Compare the number of rows with that of the materialisation before this one."""
    before = _build_before(context, "dagster/row_count")
    if before is None:
        return "; this is the first build"
    count, built = before
    if not isinstance(count, int):
        return ""
    difference = rows - count
    change = f"{abs(difference):,} {'more' if difference > 0 else 'fewer'} than"
    return f"; {change if difference else 'as many as'} in the build of {built}"


def adapter_before(context: dg.AssetExecutionContext, digest: str) -> str:
    """Say whether the materialisation before this one had the same adapter."""
    before = _build_before(context, "digest")
    if before is None:
        return "; this is the first build"
    digest_before, built = before
    if digest_before == digest:
        return f"; the same as in the build of {built}"
    return f"; the build of {built} had {digest_before}"


def _build_before(context: dg.AssetExecutionContext, label: str) -> tuple[object, str] | None:
    """Return a value of the metadata of the materialisation before this one, and its time."""
    event = context.instance.get_latest_materialization_event(context.asset_key)
    if event is None or event.asset_materialization is None:
        return None
    value = event.asset_materialization.metadata.get(label)
    return value and value.value, moment(event.timestamp)


def moment(timestamp: float) -> str:
    """Format a time for people, to the minute, in UTC."""
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M} UTC"


def drop_metadata(drops: pl.DataFrame) -> dict[str, Any]:
    """Return the number of dropped rows and their most frequent reasons."""
    return {
        "dropped": drops.height,
        "drop_reasons": table(drop_reasons(drops).head(REASONS_SHOWN)),
    }


def drop_reasons(drops: pl.DataFrame) -> pl.DataFrame:
    """Count dropped rows by kind (column `reason`), the most frequent first."""
    return (
        drops.group_by(pl.col("kind").alias("reason"))
        .len("rows")
        .sort("rows", "reason", descending=[True, False])
    )


def table(frame: pl.DataFrame) -> dg.MetadataValue:
    """Convert a small frame to a table in the UI."""
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


def wide_table(frame: pl.DataFrame) -> dg.MetadataValue:
    """Convert a frame of many columns to a table that the UI opens in a window of its own.

    In the page it would be wider than the page, and the summary with it.
    """
    lines = [frame.columns, ["---"] * frame.width, *frame.iter_rows()]
    return dg.MetadataValue.md(
        "\n".join(f"| {' | '.join(map(_in_markdown, line))} |" for line in lines)
    )


def _in_markdown(value: object) -> str:
    """Escape a cell: it may hold text of a row."""
    text = "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def picture(figure: Picture) -> dg.MetadataValue:
    """Convert a figure to Markdown, which the UI shows on the asset's page."""
    return dg.MetadataValue.md(_captioned(figure))


def lineage(
    columns: Sequence[str], parents: Mapping[str, Collection[str]], made_from: Sequence[str]
) -> dict[str, Any]:
    """Return the column lineage of a table; `parents` maps each upstream table to its columns.

    A column that exists in a parent depends on that column. A new column, such as a score, depends
    on the columns `made_from` of every parent.
    """

    def sources(column: str) -> list[dg.TableColumnDep]:
        with_column = [parent for parent, names in parents.items() if column in names]
        pairs = [(parent, column) for parent in with_column] or [
            (parent, name) for parent in parents for name in made_from
        ]
        return [dg.TableColumnDep(asset_key=parent, column_name=name) for parent, name in pairs]

    deps = {column: sources(column) for column in columns}
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}


def pictures(figures: Sequence[Picture]) -> dg.MetadataValue:
    """Convert figures to Markdown, each below its caption, which the UI shows in one window."""
    return dg.MetadataValue.md("\n\n".join(map(_captioned, figures)))


def _captioned(figure: Picture) -> str:
    return f"**{figure.caption}**\n\n![{figure.caption}]({figure.source})"


def _cell(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def _preview(rows: pl.DataFrame) -> pl.DataFrame:
    """Pick a few rows spread over the table, without rows that contain a secret."""
    step = max(1, rows.height // PREVIEW_ROWS)
    spread = rows.gather_every(step).head(PREVIEW_ROWS)
    without_secret = [not findings(prompt) for prompt in spread["prompt"]]
    return spread.filter(pl.Series(without_secret, dtype=pl.Boolean)).select(
        "pair_id",
        "lane",
        "task_family",
        "source_symbol",
        pl.col("prompt").str.slice(0, PREVIEW_CHARACTERS),
    )
