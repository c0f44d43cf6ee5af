"""Leakage between training and held-out rows: an answer that a training row shows.

Every answer of a held-out row is compared with every turn of every training row: with the turn as a
whole, and with the parts of a longer turn. Code is compared without comments and layout, under any
names; prose by its words. Rows with embeddings are compared by meaning too.
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
from vox_assets.curate.similarity import Shingles, shingle
from vox_assets.mix.schema import EVAL, TRAIN
from vox_assets.profiles import Dedup

#: Token-shingle Jaccard from which a held-out answer counts as seen in training. Stricter than the
#: corpus' own dedup (0.8): leakage flatters a metric long before it wastes a training row.
LEAK_JACCARD = 0.7

#: Share of the answer's distinct shingles that a training row must contain to count as showing it.
#: On the Vox repository unrelated rows share less than half of the shingles of a long answer.
LEAK_CONTAINMENT = 0.8
#: Below this number of distinct shingles only an answer that is contained as a whole counts.
MIN_PARTLY_CONTAINED = 20
#: Shorter answers (in shingles) are common phrases, such as a derived `Default`: only a whole turn
#: that equals them counts.
MIN_CONTAINED = 8

#: Lexemes of a shape shingle: five, as in text, are too few where all names are equal.
SHAPE_WINDOW = 16
#: Code of fewer lexemes has too few possible shapes for an equal one to prove copying.
MIN_SHAPE_LEXEMES = 30

_MIX = np.uint64(0x9E3779B97F4A7C15)
#: A string ends on its line: in prose a quote without its pair must not hide the code after it.
_STRING = r'"(?:\\.|[^"\\\n])*"'
#: Strings and character literals first, because they may contain comment signs.
_STRING_OR_COMMENT = re.compile(
    rf"""(?P<literal>r(?P<hashes>\#*)"[\s\S]*?"(?P=hashes)|{_STRING}|'(?:\\[^'\n]*|[^'\\\n])')"""
    r"""|//[^\n]*|/\*[\s\S]*?(?:\*/|\Z)""",
    re.VERBOSE,
)
#: A comma that only a formatter puts before a closing bracket.
_TRAILING_COMMA = re.compile(r",(?=\s*[)\]}>])")
_LEXEME = re.compile(rf"[A-Za-z_]\w*|\d[\w.]*|{_STRING}|\S")
_WORD = re.compile(r"\w+")


#: Row of the held-out frame, row of the training frame, and similarity.
Match = tuple[int, int, float]

#: How a training row can show an answer, the strongest evidence first.
EVIDENCE = (
    "shows it word for word",
    "contains it",
    "is nearly the same",
    "shows it under other names",
    "means the same",
)


@dataclass(frozen=True)
class Leak:
    """A held-out row, the training row that shows its answer, how, and how similar they are."""

    held_out: str
    train: str
    how: str
    similarity: float

    def __str__(self) -> str:
        return f"{self.held_out}: {self.how} ({self.similarity:.2f}): {self.train}"


def leaks(held_out: pl.DataFrame, train: pl.DataFrame, dedup: Dedup) -> list[Leak]:
    """Find each pair of a held-out row and a training row that shows one of its answers.

    Needs `pair_id`, `messages` and `response_mode`, and compares by meaning where both frames have
    an `embedding`. A pair is reported once, by its strongest evidence; pairs are sorted by held-out
    row, strength of the evidence, similarity and training row.
    """
    is_code_row = (held_out["response_mode"] == "code_only").to_numpy()
    agreeing: set[tuple[int, int]] = set()
    evidence: list[tuple[str, list[Match]]] = []
    for is_code in (True, False):
        rows = np.flatnonzero(is_code_row == is_code).tolist()
        if not rows:
            continue
        answers = _Turns.of(held_out, as_code=is_code, by={"assistant"}, rows=rows)
        shown = _Turns.of(train, as_code=is_code)
        view = _Comparison(answers, shown, shingle(answers.texts), shingle(shown.texts))
        evidence.append(("shows it word for word", _equal(answers, shown, str)))
        evidence.append(("contains it", view.contained(MIN_CONTAINED)))
        near = view.similar(dedup.semantic_code_jaccard)
        agreeing.update((mine, other) for mine, other, _ in near)
        evidence.append(("is nearly the same", [m for m in near if m[2] >= LEAK_JACCARD]))
        if is_code:
            shapes = [_shape_shingles(turns.texts) for turns in (answers, shown)]
            renamed = _Comparison(answers, shown, *shapes)
            least = MIN_SHAPE_LEXEMES - SHAPE_WINDOW + 1
            evidence.append(("shows it under other names", _equal(answers, shown, _shape_key)))
            evidence.append(("shows it under other names", renamed.contained(least)))
    alike = [
        (mine, other, cosine)
        for mine, other, cosine in _alike(held_out, train, dedup)
        if not is_code_row[mine] or (mine, other) in agreeing
    ]
    evidence.append(("means the same", alike))

    tested, trained = held_out["pair_id"].to_list(), train["pair_id"].to_list()
    strongest: dict[tuple[int, int], tuple[int, Leak]] = {}
    for how, matches in evidence:
        for mine, other, similarity in matches:
            leak = Leak(tested[mine], trained[other], f"a training row {how}", similarity)
            strongest.setdefault((mine, other), (EVIDENCE.index(how), leak))
    ranked = sorted(
        strongest.values(),
        key=lambda item: (item[1].held_out, item[0], -item[1].similarity, item[1].train),
    )
    return [leak for _, leak in ranked]


def seen_in_training(held_out: pl.DataFrame, train: pl.DataFrame, dedup: Dedup) -> dict[str, Leak]:
    """Return the strongest leak of each held-out row that has one, by pair id."""
    strongest: dict[str, Leak] = {}
    for leak in leaks(held_out, train, dedup):
        strongest.setdefault(leak.held_out, leak)
    return strongest


def split_leakage(mix_rows: pl.DataFrame, dedup: Dedup) -> list[str]:
    """List every way in which training knows a held-out row, as `pair id: how`.

    Besides `leaks`, the two sides must not share a row, a source file or a parent.
    """
    train = mix_rows.filter(pl.col("split") == TRAIN)
    held_out = mix_rows.filter(pl.col("split") == EVAL)
    trained = set(train["pair_id"].to_list())
    train_files = set(train["source_path"].to_list())
    train_parents = {parent for parents in train["parents"].to_list() for parent in parents or ()}
    faults = []
    for pair_id, path, parents in held_out.select("pair_id", "source_path", "parents").iter_rows():
        family = set(parents or ()) | {pair_id}
        if pair_id in trained:
            faults.append(f"{pair_id}: is a training row")
        if path in train_files:
            faults.append(f"{pair_id}: its file {path} is trained")
        if family & (trained | train_parents):
            faults.append(f"{pair_id}: shares a parent with a training row")
    return faults + [str(leak) for leak in leaks(held_out, train, dedup)]


@dataclass(frozen=True)
class _Turns:
    """Texts of turns, prepared for comparison; `owners` holds the row of each text (int64)."""

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
        prepare = _code if as_code else _words
        chosen = range(frame.height) if rows is None else rows
        dialogues = frame["messages"].gather(list(chosen)).to_list()
        texts, owners = [], []
        for row, dialogue in zip(chosen, dialogues, strict=True):
            for turn in dialogue:
                if by is None or turn["role"] in by:
                    texts.append(prepare(turn["content"]))
                    owners.append(row)
        return _Turns(texts, np.array(owners, dtype=np.int64), frame.height)


@dataclass(frozen=True)
class _Comparison:
    """Held-out answers and training turns, with the shingles of each text."""

    answers: _Turns
    shown: _Turns
    mine: Shingles
    other: Shingles

    def similar(self, threshold: float) -> list[Match]:
        """Find answers and turns with a Jaccard similarity of at least `threshold`."""
        index, turn, shared = self._shared(np.arange(len(self.other)))
        union = self.mine.sizes[index] + self.other.sizes[turn] - shared
        jaccard = shared / union
        keep = jaccard >= threshold
        return _best(self.answers.owners[index[keep]], self.shown.owners[turn[keep]], jaccard[keep])

    def contained(self, least: int) -> list[Match]:
        """Find answers whose shingles are contained in the turns of one training row.

        Answers of fewer than `least` distinct shingles are not compared.
        """
        index, row, shared = self._shared(self.shown.owners)
        sizes = self.mine.sizes[index]
        share = shared / sizes
        wanted = np.where(sizes < max(MIN_PARTLY_CONTAINED, least), 1.0, LEAK_CONTAINMENT)
        keep = (sizes >= least) & (share >= wanted)
        return _best(self.answers.owners[index[keep]], row[keep], share[keep])

    def _shared(self, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Count the shingles that each answer shares with each group of training turns.

        `groups` holds the group of each turn. Returns indices of answers, groups, and counts, for
        the pairs that share any.
        """
        from scipy.sparse import csr_matrix

        known, columns = np.unique(self.mine.hashes, return_inverse=True)
        answers = csr_matrix(
            (np.ones(len(columns), np.int32), columns, self.mine.bounds),
            shape=(len(self.mine), max(1, len(known))),
        )
        owners, hashes = self.other.gather(np.arange(len(self.other)))
        at, hit = np.searchsorted(known, hashes), np.isin(hashes, known)
        turns = csr_matrix(
            (np.ones(int(hit.sum()), np.int32), (groups[owners[hit]], at[hit])),
            shape=(int(groups.max(initial=-1)) + 1, max(1, len(known))),
        )
        # A group of several turns may hold a shingle more than once; it counts once.
        turns.data[:] = 1
        shared = (answers @ turns.T).tocoo()
        return shared.row.astype(np.int64), shared.col.astype(np.int64), shared.data


def _equal(answers: _Turns, shown: _Turns, key: Callable[[str], Hashable]) -> list[Match]:
    """Find answers that equal a whole training turn by `key`; an empty key equals none."""
    by_key: dict[Hashable, list[int]] = {}
    for text, owner in zip(shown.texts, shown.owners.tolist(), strict=True):
        by_key.setdefault(key(text), []).append(owner)
    return [
        (mine, other, 1.0)
        for text, mine in zip(answers.texts, answers.owners.tolist(), strict=True)
        if (wanted := key(text))
        for other in by_key.get(wanted, ())
    ]


def _shape_key(text: str) -> bytes:
    """Return the shape of a whole text without its literals; empty when it is short."""
    shape = _shape(text, keep_literals=False)
    return shape.tobytes() if len(shape) >= MIN_SHAPE_LEXEMES else b""


def _best(mine: np.ndarray, other: np.ndarray, similarity: np.ndarray) -> list[Match]:
    """Keep the highest similarity of each pair of rows."""
    best: dict[tuple[int, int], float] = {}
    for left, right, value in zip(mine.tolist(), other.tolist(), similarity.tolist(), strict=True):
        best[left, right] = max(value, best.get((left, right), 0.0))
    return [(left, right, value) for (left, right), value in best.items()]


def _visible(text: str) -> str:
    """Normalise characters (NFKC, case) and remove format characters such as zero-width spaces."""
    text = unicodedata.normalize("NFKC", text)
    if not text.isascii():
        text = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    return text.casefold()


def _code(text: str) -> str:
    """Return the lexemes of code, one per line, without comments and trailing commas."""
    bare = _STRING_OR_COMMENT.sub(lambda match: match["literal"] or " ", _visible(text))
    return "\n".join(_LEXEME.findall(_TRAILING_COMMA.sub("", bare)))


def _words(text: str) -> str:
    """Return the words of prose, separated by spaces."""
    return " ".join(_WORD.findall(_visible(text)))


def _shape(text: str, keep_literals: bool) -> np.ndarray:
    """Encode the lexemes of code so that consistent renaming does not change it: int64.

    A name becomes the distance to its occurrence before, 0 for the first; any other lexeme a
    negative number. B. S. Baker, "Parameterized pattern matching: algorithms and applications",
    Journal of Computer and System Sciences 52 (1996).
    """
    before: dict[str, int] = {}
    shape = []
    for position, lexeme in enumerate(_LEXEME.findall(text)):
        if lexeme[0].isalpha() or lexeme[0] == "_":
            shape.append(position - before.get(lexeme, position))
            before[lexeme] = position
        elif lexeme[0].isdigit() or (lexeme[0] == '"' and len(lexeme) > 1):
            shape.append(-1 - (zlib.crc32(lexeme.encode()) if keep_literals else 0))
        else:
            shape.append(-2 - zlib.crc32(lexeme.encode()))
    return np.array(shape, dtype=np.int64)


def _shape_shingles(texts: Sequence[str]) -> Shingles:
    """Compute the distinct windows of the shapes of code; literals must agree.

    Repetitive code, such as a list of constants, has few shapes: without its literals one list
    would contain every other.
    """
    parts = [_shape_windows(_shape(text, keep_literals=True)) for text in texts]
    sizes = [len(part) for part in parts]
    return Shingles(
        np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        np.concatenate([np.empty(0, np.uint64), *parts]),
    )


def _shape_windows(shape: np.ndarray) -> np.ndarray:
    """Hash the distinct windows of SHAPE_WINDOW lexemes: sorted uint64."""
    count = max(0, len(shape) - SHAPE_WINDOW + 1)
    windows = np.zeros(count, np.uint64)
    for offset in range(SHAPE_WINDOW):
        part = shape[offset : offset + count]
        # A name is new to a window that begins after its occurrence before.
        value = np.where(part <= offset, part, 0).astype(np.uint64)
        # The shift moves high bits down: a product alone never changes the low bits.
        windows = (windows ^ (windows >> np.uint64(29))) * _MIX + value
    return np.unique(windows)


def _alike(held_out: pl.DataFrame, train: pl.DataFrame, dedup: Dedup) -> Iterator[Match]:
    """Yield rows whose embeddings have at least the cosine that `dedup` sets for the mode."""
    if any("embedding" not in frame.columns or frame.is_empty() for frame in (held_out, train)):
        return
    mine, other = (
        np.flatnonzero(f["embedding"].is_not_null().to_numpy()) for f in (held_out, train)
    )
    if not len(mine) or not len(other):
        return
    vectors = [_unit(f["embedding"].drop_nulls()) for f in (held_out, train)]
    cosines = vectors[0] @ vectors[1].T
    modes = held_out["response_mode"].to_list()
    for row, scores in zip(mine.tolist(), cosines, strict=True):
        threshold = dedup.semantic_prose if modes[row] == "prose_only" else dedup.semantic_code
        for column in np.flatnonzero(scores >= threshold):
            yield row, int(other[column]), float(scores[column])


def _unit(embeddings: pl.Series) -> Any:
    matrix = embedding_matrix(embeddings)
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
