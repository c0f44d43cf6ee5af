"""Leakage between training and held-out rows: equal text, equal shape, similar meaning."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from vox_assets.contract.rows import embedding_matrix
from vox_assets.curate.dedup import similar_rows
from vox_assets.mix.schema import EVAL, TRAIN
from vox_assets.profiles import Dedup

#: Token-shingle Jaccard from which a held-out row counts as seen in training. Stricter than the
#: corpus' own dedup (0.8): leakage flatters a metric long before it wastes a training row.
LEAK_JACCARD = 0.7


#: Code shorter than this (in lexical tokens) has too few shapes for an equal one to prove copying.
MIN_SHAPE_TOKENS = 30


_LEXEME = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|\"(?:\\.|[^\"\\\n])*\"|\S")


def seen_in_training(
    held_out: pl.DataFrame,
    train: pl.DataFrame,
    pairs: Sequence[tuple[str, str, float]],
    dedup: Dedup,
) -> dict[str, tuple[str, str, float]]:
    """Held-out pair id -> (how training shows it, the training row, similarity)."""
    seen: dict[str, tuple[str, str, float]] = {}
    for digest, how in ((_text_digest, "word for word"), (_shape_digest, "under other names")):
        known = _by_digest(train, digest)
        for key, (pair_id, *_) in _by_digest(held_out, digest, every=True).items():
            match = known.get(key[0])
            if match is not None:
                seen.setdefault(pair_id, (f"a training row says it {how}", match[0], 1.0))
    trained = set(train["pair_id"].to_list())
    tested = set(held_out["pair_id"].to_list())
    lexical: dict[tuple[str, str], float] = {}
    for left, right, jaccard in pairs:
        for mine, other in ((left, right), (right, left)):
            if mine in tested and other in trained:
                lexical[mine, other] = jaccard
    for (mine, other), jaccard in sorted(lexical.items(), key=lambda item: (-item[1], item[0])):
        if jaccard >= LEAK_JACCARD:
            seen.setdefault(mine, ("a training row is nearly the same", other, jaccard))
    for mine, other, cosine in _same_meaning(held_out, train, lexical, dedup):
        seen.setdefault(mine, ("a training row means the same", other, cosine))
    return seen


def _same_meaning(
    held_out: pl.DataFrame,
    train: pl.DataFrame,
    lexical: Mapping[tuple[str, str], float],
    dedup: Dedup,
) -> list[tuple[str, str, float]]:
    """(held-out id, training id, cosine) of rows that embed alike, code with tokens that agree."""
    return [
        (mine, other, cosine)
        for mine, other, cosine, mode in _alike(held_out, train, dedup)
        if mode == "prose_only" or lexical.get((mine, other), 0.0) >= dedup.semantic_code_jaccard
    ]


def given_away(held_out: pl.DataFrame, candidates: pl.DataFrame, dedup: Dedup) -> set[str]:
    """Candidates for training that a held-out row can be known from, by text, shape or shingles."""
    both = pl.concat(
        [frame.select("pair_id", "response", "response_mode") for frame in (held_out, candidates)]
    )
    pairs = similar_rows(both, LEAK_JACCARD)
    giving: set[str] = set()
    while True:
        left = candidates.filter(~pl.col("pair_id").is_in(list(giving)))
        found = {other for _, other, _ in seen_in_training(held_out, left, pairs, dedup).values()}
        if not found:
            return giving
        giving |= found


def _by_digest(
    rows: pl.DataFrame, digest: Callable[[str], str | None], every: bool = False
) -> dict[Any, tuple[str, ...]]:
    """Rows by the digest of their answer; with `every`, keyed apart so that none is hidden."""
    found: dict[Any, tuple[str, ...]] = {}
    for pair_id, response in rows.select("pair_id", "response").iter_rows():
        key = digest(response)
        if key is not None:
            found[(key, pair_id) if every else key] = (pair_id,)
    return found


def _text_digest(response: str) -> str:
    return hashlib.sha256(" ".join(response.split()).encode("utf-8", "surrogatepass")).hexdigest()


def _shape_digest(response: str) -> str | None:
    """Digest of code with every word replaced by its order of appearance; None when it is short.

    Two programs with one shape differ by a consistent renaming and by literals: a type-2 clone.
    """
    lexemes = _LEXEME.findall(response)
    if len(lexemes) < MIN_SHAPE_TOKENS:
        return None
    order: dict[str, int] = {}
    shape = []
    for lexeme in lexemes:
        if lexeme[0].isdigit() or (lexeme[0] == '"' and len(lexeme) > 1):
            shape.append("=")
        elif lexeme[0].isalpha() or lexeme[0] == "_":
            shape.append(str(order.setdefault(lexeme, len(order))))
        else:
            shape.append(lexeme)
    return hashlib.sha256(" ".join(shape).encode("utf-8", "surrogatepass")).hexdigest()


def _alike(
    held_out: pl.DataFrame, train: pl.DataFrame, dedup: Dedup
) -> list[tuple[str, str, float, str]]:
    """(held-out id, its nearest training id, cosine, mode) at or above the mode's threshold."""
    columns = ["pair_id", "response_mode", "embedding"]
    if "embedding" not in held_out.columns or held_out.is_empty() or train.is_empty():
        return []
    mine = held_out.select(columns).drop_nulls("embedding")
    other = train.select("pair_id", "embedding").drop_nulls("embedding")
    if mine.is_empty() or other.is_empty():
        return []
    cosines = _unit(mine["embedding"]) @ _unit(other["embedding"]).T
    names = other["pair_id"].to_list()
    found = []
    for (pair_id, mode), scores in zip(
        mine.select("pair_id", "response_mode").iter_rows(), cosines, strict=True
    ):
        threshold = dedup.semantic_prose if mode == "prose_only" else dedup.semantic_code
        found += [
            (pair_id, names[index], float(scores[index]), mode)
            for index in np.flatnonzero(scores >= threshold)
        ]
    return sorted(found, key=lambda item: (item[0], -item[2], item[1]))


