"""Columns of the training mix, its split names, and the record of dropped rows."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from vox_assets.contract.rows import SCHEMA, Drop, Message, Reason

STAGE = "training_mix"


TRAIN, EVAL = "train", "eval"


#: Columns of the mix: a corpus row, its answer's embedding (by which the split is checked for
#: rows of one meaning), its score, its side of the split, its chat-template tokens, and its
#: sampling weight: the odds of being drawn early, 1 on average over the training rows.
MIX_SCHEMA: dict[str, pl.DataType] = {
    **SCHEMA,
    "embedding": pl.List(pl.Float32()),
    "score": pl.Float64(),
    "split": pl.String(),
    "tokens": pl.Int64(),
    "weight": pl.Float64(),
}


CountTokens = Callable[[list[Message]], int]


class DropLog:
    """Collects drops and fills in where each row came from."""

    def __init__(self, rows: pl.DataFrame) -> None:
        columns = rows.select("pair_id", "source_path", "source_start_line", "source_symbol")
        self._origin = {row[0]: row[1:] for row in columns.iter_rows()}
        self.drops: list[Drop] = []

    def drop(
        self,
        pair_id: str,
        reason: Reason | str,
        lost_to: str | None = None,
        similarity: float | None = None,
    ) -> None:
        path, line, symbol = self._origin[pair_id]
        self.drops.append(Drop(STAGE, reason, path, line, symbol, pair_id, lost_to, similarity))
