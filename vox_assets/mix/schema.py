"""Defines the columns and splits of the training mix, and the log of dropped rows."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from vox_assets.contract.rows import SCHEMA, Drop, Message, Reason

STAGE = "training_mix"


TRAIN, EVAL = "train", "eval"


#: Columns of the mix: a corpus row, the embedding of its answer (the leakage gate compares it), its
#: score, its side of the split, its tokens in the chat template, and its sampling weight. A row
#: with a larger weight is drawn earlier; the mean over the training rows is 1.
MIX_SCHEMA: dict[str, pl.DataType] = {
    **SCHEMA,
    "embedding": pl.List(pl.Float32()),
    "score": pl.Float64(),
    "split": pl.String(),
    "tokens": pl.Int64(),
    "weight": pl.Float64(),
}
#: Meaning of each column that `SCHEMA` lacks.
MIX_MEANINGS: dict[str, str] = {
    "embedding": "unit vector of the answer under the embedding model",
    "score": "quality from 1 to 10, as in scored_corpus",
    "split": "train, or eval for a row that is held out",
    "tokens": "tokens of the dialogue in the chat template of the base model",
    "weight": "sampling weight: a larger weight is drawn earlier; the mean of the split is 1",
}


CountTokens = Callable[[list[Message]], int]


class DropLog:
    """Collects drops and adds the source of each row."""

    def __init__(self, rows: pl.DataFrame) -> None:
        columns = rows.select("pair_id", "source_path", "source_start_line", "source_symbol")
        self._source = {row[0]: row[1:] for row in columns.iter_rows()}
        self.drops: list[Drop] = []

    def drop(
        self,
        pair_id: str,
        reason: Reason | str,
        lost_to: str | None = None,
        similarity: float | None = None,
    ) -> None:
        path, line, symbol = self._source[pair_id]
        self.drops.append(Drop(STAGE, reason, path, line, symbol, pair_id, lost_to, similarity))
