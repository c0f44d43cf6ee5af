"""Chat templates and tokens: dialogues as token ids with the labels that are learned."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vox_assets.contract.rows import Message

#: The label of a token outside the loss, as torch's cross-entropy has it.
MASKED = -100


EMPTY_THOUGHT = re.compile(r"<think>\s*</think>")


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
    """A model without a chat template, or answers that cannot be found in a template's output."""


def load_tokenizer(model_path: Path | str) -> Any:
    """The tokenizer of a model directory, ready for batches: a pad token and a chat template.

    Raises TemplateError when the model has no chat template.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(model_path))
    if tokenizer.chat_template is None:
        raise TemplateError(f"model {model_path} has no chat template: it cannot be instructed")
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
