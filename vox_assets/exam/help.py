"""Writes the prompt of a base model that gets help: a syntax sheet and the nearest examples.

It is what somebody does who does not train. The sheet starts every prompt, so that a model reads it
once for all tasks.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import polars as pl

from vox_assets.contract.rows import Message, turns
from vox_assets.synthesize.vox import lexicon, templates
from vox_assets.synthesize.vox.reserved import is_exam_template, open_domains, open_variants
from vox_assets.vox_syntax import declarations
from vox_assets.vox_syntax.constructs import CONSTRUCTS, constructs

#: Largest number of tokens of the syntax sheet.
SHEET_TOKENS = 1500
#: Largest number of examples in a prompt, and of their tokens: more examples cost a CPU more time
#: than the answer itself.
EXAMPLES = 3
EXAMPLE_TOKENS = 600
#: Seed of the values in the programs of the sheet.
SEED = 7

CountTokens = Callable[[str], int]

_WORD = re.compile(r"[a-z_]+")
_HEAD = (
    "Vox is a programming language. A program is a list of declarations. Blocks have braces, a "
    "line ends a statement, comments start with //. Answer with Vox code alone, without fences or "
    "prose. Examples of its constructs:"
)


@dataclass(frozen=True)
class Help:
    """The syntax sheet and the training examples that prompts choose from."""

    sheet: str
    prompts: tuple[str, ...]
    answers: tuple[str, ...]
    #: Tokens of each example.
    sizes: tuple[int, ...]
    #: Weight of each word: the logarithm of its inverse document frequency.
    weights: dict[str, float]
    #: Largest number of tokens of the examples in a prompt.
    room: int

    def dialogue(self, prompt: str) -> list[Message]:
        """Return the turns that ask for an answer to `prompt`, the last one the user's."""
        shown = self._nearest(prompt)
        contents = [text for index in shown for text in (self.prompts[index], self.answers[index])]
        questions = [f"{self.sheet}\n\n{(contents or [prompt])[0]}", *contents[1:]]
        if not contents:
            return [Message(role="user", content=questions[0])]
        return [*turns(*questions), Message(role="user", content=prompt)]

    def _nearest(self, prompt: str) -> list[int]:
        """Return the most similar examples that fit, the nearest last."""
        words = _words(prompt)
        ranked = sorted(
            range(len(self.prompts)), key=lambda index: (-self._similarity(words, index), index)
        )
        chosen: list[int] = []
        room = self.room
        for index in ranked[: 10 * EXAMPLES]:
            if self.sizes[index] <= room and len(chosen) < EXAMPLES:
                chosen.append(index)
                room -= self.sizes[index]
        return chosen[::-1]

    def _similarity(self, words: Counter[str], index: int) -> float:
        """Return the cosine of two prompts as bags of words, weighted by the words' rarity."""
        other = _words(self.prompts[index])
        shared = sum(words[word] * other[word] * self.weights.get(word, 0.0) ** 2 for word in words)
        return shared / (self._norm(words) * self._norm(other) or 1.0)

    def _norm(self, words: Counter[str]) -> float:
        return math.sqrt(
            sum((count * self.weights.get(word, 0.0)) ** 2 for word, count in words.items())
        )


def helper(rows: pl.DataFrame, count_tokens: CountTokens, room: int | None = None) -> Help:
    """Prepare the help from training rows (`language`, `messages`): single Vox answers only.

    `room` is the number of tokens that a small context leaves for the help.
    """
    sheet_tokens, example_tokens = SHEET_TOKENS, EXAMPLE_TOKENS
    if room is not None and room < SHEET_TOKENS + EXAMPLE_TOKENS:
        sheet_tokens = room * SHEET_TOKENS // (SHEET_TOKENS + EXAMPLE_TOKENS)
        example_tokens = room - sheet_tokens
    examples = [
        (messages[0]["content"], messages[1]["content"])
        for messages in rows.filter(pl.col("language") == "vox").sort("pair_id")["messages"]
        if [turn["role"] for turn in messages] == ["user", "assistant"]
    ]
    prompts, answers = zip(*examples, strict=True) if examples else ((), ())
    documents = Counter(word for prompt in prompts for word in _words(prompt))
    return Help(
        sheet=syntax_sheet(count_tokens, sheet_tokens),
        prompts=prompts,
        answers=answers,
        sizes=tuple(count_tokens(f"{prompt}\n{answer}") for prompt, answer in examples),
        weights={word: math.log(len(examples) / count) for word, count in documents.items()},
        room=example_tokens,
    )


@cache
def _words(prompt: str) -> Counter[str]:
    """Return whether each word occurs in a prompt."""
    return Counter(set(_WORD.findall(prompt.lower())))


def syntax_sheet(count_tokens: CountTokens, limit: int = SHEET_TOKENS) -> str:
    """Make a sheet of at most `limit` tokens that shows as many constructs of the grammar as fit.

    Declarations of trained templates are added one after another, the one with the most constructs
    per token that the sheet does not show yet first; each is below the meaning of the constructs
    that it adds.
    """
    sheet = _HEAD
    room = limit - count_tokens(sheet)
    missing = set(CONSTRUCTS)
    candidates = list(_declarations())
    sizes = [count_tokens(text) for text, _ in candidates]
    while True:
        fitting = [
            (len(found & missing) / size, -index)
            for index, ((_, found), size) in enumerate(zip(candidates, sizes, strict=True))
            if found & missing and size <= room
        ]
        if not fitting:
            return sheet
        index = -max(fitting)[1]
        text, found = candidates[index]
        added = [meaning for name, meaning in CONSTRUCTS.items() if name in found & missing]
        entry = f"\n\n// {'; '.join(added)}\n{text}"
        missing -= found
        cost = count_tokens(entry)
        if cost <= room:
            sheet += entry
            room -= cost


def _declarations() -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the declarations of trained templates in one domain each, with their constructs."""
    domains: Sequence[lexicon.Domain] = open_domains(lexicon.load())
    for number, variant in enumerate(open_variants(templates.load())):
        if is_exam_template(variant):
            continue
        domain = domains[number % len(domains)]
        rng = random.Random(f"{SEED}:{variant.construct}:{variant.name}")
        source = templates.render(variant, domain, rng).source
        for declaration in declarations(source):
            yield declaration.text, constructs(declaration.text)
