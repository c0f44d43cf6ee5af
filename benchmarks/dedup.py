"""Near-duplicates of up to 16,000 rows: ours, verified, against rensa's documented Python path."""

from __future__ import annotations

import re
import statistics
import time
from dataclasses import dataclass

from vox_assets.curate.similarity import (
    SHINGLE_TOKENS,
    TOKEN_PATTERN,
    SimilarPairs,
    exact_pairs,
    near_pairs,
    shingle,
)

ROWS = 16_000
JACCARD = 0.8
PERMUTATIONS = 128


@dataclass(frozen=True)
class Found:
    """Seconds of one run and the rows that it would remove (positions)."""

    seconds: float
    removed: set[int]


def ours(texts: list[str]) -> Found:
    """Shingles, sketches, candidates, exact verification."""
    started = time.perf_counter()
    pairs = near_pairs(shingle(texts), JACCARD)
    return Found(time.perf_counter() - started, _beaten(pairs))


def rensa(texts: list[str]) -> Found:
    """Shingle sets by Python, then what rensa's README does to keep unique documents."""
    from rensa import RMinHashDeduplicator

    started = time.perf_counter()
    token = re.compile(TOKEN_PATTERN)
    dedup = RMinHashDeduplicator(threshold=JACCARD, num_perm=PERMUTATIONS, use_lsh=True)
    keep = dedup.add_pairs(
        (str(position), _shingles(token.findall(text))) for position, text in enumerate(texts)
    )
    seconds = time.perf_counter() - started
    return Found(seconds, {position for position, kept in enumerate(keep) if not kept})


def _shingles(tokens: list[str]) -> list[str]:
    last = max(1, len(tokens) - SHINGLE_TOKENS + 1)
    return [" ".join(tokens[i : i + SHINGLE_TOKENS]) for i in range(last)]


def truth(texts: list[str]) -> set[int]:
    """The rows to remove by the exact self-join."""
    return _beaten(exact_pairs(shingle(texts), JACCARD))


def _beaten(pairs: SimilarPairs) -> set[int]:
    """Rows that are like an earlier one which stays."""
    removed: set[int] = set()
    # Ordered by the later row, so that the earlier one's fate is known.
    for later, earlier in sorted(zip(pairs.right.tolist(), pairs.left.tolist(), strict=True)):
        if earlier not in removed:
            removed.add(later)
    return removed


def alternate(texts: list[str], runs: int) -> tuple[float, float, list[str]]:
    """Median seconds of ours and of rensa's, run in turn, and how right each is, in words.

    Both start from the texts in memory, in one process, after one uncounted run.
    """
    ours(texts), rensa(texts)
    pairs = [(ours(texts), rensa(texts)) for _ in range(runs)]
    mine, theirs = (
        statistics.median(one.seconds for one in side) for side in zip(*pairs, strict=True)
    )
    true = truth(texts)
    notes = [
        f"{name}: {quality(found.removed, true)} of {len(true):,} removable of {len(texts):,} rows"
        for name, found in zip(("ours", "rensa"), pairs[-1], strict=True)
    ]
    return mine, theirs, notes


def quality(found: set[int], true: set[int]) -> str:
    """Precision and recall of the removed rows, in words."""
    hits = len(found & true)
    precision, recall = hits / len(found) if found else 1.0, hits / len(true) if true else 1.0
    return f"precision {precision:.4f}, recall {recall:.4f}"
