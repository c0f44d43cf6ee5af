"""Apply chat templates: turn dialogues into token ids and the labels of the loss."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vox_assets.contract.rows import Message

#: The label of a token outside the loss: the default `ignore_index` of torch's cross-entropy.
MASKED = -100

EMPTY_THOUGHT = re.compile(r"<think>\s*</think>")


@dataclass(frozen=True)
class TokenRow:
    """The tokens of a dialogue; `labels` equals `input_ids` at answer tokens, else MASKED."""

    pair_id: str
    input_ids: list[int]
    labels: list[int]

    @property
    def answer_tokens(self) -> int:
        return sum(label != MASKED for label in self.labels)


class TemplateError(ValueError):
    """Raised for a model without a chat template, or a template whose output hides the answer."""


def load_tokenizer(model_path: Path | str) -> Any:
    """Load the tokenizer of a model directory, with a pad token and a chat template.

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
    """Tokenise a dialogue; with `asking`, the header of the next answer ends it.

    Thinking is off: a thinking template would insert an empty thought into every answer.
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
    """Return a function that counts the tokens of a dialogue; for `mix.build_mix`."""
    return lambda messages: len(chat_ids(tokenizer, messages))


def tokenise(tokenizer: Any, pair_id: str, messages: Sequence[Message]) -> TokenRow:
    """Tokenise a dialogue and label every assistant turn, up to and including its end token.

    To locate an answer, the dialogue is tokenised up to it and through it; both results must be
    prefixes of the whole. If a template rewrites earlier turns (Qwen3 drops their thoughts), only
    the last answer is in the loss. Raises TemplateError if the last answer cannot be located.
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
        # Tokens after the end token belong to the template, not to the answer.
        while end > len(before) and ids[end - 1] != tokenizer.eos_token_id:
            end -= 1
        labels[len(before) : end] = ids[len(before) : end]
    return TokenRow(pair_id, ids, labels)
