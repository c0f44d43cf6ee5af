"""Inputs are expressions of their type, near the constants of the code."""

from __future__ import annotations

import pytest

from vox_assets.synthesize.vox.inputs import Inputs, combinations
from vox_assets.vox_syntax.interpreter import Program, Variant

SOURCE = """\
type Boat {
    name: str
    crew: int
    paid: bool
}

type Cargo =
    | Empty
    | Weighed(kilos: int)
    | Both(left: Cargo, right: Cargo)

fn due(boat: Boat, limit: int) to bool {
    return boat.crew > 14 and boat.name is "Tern"
}

fn read(body: str) to Result[str] {
    let doc = std.json.parse(body)?
    return doc.get_str("name")
}
"""

INPUTS = Inputs(SOURCE, SOURCE)


def test_integers_and_texts_begin_with_those_of_the_code() -> None:
    assert INPUTS.of("int")[:2] == ["14", "15"]
    assert {"13", "0"} <= set(INPUTS.of("int"))
    assert INPUTS.of("str")[0] == '"Tern"'


def test_documents_are_complete_lacking_or_faulty() -> None:
    texts = INPUTS.of("str")
    assert {'\'{"name": "Fig"}\'', "'{}'", "'{\"name\": 7}'", "'{'"} <= set(texts)
    without = Inputs(SOURCE, "fn f() to int {\n    return 1\n}")
    assert not any("{" in text for text in without.of("str"))


@pytest.mark.parametrize(
    ("kind", "type_of"),
    [
        ("int", int),
        ("str", str),
        ("bool", bool),
        ("float", float),
        ("Boat", dict),
        ("list[Boat]", list),
        ("list[list[int]]", list),
        ("Option[str]", Variant),
        ("Result[Boat]", Variant),
        ("Cargo", Variant),
    ],
)
def test_every_input_is_a_value_of_its_type(kind: str, type_of: type) -> None:
    program = Program(SOURCE)
    values = [program.value(text) for text in INPUTS.of(kind)]
    assert len(values) > 1
    assert {type(value) for value in values} == {type_of}


@pytest.mark.parametrize("kind", ["Ship", "fn(int) to int", "list[Ship]", "Map[str, int]", "T"])
def test_a_type_whose_values_are_not_known_has_no_inputs(kind: str) -> None:
    assert INPUTS.of(kind) == []


def test_values_of_a_recursive_type_are_nested_and_end() -> None:
    values = INPUTS.of("Cargo")
    assert any(text.startswith("Both(Both(") or "Both(" in text[5:] for text in values)
    assert max(map(len, values)) < 200


def test_combinations_do_not_repeat_and_mix_values_that_move_together() -> None:
    rows = combinations([["1", "2", "3"], ["a", "b", "c"]], 9)
    assert len(set(rows)) == len(rows) > 6
    assert combinations([["1", "2", "3"]], 2) == [("1",), ("2",)]
    assert combinations([["1"], []], 4) == []
