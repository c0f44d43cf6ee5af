"""Compute the negative log-likelihood of answers, for perplexity, training and evaluation.

Without a Triton device, TRL's fused head projects every position; on a CPU that is half of a
training step (measured: 4.7 s of 9.4 s for 1,022 tokens of SmolLM2-135M). This kernel projects only
answer positions, in chunks, and computes the gradient in the same pass, because the head is frozen.
The module imports torch: import it inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MethodType
from typing import Any

import torch

from vox_assets.compute.memory import batch_tokens
from vox_assets.compute.tokens import MASKED, TokenRow

#: Positions projected at once on a CPU: 128 x 49k float32 logits are 25 MB, about a last-level
#: cache.
CHUNK_POSITIONS = 128
#: Bytes of the float32 logits that are projected at once on a GPU, where larger products are
#: faster.
CHUNK_BYTES = 2**28

#: Token ids of the text on which `has_plain_head` compares logits.
_PROBE_IDS = range(1, 9)


class AnswerNll(torch.autograd.Function):
    """Computes the NLL of each of `targets` [n] under `hidden` [n, d] @ `weight`.T [d, vocab]."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        nll = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        learning = ctx.needs_input_grad[0]
        gradient = torch.empty_like(hidden) if learning else None
        size = CHUNK_POSITIONS
        if hidden.is_cuda:
            size = max(size, CHUNK_BYTES // (4 * len(weight)))
        for start in range(0, len(targets), size):
            part = slice(start, start + size)
            target = targets[part, None]
            logits = hidden[part] @ weight.T
            log_probs = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
            nll[part] = -log_probs.gather(1, target).squeeze(1)
            if gradient is not None:
                # d NLL / d logits = softmax - one_hot(target), in float32: bfloat16 has no value
                # between .998 and 1, so a target of that probability would have no gradient.
                slope = log_probs.exp_()
                slope.scatter_add_(1, target, slope.new_full(target.shape, -1.0))
                gradient[part] = slope.to(hidden.dtype) @ weight
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return nll

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0].to(gradient.dtype)[:, None], None, None


def has_plain_head(model: Any) -> bool:
    """Test whether the logits are the hidden states times the head's weight and nothing else.

    Models scale, cap or cut their logits under configuration keys that differ from family to
    family, and a list of keys misses some. This function therefore runs the model on eight tokens
    and compares its logits with the product bit for bit (SmolLM2-135M on a CPU: 0.2 s).
    """
    head = model.get_output_embeddings()
    # With a PEFT or quantised wrapper around the head, its weight alone does not give the logits.
    if type(head) is not torch.nn.Linear or head.bias is not None:
        return False
    ids = torch.tensor([list(_PROBE_IDS)], device=model.device)
    with evaluating(model), torch.no_grad():
        logits = model(input_ids=ids, use_cache=False).logits
        output = model.base_model(input_ids=ids, use_cache=False)
        hidden = getattr(output, "last_hidden_state", None)
        # Mamba keeps hidden states in float32 and casts them for a bfloat16 head.
        if hidden is None or hidden.dtype != head.weight.dtype:
            return False
        return torch.equal(head(hidden).float(), logits.float())


def add_answer_nll(model: Any) -> None:
    """Let `model(..., labels=..., answer_nll=True)` return the NLL of every labelled position.

    `model` is the causal language model inside the PEFT and DDP wrappers, so that both wrap the
    call. The NLL is a flat tensor, ordered by row and then by position. Labels on the CPU spare a
    wait for the device, because their positions are found before. Without the flag, the model's
    original forward runs.
    """
    original: Callable[..., Any] = model.forward
    plain = has_plain_head(model)

    def forward(
        self: Any, *args: Any, answer_nll: bool = False, labels: Any = None, **kwargs: Any
    ) -> Any:
        if not answer_nll:
            return original(*args, **kwargs | ({} if labels is None else {"labels": labels}))
        rows, columns = (labels[:, 1:] != MASKED).nonzero(as_tuple=True)
        targets = labels[rows, columns + 1].to(self.device, non_blocking=True)
        positions = (rows * labels.shape[1] + columns).to(self.device, non_blocking=True)
        kwargs["use_cache"] = False
        if plain:
            hidden = self.base_model(*args, **kwargs).last_hidden_state
            return AnswerNll.apply(  # type: ignore[no-untyped-call]
                hidden.flatten(0, 1)[positions], self.get_output_embeddings().weight, targets
            )
        logits = original(*args, **kwargs).logits.flatten(0, 1)[positions]
        return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")

    # `generate` and PEFT read the signature of the model's own forward.
    forward.__wrapped__ = type(model).forward  # type: ignore[attr-defined]
    model.forward = MethodType(forward, model)


@dataclass(frozen=True)
class RowNll:
    """The summed NLL (nats) of a row's answers, and the number of tokens in the sum."""

    pair_id: str
    nll: float
    tokens: int


def score_rows(model: Any, rows: Sequence[TokenRow]) -> list[RowNll]:
    """Score every row's answers under `model`, in the order of `rows`, without a gradient.

    Needs a model prepared by `add_answer_nll`, and switches it to evaluation mode meanwhile.
    Batches hold rows of similar length, as many as the device has memory for; rows are padded on
    the right, where causal attention does not read the padding.
    """
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].input_ids))
    scores: dict[int, RowNll] = {}
    with evaluating(model), torch.no_grad():
        most = batch_tokens(model.config, model.device)
        for batch in _batches([len(rows[index].input_ids) for index in order], most):
            members = [order[position] for position in batch]
            ids, labels, mask = pad([rows[index] for index in members], model.device)
            nll = model(input_ids=ids, attention_mask=mask, labels=labels, answer_nll=True)
            sizes = (labels[:, 1:] != MASKED).sum(1).tolist()
            for index, part in zip(members, nll.cpu().double().split(sizes), strict=True):
                scores[index] = RowNll(rows[index].pair_id, float(part.sum()), len(part))
    return [scores[index] for index in range(len(rows))]


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Put the model in evaluation mode for the block, except 4-bit layers, which keep training.

    In evaluation mode, bitsandbytes 0.50 repacks 4-bit weights for a matrix-vector kernel on CPUs
    with AVX512-BF16 and never restores them: later training steps are about 20 times slower and
    their gradients are wrong (norm 0.1 instead of 0.6), with only a warning.
    """
    was_training = model.training
    model.eval()
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            module.training = True
    try:
        yield
    finally:
        model.train(was_training)


def token_weighted(scores: Sequence[RowNll]) -> float:
    """Average the NLL over all answer tokens of all rows; NaN without tokens."""
    tokens = sum(score.tokens for score in scores)
    return sum(score.nll for score in scores) / tokens if tokens else float("nan")


def pad(rows: Sequence[TokenRow], device: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pad rows on the right to ids, labels and attention mask, each [rows, longest].

    The labels stay on the CPU: `add_answer_nll` says why.
    """
    longest = max(len(row.input_ids) for row in rows)
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    labels = torch.full((len(rows), longest), MASKED)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for index, row in enumerate(rows):
        size = len(row.input_ids)
        ids[index, :size] = torch.tensor(row.input_ids)
        labels[index, :size] = torch.tensor(row.labels)
        mask[index, :size] = 1
    return ids.to(device), labels, mask.to(device)


def _batches(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Group the indices of ascending `lengths` into runs of at most `most` padded tokens."""
    batches: list[list[int]] = []
    for position, length in enumerate(lengths):
        if batches and (len(batches[-1]) + 1) * length <= most:
            batches[-1].append(position)
        else:
            batches.append([position])
    return batches
