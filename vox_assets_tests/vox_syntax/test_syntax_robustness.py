"""The grammar gives a quick and deterministic verdict on any text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vox_assets.vox_syntax import check
from vox_assets.vox_syntax.builtin import MAX_CHARACTERS
from vox_assets.vox_syntax.lexer import MAX_NESTING

PROGRAM = """\
// Bread for the morning.
type Loaf = | Rye(grams: int) | Spelt
@endpoint(kind: query) @cors(origins: ["https://rye.example"])
fn pick(loaves: list[Loaf], most: int = 3) uses db to Result[str] {
    let mut chosen = { name: "rye", tags: ['a', "b {most}"] }
    for loaf, i in loaves { chosen = weigh(loaf, by=(a, b) => a + b) |> name }
    match chosen {
        Rye(g) => g * 1.5dec
        _ => { return Ok("none")? }
    }
}
component Shelf(loaves: list[Loaf]) {
    state open: bool = not false
    view: column() {
        if open { text() { "Loaves: {n}" } } else { Badge(title="shut") }
        button(on_click={open = true}) { "Open" }
    }
}
"""

FRAGMENTS = [
    "\n", " ", "{", "}", "(", ")", "[", "]", ",", ":", "=", "=>", "|", "|>", "..", "?", ".", "-",
    '"', "'", "//", "!", ";", "`", "\x00", "\\", "\u2028", "\ufeff", "é", "9" * 30, "1.", "@",
    "@endpoint", "@pure", "fn", "if", "else", "match", "with", "state", "view", "style", "type",
    "not", "as", "key", "_", "text()", "Card()", "return",
]  # fmt: skip


def assert_valid_verdict(source: str) -> None:
    """Assert that the verdict is deterministic and that each diagnostic has a valid position."""
    for ui_module in (False, True):
        diagnostics = check(source, ui_module=ui_module)
        assert diagnostics == check(source, ui_module=ui_module)
        for diagnostic in diagnostics:
            assert 1 <= diagnostic.line <= source.count("\n") + 1
            assert diagnostic.column >= 1
            assert diagnostic.message
            assert "\n" not in str(diagnostic)


def test_the_program_that_is_mutated_below_is_valid() -> None:
    assert check(PROGRAM) == []


@settings(deadline=None)  # the first call builds the grammar
@given(st.text())
def test_any_text_gets_a_valid_verdict(source: str) -> None:
    assert_valid_verdict(source)


@settings(deadline=None)  # the first call builds the grammar
@given(st.lists(st.sampled_from(FRAGMENTS)).map(" ".join))
def test_any_mixture_of_tokens_gets_a_valid_verdict(source: str) -> None:
    assert_valid_verdict(source)


@settings(deadline=None)  # the first call builds the grammar
@given(
    st.integers(0, len(PROGRAM)),
    st.integers(0, 12),
    st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=4)),
)
def test_any_damaged_program_gets_a_valid_verdict(start: int, length: int, patch: str) -> None:
    assert_valid_verdict(PROGRAM[:start] + patch + PROGRAM[start + length :])


@settings(deadline=None)  # the first call builds the grammar
@given(st.integers(0, len(PROGRAM.splitlines()) - 1), st.integers(0, len(PROGRAM.splitlines())))
def test_any_program_with_a_moved_line_gets_a_valid_verdict(taken: int, put: int) -> None:
    lines = PROGRAM.splitlines()
    lines.insert(put, lines.pop(taken))
    assert_valid_verdict("\n".join(lines))


@pytest.mark.parametrize("dropped", ["!", ";", "`", "&", "$", "~", "^", "é", "\x00", "\ufeff"])
def test_a_character_that_the_compiler_drops_is_refused_at_every_position(dropped: str) -> None:
    for position in range(PROGRAM.index("type"), PROGRAM.index("fn pick")):
        if not inside_string(position):
            assert check(PROGRAM[:position] + dropped + PROGRAM[position:])


def inside_string(position: int) -> bool:
    line = PROGRAM[PROGRAM.rfind("\n", 0, position) + 1 : position]
    return line.count('"') % 2 == 1


@pytest.mark.parametrize(
    "source",
    [
        "fn f() { let x = " + "(" * 50_000,
        "fn f() { let x = " + "[" * 50_000 + "]" * 50_000 + " }",
        "fn f() { " + "if a { " * 20_000,
        "fn f() to " + "list[" * 20_000,
        "{" * MAX_CHARACTERS,
        '"' * (MAX_CHARACTERS - 1),
        "\\" * MAX_CHARACTERS,
        "x" * (MAX_CHARACTERS + 1),
        "type T {" + " " * (MAX_CHARACTERS - 10) + "!",
        "fn f() { go(" + '"\\' * 50_000,
    ],
)
def test_a_huge_text_is_refused_quickly(source: str) -> None:
    started = time.perf_counter()
    assert check(source)
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    "expression",
    [
        " + ".join(["1"] * 20_000),
        "not " * 20_000 + "a",
        "- " * 20_000 + "a",
        "x => " * 20_000 + "x",
        "a" + ".b" * 20_000,
        "a" + " |> f" * 20_000,
    ],
)
def test_a_long_chain_does_not_count_as_nesting(expression: str) -> None:
    assert check("fn f() { let x = " + expression + " }") == []


def test_brackets_nest_up_to_the_limit() -> None:
    def nested(depth: int) -> str:
        return "fn f() { return " + "(" * depth + "1" + ")" * depth + " }"

    assert check(nested(MAX_NESTING - 1)) == []
    (diagnostic,) = check(nested(MAX_NESTING))
    assert str(MAX_NESTING) in diagnostic.message


def test_a_text_may_have_a_length_up_to_the_limit() -> None:
    assert check("\n" * MAX_CHARACTERS) == []
    (diagnostic,) = check("\n" * (MAX_CHARACTERS + 1))
    assert str(MAX_CHARACTERS) in diagnostic.message


@pytest.mark.parametrize("callee", ["[]", "{}", "(go)", '"go"', "go()", "o.go", "xs[0]"])
def test_the_verdict_on_a_call_does_not_depend_on_its_arguments(callee: str) -> None:
    assert check(f"fn f() {{ {callee}() }}") == check(f"fn f() {{ {callee}(1) }}")
