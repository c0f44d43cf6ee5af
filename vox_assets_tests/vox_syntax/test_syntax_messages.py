"""A diagnostic gives the position, the fault, the expected tokens and the replacement."""

import pytest

from vox_assets.vox_syntax import Diagnostic, check


def only(source: str) -> Diagnostic:
    (diagnostic,) = check(source)
    return diagnostic


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("fn bake() {\n    let x = 1 2\n}", 2, 15),
        ("fn bake() {\n    let a = b !c\n}", 2, 15),
        ("fn bake() {\r\n\tlet = 1\r\n}", 2, 6),
        ("fn bake() {\n    go(", 2, 8),
        ("fn bake(a: int,) { }", 1, 16),
        ("// oven\n\nbake()", 3, 1),
        ('fn bake() {\n    print("open)\n}', 2, 11),
        ("fn bake() {\n    1\n    go()\n}", 2, 5),
        ("fn bake() {\n    let x = a +\n        b\n}", 2, 16),
    ],
)
def test_a_diagnostic_points_at_the_fault(source: str, line: int, column: int) -> None:
    diagnostic = only(source)
    assert (diagnostic.line, diagnostic.column) == (line, column)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("bake", {"a declaration", "a decorator"}),
        ("fn bake { }", {"`(`", "`<`"}),
        ("fn (a: int) { }", {"a name"}),
        ("fn bake() { let x = }", {"an expression", "a new line"}),
        ("fn bake() { go(1 2) }", {"an operator", "`)`", "`,`", "a new line"}),
        ("@index Loaf by_name on (name)", {"`.`"}),
        ("@scheduled(15) fn bake() { }", {"a string in double quotes"}),
    ],
)
def test_a_diagnostic_lists_the_expected_tokens(source: str, expected: set[str]) -> None:
    assert set(only(source).expected) == expected


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ((), "3:7: unexpected `x`"),
        (("`(`",), "3:7: unexpected `x`; expected `(`"),
        (("a", "b"), "3:7: unexpected `x`; expected a or b"),
        (("a", "b", "c"), "3:7: unexpected `x`; expected a, b or c"),
    ],
)
def test_a_diagnostic_is_formatted_as_one_line(expected: tuple[str, ...], text: str) -> None:
    assert str(Diagnostic(3, 7, "unexpected `x`", expected)) == text


@pytest.mark.parametrize(
    ("statement", "advice"),
    [
        ("let x = !ready", "`not x`"),
        ("let x = a && b", "`and`"),
        ("let x = a || b", "`or`"),
        ("go();", "line end"),
        ("let x = `raw`", '"hello {name}"'),
        ("/* note */", "`//`"),
        ("let f = |x| x", "`fn(x) ..`"),
        ("let f = () => 1", "`fn() ..`"),
        ("let f = (loaf: str) => loaf", "`fn(x: int) ..`"),
        ("for i in 0..10 { }", "`range(a, b)`"),
        ("match n { 1 -> 2 }", "`=>`"),
        ("match n { x if x > 1 => 2 }", "no guards"),
        ("match n { true => 2 }", "use `if`"),
        ("match n { 1 | 2 => 3 }", "one arm for each"),
        ("let x = a ? 1 : 2", "`if a { b } else { c }`"),
        ("let x = f()?.trim()", "nothing follows `?`"),
        ("a++", "`n += 1`"),
        ("a--", "`n += 1`"),
        ("let x = a is not b", "`isnt`"),
        ("let x = not a is b", "`not (a is b)`"),
        ("if a = 1 { }", "compare with `is`"),
        ("if (a) return 1", "braces"),
        ("if a: go()", "braces"),
        ("bake(rye: 1)", "`f(name=1)`"),
        ("let x = a +\n1", "line end"),
        ("let x = a\n.trim()", "line end"),
        ("let x = a\n|> trim", "line end"),
        ("let x = a as int", "no `as` cast"),
        ("let x = Loaf { a: 1 }", "plain object"),
        ("let {a} = b", "let takes"),
        ("for (k, v) in m { }", "for takes one name"),
        ("try { go() } catch (e) { }", "`match` on the Result"),
        ("if a { } elif b { }", "`else if`"),
        ("var x = 5", "no such keyword"),
        ("await go()", "no such keyword"),
        ("go() stop()", "on the same line without a separator"),
        ("let match = 1", "reserved word"),
        ("let state = 1", "reserved word"),
        ("dough\ngo()", "`dough` is not used"),
        ("return Ok()", "view element"),
        ("x := 3", "`let x = 1`"),
        ("let x = 0x1F", "decimal"),
        ('let x = f"hi {a}"', "takes no prefix"),
        ("let x = a === b", "`isnt`"),
        ("let x = loaves.map(a -> a)", "write `x => ..`"),
        ('box(a=1) { "b" }', "only view tags"),
        ("let x = 9999999999999999999", "64 bits"),
        (f"let x = {'9' * 5_000}", "64 bits"),
        ("let x = \u00e9", "not part of Vox"),
        ("let x = \x00", "U+0000"),
    ],
)
def test_a_message_names_the_replacement_of_a_wrong_statement(statement: str, advice: str) -> None:
    assert advice in only(f"fn bake() {{\n{statement}\n}}").message


