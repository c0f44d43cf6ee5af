"""Finds leakage: answers of held-out rows that training rows contain.

Every answer of a held-out row is compared with every turn of every training row: with the whole
turn, and with the parts of a longer turn. The comparison of code ignores comments, layout and
consistent renaming; prose is compared by its words. Rows with embeddings are compared by meaning
too.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from vox_assets.contract.rows import embedding_matrix
from vox_assets.curate.code_text import without_comments
from vox_assets.curate.shape import MIN_SHAPE_TOKENS, lexemes, shape_digest
from vox_assets.curate.similarity import Shingles, shingle
from vox_assets.mix.schema import EVAL, TRAIN
from vox_assets.profiles import Dedup

#: A held-out answer counts as seen in training from this Jaccard similarity of token shingles.
#: Dedup uses 0.8; leakage improves a metric long before a duplicate wastes a training row.
LEAK_JACCARD = 0.7

#: A training row contains an answer if it has at least this share of the answer's distinct
#: shingles. In the Vox repository, unrelated rows share less than half of the shingles of a long
#: answer.
LEAK_CONTAINMENT = 0.8
#: An answer with fewer distinct shingles must be contained completely.
MIN_PARTLY_CONTAINED = 20
#: Answers with fewer shingles are common phrases, such as a derived `Default`: they leak only if
#: they equal a whole turn.
MIN_CONTAINED = 8

#: Lexemes of a shape shingle: without names, five lexemes as in text shingles are too few.
SHAPE_WINDOW = 16

_MIX = np.uint64(0x9E3779B97F4A7C15)
#: A comma that a formatter adds before a closing bracket.
_TRAILING_COMMA = re.compile(r",(?=\s*[)\]}>])")
_WORD = re.compile(r"\w+")


#: Row number in the held-out frame, row number in the training frame, and similarity.
Match = tuple[int, int, float]

SAME_TEXT = "has the same text"
CONTAINED = "contains the answer"
NEAR_DUPLICATE = "has nearly the same text"
RENAMED = "has the same code under other names"
SAME_MEANING = "has the same meaning"

#: Evidence that a training row reveals an answer, the strongest first.
EVIDENCE = (SAME_TEXT, CONTAINED, NEAR_DUPLICATE, RENAMED, SAME_MEANING)


@dataclass(frozen=True)
class Leak:
    """A held-out row, the training row that reveals its answer, the reason and the similarity."""

    held_out: str
    train: str
    reason: str
    similarity: float

    def __str__(self) -> str:
        return f"{self.held_out}: {self.reason} ({self.similarity:.2f}): {self.train}"


def leaks(held_out: pl.DataFrame, train: pl.DataFrame, dedup: Dedup) -> list[Leak]:
    """Find each pair of a held-out row and a training row that reveals one of its answers.

    The frames need `pair_id`, `messages` and `response_mode`, and are compared by meaning if both
    have an `embedding`. A pair is reported once, with its strongest evidence. Pairs are sorted by
    held-out row, strength of the evidence, similarity and training row.
    """
    is_code_row = (held_out["response_mode"] == "code_only").to_numpy()
    similar_tokens: set[tuple[int, int]] = set()
    evidence: list[tuple[str, list[Match]]] = []
    for is_code in (True, False):
        rows = np.flatnonzero(is_code_row == is_code).tolist()
        if not rows:
            continue
        answers = _Turns.of(held_out, as_code=is_code, by={"assistant"}, rows=rows)
        turns = _Turns.of(train, as_code=is_code)
        comparison = _Comparison(answers, turns, shingle(answers.texts), shingle(turns.texts))
        evidence.append((SAME_TEXT, _equal(answers, turns, str)))
        evidence.append((CONTAINED, comparison.contained(MIN_CONTAINED)))
        similar = comparison.similar(min(LEAK_JACCARD, dedup.semantic_code_jaccard))
        similar_tokens.update(
            (answer_row, train_row)
            for answer_row, train_row, jaccard in similar
            if jaccard >= dedup.semantic_code_jaccard
        )
        near = [match for match in similar if match[2] >= LEAK_JACCARD]
        evidence.append((NEAR_DUPLICATE, near))
        if is_code:
            shapes = [_shape_shingles(side.texts) for side in (answers, turns)]
            by_shape = _Comparison(answers, turns, *shapes)
            min_size = MIN_SHAPE_TOKENS - SHAPE_WINDOW + 1
            evidence.append((RENAMED, _equal(answers, turns, shape_digest)))
            evidence.append((RENAMED, by_shape.contained(min_size)))
    same_meaning = [
        (answer_row, train_row, cosine)
        for answer_row, train_row, cosine in _similar_embeddings(held_out, train, dedup)
        if not is_code_row[answer_row] or (answer_row, train_row) in similar_tokens
    ]
    evidence.append((SAME_MEANING, same_meaning))

    held_out_ids, train_ids = held_out["pair_id"].to_list(), train["pair_id"].to_list()
    strongest: dict[tuple[int, int], tuple[int, Leak]] = {}
    for kind, matches in evidence:
        reason = f"a training row {kind}"
        for answer_row, train_row, similarity in matches:
            leak = Leak(held_out_ids[answer_row], train_ids[train_row], reason, similarity)
            strongest.setdefault((answer_row, train_row), (EVIDENCE.index(kind), leak))
    ranked = sorted(
        strongest.values(),
        key=lambda item: (item[1].held_out, item[0], -item[1].similarity, item[1].train),
    )
    return [leak for _, leak in ranked]


def seen_in_training(held_out: pl.DataFrame, train: pl.DataFrame, dedup: Dedup) -> dict[str, Leak]:
    """Return the strongest leak of each held-out row with leaks, by pair id."""
    strongest: dict[str, Leak] = {}
    for leak in leaks(held_out, train, dedup):
        strongest.setdefault(leak.held_out, leak)
    return strongest


def split_leakage(mix_rows: pl.DataFrame, dedup: Dedup) -> list[str]:
    """Return every leak of a held-out row into training, as `pair id: reason`.

    In addition to `leaks`, a row, source file or parent on both sides is a leak.
    """
    train = mix_rows.filter(pl.col("split") == TRAIN)
    held_out = mix_rows.filter(pl.col("split") == EVAL)
    train_ids = set(train["pair_id"].to_list())
    train_files = set(train["source_path"].to_list())
    train_parents = {parent for parents in train["parents"].to_list() for parent in parents or ()}
    faults = []
    for pair_id, path, parents in held_out.select("pair_id", "source_path", "parents").iter_rows():
        family = set(parents or ()) | {pair_id}
        if pair_id in train_ids:
            faults.append(f"{pair_id}: is a training row")
        if path in train_files:
            faults.append(f"{pair_id}: its file {path} has training rows")
        if family & (train_ids | train_parents):
            faults.append(f"{pair_id}: shares a parent with a training row")
    return faults + [str(leak) for leak in leaks(held_out, train, dedup)]


@dataclass(frozen=True)
class _Turns:
    """Normalised texts of turns; `owners` has the row number of each text (int64)."""

    texts: list[str]
    owners: np.ndarray
    rows: int

    @staticmethod
    def of(
        frame: pl.DataFrame,
        as_code: bool,
        by: set[str] | None = None,
        rows: Sequence[int] | None = None,
    ) -> _Turns:
        """Normalise the turns of `rows` (by default all) with the roles `by` (by default all)."""
        normalise = _code if as_code else _words
        chosen = range(frame.height) if rows is None else rows
        dialogues = frame["messages"].gather(list(chosen)).to_list()
        texts, owners = [], []
        for row, dialogue in zip(chosen, dialogues, strict=True):
            for turn in dialogue:
                if by is None or turn["role"] in by:
                    texts.append(normalise(turn["content"]))
                    owners.append(row)
        return _Turns(texts, np.array(owners, dtype=np.int64), frame.height)


@dataclass(frozen=True)
class _Comparison:
    """Held-out answers and training turns, with the shingles of each text."""

    answers: _Turns
    turns: _Turns
    answer_shingles: Shingles
    turn_shingles: Shingles

    def similar(self, threshold: float) -> list[Match]:
        """Find answers and turns with a Jaccard similarity of at least `threshold`."""
        index, turn, shared = self._shared(np.arange(len(self.turn_shingles)))
        union = self.answer_shingles.sizes[index] + self.turn_shingles.sizes[turn] - shared
        jaccard = shared / union
        keep = jaccard >= threshold
        return _best(self.answers.owners[index[keep]], self.turns.owners[turn[keep]], jaccard[keep])

    def contained(self, min_size: int) -> list[Match]:
        """Find answers whose shingles are contained in the turns of one training row.

        Answers with fewer than `min_size` distinct shingles are not compared.
        """
        index, row, shared = self._shared(self.turns.owners)
        sizes = self.answer_shingles.sizes[index]
        share = shared / sizes
        is_short = sizes < max(MIN_PARTLY_CONTAINED, min_size)
        threshold = np.where(is_short, 1.0, LEAK_CONTAINMENT)
        keep = (sizes >= min_size) & (share >= threshold)
        return _best(self.answers.owners[index[keep]], row[keep], share[keep])

    def _shared(self, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Count the shingles that each answer shares with each group of training turns.

        `groups` has the group of each turn. Returns the answer index, the group and the count of
        each pair with a shared shingle.
        """
        from scipy.sparse import csr_matrix

        known, columns = np.unique(self.answer_shingles.hashes, return_inverse=True)
        answers = csr_matrix(
            (np.ones(len(columns), np.int32), columns, self.answer_shingles.bounds),
            shape=(len(self.answer_shingles), max(1, len(known))),
        )
        owners, hashes = self.turn_shingles.gather(np.arange(len(self.turn_shingles)))
        position, is_known = np.searchsorted(known, hashes), np.isin(hashes, known)
        turns = csr_matrix(
            (
                np.ones(int(is_known.sum()), np.int32),
                (groups[owners[is_known]], position[is_known]),
            ),
            shape=(int(groups.max(initial=-1)) + 1, max(1, len(known))),
        )
        # Several turns of a group may contain the same shingle; it counts once.
        turns.data[:] = 1
        shared = (answers @ turns.T).tocoo()
        return shared.row.astype(np.int64), shared.col.astype(np.int64), shared.data


