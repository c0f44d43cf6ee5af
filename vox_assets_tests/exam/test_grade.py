"""Tests of grades: how far an answer gets, why no further, and that no answer stops the exam."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vox_assets.exam.grade import MAX_CHARACTERS, Grade, grade
from vox_assets.exam.running import examples, hidden_calls, outcomes
from vox_assets.exam.structure import declared, facts
from vox_assets.exam.task import RUNGS, Call, Task
from vox_assets.vox_syntax.builtin import MAX_CHARACTERS as MAX_PARSED

REFERENCE = """fn penalty_for(faults: int) to int {
    if faults <= 6 {
        return 0
    }
    return (faults - 6) * 2
}

fn points_for(length: int, faults: int) to int {
    let penalty = penalty_for(faults)
    return length - penalty
}"""
HELPER = "fn helper() to int {\n    return 1\n}"
PAGE = """component Notice(waiting: int) {
    view: column() {
        text() { "{waiting} boats" }
    }
}

routes {
    "/" to Notice
    not_found: Notice
}"""


def task(source: str, **changed: object) -> Task:
    whole = Task(
        prompt="Write it in Vox: `penalty_for(faults: int) to int` and the rest.",
        reference=source,
        construct="functions",
        variant="points",
        domain="harbour",
        level=2,
        kind="familiar",
        source_path="synthesize/templates/functions.vox.j2",
        declarations=declared(source),
        facts=facts(source, run={"penalty_for", "points_for"}),
        calls=hidden_calls(source, 1),
    )
    return replace(whole, **changed)  # type: ignore[arg-type]


RUN = task(REFERENCE)
SHOWN = task(PAGE, calls=(), facts=facts(PAGE))


def graded(answer: str, of: Task = RUN) -> Grade:
    return grade(of, answer, True)


@pytest.mark.parametrize("whole", [RUN, SHOWN])
def test_the_reference_passes_and_reaches_the_last_rung(whole: Task) -> None:
    found = graded(whole.reference, whole)
    assert found.passed and found.reached == "behaves" and not found.fault
    assert found.rungs["checks"] is None


@pytest.mark.parametrize(
    ("answer", "reached", "fault"),
    [
        ("", "ends", "empty"),
        (f"```vox\n{REFERENCE}\n```", "ends", "more than code"),
        (f"Here is the function that you asked for:\n{REFERENCE}", "ends", "more than code"),
        ("x" * (MAX_CHARACTERS + 1), "ends", "characters"),
        (REFERENCE.replace("{", "", 1), "code_only", "1:"),
        ("fn penalty_for(faults: int) to int {\n    return 0\n}", "parses", "`points_for`"),
        (REFERENCE.replace("length: int", "length: str"), "parses", "another signature"),
        (REFERENCE.replace("to int", "to bool"), "parses", "another signature"),
        (REFERENCE.replace("fn points_for", "@test\nfn points_for"), "parses", "not declared"),
        (f"{REFERENCE}\n\n{REFERENCE}", "parses", "more than once"),
        (f"{REFERENCE}\n\n{HELPER}\n\n{HELPER.replace('1', '2')}", "parses", "more than once"),
        (f"{REFERENCE}\n\ntype penalty_for = | A | B", "parses", "more than once"),
        (f"{REFERENCE}\n\nlet penalty_for = 3", "parses", "more than once"),
        (REFERENCE.replace("return 0", 'print("\ud800")'), "code_only", "half of a surrogate pair"),
        (REFERENCE.replace("<= 6", "<= 7"), "declares", "another outcome"),
        (REFERENCE.replace("* 2", "* 3"), "declares", "another outcome"),
        (REFERENCE.replace("(faults - 6) * 2", "missing(faults)"), "declares", "another outcome"),
    ],
)
def test_an_answer_reaches_the_rung_before_its_first_fault(
    answer: str, reached: str, fault: str
) -> None:
    found = graded(answer)
    assert not found.passed
    assert found.reached == reached
    assert fault in found.fault
    below = RUNGS[: RUNGS.index(reached) + 1]  # type: ignore[arg-type]
    assert all(found.rungs[rung] for rung in below if rung != "checks")
    assert not any(found.rungs[rung] for rung in RUNGS if rung not in below)


def test_an_answer_that_was_cut_off_reaches_nothing() -> None:
    found = grade(RUN, REFERENCE, False)
    assert not found.passed and found.reached == "" and "end by itself" in found.fault


def test_the_first_call_that_differs_is_given_with_both_outcomes() -> None:
    found = graded(REFERENCE.replace("(faults - 6) * 2", "faults - 6"))
    assert "penalty_for(" in found.call or "points_for(" in found.call
    assert int(found.expected) != int(found.got)


def test_the_first_fact_that_differs_is_given_with_what_the_answer_has() -> None:
    found = graded(PAGE.replace('"/" to', '"/boats" to'), SHOWN)
    assert found.reached == "declares"
    assert found.call == "routes"
    assert found.expected == '"/" to Notice'
    assert found.got == '"/boats" to Notice'


def test_a_compiler_is_a_rung_between_grammar_and_declarations() -> None:
    refusing = grade(RUN, REFERENCE, True, lambda source: "E012 unknown type")
    assert refusing.reached == "parses" and refusing.fault == "E012 unknown type"
    assert refusing.rungs["checks"] is False
    accepting = grade(RUN, REFERENCE, True, lambda source: None)
    assert accepting.passed and accepting.rungs["checks"] is True


def test_a_task_without_calls_and_facts_is_passed_by_declaring() -> None:
    bare = replace(RUN, calls=(), facts=())
    found = graded(REFERENCE.replace("* 2", "* 3"), bare)
    assert found.passed and found.rungs["behaves"] is None and found.reached == "declares"


def test_a_result_of_unit_need_not_be_written() -> None:
    greeting = task('fn greet(name: str) to Unit {\n    print("hello " + name)\n}')
    assert graded('fn greet(name: str) {\n    print("hello {name}")\n}', greeting).passed


def test_other_declarations_may_help() -> None:
    answer = REFERENCE.replace("* 2", "* factor()") + "\n\nfn factor() to int {\n    return 2\n}"
    # The grammar reads a call without arguments of a declared function as a call.
    assert graded(answer).passed


#: Values that are equal to the expected one in some languages, or look like it.
ALIKE = {
    "to int": (
        "1",
        ["true", "1.0", "1dec", '"1"', "[1]", "Some(1)", "Ok(1)", "{ a: 1 }", "(1, 1)"],
    ),
    "to bool": ("true", ["1", '"true"', "1.0", "Some(true)", "[true]"]),
    "to str": ('"1"', ["1", "'1 '", "1.0", '"\\"1\\""', '["1"]']),
    "to float": ("1.0", ["1", "1dec", '"1.0"', "true"]),
    "to Result[int]": ("Ok(1)", ["1", "Some(1)", "Ok(true)", "Ok(1.0)", 'Ok("1")', "Ok(Ok(1))"]),
    "to Option[bool]": ("Some(true)", ["Some(1)", 'Some("true")', "true", "Ok(true)", "None"]),
    "to list[int]": ("[1, 0]", ["[true, false]", "[1.0, 0.0]", '["1", "0"]', "[0, 1]", "[1]"]),
}


@pytest.mark.parametrize("result", ALIKE)
def test_a_value_of_another_type_is_another_outcome(result: str) -> None:
    right, others = ALIKE[result]
    source = f"fn one(n: int) {result} {{\n    return {right}\n}}"
    asked = replace(task(source), calls=(Call(("one(1)",), outcomes(source, ("one(1)",))),))
    assert graded(source, asked).passed
    for value in others:
        found = graded(source.replace(f"return {right}", f"return {value}"), asked)
        assert found.reached == "declares" and not found.passed, value


WORDED = """fn berth_for(draught: int, guest: bool) to str {
    if guest {
        return "quay"
    }
    if draught > 14 {
        return "outer"
    }
    return "inner"
}"""


@pytest.mark.parametrize("source", [REFERENCE, WORDED])
def test_a_table_of_the_outcomes_that_a_prompt_shows_does_not_pass(source: str) -> None:
    asked = task(source)
    shown = examples(source, 1, asked.calls, 3)
    assert shown and not {call.steps for call in shown} & {call.steps for call in asked.calls}
    for fallback in {call.outcomes[0] for call in (*shown, *asked.calls)}:
        table = ""
        for item in asked.declarations:
            lines = ""
            for call in shown:
                name, _, arguments = call.steps[0].rstrip(")").partition("(")
                if name == item.name:
                    values = zip(item.parameters, arguments.split(", "), strict=True)
                    test = " and ".join(
                        f"{parameter} is {value}" for (parameter, _), value in values
                    )
                    lines += f"    if {test} {{\n        return {call.outcomes[0]}\n    }}\n"
            parameters = ", ".join(f"{name}: {kind}" for name, kind in item.parameters)
            start = f"fn {item.name}({parameters}) to {item.result} {{"
            table += f"{start}\n{lines}    return {fallback}\n}}\n\n"
        found = graded(table, asked)
        assert found.reached == "declares" and not found.passed


HOSTILE = {
    "a loop without an end": REFERENCE.replace("return 0", "loop { let x = 1 }"),
    "endless recursion": REFERENCE.replace("return 0", "return penalty_for(faults - 1)"),
    "a growing text": REFERENCE.replace(
        "return 0", 'let mut s = "xxxxxxxx"\n loop { s = s + s }\n return 0'
    ),
    "a growing list": REFERENCE.replace(
        "return 0", "let mut s = [1]\n loop { s = [s, s, s, s] }\n return 0"
    ),
    "nested brackets": f"fn f() to int {{ return {'(' * 4_000}1{')' * 4_000} }}",
    "a long sum": f"fn f() to int {{ return {'+'.join(['1'] * 4_000)} }}",
    "a long chain of methods": f"fn f() {{ return a{'.b()' * 3_000} }}",
    "many negations": f"fn f() {{ return {'not ' * 2_000}a }}",
    "a huge number": f"fn f() to int {{ return {'9' * 9_000} }}",
    "a huge decimal": f"fn f() to dec {{ return {'9' * 9_000}dec * {'9' * 900}dec }}",
    "many holes": f'fn f(a: int) to str {{ return "{"{a+a}" * 1_500}" }}',
    "nested choices": f"fn f() {{ {'if a { 1 } else ' * 600}{{ 2 }} }}",
    "lone surrogates": REFERENCE + "\n\ud800",
    "a megabyte of one word": "x" * 1_000_000,
    "a megabyte of code": f"{REFERENCE}\n// {'y' * 1_000_000}",
    "a megabyte of fences": "```\n~~~~\n" * 100_000,
    "a sentence without an end": "A " + "a " * 4_900 + ";",
    "many fences": "\n".join("~" * (3 + length) for length in range(130)),
    "many escapes": REFERENCE.replace("return 0", 'loop { let s = "' + "\\n" * 4_000 + '" }'),
    "recursion of two": REFERENCE.replace("return 0", "return other(faults)")
    + "\n\nfn other(n: int) to int {\n    return penalty_for(n)\n}",
    "recursion in a lambda": REFERENCE.replace(
        "return 0", "return [1].map(fn(x) penalty_for(x)).length()"
    ),
    "recursion in a text": REFERENCE.replace("return 0", 'let s = "{penalty_for(1)}"\n return 0'),
    "doubling lambdas": REFERENCE.replace(
        "return 0",
        "let f0 = fn(x) x + 1\n"
        + "".join(f" let f{n + 1} = fn(x) f{n}(f{n}(x))\n" for n in range(30))
        + " return f30(1)",
    ),
    "doubling records": REFERENCE.replace(
        "return 0",
        "let v0 = { a: 1, b: 2 }\n"
        + "".join(f" let v{n + 1} = {{ a: v{n}, b: v{n} }}\n" for n in range(60))
        + " if v60 is v60 { return 0 }",
    ),
    "a number beyond 64 bits": REFERENCE.replace("faults <= 6", f"faults <= {'9' * 20}"),
    "a null": REFERENCE.replace("return 0", "return 0\x00"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_answer_gets_a_grade_and_does_not_pass(kind: str) -> None:
    found = graded(HOSTILE[kind])
    assert not found.passed
    assert found.fault and "\n" not in found.fault and len(found.fault) <= 300


def test_a_text_full_of_braces_is_no_reason_to_fail() -> None:
    braces = "{" * 5_000
    assert graded(REFERENCE.replace("return 0", f'let unused = "{braces}"\n return 0')).passed


PIECES = [
    *("fn penalty_for(faults: int) to int {", "}", "{", "(", ")", "[", "]", '"', "'", "\\", "\n"),
    *(
        "return ",
        "if faults > 1 ",
        "else ",
        "match faults ",
        "loop ",
        "while true ",
        "let mut n = ",
    ),
    *(
        "n",
        "1",
        "-",
        " + ",
        " * ",
        "99999999999999999999",
        "0.1dec",
        "true",
        "None",
        "Some(",
        "=> ",
    ),
    *("penalty_for(", "points_for(", "faults", ".push(", ".map(x => x)", "db.Boat.all()", "@test"),
    *("component A(n: int) ", "view: ", "text() ", "routes ", "actor B ", "on ", "state ", "// x"),
    *(
        "type C = | D(x: int)",
        "for x in xs ",
        "{faults}",
        "|> ",
        "?",
        "```",
        "#",
        "\x00",
        "é",
        "\U0001f600",
    ),
]


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.text(max_size=300), st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
)
def test_any_text_gets_a_grade(answer: str) -> None:
    for whole in (RUN, SHOWN):
        found = graded(answer, whole)
        assert found.passed is (not found.fault)
        holding = [rung for rung in RUNGS if found.rungs[rung]]
        assert holding == [rung for rung in RUNGS if found.rungs[rung] is not None][: len(holding)]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, len(REFERENCE)),
    st.integers(0, 40),
    st.lists(st.sampled_from(PIECES), max_size=4).map("".join),
)
def test_any_change_of_the_reference_gets_a_grade(start: int, length: int, piece: str) -> None:
    found = graded(REFERENCE[:start] + piece + REFERENCE[start + length :])
    assert found.passed is (not found.fault)


def test_the_limit_of_an_answer_is_below_that_of_the_parser() -> None:
    assert MAX_CHARACTERS < MAX_PARSED
