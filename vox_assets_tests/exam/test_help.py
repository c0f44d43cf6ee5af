"""The help of a base model: a sheet made of the grammar's constructs, and the nearest examples."""

from __future__ import annotations

import polars as pl
import pytest

from vox_assets.contract.rows import turns
from vox_assets.exam import help as help_module
from vox_assets.synthesize.vox import lexicon
from vox_assets.synthesize.vox.reserved import exam_domains
from vox_assets.vox_syntax import parse
from vox_assets.vox_syntax.constructs import CONSTRUCTS, constructs


def count_words(text: str) -> int:
    return len(text.split())


def rows(*examples: tuple[str, str], language: str = "vox") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "pair_id": [f"{number:03}" for number in range(len(examples))],
            "language": [language] * len(examples),
            "messages": [list(turns(*example)) for example in examples],
        }
    )


@pytest.fixture(scope="module")
def sheet() -> str:
    return help_module.syntax_sheet(count_words)


def test_the_sheet_fits_and_shows_most_constructs_in_code_that_parses(sheet: str) -> None:
    assert count_words(sheet) <= help_module.SHEET_TOKENS
    code = sheet.partition(":")[2]
    shown = set[str]()
    for block in code.strip().split("\n\n// "):
        text = block.partition("\n")[2]
        parse(text)
        shown |= constructs(text)
    assert len(shown) > 0.8 * len(CONSTRUCTS)
    assert sheet == help_module.syntax_sheet(count_words)


def test_a_shorter_sheet_shows_fewer_constructs() -> None:
    short = help_module.syntax_sheet(count_words, 150)
    assert count_words(short) <= 150


def test_the_sheet_has_no_words_of_the_exam(sheet: str) -> None:
    for domain in exam_domains(lexicon.load()):
        assert domain.type_name not in sheet


def test_the_nearest_examples_come_before_the_question_as_turns() -> None:
    examples = rows(
        ("Write Vox code that counts boats.", "fn boats() to int { return 1 }"),
        ("Add a table of plants.", "table Plant { name: str }"),
        ("Write Vox code that counts cars.", "fn cars() to int { return 2 }"),
        ("Explain the weather.", "fn weather() to int { return 3 }"),
    )
    dialogue = help_module.helper(examples, count_words).dialogue("Write Vox code: counts planes.")
    assert [turn["role"] for turn in dialogue] == ["user", "assistant"] * 3 + ["user"]
    assert dialogue[0]["content"].startswith("Vox is a programming language.")
    assert dialogue[-1]["content"] == "Write Vox code: counts planes."
    # The nearest example is next to the question.
    assert "counts" in dialogue[-3]["content"] and "counts" in dialogue[-5]["content"]


def test_an_example_that_does_not_fit_is_passed_over() -> None:
    long = "x " * (help_module.EXAMPLE_TOKENS + 1)
    examples = rows(("Count boats.", long), ("Count plants.", "fn plants() to int { return 1 }"))
    dialogue = help_module.helper(examples, count_words).dialogue("Count boats.")
    assert [turn["content"] for turn in dialogue[1:]] == [
        "fn plants() to int { return 1 }",
        "Count boats.",
    ]


def test_without_vox_examples_the_sheet_alone_helps() -> None:
    other = rows(("Count boats.", "fn boats() -> i32 { 1 }"), language="rust")
    [turn] = help_module.helper(other, count_words).dialogue("Count boats.")
    assert turn["role"] == "user" and turn["content"].endswith("\n\nCount boats.")