def _equal(answers: _Turns, turns: _Turns, key: Callable[[str], Hashable]) -> list[Match]:
    """Find answers whose non-empty `key` equals the key of a whole training turn."""
    by_key: dict[Hashable, list[int]] = {}
    for text, owner in zip(turns.texts, turns.owners.tolist(), strict=True):
        by_key.setdefault(key(text), []).append(owner)
    return [
        (answer_row, train_row, 1.0)
        for text, answer_row in zip(answers.texts, answers.owners.tolist(), strict=True)
        if (answer_key := key(text))
        for train_row in by_key.get(answer_key, ())
    ]


def _best(answer_rows: np.ndarray, train_rows: np.ndarray, similarity: np.ndarray) -> list[Match]:
    """Keep the highest similarity of each pair of rows."""
    best: dict[tuple[int, int], float] = {}
    pairs = zip(answer_rows.tolist(), train_rows.tolist(), strict=True)
    for pair, value in zip(pairs, similarity.tolist(), strict=True):
        best[pair] = max(value, best.get(pair, 0.0))
    return [(*pair, value) for pair, value in best.items()]


def _normalise_characters(text: str) -> str:
    """Normalise characters (NFKC, case) and remove format characters such as zero-width spaces."""
    text = unicodedata.normalize("NFKC", text)
    if not text.isascii():
        text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    return text.casefold()


