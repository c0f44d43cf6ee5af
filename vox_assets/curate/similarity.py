"""How alike two rows are: token shingles, Jaccard, MinHash candidates, embeddings.

Pairs are given as positions `(i, j)` with `i < j` into the texts that were asked about. Which of
two similar rows survives is decided in `dedup`, not here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

# Identifiers, numbers and single signs: the tokens of code that survive reformatting.
TOKEN_PATTERN = r"[A-Za-z_]\w*|\d+|\S"
SHINGLE_TOKENS = 5

# 32 bands of 4 rows find a pair at Jaccard 0.7 with probability 0.9998, at 0.8 with all but
# certainty. The many false candidates cost little, because each is verified exactly.
BANDS, BAND_ROWS = 32, 4
MINHASH_SEED = 1

# Rows of the sparse self-join or of the embedding product held in memory at once.
BLOCK_ROWS = 1024

_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class SimilarPairs:
    """Verified pairs: positions `left < right` (int64) and `similarity` (float64), by position."""

    left: np.ndarray
    right: np.ndarray
    similarity: np.ndarray

    @staticmethod
    def of(left: np.ndarray, right: np.ndarray, similarity: np.ndarray) -> SimilarPairs:
        order = np.lexsort((right, left))
        return SimilarPairs(
            left[order].astype(np.int64),
            right[order].astype(np.int64),
            similarity[order].astype(np.float64),
        )

    def __len__(self) -> int:
        return len(self.left)


@dataclass(frozen=True)
class Shingles:
    """The distinct shingle hashes of each text, sorted: a compressed sparse row layout."""

    bounds: np.ndarray  # int64, texts + 1
    hashes: np.ndarray  # uint64

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def row(self, position: int | np.integer) -> np.ndarray:
        return self.hashes[self.bounds[position] : self.bounds[position + 1]]

    @property
    def sizes(self) -> np.ndarray:
        return np.diff(self.bounds)


def shingle(texts: Sequence[str]) -> Shingles:
    """5-token shingles of each text, hashed to 64 bits.

    A text of fewer tokens is one shingle as a whole, so that short texts are alike only when
    they are equal token by token; a text without tokens has none and is like no other.
    """
    tokens = (
        pl.DataFrame({"text": pl.Series(list(texts), dtype=pl.String)})
        .with_row_index("row")
        .with_columns(pl.col("text").str.extract_all(TOKEN_PATTERN).alias("token"))
        .select("row", "token")
        .explode("token")
        .drop_nulls("token")
        .with_columns(pl.col("token").hash(seed=0).alias("hash"))
    )
    rows = tokens["row"].to_numpy().astype(np.int64)
    token_hashes = tokens["hash"].to_numpy()
    counts = np.bincount(rows, minlength=len(texts)).astype(np.int64)
    starts = np.concatenate(([0], np.cumsum(counts)))

    long_rows, long_hashes = _full_shingles(rows, token_hashes)
    short = np.flatnonzero((counts > 0) & (counts < SHINGLE_TOKENS))
    whole = np.array(
        [_combine(token_hashes[starts[i] : starts[i + 1]]) for i in short], dtype=np.uint64
    )
    all_rows = np.concatenate((long_rows, short))
    all_hashes = np.concatenate((long_hashes, whole))

    order = np.lexsort((all_hashes, all_rows))
    all_rows, all_hashes = all_rows[order], all_hashes[order]
    if len(all_rows):
        fresh = np.ones(len(all_rows), dtype=bool)
        fresh[1:] = (all_rows[1:] != all_rows[:-1]) | (all_hashes[1:] != all_hashes[:-1])
        all_rows, all_hashes = all_rows[fresh], all_hashes[fresh]
    sizes = np.bincount(all_rows, minlength=len(texts)).astype(np.int64)
    return Shingles(np.concatenate(([0], np.cumsum(sizes))).astype(np.int64), all_hashes)


def _full_shingles(rows: np.ndarray, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = len(rows) - SHINGLE_TOKENS + 1
    if count <= 0:
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    combined = np.zeros(count, dtype=np.uint64)
    for offset in range(SHINGLE_TOKENS):
        combined = combined * _MIX + hashes[offset : offset + count]
    inside = rows[:count] == rows[SHINGLE_TOKENS - 1 :]
    return rows[:count][inside], combined[inside]


def _combine(hashes: np.ndarray) -> np.uint64:
    combined = np.zeros(1, dtype=np.uint64)
    for value in hashes:
        combined = combined * _MIX + value
    # The length takes part, so that a short text never equals a shingle of a longer one.
    return (combined * _MIX + np.uint64(len(hashes)))[0]


def jaccard(shingles: Shingles, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Exact Jaccard similarity of each pair, float64."""
    result = np.empty(len(left))
    for index, (i, j) in enumerate(zip(left, right, strict=True)):
        a, b = shingles.row(i), shingles.row(j)
        shared = len(np.intersect1d(a, b, assume_unique=True))
        union = len(a) + len(b) - shared
        result[index] = shared / union if union else 0.0
    return result


