"""Strings and comments are separated from code, whatever stands in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.curate.code_text import bare_code, comments, without_comments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("let a = 1; // one\nb();", "let a = 1;  \nb();"),
        ('let u = "http://a.test"; // two', 'let u = "http://a.test";  '),
        ("a /* x\n y */ b", "a   b"),
        (r"""let q = '"'; // "quote""", """let q = '"';  """),
        ('let r = r#"// "kept" "#;', 'let r = r#"// "kept" "#;'),
        ("fn f<'a>(x: &'a str) {} // it's", "fn f<'a>(x: &'a str) {}  "),
        # In prose a quote may have no pair.
        ('the 19" rack // gone\nx', 'the 19" rack  \nx'),
    ],
)
def test_comments_are_removed_and_literals_stay(text: str, expected: str) -> None:
    assert without_comments(text) == expected


def test_a_string_over_several_lines_is_one_literal_of_code() -> None:
    code = 'print("first \\\n  // not a comment");\nb(); // one'
    assert bare_code(code) == 'print("");\nb();  '
    assert comments(code) == "one"


def test_comments_come_without_their_marks() -> None:
    code = "/// Says hello.\n//! Module.\n/** Block\n * more\n */\nfn f() {} // tail"
    assert comments(code).split("\n") == ["Says hello.", "Module.", "Block", "more", "", "tail"]


@given(st.text(alphabet="\"'/*\\ar#\n{", max_size=60))
def test_any_text_is_separated_without_growing(text: str) -> None:
    assert len(without_comments(text)) <= len(text)
    assert len(bare_code(text)) <= len(text) + text.count("'")
