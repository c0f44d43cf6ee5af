"""Tests of declarations and structural facts."""

from __future__ import annotations

import random

import pytest

from vox_assets.exam.code_tree import MAX_DEPTH
from vox_assets.exam.structure import declared, facts, subject
from vox_assets.exam.task import Declared
from vox_assets.synthesize.vox import lexicon, templates
from vox_assets.vox_syntax import VoxSyntaxError

PROGRAM = """
type Gate =
    | Open
    | Closed(why: str, day: int)

@table type Boat {
    name: str
    crew: list[str]
}

@index Boat.by_name on (name)

@endpoint(kind: query)
@rate_limit(by: ip, window_secs: 60, max: 9)
pub fn page(size: int = 3) uses net, db to List[str] {
    return []
}

actor Lock {
    on push(n: int) to int {
        return n + 1
    }
}

component Lap(limit: int) {
    state n: int = 0
    derived left = limit - n

    effect depends_on (n): {
        print(str(n))
    }

    view: column() {
        text() { "Lap {n}" }
        button(on_click={n = n + 1}) { "More" }
    }
}
style {
    .box {
        padding: "4px"
    }
}

routes {
    "/" to Lap with (loader: page, error: Oops) {
        "/b" to Lap
    }
    not_found: Lost
}

partial state_machine Kettle {
    state Cold
    terminal state Hot(c: int)
    on Boil(degrees) from any -> Hot(degrees)
}

@form Ask {
    field name: str min_len(2) required label("Name")
    on_submit: save
}
""".replace("pub fn page", "fn page")


def test_declarations_have_their_parameters_types_and_results() -> None:
    found = {item.name: item for item in declared(PROGRAM)}
    assert found["page"] == Declared("endpoint_query", "page", (("size", "int"),), "list[str]")
    assert found["Lock.push"] == Declared("handler", "Lock.push", (("n", "int"),), "int")
    assert found["Lap"] == Declared("component", "Lap", (("limit", "int"),))
    assert found["Boat.by_name"] == Declared("index", "Boat.by_name")
    assert found[""] == Declared("routes", "")


def test_types_have_one_spelling() -> None:
    (plain,) = declared("fn f(a: List[ str ], g: fn(int,str) to bool) to Map[str, int] { g() }")
    assert plain.parameters == (("a", "list[str]"), ("g", "fn(int, str) to bool"))
    assert plain.result == "Map[str, int]"


@pytest.mark.parametrize(
    "fact",
    [
        "adt Gate: Closed(why: str, day: int)",
        "adt Gate: has 2 parts",
        "table Boat: crew: list[str]",
        "table Boat: has 2 fields",
        "index Boat.by_name: on name",
        "endpoint_query page: @rate_limit(by: ip, max: 9, window_secs: 60)",
        "endpoint_query page: size = 3",
        "endpoint_query page: uses db, net",
        "endpoint_query page: does { [] }",
        "handler Lock.push: does { (n + 1) }",
        "component Lap: state n: int = 0",
        "component Lap: derived left = (limit - n)",
        "component Lap: effect on n: { print(str(n)) }",
        'component Lap: view: column() { text() { "Lap {n}" }; '
        'button(on_click={n = (n + 1)}) { "More" } }',
        'component Lap: style .box padding: "4px"',
        'routes: "/" to Lap with error: Oops, loader: page',
        'routes: "/" > "/b" to Lap',
        "routes: not_found: Lost",
        "routes: has 2 routes",
        "state_machine Kettle: partial",
        "state_machine Kettle: terminal state Hot(c: int)",
        "state_machine Kettle: on Boil($1) from any -> Hot($1)",
        'form Ask: field name: str label("Name") min_len(2) required',
        "form Ask: on_submit: save",
    ],
)
def test_facts_describe_the_structure(fact: str) -> None:
    assert fact in facts(PROGRAM)


def test_functions_that_run_give_no_facts_of_their_bodies() -> None:
    found = facts(PROGRAM, run={"page", "Lock.push"})
    assert not [fact for fact in found if ": does " in fact]
    assert "endpoint_query page: size = 3" in found


