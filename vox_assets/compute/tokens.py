"""Apply chat templates: turn dialogues into token ids and the labels of the loss."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from vox_assets.contract.rows import Message, turns

#: The label of a token outside the loss: the default `ignore_index` of torch's cross-entropy.
MASKED = -100

#: Templates that write today's date write this one, the default of Llama 3. Otherwise the same row
#: would have other tokens, another score and another cache key each day.
PINNED_DATE = datetime(2024, 7, 26)
#: Replaces the function of transformers by a macro of the template, so that the saved template of
#: an adapter writes the date of its training at serving time too.
_PINNED_CLOCK = (
    "{%- macro strftime_now(format) -%}{{- format"
    + "".join(
        f"|replace('%{code}', '{PINNED_DATE.strftime(f'%{code}')}')" for code in "aAbBdjmyYHIMSp"
    )
    + " -}}{%- endmacro -%}"
)

#: Lets the saved template of an adapter ask for answers without thoughts, as in training.
_NO_THOUGHTS = "{%- set enable_thinking = false -%}"

EMPTY_THOUGHT = re.compile(r"<think>\s*</think>")


_NO_PREFIX = (
    "the chat template does not keep the prompt as a prefix of the dialogue: it opens a thought "
    "before an answer, or rewrites earlier turns"
)


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
    """Raised for a missing chat template, or one that cannot render or close an answer."""


def load_tokenizer(model_path: Path | str) -> Any:
    """Load the tokenizer of a model directory, with a pad token and the template of the training.

    Raises TemplateError when the model has no chat template.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(model_path))
    if tokenizer.chat_template is None:
        raise TemplateError(f"model {model_path} has no chat template: it cannot be instructed")
    pin_template(tokenizer)
    if tokenizer.pad_token is None:
        tokenizer.pad_token_id = stop_tokens(tokenizer)[-1]
    return tokenizer


def pin_template(tokenizer: Any) -> None:
    """Let a chat template write PINNED_DATE for today's date, and ask for no thoughts."""
    for word, pin in (("strftime_now", _PINNED_CLOCK), ("enable_thinking", _NO_THOUGHTS)):
        template = tokenizer.get_chat_template()
        if word in template and pin not in template:
            tokenizer.chat_template = pin + template


def render(tokenizer: Any, messages: Sequence[Message], *, asking: bool = False) -> str:
    """Render a dialogue as text; with `asking`, the header of the next answer ends it.

    Thinking is off: a thinking template would insert an empty thought into every answer. Raises
    TemplateError for roles that the template refuses.
    """
    return str(_apply(tokenizer, messages, asking, tokenize=False))


def chat_ids(tokenizer: Any, messages: Sequence[Message], *, asking: bool = False) -> list[int]:
    """Return the token ids of the text that `render` returns."""
    return list(_apply(tokenizer, messages, asking, return_dict=False))


def _apply(tokenizer: Any, messages: Sequence[Message], asking: bool, **options: Any) -> Any:
    from jinja2.exceptions import TemplateError as JinjaError

    try:
        return tokenizer.apply_chat_template(
            list(messages),
            add_generation_prompt=asking,
            enable_thinking=False,
            **options,
        )
    except JinjaError as error:
        roles = ", ".join(message["role"] for message in messages)
        raise TemplateError(f"the chat template refuses the roles {roles}: {error}") from error


def end_of_turn(tokenizer: Any) -> int:
    """Return the token that ends an answer in the chat template.

    It is often not `eos_token`: Gemma ends a turn with `<end_of_turn>` and a text with `<eos>`.
    Raises TemplateError if the template ends answers with ordinary text or with nothing.
    """
    return _end_of_turn(tokenizer, tokenizer.get_chat_template())


@lru_cache(maxsize=16)
def _end_of_turn(tokenizer: Any, template: str) -> int:
    answer = "ANSWER"
    _, found, tail = render(tokenizer, turns("Ask.", answer)).rpartition(answer)
    added = tokenizer.added_tokens_decoder
    special = {*tokenizer.all_special_ids, *(i for i, token in added.items() if token.special)}
    for token in tokenizer(tail, add_special_tokens=False)["input_ids"] if found else []:
        if token in special:
            return int(token)
    raise TemplateError(
        f"the chat template closes an answer with {tail!r}: expected a special end token"
    )


def stop_tokens(tokenizer: Any) -> list[int]:
    """Return the tokens that stop a generation: the end of a turn, then the end of a text."""
    eos = tokenizer.eos_token_id
    return list(dict.fromkeys([end_of_turn(tokenizer), *([] if eos is None else [eos])]))


def split_answer(tokenizer: Any, messages: Sequence[Message]) -> tuple[str, str]:
    """Render a dialogue and return its prompt, and its last answer through the end of the turn.

    Raises TemplateError if the prompt is not the start of the dialogue.
    """
    prompt, text = render(tokenizer, messages[:-1], asking=True), render(tokenizer, messages)
    if not text.startswith(prompt):
        raise TemplateError(_NO_PREFIX)
    end = tokenizer.convert_ids_to_tokens(end_of_turn(tokenizer))
    body, found, tail = text[len(prompt) :].rpartition(end)
    return prompt, body + found if found else tail


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
    end_token = end_of_turn(tokenizer)
    labels = [MASKED] * len(ids)
    last = len(messages) - 1
    for turn, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = chat_ids(tokenizer, messages[:turn], asking=True)
        through = ids if turn == last else chat_ids(tokenizer, messages[: turn + 1])
        end = len(through)
        # Tokens after the end token belong to the template, not to the answer.
        while end > len(before) and through[end - 1] != end_token:
            end -= 1
        if ids[: len(before)] != before or ids[:end] != through[:end]:
            if turn == last:
                raise TemplateError(_NO_PREFIX)
            labels = [MASKED] * len(ids)
            continue
        labels[len(before) : end] = ids[len(before) : end]
    return TokenRow(pair_id, ids, labels)
