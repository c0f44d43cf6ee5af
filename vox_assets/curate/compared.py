"""Prepares the rows of a table for comparison: texts, keys of equal texts, and stated facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from vox_assets.contract.rows import Message
from vox_assets.curate import copies
from vox_assets.curate.shape import named_alike, shape


def answers(rows: pl.DataFrame) -> list[str]:
    """Return the assistant turns of each row as one text; `response` without `messages`."""
    return _said(rows, "response", by_assistant=True)


def prompts(rows: pl.DataFrame) -> list[str]:
    """Return the user turns of each row as one text; `prompt` without `messages`."""
    return _said(rows, "prompt", by_assistant=False)


def _said(rows: pl.DataFrame, column: str, by_assistant: bool) -> list[str]:
    if "messages" not in rows.columns:
        return rows[column].to_list()
    content = pl.element().struct.field("content")
    wanted = (pl.element().struct.field("role") == "assistant") == by_assistant
    return (
        rows.select(pl.col("messages").list.eval(content.filter(wanted)).list.join("\n"))
        .to_series()
        .to_list()
    )


def _exchanges(dialogue: Sequence[Message]) -> list[tuple[str, str]]:
    """Return each answer of a dialogue after the user's turn before it."""
    found, asked = [], ""
    for turn in dialogue:
        if turn["role"] == "assistant":
            found.append((asked, turn["content"]))
        else:
            asked = turn["content"]
    return found


def _numbered(texts: Sequence[str]) -> np.ndarray:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.int64)


@dataclass(frozen=True)
class Compared:
    """The texts of rows, and what comparisons need of them; positions are those of the rows."""

    answers: Sequence[str]
    prompts: Sequence[str]
    #: Whether the answer is code.
    code: np.ndarray
    #: Turns of each row.
    turns: np.ndarray
    #: Each answer of a row with several, and the user's turn before it; else nothing.
    exchanges: Sequence[Sequence[tuple[str, str]]]

    @staticmethod
    def of(rows: pl.DataFrame) -> Compared:
        """Prepare a table with `messages`, or `prompt` and `response`; `response_mode` helps."""
        said = answers(rows)
        if "response_mode" in rows.columns:
            code = (rows["response_mode"] == "code_only").fill_null(False).to_numpy()
        else:
            code = np.array([copies.looks_like_code(text) for text in said], dtype=bool)
        count = len(said)
        turns = np.full(count, 2, np.int64)
        exchanges: list[Sequence[tuple[str, str]]] = [()] * count
        if "messages" in rows.columns:
            turns = rows["messages"].list.len().fill_null(0).to_numpy().astype(np.int64)
            for position in np.flatnonzero(turns > 2).tolist():
                found = _exchanges(rows["messages"][position].to_list())
                exchanges[position] = found if len(found) > 1 else ()
        asked = (
            prompts(rows)
            if "messages" in rows.columns or "prompt" in rows.columns
            else [""] * count
        )
        return Compared(said, asked, code, turns, exchanges)

    def __len__(self) -> int:
        return len(self.answers)

    @cached_property
    def texts(self) -> list[str]:
        """The normalised answers."""
        return [copies.normalise(text) for text in self.answers]

    @cached_property
    def bare_answers(self) -> list[str]:
        """Prose without case and punctuation; code, and prose without words, as it is."""
        return [
            text if code else copies.bare(answer) or text
            for answer, text, code in zip(self.answers, self.texts, self.code, strict=True)
        ]

    @cached_property
    def bare_prompts(self) -> list[str]:
        return [copies.bare_prompt(text) for text in self.prompts]

    @cached_property
    def prompt_numbers(self) -> np.ndarray:
        """A number per row (int64), equal where the bare prompts are equal."""
        return _numbered(self.bare_prompts)

    @cached_property
    def answer_numbers(self) -> np.ndarray:
        """A number per row (int64), equal where the bare answers are equal."""
        return _numbered(self.bare_answers)

    @cached_property
    def short(self) -> np.ndarray:
        return np.array([copies.is_short(text) for text in self.texts], dtype=bool)

    @cached_property
    def beyond_latin(self) -> np.ndarray:
        """Rows of prose in a script that the embedding model does not read."""
        found = [
            not code and not text.isascii() and copies.beyond_latin(text)
            for text, code in zip(self.answers, self.code, strict=True)
        ]
        return np.array(found, dtype=bool)

    @cached_property
    def prompts_beyond_latin(self) -> np.ndarray:
        """Prompts in a script that the embedding model does not read."""
        found = [not text.isascii() and copies.beyond_latin(text) for text in self.prompts]
        return np.array(found, dtype=bool)

    @cached_property
    def facts(self) -> np.ndarray:
        """A digest per answer (int64) of its numbers and, in prose, its names and negations."""
        return np.array(
            [
                self.facts_of(text, bool(code))
                for text, code in zip(self.texts, self.code, strict=True)
            ],
            dtype=np.int64,
        )

    @staticmethod
    def facts_of(text: str, code: bool) -> int:
        """Compute the digest of `facts` of one text."""
        stance = [] if code else copies.stance_of(text)
        return copies.digest([*copies.numbers_of(text), "", *stance])

    @cached_property
    def prompt_facts(self) -> np.ndarray:
        """A digest per prompt (int64) of its numbers, names and negations."""
        return np.array([self.facts_of(text, False) for text in self.prompts], dtype=np.int64)

    @cached_property
    def prompt_stances(self) -> np.ndarray:
        """A digest per prompt (int64) of its names and negations."""
        found = [copies.digest(copies.stance_of(text)) for text in self.prompts]
        return np.array(found, dtype=np.int64)

    @cached_property
    def defects(self) -> list[tuple[int, int]]:
        """Whether each answer is cut off, and how many other defects it has."""
        return [
            copies.defects(text, not code)
            for text, code in zip(self.answers, self.code, strict=True)
        ]

    @cached_property
    def cut_off(self) -> np.ndarray:
        return np.array([cut for cut, _ in self.defects], dtype=bool)

    def shape(self, position: int) -> str | None:
        """Return the shape of an answer with its literals; None for prose and short code."""
        return shape(self.texts[position], literals=True) if self.code[position] else None

    def prompt_in_shape(self, position: int) -> str:
        """Return the bare prompt with the names of the answer replaced as in its shape."""
        return copies.bare_prompt(named_alike(self.texts[position], self.prompts[position]))