def test_the_subject_of_a_fact_is_a_kind_and_a_name() -> None:
    assert subject("table Boat: crew: list[str]") == "table Boat"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("return len(xs) > 3", "return 3 < xs.length()"),
        ('return "{a}: {b}"', 'return str(a) + ": " + b'),
        ("let c = a + b\n return c * 2", "return 2 * (a + b)"),
        ("if a > 1 {\n return b\n }\n return c", "if a <= 1 { c } else { b }"),
        ("if not (a is b) { return 1 } else { return 2 }", "return if a is b { 2 } else { 1 }"),
        (
            'match a {\n 1 => "x"\n 2 => "y"\n _ => "z"\n }',
            'if a is 1 {\n return "x"\n }\n if a is 2 {\n return "y"\n }\n return "z"',
        ),
        ("match a {\n Ok(v) => v\n Error(_) => 0\n }", "match a { Error(_) => 0, Ok(w) => w }"),
        ("return xs.map(fn(x) x.name)", "return xs.map(row => row.name)"),
        ("return raw |> trimmed", "return trimmed(raw)"),
        ("let mut n = 0\n n += a\n return n", "let mut sum = 0\n sum = sum + a\n sum"),
        ("return { a: 1, b: 2 }", "// both\n return { b: 2, a: 1 }"),
        ("return draw(width=a, height=b)", "return draw(height=b, width=a)"),
        ("for x in xs {\n let y = x.a\n print(y)\n }", "for one in xs { print(one.a) }"),
    ],
)
def test_equivalent_bodies_have_equal_facts(one: str, other: str) -> None:
    assert facts(f"fn f() {{\n{one}\n}}") == facts(f"fn f() {{\n{other}\n}}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("return a - b", "return b - a"),
        ('return a + "x"', 'return "x" + a'),
        ("return a < b", "return a <= b"),
        ("return f(a, b)", "return f(b, a)"),
        ("let mut n = 0\n n = a\n return n", "let mut n = 0\n return n"),
        ("if a { return b }\n return c", "if a { return c }\n return b"),
        (
            "let x = a\n let y = b\n g(x, y)\n return x",
            "let x = a\n let y = b\n g(y, x)\n return x",
        ),
        ('return "{a}"', "return '{a}'"),
        ("while a { go() }", "if a { go() }"),
        (
            "match (a, b) {\n (1, 1) => 1\n (x, y) => 2\n }",
            "match (a, b) {\n (x, y) => 2\n (1, 1) => 1\n }",
        ),
        ("let x = f()\n for y in xs { g(x) }", "for y in xs { g(f()) }"),
    ],
)
def test_different_bodies_have_different_facts(one: str, other: str) -> None:
    assert facts(f"fn f() {{\n{one}\n}}") != facts(f"fn f() {{\n{other}\n}}")


def test_every_template_has_declarations_and_facts() -> None:
    domain = lexicon.load()[0]
    for variant in templates.load():
        source = templates.render(variant, domain, random.Random(1)).source
        assert declared(source), variant
        assert facts(source), variant


def test_every_declared_name_and_parameter_of_a_template_is_in_its_prompt() -> None:
    domain = lexicon.load()[0]
    for variant in templates.load():
        rendered = templates.render(variant, domain, random.Random(1))
        asked = " ".join((*rendered.facts, *rendered.goals))
        for item in declared(rendered.source):
            for name in (item.name.rpartition(".")[2], *(name for name, _ in item.parameters)):
                assert name in asked, (variant.construct, variant.name, item)


def test_code_that_nests_too_deeply_is_refused_with_its_place() -> None:
    chain = " + ".join(["1"] * (MAX_DEPTH + 10))
    with pytest.raises(VoxSyntaxError, match="nests deeper"):
        facts(f"fn f() to int {{\n    return {chain}\n}}")


def test_many_early_returns_and_variables_do_not_exhaust_the_stack() -> None:
    lines = "\n".join(
        f"if a is {number} {{\n return {number}\n}}\nlet x{number} = f(x{number - 1})"
        for number in range(1, 900)
    )
    assert len(facts(f"fn f(a: int, x0: int) to int {{\n{lines}\nreturn x899\n}}")) == 1