def _code(text: str) -> str:
    """Return the lexemes of code, one per line, without comments and trailing commas."""
    bare = without_comments(_normalise_characters(text))
    return "\n".join(lexemes(_TRAILING_COMMA.sub("", bare)))


def _words(text: str) -> str:
    """Return the words of prose, separated by spaces."""
    return " ".join(_WORD.findall(_normalise_characters(text)))


def _renaming_free(text: str) -> np.ndarray:
    """Encode the lexemes of code as int64, so that consistent renaming does not change the code.

    A name becomes the distance to its previous occurrence, or 0 for the first occurrence. Any other
    lexeme becomes a negative number. B. S. Baker, "Parameterized pattern matching: algorithms and
    applications", Journal of Computer and System Sciences 52 (1996).
    """
    last_position: dict[str, int] = {}
    shape = []
    for position, lexeme in enumerate(lexemes(text)):
        if lexeme[0].isalpha() or lexeme[0] == "_":
            shape.append(position - last_position.get(lexeme, position))
            last_position[lexeme] = position
        else:
            shape.append(-1 - zlib.crc32(lexeme.encode("utf-8", "surrogatepass")))
    return np.array(shape, dtype=np.int64)


def _shape_shingles(texts: Sequence[str]) -> Shingles:
    """Compute the distinct windows of the shapes of code, including literals.

    Repetitive code, such as a list of constants, has few shapes: without literals, one list would
    contain every other list.
    """
    parts = [_shape_windows(_renaming_free(text)) for text in texts]
    sizes = [len(part) for part in parts]
    return Shingles(
        np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        np.concatenate([np.empty(0, np.uint64), *parts]),
    )


def _shape_windows(shape: np.ndarray) -> np.ndarray:
    """Hash the distinct windows of SHAPE_WINDOW lexemes to sorted uint64."""
    count = max(0, len(shape) - SHAPE_WINDOW + 1)
    windows = np.zeros(count, np.uint64)
    for offset in range(SHAPE_WINDOW):
        part = shape[offset : offset + count]
        # In a window that starts after the previous occurrence of a name, the name is new.
        value = np.where(part <= offset, part, 0).astype(np.uint64)
        # The shift moves high bits down, because high bits never change the low bits of a product.
        windows = (windows ^ (windows >> np.uint64(29))) * _MIX + value
    return np.unique(windows)


def _similar_embeddings(
    held_out: pl.DataFrame, train: pl.DataFrame, dedup: Dedup
) -> Iterator[Match]:
    """Yield row pairs whose cosine similarity reaches the threshold of `dedup` for the mode."""
    if any("embedding" not in frame.columns or frame.is_empty() for frame in (held_out, train)):
        return
    answer_rows, train_rows = (
        np.flatnonzero(frame["embedding"].is_not_null().to_numpy()) for frame in (held_out, train)
    )
    if not len(answer_rows) or not len(train_rows):
        return
    vectors = [_unit(frame["embedding"].drop_nulls()) for frame in (held_out, train)]
    cosines = vectors[0] @ vectors[1].T
    modes = held_out["response_mode"].to_list()
    for row, similarities in zip(answer_rows.tolist(), cosines, strict=True):
        threshold = dedup.semantic_prose if modes[row] == "prose_only" else dedup.semantic_code
        for column in np.flatnonzero(similarities >= threshold):
            yield row, int(train_rows[column]), float(similarities[column])


def _unit(embeddings: pl.Series) -> Any:
    matrix = embedding_matrix(embeddings)
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
