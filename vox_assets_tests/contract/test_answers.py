"""Fences follow the rules of Markdown, and answers must match their mode and lane."""

from __future__ import annotations

import pytest

from vox_assets.contract.answers import (
    CODE_LANES,
    FENCE,
    dialogue_fault,
    fenced_code,
    mode_fault,
    out_of_mode,
    without_fenced_blocks,
)
from vox_assets.contract.rows import LANES, turns


@pytest.mark.parametrize(
    "block",
    [
        "```\nfn f() {}\n```",
        "```vox\nfn f() {}\n```",
        "``` vox,ignore {.x}\nfn f() {}\n```",
        "~~~vox\nfn f() {}\n~~~",
        "~~~ a `b` c\nfn f() {}\n~~~",
        "`````\nfn f() {}\n`````",
        "```\nfn f() {}\n``````  ",
        "   ```vox\nfn f() {}\n  ```",
        "Text.\n\n- Item:\n\n      ~~~\nfn f() {}\n      ~~~\n",
    ],
)
def test_a_fenced_block_gives_its_code(block: str) -> None:
    assert FENCE.search(block)
    assert fenced_code(block) == ["fn f() {}\n"]


@pytest.mark.parametrize(
    "text",
    [
        "a ``` b",
        "``\nfn f() {}\n``",
        "/// ```\n/// f();\n/// ```\nfn f() {}",
        "let text = `x`;",
    ],
)
def test_marks_inside_a_line_are_not_a_fence(text: str) -> None:
    assert not FENCE.search(text)
    assert fenced_code(text) == []


def test_only_a_fence_of_the_same_sign_and_at_least_the_same_length_closes_a_block() -> None:
    assert fenced_code("````\n```\ninner\n```\n~~~~\n````") == ["```\ninner\n```\n~~~~\n"]
    assert fenced_code("````\ncode\n```\n") == []
    assert fenced_code("```\na\n```\ntext\n~~~\nb\n~~~") == ["a\n", "b\n"]


def test_backticks_after_the_opening_backticks_make_a_code_span() -> None:
    assert fenced_code("```a``` b\n```\ncode\n```") == ["code\n"]


def test_fenced_blocks_are_removed_from_prose() -> None:
    assert without_fenced_blocks("Before.\n~~~\nx\n~~~\nAfter.") == "Before.\n\nAfter."


@pytest.mark.parametrize("mark", ["```", "~~~", "   `````", "\t~~~"])
@pytest.mark.parametrize("mode", ["code_only", "prose_only"])
def test_a_fence_is_a_fault_in_either_mode_even_when_it_never_closes(mark: str, mode: str) -> None:
    assert mode_fault(f"{mark}vox\nfn f() {{}}", mode) == "holds a fence"
    assert out_of_mode(f"{mark}vox\nfn f() {{}}", mode)


@pytest.mark.parametrize("lane", LANES)
def test_a_lane_allows_answers_of_one_mode(lane: str) -> None:
    code = mode_fault("fn f() {}", "code_only", lane)
    prose = mode_fault("A table keeps rows.", "prose_only", lane)
    if lane in CODE_LANES:
        assert (code, prose) == (None, f"is prose in lane {lane}")
    else:
        assert (code, prose) == (f"is code in lane {lane}", None)


def test_a_heading_is_a_fault_in_prose_and_not_in_code() -> None:
    assert mode_fault("# Tables\n\nA table keeps rows.", "prose_only") == "holds a heading"
    assert mode_fault("# comment\nfn f() {}", "code_only") is None


def test_the_mode_applies_to_every_answer_of_a_dialogue_and_to_no_question() -> None:
    fence_in_question = turns("Fix:\n```vox\nx\n```", "fn f() {}", "And g?", "fn g() {}")
    assert dialogue_fault(fence_in_question, "code_only", "vox_codegen") is None
    fence_in_answer = turns("Write f.", "~~~\nfn f() {}\n~~~", "And g?", "fn g() {}")
    assert dialogue_fault(fence_in_answer, "code_only", "vox_codegen") == "holds a fence"


@pytest.mark.parametrize(
    ("text", "mode", "outside"),
    [
        ("fn f() to int {\n    return 1\n}", "code_only", False),
        ("// This adds two numbers together.\nfn f() {}", "code_only", False),
        ("/// Returns the sum of all items.\npub fn f() -> u32 { 1 }", "code_only", False),
        ("```vox\nfn f() {}\n```", "code_only", True),
        ("Here is the function you asked for:\nfn f() {}", "code_only", True),
        ("This function adds two numbers and returns the result.", "code_only", True),
        ("A route maps a path to a component.", "prose_only", False),
        ("Like this:\n```vox\nroutes {}\n```", "prose_only", True),
    ],
)
def test_out_of_mode_detects_prose_and_fences(text: str, mode: str, outside: bool) -> None:
    assert out_of_mode(text, mode) is outside


def test_a_long_line_of_prose_is_read_in_linear_time() -> None:
    # A pattern with two ways to match the words would take minutes here.
    line = "The answer" + " is a word" * 10_000
    assert not out_of_mode(line, "code_only")
    assert out_of_mode(f"{line}.", "code_only")
