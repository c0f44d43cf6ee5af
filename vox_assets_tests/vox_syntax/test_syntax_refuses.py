"""Programs that the grammar refuses: retired forms, dropped characters, accidental parses."""

import pytest

from vox_assets.vox_syntax import check


def in_function(body: str) -> str:
    return f"fn bake(dough: int, ready: bool) {{\n{body}\n}}\n"


def in_view(child: str) -> str:
    return f"component Oven(heat: int) {{\n    view: column() {{\n{child}\n    }}\n}}\n"


DECLARATIONS = [
    # Blocks and bodies.
    "fn bake() to int:\n    return 1",
    "fn thicker(crust: int) to int = crust + 1",
    "fn bake() {\n    fn knead() { }\n}",
    "fn bake()\n{\n}",
    "/* a note */\nfn bake() { }",
    "fn bake() {",
    "fn bake() { } }",
    # Functions.
    "fn bake() to int uses net { return 1 }",
    "fn bake() uses magic { }",
    "fn bake() uses spawn { }",
    "fn bake(a: int,) { }",
    "fn bake(\n    a: int, b: int) { }",
    "fn bake(a: int,\n    b: int) { }",
    "fn bake(a: int b: int) { }",
    "fn bake()",
    "fn bake() to int",
    "pub let loaves: int = 1",
    "pub async fn bake() { }",
    "@pure pub fn bake() { }",
    "@test async fn bakes() { }",
    "def bake(): pass",
    "function bake() { return 1 }",
    "func bake() int { return 1 }",
    # Retired declarations.
    "@component fn Oven() { }",
    'component Oven { view: text() { "hot" } }',
    'component Oven() { view { text() { "hot" } } }',
    'component Oven() { on mount { heat() } view: text() { "hot" } }',
    "component Oven() { view: <b>hot</b> }",
    'component Oven() { state heat: int view: text() { "hot" } }',
    'http get "/loaves" to str { return "rye" }',
    "agent Baker { }",
    "environment staging { replicas: 2 }",
    "env staging { }",
    "config Bakery { }",
    "theme { }",
    "message Order { }",
    "trait Baked { fn name() to str }",
    "impl Baked for Loaf { }",
    "struct Loaf { name: str }",
    "class Loaf { name: str }",
    "enum Loaf { Rye, Wheat }",
    "const loaves: int = 3",
    "export fn bake() { }",
    "@query fn loaves() to int { return 1 }",
    "@mutation fn bake() to int { return 1 }",
    "@server fn bake() to int { return 1 }",
    "@action fn bake() { }",
    "@page fn home() { }",
    "@layout fn home() { }",
    "@skill fn bake() { }",
    "@agent_def fn bake() { }",
    # Data.
    "type Loaf = Rye | Wheat",
    "type Loaf = | Rye(int)",
    "type Crate[Load] = | Packed(load: Load)",
    "type Grams = int",
    'type Loaf { name: str = "rye" }',
    "type Loaf { name: str,, weight: int }",
    "@table\ntype Loaf { name: str }",
    "@table Loaf { name: str }",
    "@index Loaf on (name)",
    "@index Loaf.by_name(name)",
    # Decorators.
    '@mcp.tool("bake", "Bake a loaf")\nfn bake() to int { return 1 }',
    '@mcp.resource "oven://now"\nfn now() to str { return "hot" }',
    "@endpoint fn bake() { }",
    "@endpoint() fn bake() { }",
    '@endpoint(kind: "query") fn bake() { }',
    "@endpoint(kind: stream) fn bake() { }",
    "@pure @endpoint(kind: query) fn bake() to int { return 1 }",
    "@scheduled fn bake() { }",
    "@scheduled(15) fn bake() { }",
    '@cors(origin: "https://rye.example") fn bake() { }',
    "@cors(origins = []) fn bake() { }",
    '@cors(\n    origins: ["https://rye.example"]\n)\nfn bake() { }',
    '@embed(model="mini") fn bake() { }',
    "@baked fn bake() { }",
    "@forall(n: int) fn bake(n: int) { }",
    "@forall(n: int using small()) fn bake(n: int) { }",
    # Actors and machines.
    "actor Oven { state heat: int = 0 on warm() { } }",
    "actor Oven { fn warm() { } }",
    "state_machine Oven { state Cold on Warm from Cold to Hot }",
    # Imports.
    'import { rye } from "flour"',
    "from flour import rye",
    'import "flour"',
    'import rust:chrono(flavour: "x")',
    "import lib/flour as {\n    Rye\n}",
    # Pages.
    'routes:\n    "/" to Home',
    'routes { "/": Home }',
    'routes { "/" -> Home }',
    "@form Order { name: str required }",
    '@tokens { colour ink: "#111" }',
    # Two declarations on one line.
    "import std.http import std.json",
    "let a: int = 1 let b: int = 2",
    # Statements outside a function, and reactive members outside a component.
    "print(1)",
    "state loaves: int = 0",
]

