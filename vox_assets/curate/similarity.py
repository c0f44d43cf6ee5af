"""Finds similar texts: token shingles, Jaccard, MinHash candidates, embeddings.

Pairs are index pairs `(i, j)` with `i < j` into the given texts. `dedup` decides which of two
similar rows survives.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import polars as pl

from vox_assets.compute.batches import HERE, Engine, in_order

# Identifiers, numbers and single characters: tokens of code that reformatting does not change.
TOKEN_PATTERN = r"[A-Za-z_]\w*|\d+|\S"
SHINGLE_TOKENS = 5

# 25 bands of 5 rows find a pair at Jaccard 0.7 with probability 0.99, at 0.8 with 0.99995. Longer
# bands would miss more pairs; shorter bands would give more candidates that only share an idiom,
# whose number grows with the square of the rows.
BANDS, BAND_ROWS = 25, 5
MINHASH_SEED = 1

# Block sizes: rows whose shingles are sorted together, side of a tile of cosines, and results of a
# block of the sparse self-join. Each takes at most some hundred megabytes.
BLOCK_ROWS = 4096
TILE_ROWS = 4096
BLOCK_REACHED = 1 << 23
# A table of four million buckets (32 MB) separates rare shingles from frequent shingles.
BUCKET_BITS = 22
# Block sizes for texts to shingle, pairs to verify, and shingles to permute: some megabytes of
# memory each, and row numbers that fit beside a hash in 64 bits.
BLOCK_TEXTS = 2_048
BLOCK_PAIRS = 1_024
BLOCK_SHINGLES = 65_536
# Marks of the shingles of one row, by the low bits of their hashes: a table of a megabyte stays in
# the processor's cache, and two shingles of different rows collide once in ten thousand.
MARK_BITS = 20
# Up to so many candidates are sorted.
FEW_CANDIDATES = 256
# Rows of the highest bounds whose similarity is computed exactly.
VERIFIED = 8
# Different shingles of two rows have the same hash once in some 10 ** 9 pairs of rows.
HASH_BITS = 44
_HASH_BITS, _SPARE_BITS = np.uint64(HASH_BITS), np.uint64(64 - HASH_BITS)
_HASH_MASK = np.uint64((1 << HASH_BITS) - 1)

_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class SimilarPairs:
    """Verified pairs, sorted: indices `left < right` (int64) and `similarity` (float64)."""

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
    hashes: np.ndarray  # uint64, below 2 ** HASH_BITS

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def gather(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return all shingles of `rows`, row by row: indices into `rows`, and hashes."""
        sizes = self.sizes[rows]
        owners = np.repeat(np.arange(len(rows)), sizes)
        steps = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return owners, self.hashes[np.repeat(self.bounds[rows], sizes) + steps]

    @cached_property
    def sizes(self) -> np.ndarray:
        return np.diff(self.bounds)


def shingle(texts: Sequence[str], engine: Engine = HERE) -> Shingles:
    """Compute the 5-token shingles of each text, hashed to `HASH_BITS` bits.

    A text of fewer tokens is a single shingle, so that short texts are similar only when all tokens
    are equal; a text without tokens has no shingles and is similar to no other text.
    """
    blocks = (texts[start : start + BLOCK_TEXTS] for start in range(0, len(texts), BLOCK_TEXTS))
    parts = in_order(engine.map(_shingle_block, blocks))
    sizes = np.concatenate([np.empty(0, np.int64), *(sizes for sizes, _ in parts)])
    hashes = np.concatenate([np.empty(0, np.uint64), *(hashes for _, hashes in parts)])
    return Shingles(np.concatenate(([0], np.cumsum(sizes))).astype(np.int64), hashes)