def near_pairs(shingles: Shingles, threshold: float) -> SimilarPairs:
    """Pairs at Jaccard >= `threshold`: MinHash LSH candidates, each verified exactly.

    Broder, "On the resemblance and containment of documents" (1997), in datasketch's
    implementation over the shingles' own hashes.
    """
    from datasketch import MinHash

    filled = np.flatnonzero(shingles.sizes > 0)
    if len(filled) < 2:
        return _no_pairs()
    lists = [(shingles.row(i) & np.uint64(0xFFFFFFFF)).tolist() for i in filled]
    sketches = MinHash.bulk(
        lists, num_perm=BANDS * BAND_ROWS, seed=MINHASH_SEED, hashfunc=_already_hashed
    )
    signatures = np.stack([sketch.hashvalues for sketch in sketches])
    candidates: set[tuple[int, int]] = set()
    for band in range(BANDS):
        part = np.ascontiguousarray(signatures[:, band * BAND_ROWS : (band + 1) * BAND_ROWS])
        keys = part.view(np.dtype((np.void, part.dtype.itemsize * BAND_ROWS))).ravel()
        order = np.argsort(keys, kind="stable")
        edges = np.flatnonzero(keys[order][1:] != keys[order][:-1]) + 1
        for bucket in np.split(order, edges):
            if len(bucket) > 1:
                candidates.update(_bucket_pairs(bucket))
    if not candidates:
        return _no_pairs()
    pairs = np.array(sorted(candidates), dtype=np.int64)
    left, right = filled[pairs[:, 0]], filled[pairs[:, 1]]
    similarity = jaccard(shingles, left, right)
    keep = similarity >= threshold
    return SimilarPairs.of(left[keep], right[keep], similarity[keep])


def _already_hashed(value: int) -> int:
    return value


def _bucket_pairs(bucket: np.ndarray) -> list[tuple[int, int]]:
    members = sorted(bucket.tolist())
    return [(a, b) for index, a in enumerate(members) for b in members[index + 1 :]]


def exact_pairs(shingles: Shingles, threshold: float) -> SimilarPairs:
    """Pairs at Jaccard >= `threshold` by a sparse self-join: slower, and misses none.

    It shares nothing with `near_pairs` but the shingles, so each can be checked by the other.
    """
    from scipy.sparse import csr_matrix

    count = len(shingles)
    _, columns = np.unique(shingles.hashes, return_inverse=True)
    matrix = csr_matrix(
        (np.ones(len(columns), np.int32), columns, shingles.bounds),
        shape=(count, int(columns.max()) + 1 if len(columns) else 1),
    )
    transposed = matrix.T.tocsr()
    sizes = shingles.sizes
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for start in range(0, count, BLOCK_ROWS):
        block = (matrix[start : start + BLOCK_ROWS] @ transposed).tocoo()
        rows, others, shared = block.row.astype(np.int64) + start, block.col, block.data
        upper = rows < others
        rows, others, shared = rows[upper], others[upper], shared[upper]
        similarity = shared / (sizes[rows] + sizes[others] - shared)
        keep = similarity >= threshold
        found.append((rows[keep], others[keep], similarity[keep]))
    if not found:
        return _no_pairs()
    left, right, similarity = (np.concatenate(part) for part in zip(*found, strict=True))
    return SimilarPairs.of(left, right, similarity)


def semantic_pairs(embeddings: np.ndarray, threshold: float) -> SimilarPairs:
    """Pairs whose unit vectors (rows of a float32 matrix) have cosine >= `threshold`."""
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for start in range(0, len(embeddings), BLOCK_ROWS):
        block = embeddings[start : start + BLOCK_ROWS] @ embeddings[start:].T
        rows, others = np.nonzero(block >= threshold)
        upper = rows < others
        rows, others = rows[upper], others[upper]
        found.append((rows + start, others + start, block[rows, others]))
    if not found:
        return _no_pairs()
    left, right, similarity = (np.concatenate(part) for part in zip(*found, strict=True))
    return SimilarPairs.of(left, right, similarity)


def neighbour_distance(embeddings: np.ndarray) -> np.ndarray:
    """1 - cosine to the nearest other row, float32; 1 for a row that is alone."""
    nearest = np.full(len(embeddings), 0.0, dtype=np.float32)
    for start in range(0, len(embeddings), BLOCK_ROWS):
        block = embeddings[start : start + BLOCK_ROWS] @ embeddings.T
        own = np.arange(len(block))
        block[own, own + start] = -1.0
        nearest[start : start + len(block)] = block.max(axis=1) if block.shape[1] > 1 else 0.0
    return (1.0 - np.clip(nearest, 0.0, 1.0)).astype(np.float32)


def _no_pairs() -> SimilarPairs:
    empty = np.empty(0, np.int64)
    return SimilarPairs(empty, empty, np.empty(0))