STATEMENTS = [
    # Control.
    "if (ready) return 1",
    "if ready: go()",
    "if ready\n{ go() }",
    "elif ready { go() }",
    "if ready { go() } elif dough > 1 { stop() }",
    "while (ready) go()",
    "for x in 0..10 { go() }",
    "for (k, v) in rows { go() }",
    "for x of rows { go() }",
    "for x in rows print(x)",
    "for let i = 0 { }",
    "try { go() } catch (e) { stop() }",
    "switch dough { }",
    "unless ready { go() }",
    "if dough = 1 { go() }",
    # Bindings.
    "let x: int",
    "let x",
    "var x = 5",
    "const x = 5",
    "x := 5",
    "let {crust, crumb} = loaf",
    "let [a, b] = pair()",
    "let a, b = pair()",
    "let 1 = dough",
    "go() = 3",
    "dough ++",
    "dough--",
    # Match.
    'match dough { 1 -> "one" }',
    'match dough { 1: "one" }',
    "match dough { x if x > 0 => 1 }",
    "match dough { 1 | 2 => 3 }",
    "match ready { true => 1 }",
    "match ready { false => 1 }",
    "match dough { Shape.Round(r) => r }",
    "match dough { -1 => 1 }",
    "match dough { 1.5 => 1 }",
    "match dough { 'a' => 1 }",
    "match dough { 1 => 2 2 => 3 }",
    "match dough { case 1 => 2 }",
    "match dough { 1 => return, _ => 2 }",
    # Expressions that continue on the next line.
    "let x = dough +\n    1",
    "let x = dough\n    + 1",
    "let x = rows\n    .sorted()",
    "let x = rows\n    |> sorted",
    "let x = (dough +\n 1)",
    # Lambdas.
    "let f = |x| x + 1",
    "let f = () => 1",
    "let f = (loaf: str) => loaf",
    "let f = \\x -> x",
    "let f = x -> x",
    "let f = lambda x: x",
    "rows.map { x => x }",
    # Operators.
    "let x = ready ? 1 : 2",
    "let x = ready || false",
    "let x = ready && false",
    "let x = !ready",
    "let x = dough ** 2",
    "let x = not dough is 1",
    "let x = dough is not 1",
    "let x = not fetch(1)?",
    "let x = -fetch(1)?",
    "let x = 1 + fetch(1) with { retries: 1 }",
    "let x = _",
    "let f = (_, y) => y",
    "let x = { go() }",
    "let x = 1 < dough < 3",
    "let x = dough as int",
    "let x = dough?.weight",
    "let x = weigh(dough)?.rounded()",
    "let x = rows[1:2]",
    "let x = dough & 1",
    "let x = await fetch(1)",
    "let x = new Loaf()",
    # Calls and objects.
    "bake(dough: 1)",
    "let x = { type: 1 }",
    "let x = { match: 1 }",
    "let x = { a = 1 }",
    "let x = { a: 1 b: 2 }",
    "let x = { ...rest }",
    "let x = [...rest]",
    "let x = Loaf { weight: 1 }",
    "return Loaf { weight: 1 }",
    "let x = bake(type=1)",
    "return Ok()",
    "if Ready() { go() }",
    "let x = (1, 2",
    "let x = [1, 2",
    "let x = list<int>()",
    # Two statements on one line.
    "ret dough",
    "await fetch(1)",
    "let a = 1 let b = 2",
    "go() stop()",
    "dough = 1 ready = true",
    "let a = 1; let b = 2",
    "go();",
    "throw dough",
    "print dough",
    # Values that are not used.
    "dough\ngo()",
    "1\ngo()",
    '"done"\ngo()',
    "dough is 1\ngo()",
    "dough.weight\ngo()",
    "[1, 2]\ngo()",
    # Strings, numbers and names.
    "let x = `raw`",
    'let x = "open',
    "let x = 'open",
    'let x = "over\nlines"',
    'let x = """doc"""',
    'let x = f"hi"',
    "let x = 99999999999999999999",
    "let x = 1_000",
    "let x = 5s",
    "let x = 1.",
    "let x = .5",
    "let x = $dough",
    "let naïve = 1",
]

RESERVED_EVERYWHERE = (
    "fn let async mut if else while loop break continue match when fetching empty for return dec "
    "import extern actor workflow activity side_effect spawn pub with agent migrate and or not is "
    "isnt true false fragment"
).split()
HALF_RESERVED = ("in to type http on state derived effect mount cleanup view component env").split()

