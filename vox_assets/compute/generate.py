"""Generate the answers of a causal language model, in batches or as a stream.

Prompts are sorted by length and answered in batches with one key-value cache; rows that have ended
leave their batch. A prefix that all prompts share is read once. Models whose attention the cache
does not cover are answered by `transformers` instead. The module imports torch: import it inside
functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from itertools import islice
from typing import Any, NamedTuple

import torch
from transformers.cache_utils import Cache, DynamicCache

from vox_assets.compute.kv_cache import (
    SHARED_DTYPE,
    SharedPrefixCache,
    UnsupportedAttentionError,
)
from vox_assets.compute.memory import batch_tokens, free_bytes
from vox_assets.compute.nll import evaluating
from vox_assets.compute.tokens import chat_ids, stop_tokens
from vox_assets.contract.rows import Message

#: Most rows of a batch. On two cores, 64 rows of SmolLM2-135M give nine tenths of the tokens per
#: second of 128 rows, with half of their memory.
CPU_ROWS = 64
GPU_ROWS = 256
#: Share of the free memory that the cache of a batch may take. The rest is for the logits and the
#: values between two layers.
MEMORY_SHARE = 0.5
#: Shortest prefix that is read once for all rows. Each step reads a prefix separately from the
#: rows, which costs as much as reading about a hundred tokens of each row.
SHARED_TOKENS = 128
#: Finished rows leave the batch when they are this share of it, because leaving copies the rest.
FINISHED_SHARE = 0.125

#: Tokens of the rows on which `_covers` compares logits: of a shared prefix, of two prompts after
#: it, and the first answer token.
_PROBE_TOKENS = (8, 1, 3, 1)
#: Largest difference of the logits, as a share of the largest logit, by the bytes of a weight:
#: SmolLM2-135M differs by 0.02 in bfloat16 and by 0.00001 in float32.
_PROBE_TOLERANCE = {1: 0.1, 2: 0.1, 4: 0.001}


class Answer(NamedTuple):
    """An answer, and whether the model ended it itself within the limit of tokens."""

    text: str
    ended: bool


@dataclass(frozen=True)
class Sampling:
    """Random choice of tokens: by their probability at `temperature`, from a seed per row."""

    temperature: float
    seed: int

    def numbers(self, prompt: Sequence[int], count: int) -> list[float]:
        """Return the random numbers of a row, which depend on nothing but seed and prompt."""
        content = f"{self.seed}:{','.join(map(str, prompt))}"
        digest = hashlib.sha256(content.encode()).digest()
        source = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
        return list(torch.rand(count, generator=source, dtype=torch.float64).tolist())


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[Message]],
    max_tokens: int,
    sampling: Sampling | None = None,
    done: Callable[[dict[int, Answer]], None] = lambda answers: None,
) -> list[Answer]:
    """Answer each dialogue, which ends with a user turn; greedily without `sampling`.

    `done` receives the answers of each finished batch, by the index of their prompts.
    """
    ids = [chat_ids(tokenizer, prompt, asking=True) for prompt in prompts]
    order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
    stop = set(stop_tokens(tokenizer))
    answers: dict[int, Answer] = {}
    with evaluating(model), torch.inference_mode():
        covered = bool(order) and _covers(model)
        prefix = _read_prefix(model, ids) if covered else None
        while order:
            # From the longest prompt on: if the memory is too small, the first batch tells.
            size = _rows_at_once(model, len(ids[order[-1]]) + max_tokens, prefix)
            order, batch = order[:-size], order[-size:]
            asked = [ids[index] for index in batch]
            if covered:
                steps = _decode(model, stop, asked, max_tokens, sampling, prefix)
                tokens = _collect(steps, len(asked))
            else:
                tokens = _by_library(
                    model, tokenizer.pad_token_id, stop, asked, max_tokens, sampling
                )
            answered = {
                index: Answer(tokenizer.decode(made, skip_special_tokens=True).strip(), ended)
                for index, (made, ended) in zip(batch, tokens, strict=True)
            }
            done(answered)
            answers |= answered
    return [answers[index] for index in range(len(ids))]


def stream(
    model: Any,
    tokenizer: Any,
    prompt: Sequence[Message],
    max_tokens: int,
    show: Callable[[str], None],
) -> Answer:
    """Answer one dialogue greedily, and call `show` with each new part of the text."""
    ids = chat_ids(tokenizer, prompt, asking=True)
    stop = set(stop_tokens(tokenizer))
    shown = ""
    made: list[int] = []
    ended = False
    with evaluating(model), torch.inference_mode():
        if not _covers(model):
            padding = tokenizer.pad_token_id
            [(made, ended)] = _by_library(model, padding, stop, [ids], max_tokens, None)
        else:
            for _, token in _decode(model, stop, [ids], max_tokens, None, None):
                if token is None:
                    ended = True
                    break
                made.append(token)
                text = tokenizer.decode(made, skip_special_tokens=True).lstrip()
                # A token may end inside a character, which the next token completes; and space at
                # the end of the answer does not belong to it.
                whole = text.rstrip("\ufffd").rstrip()
                if len(whole) > len(shown):
                    show(whole[len(shown) :])
                    shown = whole
    text = tokenizer.decode(made, skip_special_tokens=True).strip()
    show(text[len(shown) :])
    return Answer(text, ended)


def _collect(steps: Iterator[tuple[int, int | None]], rows: int) -> list[tuple[list[int], bool]]:
    made: list[list[int]] = [[] for _ in range(rows)]
    ended = [False] * rows
    for row, token in steps:
        if token is None:
            ended[row] = True
        else:
            made[row].append(token)
    return list(zip(made, ended, strict=True))


def _decode(
    model: Any,
    stop: set[int],
    prompts: Sequence[list[int]],
    max_tokens: int,
    sampling: Sampling | None,
    prefix: DynamicCache | None,
) -> Iterator[tuple[int, int | None]]:
    """Yield the answers token by token: the row and its token, or None where its answer ends."""
    device = model.device
    skipped = prefix.get_seq_length() if prefix is not None else 0
    ends = [prompt[skipped:] for prompt in prompts]
    lengths = torch.tensor(list(map(len, ends)), device=device)
    width = int(lengths.max())
    cache = SharedPrefixCache(prefix, len(ends), width, max_tokens)
    logits = _read_prompts(model, ends, cache)
    seen = torch.arange(width + max_tokens, device=device) >= (width - lengths)[:, None]
    padded = int(lengths.min()) < width
    numbers = (
        torch.tensor([sampling.numbers(prompt, max_tokens) for prompt in prompts], device=device)
        if sampling is not None
        else None
    )
    rows = list(range(len(ends)))
    active = [True] * len(rows)
    answering = cache.for_answers()
    with cache.attending(model):
        for step in range(max_tokens):
            if sampling is None or numbers is None:
                # In bfloat16 on a CPU, `max` takes a quarter of the time of `argmax`.
                chosen = logits.max(dim=-1).indices
            else:
                chosen = _draw(logits, sampling.temperature, numbers[:, step])
            for place, token in enumerate(chosen.tolist()):
                if active[place]:
                    active[place] = token not in stop
                    yield rows[place], token if active[place] else None
            left = sum(active)
            if not left or step + 1 == max_tokens:
                return
            if len(active) - left >= FINISHED_SHARE * len(active):
                keep = [place for place, open_ in enumerate(active) if open_]
                kept = torch.tensor(keep, device=device)
                rows, active = [rows[place] for place in keep], [True] * left
                cache.select(kept)
                chosen, lengths, seen = chosen[kept], lengths[kept], seen[kept]
                numbers = numbers[kept] if numbers is not None else None
            columns = seen[:, : width + step + 1] if padded else None
            logits = _step(model, answering, chosen, skipped + lengths + step, columns)


def _step(
    model: Any,
    cache: Cache,
    tokens: torch.Tensor,
    positions: torch.Tensor,
    seen: torch.Tensor | None,
) -> torch.Tensor:
    """Read one token per row; return the logits after it. `seen` marks the columns of each row."""
    output = model(
        input_ids=tokens[:, None],
        attention_mask=seen[:, None, None] if seen is not None else None,
        position_ids=positions[:, None],
        past_key_values=cache,
        use_cache=True,
    )
    return output.logits[:, -1]


def _draw(logits: torch.Tensor, temperature: float, numbers: torch.Tensor) -> torch.Tensor:
    """Choose a token per row by its probability, where the number falls in their running sum."""
    sums = torch.softmax(logits.double() / temperature, dim=-1).cumsum(dim=-1)
    places = torch.searchsorted(sums, (numbers * sums[:, -1])[:, None], right=True)
    return places.squeeze(1).clamp(max=logits.shape[-1] - 1)


def _read_prefix(model: Any, prompts: Sequence[list[int]]) -> DynamicCache | None:
    """Read the tokens with which all prompts begin, if they are enough to share.

    At least one token of each prompt is left to be read with its row.
    """
    first, last = min(prompts), max(prompts)
    shared = next(
        (place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )
    shared = min(shared, min(map(len, prompts)) - 1)
    if len(prompts) < 2 or shared < SHARED_TOKENS:
        return None
    return _prefix_of(model, first[:shared])


def _prefix_of(model: Any, tokens: list[int]) -> DynamicCache:
    prefix = DynamicCache()
    ids = torch.tensor([tokens], device=model.device)
    model(input_ids=ids, past_key_values=prefix, use_cache=True, **_last_logits(model))
    return prefix


def _read_prompts(
    model: Any, prompts: Sequence[list[int]], cache: SharedPrefixCache
) -> torch.Tensor:
    """Read prompts of ascending length into the cache; return the logits after their last tokens.

    They are read in parts of similar length, with the padding on the left.
    """
    device = model.device
    room = batch_tokens(model.config, device)
    logits = []
    last = len(prompts)
    while last:
        longest = len(prompts[last - 1])
        first = max(0, last - max(1, room // longest))
        part = prompts[first:last]
        unused = [longest - len(prompt) for prompt in part]
        ids = [[0] * gap + prompt for gap, prompt in zip(unused, part, strict=True)]
        gaps = torch.tensor(unused, device=device)
        column = torch.arange(longest, device=device)
        causal = column <= column[:, None]
        # Unused columns see themselves: attention without any key gives NaN in some kernels.
        seen = (column >= gaps[:, None])[:, None] & causal | torch.eye(
            longest, dtype=torch.bool, device=device
        )
        seen = torch.nn.functional.pad(seen, (cache.prefix_length, 0), value=True)
        read = cache.for_prompts(len(part))
        output = model(
            input_ids=torch.tensor(ids, device=device),
            attention_mask=seen[:, None],
            position_ids=cache.prefix_length + (column - gaps[:, None]).clamp(min=0),
            past_key_values=read,
            use_cache=True,
            **_last_logits(model),
        )
        cache.store(first, read)
        logits.append(output.logits[:, -1])
        last = first
    return torch.cat(logits[::-1])


def _last_logits(model: Any) -> dict[str, int]:
    """Return the argument with which a model computes no logits but those of the last token."""
    return {"logits_to_keep": 1} if model._supports_logits_to_keep() else {}


def _rows_at_once(model: Any, columns: int, prefix: DynamicCache | None) -> int:
    """Return how many rows of `columns` tokens a batch has."""
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    groups = getattr(config, "num_key_value_heads", None) or heads
    value_bytes = (model.dtype if prefix is None else SHARED_DTYPE).itemsize
    size = 2 * config.num_hidden_layers * groups * width * value_bytes * columns
    most = GPU_ROWS if model.device.type == "cuda" else CPU_ROWS
    return max(1, min(most, int(free_bytes(model.device) * MEMORY_SHARE) // size))


def _covers(model: Any) -> bool:
    """Test whether the cache and its attention give the logits of the model.

    Models differ in attention and positions under configuration keys that differ from family to
    family. This function therefore lets a few tokens go through a shared prefix, padded prompts
    and one step, and compares the logits with those of the model alone (SmolLM2-135M on a CPU:
    half a second).
    """
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    full = set(kinds) == {"full_attention"} if kinds else not getattr(config, "sliding_window", 0)
    arguments = signature(model.forward).parameters
    plain = model._supports_attention_backend and config._attn_implementation == "sdpa"
    if not full or not plain or "position_ids" not in arguments:
        return False
    device = model.device
    spread = iter(range(3, config.vocab_size, max(1, config.vocab_size // 16)))
    prefix_ids, *ends, [answer] = (list(islice(spread, size)) for size in _PROBE_TOKENS)
    prefix = _prefix_of(model, prefix_ids)
    lengths = torch.tensor(list(map(len, ends)), device=device)
    width = int(lengths.max())
    cache = SharedPrefixCache(prefix, len(ends), width, 1)
    read = _read_prompts(model, ends, cache)
    seen = torch.arange(width + 1, device=device) >= (width - lengths)[:, None]
    chosen = torch.full_like(lengths, answer)
    try:
        with cache.attending(model):
            stepped = _step(model, cache.for_answers(), chosen, len(prefix_ids) + lengths, seen)
    except UnsupportedAttentionError:
        return False
    ours = torch.cat([read, stepped]).float()
    whole = [torch.tensor([[*prefix_ids, *end, answer]], device=device) for end in ends]
    alone = [model(input_ids=ids).logits[0] for ids in whole]
    expected = torch.stack([logits[place] for place in (-2, -1) for logits in alone]).float()
    tolerance = _PROBE_TOLERANCE[min(4, model.dtype.itemsize)]
    return bool((ours - expected).abs().max() <= tolerance * expected.abs().max())


def _by_library(
    model: Any,
    padding: int,
    stop: set[int],
    prompts: Sequence[list[int]],
    max_tokens: int,
    sampling: Sampling | None,
) -> list[tuple[list[int], bool]]:
    """Let `transformers` generate the answers of one batch: tokens, and whether they ended."""
    longest = max(map(len, prompts))
    # Pad on the left, so that every answer starts at the same column.
    ids = [[padding] * (longest - len(p)) + p for p in prompts]
    mask = [[0] * (longest - len(p)) + [1] * len(p) for p in prompts]
    drawing = (
        {"do_sample": False}
        if sampling is None
        else {"do_sample": True, "temperature": sampling.temperature, "top_k": 0, "top_p": 1.0}
    )
    with torch.random.fork_rng(), _with_cache(model):
        torch.manual_seed(sampling.seed if sampling is not None else 0)
        sequences = model.generate(
            input_ids=torch.tensor(ids, device=model.device),
            attention_mask=torch.tensor(mask, device=model.device),
            max_new_tokens=max_tokens,
            eos_token_id=sorted(stop),
            pad_token_id=padding,
            **drawing,
        )
    answers = []
    for made in sequences[:, longest:].tolist():
        end = next((place for place, token in enumerate(made) if token in stop), None)
        answers.append((made[:end], end is not None))
    return answers


@contextmanager
def _with_cache(model: Any) -> Iterator[None]:
    """Turn on the key-value cache for `model.generate`, because training turned it off."""
    before = model.config.use_cache
    model.config.use_cache = True
    try:
        yield
    finally:
        model.config.use_cache = before
