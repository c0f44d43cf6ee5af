"""Removes duplicate rows: decides which row of each group survives, and records the evidence.

Rows are compared by the assistant's turns, which is what a model learns. Three passes, each with
stronger evidence than the next: equal text, near text (Jaccard over token shingles, verified), and
equal meaning (embeddings; the tokens of code must agree too).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from vox_assets.compute.batches import HERE, Engine
from vox_assets.contract.rows import DROP_SCHEMA, embedding_column
from vox_assets.curate.similarity import (
    Shingles,
    exact_pairs,
    jaccard,
    near_pairs,
    semantic_pairs,
    shingle,
)
from vox_assets.profiles import Dedup

# Which duplicate survives: a human text before a model's, and a model's before a template's.
ORIGIN_ORDER = {"human": 0, "model": 1, "synthetic": 2}

STAGE = "dedup"

#: Columns that dedup adds to a table, in order.
CLUSTER_COLUMNS: dict[str, pl.DataType] = {
    "cluster_id": pl.String(),
    "cluster_size": pl.Int64(),
    "embedding": pl.List(pl.Float32()),
}


@dataclass(frozen=True)
class Deduped:
    """Survivors (input columns plus CLUSTER_COLUMNS) and dropped rows."""

    survivors: pl.DataFrame
    drops: pl.DataFrame


def answers(rows: pl.DataFrame) -> list[str]:
    """Return the assistant turns of each row as one text; `response` without `messages`."""
    if "messages" not in rows.columns:
        return rows["response"].to_list()
    content = pl.element().struct.field("content")
    by_assistant = pl.element().struct.field("role") == "assistant"
    return (
        rows.select(pl.col("messages").list.eval(content.filter(by_assistant)).list.join("\n"))
        .to_series()
        .to_list()
    )


def normalise(text: str) -> str:
    """Normalise a text: Unicode NFKC, and each run of white space as one space."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def survivor_order(rows: pl.DataFrame) -> np.ndarray:
    """Return row positions in order of preference: human, documented, newer, then by pair id."""
    columns = {
        "origin": pl.col("origin").replace_strict(ORIGIN_ORDER, default=len(ORIGIN_ORDER)),
        "undocumented": ~pl.col("documented").fill_null(False),
        "age": pl.col("source_date").fill_null(""),
    }
    present = [
        expression.alias(name)
        for name, expression in columns.items()
        if set(expression.meta.root_names()) <= set(rows.columns)
    ]
    keys = rows.select(*present, "pair_id").with_row_index("position")
    names = [expression.meta.output_name() for expression in present] + ["pair_id"]
    descending = [name == "age" for name in names]
    return keys.sort(names, descending=descending)["position"].to_numpy().astype(np.int64)


def deduplicate(
    rows: pl.DataFrame, embeddings: np.ndarray, policy: Dedup, engine: Engine = HERE
) -> Deduped:
    """Drop every row that is similar to a survivor before it in `survivor_order`.

    `embeddings` holds one unit vector per row (float32). A dropped row is always similar to
    the survivor that it lost to: similarity is not passed on along chains. Survivors keep the
    order of `rows`. Needs `pair_id`, `lane`, `response_mode` and the text columns.
    """
    texts = [normalise(text) for text in answers(rows)]
    order = survivor_order(rows)
    lanes = rows["lane"].to_list()
    losses: dict[int, _Loss] = {}

    # Equal texts first, across lanes too: the remaining texts are distinct, so no bucket is large.
    first_with: dict[str, int] = {}
    for position in order.tolist():
        winner = first_with.setdefault(texts[position], position)
        if winner != position:
            losses[position] = _Loss(winner, 1.0, "exact")
    distinct = np.array([p for p in order.tolist() if p not in losses], dtype=np.int64)

    # Positions below are indices into `distinct`, where a smaller index is preferred.
    shingles = shingle([texts[position] for position in distinct], engine)
    pairs = near_pairs(shingles, policy.near_jaccard, engine)
    edges = [_Edges(pairs.left, pairs.right, pairs.similarity, "near")]
    edges += _semantic_edges(rows, lanes, distinct, embeddings, shingles, policy)
    beaten = _greedy(len(distinct), edges)
    for position, loss in beaten.items():
        losses[int(distinct[position])] = _Loss(
            int(distinct[loss.winner]), loss.similarity, loss.how
        )
    return _outcome(rows, embeddings, losses)


@dataclass(frozen=True)
class _Loss:
    winner: int
    similarity: float
    how: str


@dataclass(frozen=True)
class _Edges:
    left: np.ndarray
    right: np.ndarray
    similarity: np.ndarray
    how: str


