"""Constructs in live documentation against constructs in synthetic rows.

What is live and never synthesised is missing; a template that insists on a construct which no
longer occurs live has drifted.
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


def _found(source: str) -> frozenset[str]:
    """Constructs of a program; a text that is none has none."""
    try:
        return constructs(source)
    except VoxSyntaxError:
        return frozenset()


def vox_sources(rows: pl.DataFrame) -> list[str]:
    """Vox answers of rows, one text per row: all answers of a dialogue together."""
    vox = rows.filter((pl.col("language") == "vox") & (pl.col("response_mode") == "code_only"))
    return ["\n\n".join(_answers(turns)) for turns in vox["messages"].to_list()]


def _answers(messages: Iterable[Message]) -> list[str]:
    return [turn["content"] for turn in messages if turn["role"] == "assistant"]


def table(doc_rows: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Count the live and the synthetic rows that use each construct."""
    live, synthetic = (
        Counter(name for source in vox_sources(frame) for name in _found(source))
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
    """Constructs that occur live and in no synthetic row."""
    gaps = coverage.filter((pl.col("live_count") > 0) & (pl.col("synthetic_count") == 0))
    return gaps["construct"].to_list()


def drifted(rows: pl.DataFrame, coverage: pl.DataFrame) -> Mapping[str, tuple[str, ...]]:
    """Template files whose every program needs constructs that no longer occur live, with them."""
    gone = frozenset(coverage.filter(pl.col("live_count") == 0)["construct"].to_list())
    needed: dict[str, frozenset[str]] = {}
    written = rows.filter(pl.col("task_family") == "write_construct")
    for path, source in written.select("source_path", "response").iter_rows():
        found = _found(source)
        needed[path] = needed[path] & found if path in needed else found
    return {
        path: tuple(sorted(names & gone)) for path, names in sorted(needed.items()) if names & gone
    }
