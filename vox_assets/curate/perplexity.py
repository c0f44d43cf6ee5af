"""Measure the perplexity of answers under the base model, with and without their prompts.

Results are cached by content. Perplexities are compared only within a lane and language, because
all Vox has a high perplexity under a model that has never seen Vox.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import islice

import numpy as np
import polars as pl

from vox_assets.compute.batches import HERE, Engine
from vox_assets.compute.memory import batch_tokens
from vox_assets.compute.models import LocalModel, at_hand, fastest_device, preferred_dtype
from vox_assets.compute.tokens import MASKED, load_tokenizer, split_answer
from vox_assets.contract.rows import Message
from vox_assets.store.cache import VectorCache, content_key
from vox_assets.store.progress import Log, progress, quiet_libraries, silent

# Part of every cache key: change it when the same tokens give another value.
LAYOUT = "answer-nll"
# Dialogues per call of the tokenizer.
TOKENISED_AT_ONCE = 1024
# Share of the tokens that is reserved for the end of the prompt, which conditions the answer most.
PROMPT_SHARE = 0.35


def answer_nll(
    dialogues: Iterable[Sequence[Message]],
    model: LocalModel,
    max_tokens: int,
    store: VectorCache,
    log: Log = silent,
    prompted: bool = True,
    engine: Engine = HERE,
) -> tuple[np.ndarray, np.ndarray]:
    """Measure the mean negative log-likelihood (nats) and token count of each last answer.

    Without `prompted`, the same answer tokens follow only the token that starts a text: the second
    measurement of IFD (Li et al., "From Quantity to Quality", arXiv 2308.12032).

    The model reads at most `max_tokens` tokens of a dialogue: the start of the answer, and the end
    of the prompt. The prompt has `PROMPT_SHARE` of the tokens, or more if the answer is short.
    Returns two float64 vectors; an answer without tokens has NLL 0 over 0 tokens.
    """
    dtype = preferred_dtype()
    sequences: list[tuple[np.ndarray, int]] = []
    keys: list[str] = []
    for ids, start in _sequences(dialogues, model, max_tokens, prompted):
        text = f"{start}:{','.join(map(str, ids))}"
        keys.append(content_key(LAYOUT, model.fingerprint, dtype, text))
        # Python integers for the tokens of a large corpus would fill the memory.
        sequences.append((np.array(ids, np.int32), start))
    if not keys:
        return np.empty(0), np.empty(0)
    label = "perplexity" if prompted else "perplexity without the prompt"

    def read(batches: Sequence[Sequence[int]]) -> Iterator[tuple[int, np.ndarray]]:
        function = partial(_batch_nll, model=model, dtype=dtype)
        return engine.map(function, ([sequences[i] for i in b] for b in batches), model=True)

    with progress(label, len(keys), "rows", log) as done:
        costs = [len(ids) for ids, _ in sequences]
        result = store.compute(keys, costs, _batch_tokens(model), read, done)
    sums, counts = result[:, 0].astype(np.float64), result[:, 1].astype(np.float64)
    return sums / np.maximum(counts, 1.0), counts


def _sequences(
    dialogues: Iterable[Sequence[Message]], model: LocalModel, max_tokens: int, prompted: bool
) -> Iterator[tuple[list[int], int]]:
    """Yield the token ids of each dialogue, cut to `max_tokens`, and the index of its answer."""
    tokenizer = _tokenizer(model)
    first = tokenizer.bos_token_id
    opening = [tokenizer.eos_token_id if first is None else first]
    pending = iter(dialogues)
    while part := list(islice(pending, TOKENISED_AT_ONCE)):
        prompts, answers = zip(
            *(split_answer(tokenizer, dialogue) for dialogue in part), strict=True
        )
        prompt_ids = tokenizer(list(prompts), add_special_tokens=False)["input_ids"]
        answer_ids = tokenizer(list(answers), add_special_tokens=False)["input_ids"]
        for before, after in zip(prompt_ids, answer_ids, strict=True):
            answer_room = max_tokens - min(len(before), int(max_tokens * PROMPT_SHARE))
            after = after[:answer_room]
            before = before[-(max_tokens - len(after)) :] if prompted else opening
            yield before + after, len(before)


def _batch_tokens(model: LocalModel) -> int:
    """Return the padded tokens of one forward pass, by the device of this process."""
    from transformers import AutoConfig

    return batch_tokens(AutoConfig.from_pretrained(model.path), fastest_device())


def _batch_nll(
    sequences: list[tuple[np.ndarray, int]], model: LocalModel, dtype: str
) -> np.ndarray:
    """Sum the NLL and count the tokens from `start` of each sequence: float32, (rows, 2)."""
    import torch

    network = _network(model, dtype)
    longest = max(len(ids) for ids, _ in sequences)
    ids = torch.zeros((len(sequences), longest), dtype=torch.long)
    labels = torch.full((len(sequences), longest), MASKED)
    for row, (tokens, start) in enumerate(sequences):
        ids[row, : len(tokens)] = torch.from_numpy(tokens)
        # Padding follows the tokens and attention is causal, so no mask is needed.
        answer = slice(max(start, 1), len(tokens))
        labels[row, answer] = ids[row, answer]
    counts = (labels != MASKED).sum(1)
    ids = ids.to(network.device)
    with torch.inference_mode():
        nll = network(input_ids=ids, labels=labels, answer_nll=True)
    sums = torch.stack([part.sum() for part in nll.cpu().split(counts.tolist())])
    return torch.stack([sums, counts.float()], dim=1).numpy().astype(np.float32)


def within_perplexity(rows: pl.DataFrame, quantile: float) -> set[str]:
    """Select the pair ids of `rows` within the `quantile` of perplexity of their lane and language.

    Rows stream through a Hugging Face `IterableDataset`, so that memory does not grow with the
    corpus; `rows` needs `pair_id`, `lane`, `language`, `perplexity`. A group of fewer than
    MIN_GROUP_ROWS rows keeps all its rows.
    """
    from datasets import IterableDataset

    # The library pickles the source of a stream: keep texts out of it.
    rows = rows.select("pair_id", "lane", "language", "perplexity")
    limits = {
        (lane, language): limit
        for lane, language, limit, count in rows.group_by("lane", "language")
        .agg(
            pl.col("perplexity").quantile(quantile, "higher").alias("limit"),
            pl.len().alias("count"),
        )
        .iter_rows()
        if count >= MIN_GROUP_ROWS
    }

    def stream():  # type: ignore[no-untyped-def]
        yield from rows.iter_rows(named=True)

    kept = IterableDataset.from_generator(stream).filter(
        lambda row: row["perplexity"] <= limits.get((row["lane"], row["language"]), float("inf"))
    )
    return {row["pair_id"] for row in kept}


# In a smaller group, one percent is at most a single row.
MIN_GROUP_ROWS = 50


@cache
def _tokenizer(model: LocalModel):  # type: ignore[no-untyped-def]
    return load_tokenizer(model.path)


@cache
def _network(model: LocalModel, dtype: str):  # type: ignore[no-untyped-def]
    quiet_libraries()
    import torch
    from transformers import AutoModelForCausalLM

    from vox_assets.compute.nll import add_answer_nll

    network = AutoModelForCausalLM.from_pretrained(
        at_hand(model), dtype=getattr(torch, dtype), trust_remote_code=False, use_safetensors=True
    )
    network = network.to(fastest_device()).eval()
    add_answer_nll(network)
    return network
