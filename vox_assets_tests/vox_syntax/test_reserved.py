"""Programs with a reserved word are refused exactly where the compiler finds the word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.vox_syntax.reserved import reserved_word


@pytest.mark.parametrize(
    ("source", "line", "column", "word"),
    [
        ("activity pay(c: str) to str { return c }", 1, 1, "activity"),
        ("fn a() { }\n\nworkflow w() { }", 3, 1, "workflow"),
        ('@scheduled("15m") fn tick() { }', 1, 1, "@scheduled"),
        ("@durable fn keep() { }", 1, 1, "@durable"),
        ("@durable_step fn keep() { }", 1, 1, "@durable"),
        # The word at the end of a longer name, in a comment with a hash, and in single quotes.
        ("fn my_workflow() { }", 1, 7, "workflow"),
        ("fn a() { } # an activity", 1, 17, "activity"),
        ("fn a() { print('workflow') }", 1, 17, "workflow"),
        # Text that ends.
        ('fn a() { print("x") }\nworkflow w() { }', 2, 1, "workflow"),
        ('fn a() { print("\\"") }\nworkflow w() { }', 2, 1, "workflow"),
        ("/* a */ workflow w() { }", 1, 9, "workflow"),
        ("fn macro() { }", 1, 4, "macro"),
        ("let macro_rules = 1", 1, 5, "macro_rules"),
        ('workflow w() { print("x") let macro = 1 }', 1, 31, "macro"),
    ],
)
def test_a_reserved_word_is_found(source: str, line: int, column: int, word: str) -> None:
    found = reserved_word(source)
    assert found is not None
    assert (found.line, found.column) == (line, column)
    assert found.message.startswith(f"`{word}` is ")


@pytest.mark.parametrize(
    "source",
    [
        "",
        "fn a() { }",
        "// a workflow\nfn a() { }",
        "/* an activity\nand a workflow */ fn a() { }",
        "/* never closed: workflow",
        'fn a() { print("workflow \\" activity") }',
        'fn a() { print("two\nworkflow lines") }',
        '"never closed: workflow',
        '"ends in a backslash: workflow\\',
        "fn workflow_name() { }",
        "fn a(activity2: int, activity_of: str) { }",
        "fn a(activities: list[str]) { }",
        "scheduled and durable",
        "fn a(macros: int, my_macro: int, macro2: int) { }",
        "fn a() { print('macro') } # macro",
        'fn a() { print("macro") } // macro',
    ],
)
def test_other_words_comments_and_strings_are_not_reserved(source: str) -> None:
    assert reserved_word(source) is None


@given(
    st.lists(st.sampled_from(["workflow", '"', "\\", "//", "/*", "*/", "#", "'", "\n", "x", " "]))
)
def test_the_position_is_that_of_the_word(parts: list[str]) -> None:
    source = "".join(parts)
    if (found := reserved_word(source)) is not None:
        line = source.split("\n")[found.line - 1]
        assert line.startswith("workflow", found.column - 1)


def test_unclosed_text_takes_linear_time() -> None:
    for source in ('"' * 200_001, "/*" * 100_000, '"\\' * 100_000, "/* " * 100_000 + "workflow"):
        reserved_word(source)
