"""Programs that the grammar accepts, and the constructs that are found in them."""

from pathlib import Path

import pytest

from vox_assets.vox_syntax import CONSTRUCTS, VoxSyntaxError, check, constructs, parse

HERE = Path(__file__).parent


def sections(name: str) -> list[tuple[str, list[str]]]:
    """Read the examples of a file: the text of each and the constructs that its heading lists."""
    _, *parts = (HERE / name).read_text(encoding="utf-8").split("\n////")
    split = (part.partition("\n") for part in parts)
    return [(text, heading.split()) for heading, _, text in split]


def in_function(body: str) -> str:
    return f"fn bake(a: int, b: int) {{\n{body}\n}}\n"


CASES = [
    *sections("programs.vox"),
    *((in_function(body), expected) for body, expected in sections("statements.vox")),
]

TYPES = [
    "int",
    "float",
    "str",
    "bool",
    "dec",
    "Unit",
    "Element",
    "list[int]",
    "List[str]",
    "Map[str, int]",
    "Option[list[int]]",
    "Result[Unit]",
    "Id[Boat]",
    "fn(int, str) to bool",
    "fn()",
    "_",
    "Tensor[2]",
    "Map[str, fn(int) to list[str]]",
]


@pytest.mark.parametrize(("program", "expected"), CASES)
def test_a_program_is_accepted_and_its_constructs_are_found(
    program: str, expected: list[str]
) -> None:
    assert check(program) == []
    assert set(expected) <= constructs(program)


@pytest.mark.parametrize("written", TYPES)
def test_a_type_is_accepted_wherever_types_are_allowed(written: str) -> None:
    program = (
        f"fn f(x: {written}) to {written} {{ let y: {written} = x }}\ntype T {{ x: {written} }}"
    )
    assert check(program) == []


def test_every_construct_is_described_and_found_in_some_program() -> None:
    found = frozenset[str]().union(*(constructs(program) for program, _ in CASES))
    assert found == set(CONSTRUCTS)
    assert len(CONSTRUCTS) >= 45
    assert all(CONSTRUCTS.values())


def test_a_plain_function_contains_no_other_construct() -> None:
    assert constructs("fn idle() { }") == {"function"}


def test_a_condition_is_a_view_condition_only_among_the_children_of_an_element() -> None:
    handler = 'component A() { view: button(on_click={fn() { if a { go() } }}) { "x" } }'
    child = 'component A() { view: row() { if a { text() { "x" } } } }'
    assert "view_condition" not in constructs(handler)
    assert "view_condition" in constructs(child)


def test_parse_gives_a_tree_and_raises_with_the_diagnostic_of_check() -> None:
    assert parse("fn idle() { }").data == "module"
    with pytest.raises(VoxSyntaxError) as caught:
        parse("fn idle( { }")
    assert check("fn idle( { }") == [caught.value.diagnostic]


@pytest.mark.parametrize("program", ["", "\n\n", "// a remark", "# a remark\n\n// and another\n"])
def test_a_program_may_be_empty(program: str) -> None:
    assert check(program) == []
    assert constructs(program) == frozenset()


@pytest.mark.parametrize("program", [program for program, _ in CASES])
def test_windows_line_ends_and_tabs_do_not_change_the_verdict(program: str) -> None:
    assert check(program.replace("\n", "\r\n").replace("    ", "\t")) == []


def test_the_text_of_a_string_is_not_checked() -> None:
    assert check('fn f() { print("; ! ` && {broken") }') == []