RESERVED_USES = [
    "fn f() {{ let {} = 1 }}",
    "fn f({}: int) {{ }}",
    "type Loaf {{ {}: int }}",
    "fn {}() {{ }}",
    "fn f(o: Loaf) {{ o.{}() }}",
    "fn f() {{ go(x={{ {}: 1 }}) }}",
    "fn f() {{ go({}=1) }}",
]

TYPES = [
    "List<int>",
    "[int]",
    "int?",
    "int[]",
    "(int, str)",
    "{x: int}",
    "int | str",
    "str.Name",
    "&str",
]

VIEWS = [
    'crumb_box(pad=1) { text() { "hot" } }',
    'text { "hot" }',
    "<b>hot</b>",
    'text("hot") { "hot" }',
    'text(size: 2) { "hot" }',
    "text() { heat as str }",
    "for loaf in loaves key loaf.id { text() { loaf } }",
    "let x = 1",
    'button(on_click={ heat = 1 }} { "More" }',
]


@pytest.mark.parametrize("program", DECLARATIONS)
def test_a_wrong_declaration_is_refused(program: str) -> None:
    assert check(program)


@pytest.mark.parametrize("body", STATEMENTS)
def test_a_wrong_statement_is_refused(body: str) -> None:
    assert check(in_function(body))


@pytest.mark.parametrize("written", TYPES)
def test_a_type_of_another_language_is_refused(written: str) -> None:
    assert check(f"fn bake(dough: {written}) {{ }}")
    assert check(f"fn bake() to {written} {{ }}")


@pytest.mark.parametrize("child", VIEWS)
def test_a_wrong_view_is_refused(child: str) -> None:
    assert check(in_view(child))


@pytest.mark.parametrize("use", RESERVED_USES)
@pytest.mark.parametrize("word", RESERVED_EVERYWHERE)
def test_a_reserved_word_is_not_a_name(word: str, use: str) -> None:
    assert check(use.format("loaf")) == []
    assert check(use.format(word))


@pytest.mark.parametrize("word", HALF_RESERVED)
def test_a_half_reserved_word_may_not_name_a_variable_key_or_argument(word: str) -> None:
    assert check(f"fn f() {{ let {word} = 1 }}")
    assert check(f"fn f() {{ go({{ {word}: 1 }}) }}")
    assert check(f"fn f() {{ go({word}=1) }}")


@pytest.mark.parametrize("word", HALF_RESERVED)
def test_a_half_reserved_word_may_name_a_parameter_field_method_or_function(word: str) -> None:
    assert check(f"fn f({word}: int) {{ }}") == []
    assert check(f"type Loaf {{ {word}: int }}") == []
    assert check(f"fn f(o: Loaf) {{ o.{word}() }}") == []
    assert check(f"fn {word}() {{ }}") == []


def test_reactive_members_are_allowed_at_the_top_level_only_in_ui_modules() -> None:
    program = "state heat: int = 0\neffect: { print(heat) }\n"
    assert check(program)
    assert check(program, ui_module=True) == []


def test_an_unused_value_in_a_component_is_refused() -> None:
    assert check("component Oven() {\n    heat\n    view: text() { heat }\n}")


@pytest.mark.parametrize(
    ("declared", "call"),
    [
        ("fn summary() to int { return 1 }", "summary()"),
        ("@pure fn label(text: str) to str { return text }", 'label(text="a")'),
        ("type Loaf = | Plain | Rye(grams: int)", "Plain()"),
        ("type Loaf = | Plain | Rye(grams: int)", "Rye(grams=1)"),
    ],
)
def test_a_call_that_the_compiler_reads_as_a_view_element_is_refused(
    declared: str, call: str
) -> None:
    (diagnostic,) = check(f"{declared}\nfn bake() {{ let x = {call} }}")
    assert "is a view element" in diagnostic.message
    assert check(f"fn bake() {{ let x = {call} }}") == []


def test_a_call_with_a_positional_argument_is_a_call() -> None:
    declared = "fn label(text: str) to str { return text }\ntype Loaf = | Rye(grams: int)\n"
    assert check(declared + 'fn bake() { let x = label("a")\nlet y = Rye(1) }') == []


def test_to_after_the_parameters_of_a_lambda_is_not_a_variable() -> None:
    assert check("fn bake() { let f = fn(a) to.b }")
    assert check("fn bake() { let f = fn(a) to int { return a } }") == []
    assert check("fn bake() { let f = fn(a) total }") == []


def test_a_member_after_a_return_in_a_component_is_refused() -> None:
    assert check('component Oven() { return view: text() { "a" } }')
    assert check('component Oven() { return\nview: text() { "a" } }') == []