def _shingle_block(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Count the distinct shingles of each text (int64) and return their hashes, text by text."""
    tokens = (
        pl.DataFrame({"text": pl.Series(list(texts), dtype=pl.String)})
        .with_row_index("row")
        .with_columns(pl.col("text").str.extract_all(TOKEN_PATTERN).alias("token"))
        .select("row", "token")
        .explode("token")
        .drop_nulls("token")
        .select("row", pl.col("token").hash(seed=0).alias("hash"))
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
    # Row and hash in one number: that sorts several times faster than two keys.
    keys = _numbered(
        np.concatenate((long_rows, short)), np.concatenate((long_hashes, whole)) >> _SPARE_BITS
    )
    keys.sort()
    if len(keys):
        keys = keys[np.concatenate(([True], keys[1:] != keys[:-1]))]
    sizes = np.bincount((keys >> _HASH_BITS).astype(np.int64), minlength=len(texts))
    return sizes.astype(np.int64), keys & _HASH_MASK


def _numbered(numbers: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Pack a number below 2 ** 20 and a hash into one sortable uint64 each."""
    return (numbers.astype(np.uint64) << _HASH_BITS) | hashes


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
    # The length is part of the hash, so that a short text never equals a shingle of a longer text.
    return (combined * _MIX + np.uint64(len(hashes)))[0]


def jaccard(shingles: Shingles, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Compute the exact Jaccard similarity of each pair of rows, float64."""
    result = np.zeros(len(left))
    for start in range(0, len(left), BLOCK_PAIRS):
        block = slice(start, start + BLOCK_PAIRS)
        i, j = left[block], right[block]
        keys = np.concatenate([_numbered(*shingles.gather(i)), _numbered(*shingles.gather(j))])
        # The keys are two sorted runs: a merge sort is five times as fast as a general sort.
        keys.sort(kind="stable")
        # Each row's shingles are distinct, so a key that occurs twice is in both rows.
        twice = keys[1:][keys[1:] == keys[:-1]]
        shared = np.bincount((twice >> _HASH_BITS).astype(np.int64), minlength=len(i))
        union = shingles.sizes[i] + shingles.sizes[j] - shared
        result[block] = np.divide(shared, union, out=np.zeros(len(i)), where=union > 0)
    return result


class NearIndex:
    """Finds the rows closest to a row, by Jaccard, among those that were added before.

    MinHash LSH candidates (Broder, "On the resemblance and containment of documents", 1997), each
    verified exactly. The permutations come from datasketch and are applied to the hashes of the
    shingles, many rows at a time. A caller that adds only survivors compares each row with
    survivors only: a family of equal rows costs one comparison per row.
    """

    def __init__(self, shingles: Shingles, engine: Engine = HERE) -> None:
        self.shingles = shingles
        filled = np.flatnonzero(shingles.sizes > 0)
        self._row = np.full(len(shingles), -1, np.int64)
        self._row[filled] = np.arange(len(filled))
        if len(filled):
            keys = _band_keys(_signatures(shingles, filled, engine))
            self._buckets = np.stack(in_order(engine.map(_bucket_numbers, keys)), axis=1)
        else:
            self._buckets = np.empty((0, BANDS), np.int64)
        self._members: dict[tuple[int, int], array[int]] = {}
        self._marks = (shingles.hashes & np.uint64((1 << MARK_BITS) - 1)).astype(np.uint32)
        self._marked = np.zeros(1 << MARK_BITS, bool)
        self._seen = np.zeros(len(shingles), bool)

    def add(self, row: int) -> None:
        """Make a row one of those that later rows are compared with."""
        for bucket in self._shared_buckets(row):
            self._members.setdefault(bucket, array("q")).append(row)

    def candidates(self, row: int) -> np.ndarray:
        """Return the added rows that share a band with a row: int64, sorted."""
        members = [
            np.frombuffer(self._members[bucket], np.int64)
            for bucket in self._shared_buckets(row)
            if bucket in self._members
        ]
        if not members:
            return np.empty(0, np.int64)
        if sum(map(len, members)) <= FEW_CANDIDATES:
            return np.unique(np.concatenate(members))
        # Marks in a table: sorting the members of every band takes ten times as long.
        for rows in members:
            self._seen[rows] = True
        found = np.flatnonzero(self._seen)
        self._seen[found] = False
        return found

    def at_least(self, row: int, others: np.ndarray, threshold: float) -> np.ndarray:
        """Mark the others whose Jaccard to a row is at least `threshold`, or very little less."""
        return self._bounds(row, others) >= threshold - 1e-9

    def closest(
        self, row: int, others: np.ndarray, preference: np.ndarray, threshold: float
    ) -> tuple[int, float] | None:
        """Return the closest of some rows at Jaccard >= `threshold`, and its similarity.

        Of equally close rows, the one of the lowest `preference` (a number per row).
        """
        if not len(others):
            return None
        bounds = self._bounds(row, others)
        order = np.lexsort((preference[others], -bounds))
        # Bounds exceed the similarity by marks that collide, which are few.
        first = order[:VERIFIED][bounds[order[:VERIFIED]] >= threshold - 1e-9]
        similarity = jaccard(self.shingles, np.full(len(first), row), others[first])
        passed = np.flatnonzero(similarity >= threshold)
        if not len(passed):
            return None
        first, similarity = others[first[passed]], similarity[passed]
        best = np.lexsort((preference[first], -similarity))[0]
        return int(first[best]), float(similarity[best])

    def _shared_buckets(self, row: int) -> list[tuple[int, int]]:
        place = self._row[row]
        if place < 0:
            return []
        return [
            (band, bucket) for band, bucket in enumerate(self._buckets[place].tolist()) if bucket
        ]

    def _bounds(self, row: int, others: np.ndarray) -> np.ndarray:
        """Compute upper bounds of the Jaccard similarity of a row to others, float64.

        One pass over the shingles of the others: those of the row are marked in a table. Marks can
        collide, which only adds to the overlap.
        """
        sizes = self.shingles.sizes[others]
        filled = sizes > 0
        if not filled.all():
            bounds = np.zeros(len(others))
            bounds[filled] = self._bounds(row, others[filled])
            return bounds
        if not len(others):
            return np.empty(0)
        limits = self.shingles.bounds
        mine = self._marks[limits[row] : limits[row + 1]]
        self._marked[mine] = True
        starts = np.cumsum(sizes) - sizes
        places = np.arange(sizes.sum()) + np.repeat(limits[others] - starts, sizes)
        shared = np.add.reduceat(self._marked[self._marks[places]], starts, dtype=np.int64)
        self._marked[mine] = False
        return np.minimum(1.0, shared / np.maximum(len(mine) + sizes - shared, 1))


def _verified(
    shingles: Shingles, left: np.ndarray, right: np.ndarray, threshold: float
) -> SimilarPairs:
    """Select the pairs whose Jaccard is at least `threshold`."""
    sizes = shingles.sizes
    # The ratio of the sizes is an upper bound of Jaccard.
    small, large = np.minimum(sizes[left], sizes[right]), np.maximum(sizes[left], sizes[right])
    possible = small >= threshold * large - 1e-9
    left, right = left[possible], right[possible]
    similarity = jaccard(shingles, left, right)
    keep = similarity >= threshold
    return SimilarPairs.of(left[keep], right[keep], similarity[keep])


def _signatures(shingles: Shingles, filled: np.ndarray, engine: Engine) -> np.ndarray:
    """Compute MinHash signatures of the non-empty rows `filled`: uint32, (rows, hashes)."""
    hashes = (shingles.hashes >> np.uint64(HASH_BITS - 32)).astype(np.uint32)
    starts, ends = shingles.bounds[filled], shingles.bounds[filled + 1]

    def blocks() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        first = 0
        while first < len(filled):
            end = int(np.searchsorted(ends, starts[first] + BLOCK_SHINGLES, "right"))
            last = max(first + 1, end)
            yield hashes[starts[first] : ends[last - 1]], starts[first:last] - starts[first]
            first = last

    return np.concatenate(in_order(engine.map(_signature_block, blocks())))


def _signature_block(block: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Compute signatures of consecutive rows from their hashes and the start of each row."""
    hashes, cuts = block
    factors, offsets = _permutations()
    signatures = np.empty((len(cuts), len(factors)), np.uint32)
    for number, (factor, offset) in enumerate(zip(factors, offsets, strict=True)):
        # Unsigned overflow is the modulus of the permutation.
        signatures[:, number] = np.minimum.reduceat(hashes * factor + offset, cuts)
    return signatures


@cache
def _permutations() -> tuple[np.ndarray, np.ndarray]:
    from datasketch import MinHash

    return MinHash(num_perm=BANDS * BAND_ROWS, seed=MINHASH_SEED).permutations


def _band_keys(signatures: np.ndarray) -> Iterator[np.ndarray]:
    """Yield for each band a key per row (uint64), equal where the band's hashes are equal."""
    for band in range(BANDS):
        part = signatures[:, band * BAND_ROWS : (band + 1) * BAND_ROWS].astype(np.uint64)
        keys = part[:, 0]
        for column in range(1, BAND_ROWS):
            keys = keys * _MIX + part[:, column]
        yield keys


def _bucket_numbers(keys: np.ndarray) -> np.ndarray:
    """Number the keys that occur more than once from 1 (int64); a key of one row becomes 0."""
    _, numbers, counts = np.unique(keys, return_inverse=True, return_counts=True)
    numbered = np.where(counts > 1, np.arange(1, len(counts) + 1), 0)
    return numbered[numbers].astype(np.int64)


def exact_pairs(shingles: Shingles, threshold: float) -> SimilarPairs:
    """Find all pairs at Jaccard >= `threshold` > 0 without sketches: slower, and misses none.

    In any common order of all shingles, two such rows share one of the first
    n - ceil(threshold n) + 1 of each (Chaudhuri, Ganti and Kaushik, "A primitive operator for
    similarity joins in data cleaning", 2006). With rare shingles first, few rows
    are compared.
    """
    from scipy.sparse import csr_matrix

    bounds, hashes = _prefixes(shingles, threshold)
    distinct, columns, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    matrix = csr_matrix(
        (np.ones(len(columns), np.int8), columns.astype(np.int32), bounds),
        shape=(len(shingles), max(1, len(distinct))),
    )
    transposed = matrix.T.tocsr()
    # Cumulative number of results by row: blocks are cut so that none has too many results.
    reached = np.concatenate(([0], np.cumsum(counts[columns])))[bounds]
    parts: list[SimilarPairs] = []
    start = 0
    while start < len(shingles):
        end = int(np.searchsorted(reached, reached[start] + BLOCK_REACHED, "right")) - 1
        end = max(start + 1, end)
        block = (matrix[start:end] @ transposed).tocoo()
        left, right = block.row.astype(np.int64) + start, block.col.astype(np.int64)
        start = end
        upper = left < right
        parts.append(_verified(shingles, left[upper], right[upper], threshold))
    return _joined(parts)


def _prefixes(shingles: Shingles, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Select the rarest n - ceil(threshold n) + 1 shingles of each row: bounds and hashes."""
    # Frequencies are counted by bucket to keep the table small: any order common to all rows works.
    bits = min(BUCKET_BITS, len(shingles.hashes).bit_length())
    mask = np.uint64((1 << bits) - 1)
    buckets = np.bincount((shingles.hashes & mask).astype(np.int64), minlength=1 << bits)
    wanted = shingles.sizes - np.ceil(threshold * shingles.sizes - 1e-9).astype(np.int64) + 1
    wanted = np.where(shingles.sizes > 0, wanted, 0)
    parts = [np.empty(0, np.uint64)]
    for start in range(0, len(shingles), BLOCK_ROWS):
        rows = np.arange(start, min(start + BLOCK_ROWS, len(shingles)))
        owners, hashes = shingles.gather(rows)
        order = np.lexsort((hashes, buckets[(hashes & mask).astype(np.int64)], owners))
        sizes = shingles.sizes[rows]
        ranks = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        parts.append(hashes[order][ranks < np.repeat(wanted[rows], sizes)])
    return np.concatenate(([0], np.cumsum(wanted))).astype(np.int64), np.concatenate(parts)


def semantic_pairs(embeddings: np.ndarray, threshold: float) -> SimilarPairs:
    """Find pairs of unit vectors (rows of a float32 matrix) with cosine >= `threshold`."""
    parts: list[SimilarPairs] = []
    for first, second, cosines in _tiles(embeddings):
        rows, others = np.nonzero(cosines >= threshold)
        upper = rows + first < others + second
        rows, others = rows[upper], others[upper]
        parts.append(SimilarPairs(rows + first, others + second, cosines[rows, others]))
    return _joined(parts)


def neighbour_distance(embeddings: np.ndarray) -> np.ndarray:
    """Compute 1 - cosine to the nearest other row, float32; 1 for a single row."""
    nearest = np.full(len(embeddings), 0.0, dtype=np.float32)
    for first, second, cosines in _tiles(embeddings):
        if first == second:
            np.fill_diagonal(cosines, -1.0)
        for start, axis in ((first, 1), (second, 0)):
            part = nearest[start : start + cosines.shape[1 - axis]]
            np.maximum(part, cosines.max(axis=axis), out=part)
    return (1.0 - np.clip(nearest, 0.0, 1.0)).astype(np.float32)


def _tiles(embeddings: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield the upper half of all cosines in tiles: first row, first column, and the tile."""
    for first in range(0, len(embeddings), TILE_ROWS):
        for second in range(first, len(embeddings), TILE_ROWS):
            rows = embeddings[first : first + TILE_ROWS]
            yield first, second, rows @ embeddings[second : second + TILE_ROWS].T


def _joined(parts: list[SimilarPairs]) -> SimilarPairs:
    if not parts:
        return _no_pairs()
    return SimilarPairs.of(
        np.concatenate([part.left for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.similarity for part in parts]),
    )


def _no_pairs() -> SimilarPairs:
    empty = np.empty(0, np.int64)
    return SimilarPairs(empty, empty, np.empty(0))
