"""Generates the greedy answers of a model to held-out prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

#: Number of prompts per batch; larger batches only add padding on a CPU.
GENERATION_BATCH = 8


@dataclass(frozen=True)
class Generation:
    """A greedy answer to a held-out prompt, with its measured properties."""

    pair_id: str
    language: str
    text: str
    stopped: bool
    parses: bool
    out_of_mode: bool
    copied: bool


def generate(
    model: Any, tokenizer: Any, dialogues: Sequence[Sequence[Any]], max_tokens: int
) -> list[tuple[str, bool]]:
    """Answer the last user turn of each dialogue greedily: (text, stopped by itself)."""
    import torch

    from vox_assets.compute.nll import evaluating
    from vox_assets.compute.tokens import chat_ids, stop_tokens

    answers: list[tuple[str, bool]] = []
    stops = stop_tokens(tokenizer)
    with evaluating(model), torch.no_grad(), _with_cache(model):
        for batch in _chunks(dialogues, GENERATION_BATCH):
            prompts = [chat_ids(tokenizer, dialogue[:-1], asking=True) for dialogue in batch]
            longest = max(map(len, prompts))
            # Pad on the left, so that every answer starts at the same column.
            ids = [[tokenizer.pad_token_id] * (longest - len(p)) + p for p in prompts]
            mask = [[0] * (longest - len(p)) + [1] * len(p) for p in prompts]
            sequences = model.generate(
                input_ids=torch.tensor(ids, device=model.device),
                attention_mask=torch.tensor(mask, device=model.device),
                max_new_tokens=max_tokens,
                do_sample=False,
                eos_token_id=stops,
                pad_token_id=tokenizer.pad_token_id,
            )
            for tokens in sequences[:, longest:].tolist():
                length = next((i for i, t in enumerate(tokens) if t in stops), len(tokens))
                text = tokenizer.decode(tokens[:length], skip_special_tokens=True)
                answers.append((text.strip(), length < len(tokens)))
    return answers


@contextmanager
def _with_cache(model: Any) -> Iterator[None]:
    """Turn on the key-value cache for `generate`, because training turned it off."""
    before = model.config.use_cache
    model.config.use_cache = True
    try:
        yield
    finally:
        model.config.use_cache = before


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
