"""Near-duplicates of 16,000 rows: ours, verified, against rensa, datasketch and semhash.

All start from the texts in memory, in one process, and end with the rows that they would remove;
how right each is, is told beside it: precision and recall of the removed rows against those that
the exact Jaccard self-join removes. Shingles, tokens and threshold are the same for all that have
any. text-dedup, the other peer, cannot be installed beside this project's pinned packages.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from timing import Result, compared, in_turn

from vox_assets.compute.models import LocalModel
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
#: What semhash calls equal, by its own default: it compares meaning, and knows no Jaccard.
SEMHASH_COSINE = 0.9
#: Growth is measured from a quarter of the rows to all of them.
GROWTH = 4


def compare(texts: list[str], encoder: LocalModel) -> tuple[list[Result], list[str]]:
    """Ours against each peer, and how right each is, in words."""
    truth = _beaten(exact_pairs(shingle(texts), JACCARD))
    peers: dict[str, tuple[Callable[[], set[int]], float, bool]] = {
        "rensa": (partial(rensa, texts), 1.0, True),
        # A quarter of a minute a run: it has nothing to warm up.
        "datasketch": (partial(datasketch, texts), 0.2, False),
        "semhash": (partial(semhash, texts, static_encoder(encoder)), 1.0, True),
    }
    results, found = [], {}
    for name, (theirs, target, warm_up) in peers.items():
        mine, others, found["ours"], found[name] = in_turn(partial(ours, texts), theirs, warm_up)
        reference = f"{name}, {len(texts):,} rows"
        results.append(compared(f"near dedup, {name}", mine, reference, others, target))
    notes = [
        f"near dedup: {name}: {quality(removed, truth)} "
        f"of {len(truth):,} removable of {len(texts):,} rows"
        for name, removed in found.items()
    ]
    return results, notes


def growth(rows: pl.DataFrame) -> Result:
    """All rows against a quarter of them: 4 is linear.

    The copies of a file that several releases hold are taken or left together: of rows drawn one by
    one, a quarter would hold a sixteenth of the pairs.
    """
    file = pl.col("source_path").str.split("/").list.slice(2).list.join("/")
    part = rows.sort(file.hash(), maintain_order=True).head(rows.height // GROWTH)
    texts, fewer = rows["response"].to_list(), part["response"].to_list()
    mine, others, _, _ = in_turn(partial(ours, texts), partial(ours, fewer))
    reference = f"{part.height:,} rows, not {rows.height:,}"
    return compared("growth of near dedup", mine, reference, others, target=4.8)


def ours(texts: list[str]) -> set[int]:
    """Shingles, sketches, candidates, exact verification."""
    return _beaten(near_pairs(shingle(texts), JACCARD))


def rensa(texts: list[str]) -> set[int]:
    """Shingle sets by Python, then what rensa's README does to keep unique documents."""
    from rensa import RMinHashDeduplicator

    dedup = RMinHashDeduplicator(threshold=JACCARD, num_perm=PERMUTATIONS, use_lsh=True)
    keep = dedup.add_pairs(
        (str(position), shingles) for position, shingles in enumerate(_shingled(texts))
    )
    return {position for position, kept in enumerate(keep) if not kept}


def datasketch(texts: list[str]) -> set[int]:
    """As datasketch's documentation does: `update` per shingle, then query and insert."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=JACCARD, num_perm=PERMUTATIONS)
    removed = set()
    for position, shingles in enumerate(_shingled(texts)):
        sketch = MinHash(num_perm=PERMUTATIONS)
        for one in set(shingles):
            sketch.update(one.encode())
        if index.query(sketch):
            removed.add(position)
        else:
            index.insert(position, sketch)
    return removed


def semhash(texts: list[str], encoder: Any) -> set[int]:
    """As semhash's README does, with a static encoder as its default is one."""
    from semhash import SemHash

    records = [{"row": str(position), "text": text} for position, text in enumerate(texts)]
    index = SemHash.from_records(records=records, columns=["text"], model=encoder)
    kept = index.self_deduplicate(threshold=SEMHASH_COSINE).selected
    return set(range(len(texts))) - {int(record["row"]) for record in kept}


def static_encoder(model: LocalModel) -> Any:
    """The token vectors of the packaged embedder: semhash's own encoder is only on a hub."""
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


def _beaten(pairs: SimilarPairs) -> set[int]:
    """Rows that are like an earlier one which stays."""
    removed: set[int] = set()
    # Ordered by the later row, so that the earlier one's fate is known.
    for later, earlier in sorted(zip(pairs.right.tolist(), pairs.left.tolist(), strict=True)):
        if earlier not in removed:
            removed.add(later)
    return removed


def quality(found: set[int], true: set[int]) -> str:
    """Precision and recall of the removed rows, in words."""
    hits = len(found & true)
    precision, recall = hits / len(found) if found else 1.0, hits / len(true) if true else 1.0
    return f"precision {precision:.4f}, recall {recall:.4f}"
