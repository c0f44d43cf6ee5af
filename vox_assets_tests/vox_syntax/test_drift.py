"""A program of the language's own repository is refused by design or shows a drift."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.vox_syntax.drift import DROPPED_BY_DESIGN, refusal


def in_function(body: str) -> str:
    return f"fn bake(hot: bool) {{\n{body}\n}}\n"


def test_an_accepted_program_has_no_refusal() -> None:
    assert refusal(in_function("go()")) is None
    assert refusal("workflow w() { }") is None, "what the compiler reserves still parses"


@pytest.mark.parametrize(
    ("body", "sign"),
    [
        ("if !hot { go() }", "!"),
        ("go();\ngo();", ";"),
        ("let a = hot && true", "&"),
        ("let a = `x`", "`"),
        ("go(); stop()", ";"),
    ],
)
def test_a_sign_that_the_compiler_drops_is_refused_by_design(body: str, sign: str) -> None:
    refused = refusal(in_function(body))
    assert refused is not None
    assert (refused.line, refused.by_design) == (2, sign)
    assert DROPPED_BY_DESIGN[sign]


@pytest.mark.parametrize("body", ["let a = $hot", "let a = 1 2", "go() != != 1"])
def test_any_other_fault_is_no_design(body: str) -> None:
    refused = refusal(in_function(body))
    assert refused is not None
    assert refused.by_design == ""


def test_a_sign_does_not_hide_a_fault_on_another_line() -> None:
    refused = refusal(in_function("go();\nstop()\nlet a = 1 2"))
    assert refused is not None
    assert (refused.line, refused.by_design) == (4, "")


def test_a_sign_in_a_string_or_comment_does_not_explain_a_fault() -> None:
    refused = refusal(in_function('print(";") // !\nlet a = "x" 2'))
    assert refused is not None
    assert (refused.line, refused.by_design) == (3, "")


def test_reactive_members_are_accepted_in_ui_modules() -> None:
    assert refusal("state heat: int = 0") is not None
    assert refusal("state heat: int = 0", ui_module=True) is None


def test_the_message_has_no_position() -> None:
    refused = refusal("fn bake(a: int,) { }")
    assert refused is not None
    assert refused.message.startswith("parameter lists take no trailing comma")


@given(st.text("!;&`\"' \r\n/#ab={}()"))
def test_any_text_gets_a_line_of_its_own(source: str) -> None:
    refused = refusal(source)
    if refused is not None:
        assert 1 <= refused.line <= source.count("\n") + 1
