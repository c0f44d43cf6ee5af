"""Removes duplicate rows: decides which row of each group survives, and records the evidence.

Rows are compared by the assistant's turns, which is what a model learns; a table of another origin
can be compared by its prompts, or by both. The evidence, the strongest first: equal text, near text
(Jaccard over token shingles, verified), text that was cut off, code under other names, dialogues
whose every turn repeats other rows, and equal meaning (embeddings; the tokens of code must agree
too). Two answers to one prompt that state different facts are a conflict and no duplicates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from vox_assets.compute.batches import HERE, Engine
from vox_assets.contract.rows import DROP_SCHEMA, Reason, each_dialogue, embedding_column
from vox_assets.curate.compared import Compared, answers
from vox_assets.curate.conflicts import conflicts_among
from vox_assets.curate.copies import normalise
from vox_assets.curate.duplicates import BLOCK_ROWS, By, DuplicateFinder, Loss
from vox_assets.curate.secrets import findings
from vox_assets.curate.similarity import exact_pairs, shingle
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
#: Meaning of each of these columns.
CLUSTER_MEANINGS: dict[str, str] = {
    "cluster_id": "id of the group of duplicates: the pair_id of the row that survived",
    "cluster_size": "number of rows in the group, this row included",
    "embedding": "unit vector of the answer under the embedding model",
}


@dataclass(frozen=True)
class Deduped:
    """Survivors (input columns plus CLUSTER_COLUMNS), dropped rows, and conflicts."""

    survivors: pl.DataFrame
    drops: pl.DataFrame
    #: Pair ids of two survivors that answer one prompt and contradict each other.
    conflicts: list[tuple[str, str]]
    #: Number of rows that were compared by their text alone, as no model here reads their script.
    compared_by_text: int


def secret_kinds(rows: pl.DataFrame) -> list[str]:
    """Name the kinds of secret in each row with `messages`, joined; empty where there is none."""
    return [
        ", ".join(findings("\n".join(turn["content"] for turn in dialogue)))
        for dialogue in each_dialogue(rows)
    ]


def survivor_order(rows: pl.DataFrame) -> np.ndarray:
    """Return row positions in order of preference.

    Single answers come before dialogues, which can repeat them; rows with a secret come last, as
    the score refuses them. Then: a person's row, the complete and clean copy, documented, newer,
    longer, and at last by pair id, so that the order of the table decides nothing.
    """
    return _order(rows, Compared.of(rows))


def _order(rows: pl.DataFrame, compared: Compared) -> np.ndarray:
    # From the most important key to the least; absent columns decide nothing.
    keys: dict[str, pl.Series | pl.Expr] = {
        "dialogue": pl.Series([bool(turns) for turns in compared.exchanges], dtype=pl.Boolean),
        "secret": pl.col("holds_secret").fill_null(False),
        "origin": pl.col("origin").replace_strict(ORIGIN_ORDER, default=len(ORIGIN_ORDER)),
        "cut": pl.Series([cut for cut, _ in compared.defects], dtype=pl.Int64),
        "defects": pl.Series([count for _, count in compared.defects], dtype=pl.Int64),
        "undocumented": ~pl.col("documented").fill_null(False),
        "age": pl.col("source_date").fill_null(""),
        "length": pl.Series([-len(text) for text in compared.texts], dtype=pl.Int64),
        "pair_id": pl.col("pair_id"),
    }
    present = {
        name: key
        for name, key in keys.items()
        if isinstance(key, pl.Series) or set(key.meta.root_names()) <= set(rows.columns)
    }
    table = rows.select(key.alias(name) for name, key in present.items())
    table = table.with_row_index("position")
    ordered = table.sort(list(present), descending=[name == "age" for name in present])
    return ordered["position"].to_numpy().astype(np.int64)


def deduplicate(
    rows: pl.DataFrame,
    embeddings: np.ndarray,
    policy: Dedup,
    engine: Engine = HERE,
    by: By = "answer",
    prompt_embeddings: np.ndarray | None = None,
) -> Deduped:
    """Drop every row that duplicates a survivor before it in `survivor_order`.

    `embeddings` holds one unit vector per answer (float32), `prompt_embeddings` per prompt; `by`
    needs them unless it is "answer". A dropped row is always similar to the survivor that it lost
    to: similarity is not passed on along chains. Survivors keep the order of `rows`. Needs
    `pair_id`, `lane`, `response_mode` and the text columns. A column `holds_secret` marks rows that
    may only survive where no other row says the same.
    """
    compared = Compared.of(rows)
    order = _order(rows, compared)
    # An embedding covers only the beginning of a text: a dialogue whose first answer is also a row
    # of its own would lose its later answers, so only dialogues of equal length are compared.
    groups = list(
        zip(rows["lane"].to_list(), compared.code.tolist(), compared.turns.tolist(), strict=True)
    )
    finder = DuplicateFinder(
        compared, groups, embeddings, prompt_embeddings, order, policy, by, engine
    )
    losses: dict[int, Loss] = {}
    for start in range(0, len(order), BLOCK_ROWS):
        block = order[start : start + BLOCK_ROWS]
        finder.prepare(block)
        for row in block.tolist():
            loss = finder.find(row)
            if loss is None:
                finder.add(row)
            else:
                losses[row] = loss
    survivors = [row for row in order.tolist() if row not in losses]
    ids = rows["pair_id"].to_list()
    conflicts = [
        (ids[one], ids[other])
        for one, other in conflicts_among(compared, finder.answer_shingles, embeddings, survivors)
    ]
    beyond = compared.prompts_beyond_latin if by == "prompt" else compared.beyond_latin
    survivors_frame, drops = _outcome(rows, embeddings, losses)
    return Deduped(survivors_frame, drops, conflicts, int(beyond.sum()))


def _outcome(
    rows: pl.DataFrame, embeddings: np.ndarray, losses: dict[int, Loss]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    ids = rows["pair_id"].to_list()
    sizes = Counter(loss.winner for loss in losses.values())
    kept = [position for position in range(len(ids)) if position not in losses]
    survivors = rows[kept].with_columns(
        pl.Series("cluster_id", [ids[p] for p in kept], dtype=pl.String),
        pl.Series("cluster_size", [1 + sizes[p] for p in kept], dtype=pl.Int64),
        embedding_column(embeddings[kept]),
    )
    paths = rows["source_path"].to_list() if "source_path" in rows.columns else [""] * len(ids)
    drops = []
    for position, loss in sorted(losses.items()):
        detail = ", ".join(dict.fromkeys(ids[winner] for winner in loss.also))
        why = Reason(f"{loss.how} duplicate", detail)
        drops.append(
            {
                "pair_id": ids[position],
                "source_path": paths[position],
                "line": 0,
                "item": "",
                "stage": STAGE,
                "kind": why.kind,
                "detail": why.detail,
                "reason": why.text,
                "lost_to": ids[loss.winner],
                "similarity": loss.similarity,
            }
        )
    return survivors, pl.DataFrame(drops, schema=DROP_SCHEMA)


def evidence(rows: pl.DataFrame, drops: pl.DataFrame) -> pl.DataFrame:
    """Return each dropped row beside the survivor that it lost to, with the reason."""
    texts = rows.select("pair_id", "prompt", "response")
    found = drops.select("pair_id", "reason", "similarity", "lost_to")
    for key, names in (
        ("pair_id", {}),
        ("lost_to", {"prompt": "winner_prompt", "response": "winner_response"}),
    ):
        named = texts.rename({"pair_id": key, **names})
        found = found.join(named, on=key, how="left", maintain_order="left")
    return found


def similar_rows(rows: pl.DataFrame, threshold: float) -> list[tuple[str, str, float]]:
    """Return pairs of pair ids whose answers have Jaccard >= `threshold`, by an exact join."""
    ids = rows["pair_id"].to_list()
    return [(ids[i], ids[j], similarity) for i, j, similarity in _similar(answers(rows), threshold)]


def _similar(texts: Sequence[str], threshold: float) -> list[tuple[int, int, float]]:
    pairs = exact_pairs(shingle([normalise(text) for text in texts]), threshold)
    return list(
        zip(pairs.left.tolist(), pairs.right.tolist(), pairs.similarity.tolist(), strict=True)
    )


def residual_duplicates(rows: pl.DataFrame, threshold: float) -> list[tuple[str, str, float]]:
    """Find duplicates that dedup must remove: equal answers and pairs at Jaccard >= `threshold`.

    Pairs that state different facts under one prompt are conflicts, which dedup keeps.
    """
    compared = Compared.of(rows)
    ids = rows["pair_id"].to_list()
    seen: dict[str, int] = {}
    repeated = []
    for position, text in enumerate(compared.texts):
        first = seen.setdefault(text, position)
        if first != position:
            repeated.append((first, position, 1.0))
    for one, other, similarity in _similar(compared.answers, threshold):
        same_prompt = compared.bare_prompts[one] == compared.bare_prompts[other]
        in_conflict = same_prompt and compared.facts[one] != compared.facts[other]
        if not in_conflict and (one, other, similarity) not in repeated:
            repeated.append((one, other, similarity))
    return [(ids[one], ids[other], similarity) for one, other, similarity in repeated]