def _unit(embeddings: pl.Series) -> np.ndarray:
    matrix = embedding_matrix(embeddings)
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)


def split_leakage(mix_rows: pl.DataFrame, dedup: Dedup) -> list[str]:
    """Every way a held-out row is known to training, as `pair id: why`; empty when there is none.

    Looks at files, parents, equal text, equal shape, token-shingle Jaccard >= LEAK_JACCARD, and
    meaning by the thresholds of `dedup`.
    """
    train = mix_rows.filter(pl.col("split") == TRAIN)
    held_out = mix_rows.filter(pl.col("split") == EVAL)
    trained = set(train["pair_id"].to_list())
    train_files = set(train["source_path"].to_list())
    train_parents = {parent for parents in train["parents"].to_list() for parent in parents or ()}
    found = []
    for pair_id, path, parents in held_out.select("pair_id", "source_path", "parents").iter_rows():
        family = set(parents or ()) | {pair_id}
        if pair_id in trained:
            found.append(f"{pair_id}: is a training row")
        if path in train_files:
            found.append(f"{pair_id}: its file {path} is trained")
        if family & (trained | train_parents):
            found.append(f"{pair_id}: shares a parent with a training row")
    for digest, how in ((_text_digest, "word for word"), (_shape_digest, "under other names")):
        known = _by_digest(train, digest)
        found += [
            f"{key[1]}: training row {known[key[0]][0]} says it {how}"
            for key in _by_digest(held_out, digest, every=True)
            if key[0] in known
        ]
    side = dict(mix_rows.select("pair_id", "split").iter_rows())
    lexical: dict[tuple[str, str], float] = {}
    threshold = min(LEAK_JACCARD, dedup.semantic_code_jaccard)
    for left, right, jaccard in similar_rows(mix_rows, threshold):
        if side[left] != side[right]:
            pair = (left, right) if side[left] == EVAL else (right, left)
            lexical[pair] = jaccard
            if jaccard >= LEAK_JACCARD:
                found.append(
                    f"{pair[0]}: training row {pair[1]} is nearly the same ({jaccard:.2f})"
                )
    found += [
        f"{mine}: training row {other} means the same ({cosine:.2f})"
        for mine, other, cosine in _same_meaning(held_out, train, lexical, dedup)
    ]
    return found
