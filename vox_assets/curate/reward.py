"""Rates rows with a reward model: sequence classification of the whole dialogue.

The score is `1 + 9 p` for the probability p of a good answer. The model is not calibrated on this
corpus, so its scores are reported beside the other scores and drop no row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import polars as pl

from vox_assets.compute.batches import HERE, Engine
from vox_assets.compute.models import (
    LocalModel,
    ModelError,
    at_hand,
    fastest_device,
    preferred_dtype,
)
from vox_assets.compute.tokens import chat_ids, pin_template
from vox_assets.curate.evaluators import RATED, RATINGS, UNRATED
from vox_assets.curate.meter import dialogues
from vox_assets.store.cache import VectorCache, content_key
from vox_assets.store.progress import Log, progress, quiet_libraries, silent

# Longer dialogues are not rated: most reward models were trained on fewer tokens.
MAX_TOKENS = 4096


@dataclass(frozen=True)
class RewardModel:
    """Rates a dialogue by a classifier with one label (a logit) or two (the second is good)."""

    model: LocalModel
    store: VectorCache
    log: Log = silent
    engine: Engine = HERE
    name: str = "reward"

    def rate(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rate rows: one line of `RATINGS` per row. A dialogue too long for the model is unrated.

        Raises ModelError when the model has no trained head of one or two labels.
        """
        dtype = preferred_dtype()
        tokenizer, network = _loaded(self.model, dtype)
        limit = min(MAX_TOKENS, getattr(network.config, "max_position_embeddings", MAX_TOKENS))
        tokens = [_ids(tokenizer, dialogue) for dialogue in dialogues(rows)]
        fits = [position for position, ids in enumerate(tokens) if len(ids) <= limit]
        keys = [
            content_key("reward", self.model.fingerprint, dtype, ",".join(map(str, tokens[p])))
            for p in fits
        ]

        def read(batches: Sequence[Sequence[int]]) -> Iterator[tuple[int, np.ndarray]]:
            function = partial(_batch_good, model=self.model, dtype=dtype)
            rows_of = ([tokens[fits[i]] for i in batch] for batch in batches)
            return self.engine.map(function, rows_of, model=True)

        with progress("reward", len(fits), "rows", self.log) as done:
            # Batches of one row: padding would move the last token, which a classifier reads.
            good = self.store.compute(keys, [len(tokens[p]) for p in fits], 1, read, done)
        scores: list[float | None] = [None] * rows.height
        for position, (probability,) in zip(fits, good.tolist(), strict=True):
            scores[position] = 1.0 + 9.0 * probability
        return pl.DataFrame(
            {
                "pair_id": rows["pair_id"],
                "score": scores,
                "state": [UNRATED if score is None else RATED for score in scores],
                "note": ["" if s is not None else f"over {limit} tokens" for s in scores],
            },
            schema=RATINGS,
        )


def _ids(tokenizer: Any, dialogue: Sequence[Any]) -> list[int]:
    if tokenizer.chat_template:
        return chat_ids(tokenizer, dialogue)
    return tokenizer("\n\n".join(turn["content"] for turn in dialogue))["input_ids"]


def _batch_good(sequences: list[list[int]], model: LocalModel, dtype: str) -> np.ndarray:
    """Compute the probability of a good answer for each sequence: float64, (rows, 1)."""
    _, network = _loaded(model, dtype)
    return np.array([[_good(network, ids)] for ids in sequences])


def _good(network: Any, ids: list[int]) -> float:
    import torch

    with torch.inference_mode():
        logits = network(torch.tensor([ids], device=network.device)).logits[0].float()
    margin = logits[0] if len(logits) == 1 else logits[1] - logits[0]
    return float(torch.sigmoid(margin))


@cache
def _loaded(model: LocalModel, dtype: str) -> tuple[Any, Any]:
    quiet_libraries()
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(at_hand(model), trust_remote_code=False)
        network, loading = AutoModelForSequenceClassification.from_pretrained(
            model.path,
            dtype=getattr(torch, dtype),
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError) as error:
        detail = " ".join(str(error).split())[:200]
        raise ModelError(f"VOX_REWARD_MODEL: {model.name} cannot be loaded: {detail}") from error
    if tokenizer.chat_template:
        pin_template(tokenizer)
    if loading["missing_keys"]:
        raise ModelError(
            f"VOX_REWARD_MODEL: {model.name} has no trained classification head: "
            f"{sorted(loading['missing_keys'])[0]} is missing"
        )
    if network.config.num_labels > 2:
        raise ModelError(
            f"VOX_REWARD_MODEL: {model.name} has {network.config.num_labels} labels: "
            f"expected one or two"
        )
    # Without a pad token a causal classifier reads the last token, whatever it is.
    network.config.pad_token_id = None
    return tokenizer, network.to(fastest_device()).eval()
