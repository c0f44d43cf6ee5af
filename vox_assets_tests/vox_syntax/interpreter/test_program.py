"""The interpreter computes the values that the language defines, and never guesses a value."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from vox_assets.synthesize.vox import dialogues, lexicon, templates
from vox_assets.synthesize.vox.templates import Variant as Template
from vox_assets.vox_syntax import declarations
from vox_assets.vox_syntax.interpreter import (
    FailedError,
    Program,
    Run,
    UnknownError,
    Variant,
)

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

fn shadowed(n: int) to str {
    let kept = n
    if n > 0 {
        let kept = n + 1
        return "{n} {kept}"
    }
    return str(kept)
}

fn changed(values: list[int]) to list[int] {
    let mut copy = values
    copy[0] = 7
    return copy
}

fn captured() to int {
    let mut total = 0
    let add = fn(n: int) { total = total + n }
    add(2)
    return total
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
        ('"harbour".slice(4, 99)', "our"),
        ("summed(31)", 496),
        ("shadowed(1)", "1 2"),
        ("changed([1, 2, 3])", [7, 2, 3]),
        ("{ a: 1, b: 2 } is { b: 2, a: 1 }", True),
        ("float(3) / 2.0", 1.5),
        ("[Some(1)].contains(Some(1))", True),
        ("Some(4).unwrap()", 4),
        ('"a-b".replace("-", "")', "ab"),
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
        '"abc".slice(true, 3)',
        '"abc".slice(1, 2.0)',
        f"1.{'0' * 30}1dec > 1.0dec",
        '"a-b-c".replace("-", "")',
        "None.unwrap()",
        "Nothing",
        "Closed(1)",
        "described(4)",
        "both(1, 2, 3)",
        "both(1, c=2)",
        "counted(4)",
        "captured()",
        "one.field",
        "1.0 / 0.0",
        "range(0, 100000000000)",
        'doubled("ab")',
        "summed(64)",
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


def test_a_name_of_an_inner_block_leaves_the_outer_one_as_it_is() -> None:
    program = Program(
        "fn f(n: int) to int {\n    let a = 1\n    if n > 0 {\n        let a = 2\n    }\n"
        "    return a\n}"
    )
    assert program.value("f(1)") == 1


def test_a_local_value_may_have_the_name_of_the_database() -> None:
    program = Program("fn f() to int {\n    let db = { Boat: 3 }\n    return db.Boat\n}")
    assert program.value("f()") == 3


def test_steps_see_the_state_that_earlier_steps_left_and_what_they_printed() -> None:
    run = Run(
        Program(
            'fn greet(name: str) to Unit {\n    print("hi " + name)\n'
            '    std.fs.write("a.txt", name)\n}\n\n'
            'fn stored() to Result[str] {\n    return std.fs.read("a.txt")\n}\n\n'
            "let most: int = 12"
        )
    )
    assert run.step("most") == "12"
    assert run.step('greet("Ada")') == 'print hi Ada\nwrite "a.txt" "Ada"\nUnit'
    assert run.step("stored()") == 'Ok("Ada")'


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        ('{ b: [1, -2], a: "x\\"y" }', '{ a: "x\\"y", b: [1, -2] }'),
        ("(true, Some(0.50dec))", "(true, Some(0.5dec))"),
        ("0.00dec - 0.00dec", "0dec"),
        ("100.00dec", "100dec"),
        ("[]", "[]"),
        ("{}", "{}"),
        ("2.5", "2.5"),
    ],
)
def test_a_value_has_one_text(program: Program, expression: str, written: str) -> None:
    assert Run(program).step(expression) == written


def test_a_function_has_no_text(program: Program) -> None:
    with pytest.raises(UnknownError):
        Run(program).step("fn(n) n")


CONTRACT = """\
@require(used >= 0)
@ensure(result <= stock)
fn left(stock: int, used: int) to int {
    return stock - used * 2 + used
}
"""


def test_a_broken_contract_has_no_certain_outcome() -> None:
    program = Program(CONTRACT)
    assert program.value("left(5, 2)") == 3
    with pytest.raises(UnknownError, match="contract"):
        program.value("left(5, 0 - 1)")


MACHINE = """\
state_machine Loan {
    state Wished
    state Lent(borrower: str, days: int)
    terminal state Lost(reason: str)

    on Lend(borrower) from Wished -> Lent(borrower, 14)
    on Lose(reason) from any -> Lost(reason)
}

actor Desk {
    on due(days: int) to int {
        return 14 - days
    }
}
"""


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        ('Loan.Lend(Wished, "Ada")', 'Lent("Ada", 14)'),
        ('Loan.Lend(Lent("Ada", 2), "Bo")', 'Lent("Ada", 2)'),
        ('Loan.Lose(Lent("Ada", 2), "rain")', 'Lost("rain")'),
        ('Loan.Lose(Lost("rain"), "fire")', 'Lost("rain")'),
        ("Desk.due(3)", "11"),
    ],
)
def test_events_and_handlers_are_called_on_their_machine_and_actor(step: str, outcome: str) -> None:
    assert Run(Program(MACHINE)).step(step) == outcome


@pytest.mark.parametrize("step", ["Loan.Lend(Wished)", "Loan.Melt(Wished)", "Desk.close()"])
def test_an_event_that_the_machine_does_not_have_is_refused(step: str) -> None:
    with pytest.raises(UnknownError):
        Run(Program(MACHINE)).step(step)


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
