"""A program is divided into declarations."""

import pytest

from vox_assets.vox_syntax import CONSTRUCTS, VoxSyntaxError, declarations

PROGRAM = """\
import std.http, lib.flour as flour

// How many loaves fit.
let tray: int = 12

# Counted by hand.
// Twice.
@table type Loaf { name: str }

// A remark on its own.

@endpoint(kind: query)
fn heaviest(loaves: list[Loaf]) to str {
    let first = loaves[0]
    return "{first.name} of {tray}"
} // the end
pub fn weigh(loaf: Loaf) to int { return scale(loaf) } routes { "/" to Home }
"""


def test_declarations_come_in_order_with_kind_and_name() -> None:
    assert [(item.kind, item.name) for item in declarations(PROGRAM)] == [
        ("import", "std.http"),
        ("constant", "tray"),
        ("table", "Loaf"),
        ("endpoint_query", "heaviest"),
        ("function", "weigh"),
        ("routes", ""),
    ]


def test_the_text_of_a_declaration_starts_at_the_comments_that_touch_it() -> None:
    _, constant, table, endpoint, weigh, routes = declarations(PROGRAM)
    assert constant.text == "// How many loaves fit.\nlet tray: int = 12"
    assert (constant.start_line, constant.end_line) == (3, 4)
    assert table.text.startswith("# Counted by hand.\n// Twice.\n@table")
    assert endpoint.text.startswith("@endpoint(kind: query)\nfn heaviest")
    assert endpoint.text.endswith("}")
    assert (endpoint.start_line, endpoint.end_line) == (12, 16)
    assert weigh.text == "pub fn weigh(loaf: Loaf) to int { return scale(loaf) }"
    assert routes.text == 'routes { "/" to Home }'


def test_references_are_all_identifiers_except_the_declared_name() -> None:
    _, _, table, endpoint, weigh, _ = declarations(PROGRAM)
    assert table.references == {"name", "str"}
    assert {"Loaf", "tray", "first"} <= endpoint.references
    assert "scale" in weigh.references
    assert "weigh" not in weigh.references


@pytest.mark.parametrize(
    ("program", "kind", "name"),
    [
        ("async fn bake() { }", "function", "bake"),
        ("fn state() { }", "function", "state"),
        ('@ai(model="m") fn guess() to int', "ai_function", "guess"),
        ("@index Loaf.by_name on (name)", "index", "Loaf.by_name"),
        ("pub type Loaf = | Rye", "adt", "Loaf"),
        ("@push { on_register: save }", "mobile", ""),
        ('@tool "a: b" fn offer() { }', "mcp_tool", "offer"),
        ('@v0 "id" Grid { }', "v0_component", "Grid"),
        ("@distributed_train(peers=2) workflow train() { }", "workflow", "train"),
    ],
)
def test_a_declaration_is_named_after_what_it_declares(program: str, kind: str, name: str) -> None:
    (declaration,) = declarations(program)
    assert (declaration.kind, declaration.name, declaration.text) == (kind, name, program)
    assert declaration.kind in CONSTRUCTS


def test_a_ui_module_declares_its_reactive_members() -> None:
    items = declarations("state heat: int = 0\non mount: { go() }", ui_module=True)
    assert [(item.kind, item.name) for item in items] == [("state", "heat"), ("lifecycle", "")]


def test_a_text_that_is_not_a_program_is_a_syntax_error() -> None:
    with pytest.raises(VoxSyntaxError, match="1:1"):
        declarations("not vox")
