"""No program stops the interpreter, runs for long or makes values without end."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vox_assets.vox_syntax import VoxSyntaxError
from vox_assets.vox_syntax.interpreter import FailedError, Program, Run, UnknownError
from vox_assets.vox_syntax.interpreter.values import MAX_LENGTH, MAX_MADE, MAX_STEPS


def _function(body: str) -> str:
    return f"fn f() to int {{\n{body}\n    return 1\n}}"


def _loop(start: str, change: str) -> str:
    return _function(f"    let mut x = {start}\n    loop {{\n        x = {change}\n    }}")


ENDLESS = {
    "a loop": _function("    loop {\n        f\n    }"),
    "a recursion": "fn f() to int {\n    return f()\n}",
    "a lambda of itself": _function("    let g = fn(x) x(x)\n    g(g)"),
    "a default of itself": "fn f(a: int = f()) to int {\n    return a\n}",
    "a growing text": _loop('"ab"', "x + x"),
    "an interpolated text": _loop('"ab"', '"{x}{x}"'),
    "a growing list": _loop("[1]", "x.push(1)"),
    "lists of ranges": _loop("[1]", "range(0, 9000).map(fn(n) range(0, 9000))"),
    "joined texts": _loop('"ab"', "range(0, 5000).map(fn(n) x).join(x)"),
    "printed lines": _function(
        '    loop {\n        print("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")\n    }'
    ),
    "searches": _function(
        "    let x = range(0, 9000)\n    loop {\n        x.contains(0 - 1)\n    }"
    ),
    "nested documents": _function(
        '    let mut x = "["\n    for i in range(0, 12) {\n        x = x + x\n    }\n'
        "    std.json.parse(x)?"
    ),
    "a comparison of shared lists": _function(
        "    let mut a = [1]\n    let mut b = [1]\n    for i in range(0, 90) {\n"
        "        a = [a, a]\n        b = [b, b]\n    }\n    assert(a is b)"
    ),
    "a chain of operators": _function(f"    let x = {'1 + ' * 4000}1"),
    "a chain of interpolations": _function(f'    let x = "{"{f()}" * 400}"'),
}


#: Values that are made anew in each round of a loop, all of them below the limit of one value.
REMADE = {
    "a text with escapes": '"' + "\\n" * 4000 + '"',
    "a text in upper case": "word.to_upper()",
    "a trimmed text": "word.trim()",
    "a slice": "word.slice(1, 4000)",
    "the parts of a text": 'word.split("b")',
}


@pytest.mark.parametrize("made", REMADE.values(), ids=REMADE.keys())
def test_every_text_counts_that_a_loop_makes_again(made: str) -> None:
    source = _function(
        f'    let word = "{"a" * 4000}"\n    loop {{\n        let x = {made}\n    }}'
    )
    with pytest.raises(UnknownError, match="characters and elements in one call"):
        Run(Program(source)).step("f()")


def test_every_field_counts_of_a_record_that_a_loop_changes() -> None:
    fields = ", ".join(f"a{number}: 0" for number in range(400))
    source = _function(f"    let mut x = {{ {fields} }}\n    loop {{\n        x.a0 = 1\n    }}")
    with pytest.raises(UnknownError, match="characters and elements in one call"):
        Run(Program(source)).step("f()")


def test_a_pattern_with_a_text_counts_like_the_text() -> None:
    source = _function(
        f'    let s = "b"\n    loop {{\n        match s {{\n            "{"a" * 4000}" => 1\n'
        f"            _ => 2\n        }}\n    }}"
    )
    with pytest.raises(UnknownError, match="characters and elements in one call"):
        Run(Program(source)).step("f()")


@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_program_without_end_is_given_up(source: str) -> None:
    run = Run(Program(source))
    with pytest.raises(UnknownError):
        run.step("f()")
    assert run.budget.used <= MAX_STEPS + MAX_LENGTH
    assert run.budget.left >= -MAX_MADE


def test_a_component_that_shows_itself_is_given_up() -> None:
    run = Run(Program("component A() {\n    view: column() {\n        A()\n        A()\n    }\n}"))
    with pytest.raises(UnknownError):
        run.step("A()")


def test_rows_are_bounded() -> None:
    run = Run(
        Program(
            "@table type T {\n    a: int\n}\n\nfn f() to Unit {\n    loop {\n"
            "        db.T.insert({ a: 1 })\n    }\n}"
        )
    )
    with pytest.raises(UnknownError):
        run.step("f()")


def test_a_long_program_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(UnknownError, match="20,000 characters"):
        Program("// a comment\n" * 5_000)


_NAMES = ("a", "b", "f", "xs", "Some", "Ok", "None", "db", "std", "click", "T", "M", "C")
_EXPRESSIONS = st.recursive(
    st.sampled_from(['"s{a}"', "1", "0.5dec", "2.5", "true", "[]", "{}", "None", *_NAMES]),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+ - * / % < is or".split()), inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{}({})".format, st.sampled_from(_NAMES), inner),
        st.builds(
            "{}.{}({})".format,
            inner,
            st.sampled_from("push map filter get join slice split insert all parse Go".split()),
            inner,
        ),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("fn(a) {}".format, inner),
        st.builds("if {} {{ {} }} else {{ {} }}".format, inner, inner, inner),
        st.builds("match {} {{ Some(a) => {}, _ => {} }}".format, inner, inner, inner),
    ),
    max_leaves=12,
)
_STATEMENTS = st.one_of(
    st.builds("let a = {}".format, _EXPRESSIONS),
    st.builds("a = {}".format, _EXPRESSIONS),
    st.builds("a += {}".format, _EXPRESSIONS),
    st.builds("xs[{}] = {}".format, _EXPRESSIONS, _EXPRESSIONS),
    st.builds("while {} {{\n a = {}\n}}".format, _EXPRESSIONS, _EXPRESSIONS),
    st.builds("for a in {} {{\n f(a)\n}}".format, _EXPRESSIONS),
    st.builds("return {}".format, _EXPRESSIONS),
    st.builds("{}?".format, _EXPRESSIONS),
    st.just("break"),
    _EXPRESSIONS,
)
_AROUND = """\
@table type T {
    a: int
}

state_machine M {
    state A
    on Go from A -> A
}

component C(a: int) {
    state b: int = 0
    view: text() { a }
}
"""


@settings(max_examples=200, deadline=None)
@given(st.lists(_STATEMENTS, min_size=1, max_size=5), _EXPRESSIONS)
def test_a_program_has_an_outcome_or_an_unknown_one(statements: list[str], step: str) -> None:
    body = "\n    ".join(statements)
    source = f"{_AROUND}\nfn f(a: int) to int {{\n    let mut xs = [1]\n    {body}\n}}"
    try:
        run = Run(Program(source))
    except VoxSyntaxError:
        return
    for asked in ("f(1)", step):
        with suppress(UnknownError, FailedError):
            assert len(run.step(asked)) <= MAX_MADE
        assert run.budget.used <= MAX_STEPS + MAX_LENGTH
