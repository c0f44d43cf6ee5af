"""Compares the constructs of live documentation with those of synthetic rows.

A live construct that no synthetic row contains is missing. A template has drifted when it needs a
construct that no longer occurs in live documentation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import polars as pl

from vox_assets.contract.rows import Message
from vox_assets.vox_syntax import CONSTRUCTS, VoxSyntaxError, constructs

#: Columns of the coverage table, one row for each construct that the grammar knows.
SCHEMA: dict[str, pl.DataType] = {
    "construct": pl.String(),
    "live_count": pl.Int64(),
    "synthetic_count": pl.Int64(),
}


def _constructs_of(source: str) -> frozenset[str]:
    """Return the constructs of a program; none for a text that does not parse."""
    try:
        return constructs(source)
    except VoxSyntaxError:
        return frozenset()


def vox_sources(rows: pl.DataFrame) -> list[str]:
    """Return the Vox answers of each row, joined to one text."""
    vox = rows.filter((pl.col("language") == "vox") & (pl.col("response_mode") == "code_only"))
    return ["\n\n".join(_answers(turns)) for turns in vox["messages"].to_list()]


def _answers(messages: Iterable[Message]) -> list[str]:
    return [turn["content"] for turn in messages if turn["role"] == "assistant"]


def table(doc_rows: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Count the live and the synthetic rows that use each construct."""
    live, synthetic = (
        Counter(name for source in vox_sources(frame) for name in _constructs_of(source))
        for frame in (doc_rows, rows)
    )
    return pl.DataFrame(
        {
            "construct": list(CONSTRUCTS),
            "live_count": [live[name] for name in CONSTRUCTS],
            "synthetic_count": [synthetic[name] for name in CONSTRUCTS],
        },
        schema=SCHEMA,
    )


def missing(coverage: pl.DataFrame) -> list[str]:
    """List the live constructs that no synthetic row contains."""
    gaps = coverage.filter((pl.col("live_count") > 0) & (pl.col("synthetic_count") == 0))
    return gaps["construct"].to_list()


def drifted(rows: pl.DataFrame, coverage: pl.DataFrame) -> Mapping[str, tuple[str, ...]]:
    """Map template files to constructs that all their programs need and no live program has."""
    gone = frozenset(coverage.filter(pl.col("live_count") == 0)["construct"].to_list())
    needed: dict[str, frozenset[str]] = {}
    written = rows.filter(pl.col("task_family") == "write_construct")
    for path, source in written.select("source_path", "response").iter_rows():
        used = _constructs_of(source)
        needed[path] = needed[path] & used if path in needed else used
    return {
        path: tuple(sorted(names & gone)) for path, names in sorted(needed.items()) if names & gone
    }
