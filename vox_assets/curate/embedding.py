"""Computes sentence embeddings of texts, cached by content and model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial

import numpy as np

from vox_assets.compute.batches import HERE, Engine
from vox_assets.compute.models import LocalModel, at_hand, preferred_dtype
from vox_assets.store.cache import VectorCache, content_key
from vox_assets.store.progress import Log, progress, quiet_libraries, silent

# Part of every key: change it when the same text is embedded in another way.
LAYOUT = "embedding"
# all-MiniLM-L6-v2 was trained on 256 word pieces; the rest of a text is not read.
MAX_TOKENS = 256
# Tokens of padded input in one forward pass: larger batches gain nothing on a CPU.
BATCH_TOKENS = 4096
# Code has about this many characters per word piece; only the order of batches depends on it.
_CHARACTERS_PER_TOKEN = 3


def embed(
    texts: Sequence[str],
    model: LocalModel,
    store: VectorCache,
    log: Log = silent,
    engine: Engine = HERE,
) -> np.ndarray:
    """Embed texts as unit vectors: float32, one row per text."""
    dtype = preferred_dtype()
    # The type is part of the key: bfloat16 differs from float32 in the fifth decimal.
    keys = [content_key(LAYOUT, model.fingerprint, dtype, text) for text in texts]
    costs = [min(MAX_TOKENS, len(text) // _CHARACTERS_PER_TOKEN + 2) for text in texts]

    def encode(batches: Sequence[Sequence[int]]) -> Iterator[tuple[int, np.ndarray]]:
        function = partial(_encode, model=model, dtype=dtype)
        return engine.map(function, ([texts[i] for i in batch] for batch in batches), model=True)

    with progress("embedding", len(texts), "texts", log) as done:
        return store.compute(keys, costs, BATCH_TOKENS, encode, done)


def not_embedded(texts: Sequence[str]) -> np.ndarray:
    """Return vectors that are like no other, for a comparison without a model (float32)."""
    return np.zeros((len(texts), 1), np.float32)


def _encode(texts: list[str], model: LocalModel, dtype: str) -> np.ndarray:
    """Embed one batch. The last bits of a vector depend on the other texts of the batch."""
    vectors = _encoder(model, dtype).encode(
        texts, batch_size=len(texts), convert_to_tensor=True, show_progress_bar=False
    )
    vectors = vectors.float().cpu().numpy()
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


@cache
def _encoder(model: LocalModel, dtype: str):  # type: ignore[no-untyped-def]
    quiet_libraries()
    import torch
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(at_hand(model)), trust_remote_code=False)
    encoder.max_seq_length = MAX_TOKENS
    return encoder.to(getattr(torch, dtype)).eval()
