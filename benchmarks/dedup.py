"""Compares near-duplicate detection on 16,000 rows with rensa, datasketch and semhash.

All start from texts in memory, in one process, and return the rows that they would remove. The
notes give precision and recall of the removed rows, relative to the rows that the exact Jaccard
self-join removes. Shingles, tokens and threshold are the same for all libraries that use them.
text-dedup, another peer, cannot be installed together with this project's pinned packages.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from timing import Result, alternate_calls, compare_medians

from vox_assets.compute.models import LocalModel
from vox_assets.curate.similarity import (
    SHINGLE_TOKENS,
    TOKEN_PATTERN,
    NearIndex,
    SimilarPairs,
    exact_pairs,
    shingle,
)

ROWS = 16_000
JACCARD = 0.8
PERMUTATIONS = 128
#: The default threshold of semhash, which compares embeddings and has no Jaccard threshold.
SEMHASH_COSINE = 0.9
#: Growth compares all rows with one row in so many.
GROWTH = 4


def compare(texts: list[str], encoder: LocalModel) -> tuple[list[Result], list[str]]:
    """Compare ours with each peer; return the results and notes on accuracy."""
    truth = _removed(exact_pairs(shingle(texts), JACCARD))
    peers: dict[str, tuple[Callable[[], set[int]], float, bool]] = {
        "rensa": (partial(rensa, texts), 1.0, True),
        # A run takes 15 s, and nothing needs a warm-up.
        "datasketch": (partial(datasketch, texts), 0.2, False),
        "semhash": (partial(semhash, texts, static_encoder(encoder)), 1.0, True),
    }
    results, removed_by = [], {}
    for name, (theirs, target, warm_up) in peers.items():
        our_times, their_times, removed_by["ours"], removed_by[name] = alternate_calls(
            partial(ours, texts), theirs, warm_up
        )
        reference = f"{name}, {len(texts):,} rows"
        results.append(
            compare_medians(f"near dedup, {name}", our_times, reference, their_times, target)
        )
    notes = [
        f"near dedup: {name}: {quality(removed, truth)} "
        f"of {len(truth):,} removable of {len(texts):,} rows"
        for name, removed in removed_by.items()
    ]
    return results, notes


def growth(rows: pl.DataFrame) -> Result:
    """Compare all rows with a quarter of them: 4 is linear.

    The copies of a file in several releases are selected together: a random quarter of the rows
    would contain only a sixteenth of the pairs.
    """
    file = pl.col("source_path").str.split("/").list.slice(2).list.join("/")
    part = rows.sort(file.hash(), maintain_order=True).head(rows.height // GROWTH)
    texts, fewer = rows["response"].to_list(), part["response"].to_list()
    many, few, _, _ = alternate_calls(partial(ours, texts), partial(ours, fewer))
    reference = f"{part.height:,} rows, not {rows.height:,}"
    return compare_medians("growth of near dedup", many, reference, few, target=4.8)


def ours(texts: list[str]) -> set[int]:
    """Remove near-duplicates with shingles, sketches, candidates and exact verification."""
    index = NearIndex(shingle(texts))
    order = np.arange(len(texts))
    removed = set()
    for position in range(len(texts)):
        if index.closest(position, index.candidates(position), order, JACCARD) is None:
            index.add(position)
        else:
            removed.add(position)
    return removed


def rensa(texts: list[str]) -> set[int]:
    """Remove near-duplicates as rensa's README does, with shingle sets computed in Python."""
    from rensa import RMinHashDeduplicator

    dedup = RMinHashDeduplicator(threshold=JACCARD, num_perm=PERMUTATIONS, use_lsh=True)
    keep = dedup.add_pairs(
        (str(position), shingles) for position, shingles in enumerate(_shingled(texts))
    )
    return {position for position, kept in enumerate(keep) if not kept}


def datasketch(texts: list[str]) -> set[int]:
    """Remove near-duplicates as datasketch's documentation does: `update`, query and insert."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=JACCARD, num_perm=PERMUTATIONS)
    removed = set()
    for position, shingles in enumerate(_shingled(texts)):
        sketch = MinHash(num_perm=PERMUTATIONS)
        for item in set(shingles):
            sketch.update(item.encode())
        if index.query(sketch):
            removed.add(position)
        else:
            index.insert(position, sketch)
    return removed


def semhash(texts: list[str], encoder: Any, cosine: float = SEMHASH_COSINE) -> set[int]:
    """Remove near-duplicates as semhash's README does; like its default, the encoder is static."""
    from semhash import SemHash

    records = [{"row": str(position), "text": text} for position, text in enumerate(texts)]
    index = SemHash.from_records(records=records, columns=["text"], model=encoder)
    kept = index.self_deduplicate(threshold=cosine).selected
    return set(range(len(texts))) - {int(record["row"]) for record in kept}


def static_encoder(model: LocalModel) -> Any:
    """Make an encoder of the packaged embedder's token vectors; semhash's own needs a download."""
    from model2vec import StaticModel
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    weights = load_file(model.path / "model.safetensors")
    (vectors,) = (v for name, v in weights.items() if name.endswith("word_embeddings.weight"))
    tokenizer = Tokenizer.from_file(str(model.path / "tokenizer.json"))
    return StaticModel(vectors.astype(np.float32), tokenizer, normalize=True)


def _shingled(texts: list[str]) -> list[list[str]]:
    token = re.compile(TOKEN_PATTERN)
    return [_shingles(token.findall(text)) for text in texts]


def _shingles(tokens: list[str]) -> list[str]:
    last = max(1, len(tokens) - SHINGLE_TOKENS + 1)
    return [" ".join(tokens[i : i + SHINGLE_TOKENS]) for i in range(last)]


def _removed(pairs: SimilarPairs) -> set[int]:
    """Return the rows that are similar to an earlier kept row."""
    removed: set[int] = set()
    # In the order of the later row, it is known whether the earlier row is kept.
    for later, earlier in sorted(zip(pairs.right.tolist(), pairs.left.tolist(), strict=True)):
        if earlier not in removed:
            removed.add(later)
    return removed


def quality(removed: set[int], truth: set[int]) -> str:
    """Format precision and recall of the removed rows."""
    hits = len(removed & truth)
    precision = hits / len(removed) if removed else 1.0
    recall = hits / len(truth) if truth else 1.0
    return f"precision {precision:.4f}, recall {recall:.4f}"
