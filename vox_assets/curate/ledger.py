"""The row ledger: one line per row that a source asset produced, with its fate.

It is computed from the tables and drop records of a build, so that it can contradict them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from vox_assets.profiles import Profile

LEDGER_SCHEMA = pl.Schema(
    {
        "pair_id": pl.String,
        "source_asset": pl.String,
        "fate": pl.String,
        "stage": pl.String,
        "kind": pl.String,
        "detail": pl.String,
        "reason": pl.String,
        "lost_to": pl.String,
    }
)
#: Meaning of each of these columns.
LEDGER_MEANINGS: dict[str, str] = {
    "pair_id": "id of the row, as in its source table",
    "source_asset": "source table that produced the row",
    "fate": "trained, evaluated or dropped",
    "stage": "asset that decided the fate",
    "kind": "kind of the reason of a drop, which many drops share",
    "detail": "what belongs to this drop alone; empty where the kind says everything",
    "reason": "kind and detail in one text",
    "lost_to": "id of the row that was kept instead, for duplicates and leaks",
}

#: Meaning of each column of a funnel.
FUNNEL_MEANINGS: dict[str, str] = {
    "step": "step of the build: sources, one copy, kept by score, the mix",
    "source_asset": "source table that the rows come from",
    "rows": "rows of that table that are left after the step",
}

DROPPED = "dropped"
#: Repository name of rows that come from templates.
NO_REPOSITORY = "templates"
#: Fate of a row by its split.
FATES = {"train": "trained", "eval": "evaluated"}


def build_ledger(
    sources: Mapping[str, pl.DataFrame],
    dedup_drops: pl.DataFrame,
    scored: pl.DataFrame,
    mix_drops: pl.DataFrame,
    mix: pl.DataFrame,
) -> pl.DataFrame:
    """Build the ledger: one line per pair id of `sources` (asset name to its table), in order.

    A pair id that two assets produced has one line, under the first asset. A row that is in no
    table has a null fate, and a row in two tables has two lines: the check fails on both.
    """
    born = pl.concat(
        [
            table.select("pair_id", pl.lit(asset).alias("source_asset"))
            for asset, table in sources.items()
        ]
    ).unique("pair_id", keep="first", maintain_order=True)
    ends = pl.concat(
        [
            dedup_drops.select(
                "pair_id",
                pl.lit(DROPPED).alias("fate"),
                pl.lit("deduped_corpus").alias("stage"),
                "kind",
                "detail",
                "reason",
                "lost_to",
            ),
            scored.filter(~pl.col("kept")).select(
                "pair_id",
                pl.lit(DROPPED).alias("fate"),
                pl.lit("scored_corpus").alias("stage"),
                pl.col("drop_kind").alias("kind"),
                pl.col("drop_detail").alias("detail"),
                pl.col("drop_reason").alias("reason"),
                pl.lit(None, pl.String).alias("lost_to"),
            ),
            mix_drops.select(
                "pair_id",
                pl.lit(DROPPED).alias("fate"),
                pl.lit("training_mix").alias("stage"),
                "kind",
                "detail",
                "reason",
                "lost_to",
            ),
            mix.select(
                "pair_id",
                pl.col("split").replace_strict(FATES, return_dtype=pl.String).alias("fate"),
                pl.lit("training_mix").alias("stage"),
                pl.lit(None, pl.String).alias("kind"),
                pl.lit(None, pl.String).alias("detail"),
                pl.lit(None, pl.String).alias("reason"),
                pl.lit(None, pl.String).alias("lost_to"),
            ),
        ]
    )
    return born.join(ends, on="pair_id", how="left", maintain_order="left").cast(LEDGER_SCHEMA)


def funnel(ledger: pl.DataFrame) -> pl.DataFrame:
    """Count the remaining rows of each source after each step: `step`, `source_asset`, `rows`."""
    lost = [("sources", []), ("one copy", ["deduped_corpus"]), ("kept by score", ["scored_corpus"])]
    gone: list[str] = []
    parts = []
    for step, stages in lost:
        gone += stages
        remaining = ledger.filter(~((pl.col("fate") == DROPPED) & pl.col("stage").is_in(gone)))
        parts.append(_by_source(remaining, step))
    parts.append(_by_source(ledger.filter(pl.col("fate").is_in(list(FATES.values()))), "the mix"))
    return pl.concat(parts)


def fates_by_repository(
    ledger: pl.DataFrame, sources: Mapping[str, pl.DataFrame], profile: Profile
) -> pl.DataFrame:
    """Count the rows of each repository by fate: `repository`, `fate`, `rows`."""
    born = pl.concat([table.select("pair_id", "source_path") for table in sources.values()])
    names = [profile.locate(path)[0] or NO_REPOSITORY for path in born["source_path"]]
    return (
        ledger.join(
            born.with_columns(pl.Series("repository", names, dtype=pl.String)).unique(
                "pair_id", keep="first", maintain_order=True
            ),
            on="pair_id",
        )
        .group_by("repository", "fate")
        .len("rows")
        .sort("repository", "fate")
    )


def _by_source(ledger: pl.DataFrame, step: str) -> pl.DataFrame:
    return (
        ledger.group_by("source_asset", maintain_order=True)
        .len("rows")
        .select(pl.lit(step).alias("step"), "source_asset", pl.col("rows").cast(pl.Int64))
    )


def reasons(ledger: pl.DataFrame) -> pl.DataFrame:
    """Count dropped rows by reason, the most frequent first: `stage`, `reason`, `rows`.

    Drops of one kind count together, whatever their details.
    """
    return (
        ledger.filter(pl.col("fate") == DROPPED)
        .group_by("stage", pl.col("kind").alias("reason"))
        .len("rows")
        .sort("rows", "stage", "reason", descending=[True, False, False])
    )


def unaccounted(ledger: pl.DataFrame) -> list[str]:
    """Return pair ids that are neither in the mix nor dropped with a reason."""
    lost = ledger.filter(
        pl.col("fate").is_null()
        | ((pl.col("fate") == DROPPED) & pl.col("reason").fill_null("").eq(""))
    )
    return lost["pair_id"].to_list()


def imbalance(rows_in: set[str], rows_out: set[str], dropped: list[str]) -> list[str]:
    """List the violations of `rows in = rows out + dropped`, one line per kind."""
    gone = set(dropped)
    faults = {
        "vanished without a reason": rows_in - rows_out - gone,
        "appeared from nowhere": rows_out - rows_in,
        "both kept and dropped": rows_out & gone,
        "dropped but never came in": gone - rows_in,
    }
    lines = [f"{len(ids):,} rows {what}, such as {min(ids)}" for what, ids in faults.items() if ids]
    if len(gone) != len(dropped):
        lines.append(f"{len(dropped) - len(gone):,} rows were dropped more than once")
    return lines


def story(
    wanted: str, tables: Mapping[str, pl.DataFrame], drops: Mapping[str, pl.DataFrame]
) -> list[str]:
    """Describe what each step of the build did with a row, in sentences.

    `tables` are the asset tables by name in build order, `drops` their dropped rows; a build that
    stopped early has fewer of both. For a row that lost to another row, the winner's text is
    included. Raises LookupError when no table has the id.
    """
    lines: list[str] = []
    for asset, table in tables.items():
        matches = table.filter(pl.col("pair_id") == wanted)
        if len(matches):
            lines.append(_row_line(asset, matches.row(0, named=True)))
        if asset in drops:
            lines += _losses(wanted, asset, drops[asset], tables)
            lines += _victories(wanted, asset, drops[asset])
    if not lines:
        raise LookupError(f"no table has a row {wanted!r}: expected 32 hex digits of a pair id")
    return lines


def _row_line(asset: str, row: Mapping[str, Any]) -> str:
    if asset == "deduped_corpus":
        others = row["cluster_size"] - 1
        return f"{asset}: survived, with {others} duplicate{'s' * (others != 1)} removed."
    if asset == "scored_corpus":
        verdict = "kept" if row["kept"] else f"dropped: {row['drop_reason']}"
        return f"{asset}: {row['score']:.1f} of 10, {verdict}."
    if asset == "training_mix":
        return f"{asset}: in the {row['split']} split with {row['tokens']} tokens."
    where = f"{row['source_path']}:{row['source_start_line']}-{row['source_end_line']}"
    parents = f", made from {', '.join(row['parents'])}" if row["parents"] else ""
    return (
        f"{asset}: {row['task_family']} in lane {row['lane']} ({row['language']}, "
        f"{row['origin']}) from {row['source_symbol']} at {where}{parents}."
    )


def _losses(
    wanted: str, asset: str, drops: pl.DataFrame, tables: Mapping[str, pl.DataFrame]
) -> list[str]:
    lines: list[str] = []
    for drop in drops.filter(pl.col("pair_id") == wanted).iter_rows(named=True):
        if not drop["lost_to"]:
            lines.append(f"{asset}: dropped, {drop['reason']}.")
            continue
        how = f" at similarity {drop['similarity']:.2f}" if drop["similarity"] is not None else ""
        lines.append(f"{asset}: dropped, {drop['reason']}{how}. It lost to {drop['lost_to']}:")
        winner = _row(drop["lost_to"], tables)
        if winner is not None:
            lines += [f"  prompt: {winner['prompt']}", f"  answer: {winner['response']}"]
    return lines


def _victories(wanted: str, asset: str, drops: pl.DataFrame) -> list[str]:
    beaten = drops.filter(pl.col("lost_to") == wanted)
    return [
        # Rows that were dropped before they got a pair_id are named by file and line.
        f"{asset}: {pair_id or f'{item} at {path}:{line}'} lost to it, {reason}"
        + (f" at similarity {similarity:.2f}." if similarity is not None else ".")
        for pair_id, item, path, line, reason, similarity in beaten.select(
            "pair_id", "item", "source_path", "line", "reason", "similarity"
        ).iter_rows()
    ]


def _row(pair_id: str, tables: Mapping[str, pl.DataFrame]) -> dict[str, Any] | None:
    for table in tables.values():
        matches = table.filter(pl.col("pair_id") == pair_id)
        if len(matches):
            return matches.row(0, named=True)
    return None