def _semantic_edges(
    rows: pl.DataFrame,
    lanes: Sequence[str],
    distinct: np.ndarray,
    embeddings: np.ndarray,
    shingles: Shingles,
    policy: Dedup,
) -> list[_Edges]:
    modes = rows["response_mode"].to_list()
    # An embedding covers only the beginning of a text: a dialogue whose first answer is also a row
    # of its own would lose its later answers, so only dialogues of equal length are compared.
    turns = _turn_counts(rows)
    groups: dict[tuple[str, str, int], list[int]] = {}
    for member, position in enumerate(distinct.tolist()):
        key = (lanes[position], modes[position], turns[position])
        groups.setdefault(key, []).append(member)
    edges = []
    for (_, mode, _), group in sorted(groups.items()):
        is_code = mode == "code_only"
        members = np.array(group, dtype=np.int64)
        vectors = embeddings[distinct[members]]
        pairs = semantic_pairs(vectors, policy.semantic_code if is_code else policy.semantic_prose)
        left, right, similarity = members[pairs.left], members[pairs.right], pairs.similarity
        if is_code and len(left):
            agreed = jaccard(shingles, left, right) >= policy.semantic_code_jaccard
            left, right, similarity = left[agreed], right[agreed], similarity[agreed]
        edges.append(_Edges(left, right, similarity, "semantic"))
    return edges


def _turn_counts(rows: pl.DataFrame) -> list[int]:
    if "messages" not in rows.columns:
        return [2] * rows.height
    return rows["messages"].list.len().to_list()


def _greedy(count: int, edges: list[_Edges]) -> dict[int, _Loss]:
    """Walk positions by preference; a row that is similar to an earlier survivor loses to it."""
    similar: dict[int, list[_Loss]] = {}
    for group in edges:
        for left, right, similarity in zip(
            group.left.tolist(), group.right.tolist(), group.similarity.tolist(), strict=True
        ):
            similar.setdefault(right, []).append(_Loss(left, similarity, group.how))
    losses: dict[int, _Loss] = {}
    for position in range(count):
        candidates = [loss for loss in similar.get(position, ()) if loss.winner not in losses]
        if candidates:
            # Text is stronger evidence than meaning; within a pass the closest survivor wins.
            losses[position] = max(
                candidates, key=lambda loss: (loss.how == "near", loss.similarity, -loss.winner)
            )
    return losses


def _outcome(rows: pl.DataFrame, embeddings: np.ndarray, losses: dict[int, _Loss]) -> Deduped:
    ids = rows["pair_id"].to_list()
    # A row that equals a dropped row lost to the same survivor as that row, by the same evidence.
    losses = {
        position: losses.get(loss.winner, loss) if loss.how == "exact" else loss
        for position, loss in losses.items()
    }
    sizes = Counter(loss.winner for loss in losses.values())
    kept = [position for position in range(len(ids)) if position not in losses]
    survivors = rows[kept].with_columns(
        pl.Series("cluster_id", [ids[p] for p in kept], dtype=pl.String),
        pl.Series("cluster_size", [1 + sizes[p] for p in kept], dtype=pl.Int64),
        embedding_column(embeddings[kept]),
    )
    paths = rows["source_path"].to_list() if "source_path" in rows.columns else [""] * len(ids)
    drops = pl.DataFrame(
        [
            {
                "pair_id": ids[position],
                "source_path": paths[position],
                "line": 0,
                "item": "",
                "stage": STAGE,
                "kind": f"{loss.how} duplicate",
                "detail": "",
                "reason": f"{loss.how} duplicate",
                "lost_to": ids[loss.winner],
                "similarity": loss.similarity,
            }
            for position, loss in sorted(losses.items())
        ],
        schema=DROP_SCHEMA,
    )
    return Deduped(survivors, drops)


def similar_rows(rows: pl.DataFrame, threshold: float) -> list[tuple[str, str, float]]:
    """Return pairs of pair ids whose answers have Jaccard >= `threshold`, by an exact join."""
    ids = rows["pair_id"].to_list()
    pairs = exact_pairs(shingle([normalise(text) for text in answers(rows)]), threshold)
    return [
        (ids[i], ids[j], float(similarity))
        for i, j, similarity in zip(pairs.left, pairs.right, pairs.similarity, strict=True)
    ]


def residual_duplicates(rows: pl.DataFrame, threshold: float) -> list[tuple[str, str, float]]:
    """Find duplicates that dedup must remove: equal answers and pairs at Jaccard >= `threshold`."""
    ids = rows["pair_id"].to_list()
    seen: dict[str, str] = {}
    repeated = []
    for pair_id, text in zip(ids, map(normalise, answers(rows)), strict=True):
        if text in seen:
            repeated.append((seen[text], pair_id, 1.0))
        else:
            seen[text] = pair_id
    return repeated + [pair for pair in similar_rows(rows, threshold) if pair not in repeated]
