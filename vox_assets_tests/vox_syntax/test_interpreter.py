"""The interpreter computes the values that the language defines, and never guesses a value."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from vox_assets.synthesize.vox import dialogues, lexicon, templates
from vox_assets.synthesize.vox.templates import Variant as Template
from vox_assets.vox_syntax import declarations
from vox_assets.vox_syntax.interpreter import FailedError, Program, UnknownError, Variant

DOMAINS = lexicon.load()

SOURCE = """\
type Gate =
    | Open
    | Closed(why: str, day: int)

fn described(gate: Gate) to str {
    match gate {
        Open => "open"
        Closed(why, day) => "closed on {day}: {why}"
    }
}

fn checked(n: int) to Result[int] {
    if n < 0 {
        return Error("negative")
    }
    return Ok(n)
}

fn both(a: int, b: int = 2) to Result[int] {
    let first = checked(a)?
    let second = checked(b)?
    return Ok(first + second)
}

fn counted(values: list[int]) to int {
    let mut hits = 0
    for value, place in values {
        if value is 9 {
            break
        }
        if value % 2 is 1 or place > 3 {
            continue
        }
        hits += 1
    }
    return hits
}

fn shout(text: str) to str {
    return text |> trimmed |> loud
}

fn trimmed(text: str) to str {
    return text.trim()
}

fn loud(text: str) to str {
    return text.to_upper() + "!"
}

fn stored() to int {
    return db.Boat.count()
}

fn endless() to int {
    loop {
        print("on")
    }
}

fn summed(n: int) to int {
    if n is 0 {
        return 0
    } else {
        return n + summed(n - 1)
    }
}

fn doubled(text: str) to str {
    let mut t = text
    loop {
        t = t + t
    }
}

fn spin() to int {
    let mut n = 0
    loop {
        n += 1
    }
}
"""


@pytest.fixture(scope="module")
def program() -> Program:
    return Program(SOURCE)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("described(Open)", "open"),
        ('described(Closed("ice", 3))', "closed on 3: ice"),
        ("both(1)", Variant("Ok", (3,))),
        ("both(1, b=4)", Variant("Ok", (5,))),
        ("both(1, -4)", Variant("Error", ("negative",))),
        ("both(1, -4).is_err()", True),
        ("counted([2, 3, 4, 9, 6])", 2),
        ('shout(" hi ")', "HI!"),
        ("1 + 2 * 3 - 4", 3),
        ("not (1 is 2) and 3 >= 3", True),
        ("0.10dec + 0.20dec", Decimal("0.30")),
        ("[1, 2, 3].filter(fn(n) n > 1).map(n => n * 10).length()", 2),
        ('["a", "b"].map(fn(s) s + "{1}").join("-")', "a{1}-b{1}"),
        ('"one;two".split(";").get(5)', Variant("None")),
        ("{ a: 1, b: [2] }.b[0]", 2),
        ("if 1 > 2 { 3 } else { 4 }", 4),
        ("8 / 2", 4),
        ("7.5dec / 2.0dec", Decimal("3.75")),
        ("1.0dec / 8.0dec", Decimal("0.125")),
        ("(0.0dec - 7.5dec) / 2.0dec", Decimal("-3.75")),
        ("-7.5dec / 2.0dec", Decimal("-3.75")),
        ("0.10dec is 0.1dec", True),
        ("8 % 3", 2),
        ("9223372036854775806 + 1", 2**63 - 1),
        ("-9223372036854775807 - 1", -(2**63)),
        ('"harbour".slice(0, 7)', "harbour"),
        ("summed(31)", 496),
    ],
)
def test_an_expression_has_its_value(program: Program, expression: str, value: Any) -> None:
    assert program.value(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "7 / 2",
        "1 / 0",
        "1.0dec / 3.0dec",
        "1.0dec / 0.0dec",
        "7.5dec % 2.0dec",
        "-7 % 3",
        "7 % -3",
        "7 % 0",
        "1 + 1.0dec",
        "1 is 1.0dec",
        "1 is true",
        "1 + 1.5",
        "true + true",
        "true < false",
        "-true",
        "not 1",
        "1 is 1 and 2",
        "if 3 { 1 } else { 2 }",
        "[1, 2].filter(fn(n) n)",
        "[1] + [2]",
        "(1, 2) < (1, 3)",
        "9223372036854775807 + 1",
        "4294967296 * 4294967296",
        "12345678901234567890.1dec * 12345678901234567890.1dec",
        "str(1000.0dec / 0.1dec)",
        '"abc".slice(-2, 3)',
        '"abc".slice(1, 9)',
        "range(0, 100000000000)",
        'doubled("ab")',
        "summed(32)",
        "summed(-1)",
        '"a" / "b"',
        "stored()",
        "endless()",
        "spin()",
        "nobody()",
        "[1][4]",
        "str(1.5)",
        '"a" + 1',
    ],
)
def test_an_expression_without_a_certain_value_is_refused(
    program: Program, expression: str
) -> None:
    with pytest.raises(UnknownError):
        program.value(expression)


def test_a_false_assertion_fails_with_its_source() -> None:
    program = Program("@test\nfn t() to Unit {\n    assert(1 is 1)\n    assert(1 is 2)\n}")
    with pytest.raises(FailedError, match="1 is 2"):
        program.call("t")


def _run_tests(source: str) -> list[str]:
    program = Program(source)
    tests = [item.name for item in declarations(source) if item.kind == "test"]
    for name in tests:
        program.call(name)
    return tests


TESTED = [variant for variant in templates.load() if "@test" in variant.body]


@pytest.mark.parametrize("variant", TESTED, ids=lambda item: f"{item.construct}-{item.name}")
def test_the_tests_of_a_template_pass(variant: Template) -> None:
    for domain in DOMAINS[::6]:
        rng = random.Random(f"{variant.name}:{domain.name}")
        assert _run_tests(templates.render(variant, domain, rng).source)


SCRIPTS = [script for script in dialogues.scripts() if "@test" in script.body]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda item: f"{item.construct}-{item.name}")
def test_the_tests_of_a_dialogue_pass_with_the_code_of_its_earlier_answers(
    script: Template,
) -> None:
    for domain in DOMAINS[::6]:
        dialogue = dialogues.render(script, domain, random.Random(domain.name))
        latest = {
            item.name: item.text for answer in dialogue.answers for item in declarations(answer)
        }
        assert _run_tests("\n\n".join(latest.values()))