@pytest.mark.parametrize(
    ("declaration", "advice"),
    [
        ("fn bake() to int:\n    return 1", "braces"),
        ("fn bake() to int = 1", "braces"),
        ("@forall(n: int) fn bakes(n: int) { }", "takes a label"),
        ("fn bake() to int uses net { }", "`uses` goes before `to`"),
        ("fn bake(a: int) int { }", "`to`"),
        ("fn bake(a: int): int { }", "`to`"),
        ("fn bake(a int) { }", "follows a colon"),
        ('@test "rises" fn t() { }', '`@test("label")`'),
        ('test "rises" { }', "a test is a function"),
        ('routes {\n    "/" -> Home\n}', "`to` a component"),
        ("fn bake() {\n    if hot {\n        cool()", "the `{` at 2:12 is not closed"),
        ("fn bake(a: int,) { }", "no trailing comma"),
        ("fn bake(\n    a: int) { }", "one line"),
        ("fn bake(a: List<int>) { }", "`list[int]`"),
        ("fn bake(a: int?) { }", "`Option[int]`"),
        ("fn bake() to int? { }", "`Option[int]`"),
        ("fn bake(a: [int]) { }", "types are names"),
        ("def bake() { }", "`fn`"),
        ("const a = 1", "`let name = ..`"),
        ("struct Loaf { }", "no such declaration"),
        ("type Loaf = Rye | Wheat", "starts with `|`"),
        ("type Loaf = | Rye(int)", "payload is named"),
        ("type Loaf = | Rye of int", "payload is named"),
        ("type Loaf[T] = | Rye", "no type parameters"),
        ('type Loaf {\n    name: str = "rye"\n}', "no default values"),
        ("@table\ntype Loaf { }", "one line"),
        ("@index Loaf on (name)", "`@index Table.by_name on (name)`"),
        ("@query fn bake() { }", "`@endpoint(kind: query)`"),
        ("@endpoint fn bake() { }", "`@endpoint(kind: query)`"),
        ("@pure @endpoint(kind: query) fn bake() { }", "before the other decorators"),
        ('@mcp.tool("a", "b") fn bake() { }', "bare string"),
        ("@scheduled fn bake() { }", '`@scheduled("15m")`'),
        ("@baked fn bake() { }", "no decorator `@baked`"),
        ("@component fn Oven() { }", "`component Name() { .. }`"),
        ("component Oven { }", "`()`"),
        ("component Oven() { view: <p>hi</p> }", "JSX"),
        ('component Oven() { view { text() { "x" } } }', "colon is missing"),
        ('http post "/loaves" to int { }', "`@endpoint(kind: query) fn ..`"),
        ('routes:\n    "/" to Home', "braces"),
        ("from lib import rye", "`import lib.name`"),
        ('import { a } from "b"', "`import lib.name`"),
    ],
)
def test_a_message_names_the_replacement_of_a_wrong_declaration(
    declaration: str, advice: str
) -> None:
    assert advice in only(declaration).message
