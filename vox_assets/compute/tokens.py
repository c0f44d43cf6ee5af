"""Rows into token ids with the model's own chat template, and what a trainer would lose in silence.

Every loss that TRL does not report (over-long rows, answers cut before their end token, rows with
nothing to learn) stops a run here, by row id. Packing and the loss itself belong to the program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vox_assets.contract.rows import Message
from vox_assets.training.plan.spec import TrainingRefusedError

#: The label of a token outside the loss, as torch's cross-entropy has it.
MASKED = -100
#: Row ids that a refusal spells out; the count is always given.
NAMED_ROWS = 5

_EMPTY_THOUGHT = re.compile(r"<think>\s*</think>")


@dataclass(frozen=True)
class TokenRow:
    """A dialogue as the model reads it; `labels` equals `input_ids` where an answer is learned."""

    pair_id: str
    input_ids: list[int]
    labels: list[int]

    @property
    def answer_tokens(self) -> int:
        return sum(label != MASKED for label in self.labels)


class TemplateError(ValueError):
    """A dialogue whose answers cannot be told apart in the template's output."""


def load_tokenizer(model_path: Path | str) -> Any:
    """The tokenizer of a model directory, ready for batches: a pad token and a chat template.

    Raises TrainingRefusedError when the model has no chat template.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(model_path))
    if tokenizer.chat_template is None:
        raise TrainingRefusedError(
            f"model {model_path} has no chat template: it cannot be instructed"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def chat_ids(tokenizer: Any, messages: Sequence[Message], *, asking: bool = False) -> list[int]:
    """Token ids of a dialogue; `asking` ends with the header of the answer to come.

    Thinking is off: a template with thoughts would put an empty one into every answer.
    """
    return list(
        tokenizer.apply_chat_template(
            list(messages),
            add_generation_prompt=asking,
            enable_thinking=False,
            return_dict=False,
        )
    )


def token_counter(tokenizer: Any) -> Callable[[list[Message]], int]:
    """Counts a dialogue's tokens as the model reads it; for `mix.build_mix`."""
    return lambda messages: len(chat_ids(tokenizer, messages))


def tokenise(tokenizer: Any, pair_id: str, messages: Sequence[Message]) -> TokenRow:
    """Token ids and labels of a dialogue; every assistant turn is learned, to its end token.

    An answer's span is found by tokenising the dialogue up to it and through it, and both must be
    prefixes of the whole. Templates that rewrite earlier turns (Qwen3 drops their thoughts) leave
    only the last answer in the loss. Raises TemplateError when not even that one is found.
    """
    ids = chat_ids(tokenizer, messages)
    labels = [MASKED] * len(ids)
    last = len(messages) - 1
    for turn, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = chat_ids(tokenizer, messages[:turn], asking=True)
        through = ids if turn == last else chat_ids(tokenizer, messages[: turn + 1])
        if ids[: len(before)] != before or ids[: len(through)] != through:
            if turn == last:
                raise TemplateError("the template does not keep the prompt as a prefix")
            labels = [MASKED] * len(ids)
            continue
        end = len(through)
        # What follows the end token belongs to the template, not to the answer.
        while end > len(before) and ids[end - 1] != tokenizer.eos_token_id:
            end -= 1
        labels[len(before) : end] = ids[len(before) : end]
    return TokenRow(pair_id, ids, labels)


def preflight(
    rows: Iterable[tuple[str, Sequence[Message]]], tokenizer: Any, context: int
) -> list[TokenRow]:
    """Tokenise (pair id, messages) rows, or refuse the lot and name every row at fault.

    Raises TrainingRefusedError on rows over `context` tokens, answers without an end token, answers
    of nothing but the end token, and empty thoughts among the tokens learned.
    """
    faults: dict[str, list[str]] = {}
    accepted = []
    for pair_id, messages in rows:
        try:
            row = tokenise(tokenizer, pair_id, messages)
        except TemplateError as error:
            faults.setdefault(str(error), []).append(pair_id)
            continue
        fault = _fault(row, tokenizer, context)
        if fault is None:
            accepted.append(row)
        else:
            faults.setdefault(fault, []).append(pair_id)
    if faults:
        raise TrainingRefusedError(
            "preflight: " + "; ".join(_named(fault, ids) for fault, ids in sorted(faults.items()))
        )
    return accepted


def _fault(row: TokenRow, tokenizer: Any, context: int) -> str | None:
    if len(row.input_ids) > context:
        return f"longer than {context} tokens, would be cut"
    learned = [label for label in row.labels if label != MASKED]
    if not learned:
        return "answer without an end token, would be fully masked"
    if learned == [tokenizer.eos_token_id]:
        return "empty answer"
    last = len(row.labels) - next(
        back for back, label in enumerate(reversed(row.labels)) if label != MASKED
    )
    if row.labels[last - 1] != tokenizer.eos_token_id:
        return "answer without an end token"
    if _EMPTY_THOUGHT.search(tokenizer.decode(learned)):
        return "empty think block in the loss"
    return None


def _named(fault: str, ids: Sequence[str]) -> str:
    more = f" and {len(ids) - NAMED_ROWS} more" if len(ids) > NAMED_ROWS else ""
    return f"{len(ids)} rows: {fault}: {', '.join(ids[:NAMED_ROWS])}{more}"
