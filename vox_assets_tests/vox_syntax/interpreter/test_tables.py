"""Tables of a run hold rows in memory, and documents are read as every back end reads them."""

from __future__ import annotations

import pytest

from vox_assets.vox_syntax.interpreter import Program, Run, UnknownError

SOURCE = """\
@table type Boat {
    name: str
    crew: int
}

@endpoint(kind: mutation)
fn launch(name: str, crew: int) to Result[int] {
    if crew < 1 {
        return Error("no crew")
    }
    return db.Boat.insert({ name: name, crew: crew })
}

@endpoint(kind: mutation)
fn half_done(name: str) to Result[int] {
    db.Boat.insert({ name: name, crew: 1 })?
    return Error("too late")
}

@endpoint(kind: query)
fn names() to list[str] {
    match db.Boat.all() {
        Ok(rows) => return rows.map(fn(row) row.name)
        Error(_) => return []
    }
}

fn read(body: str) to Result[str] {
    let doc = std.json.parse(body)?
    let name = doc.get_str("name")?
    let days = doc.get_array("days")?
    return Ok("{name}: {days.length()}")
}

fn told(body: str) to str {
    match read(body) {
        Ok(text) => text
        Error(why) => "refused: " + why
    }
}
"""


@pytest.fixture
def run() -> Run:
    return Run(Program(SOURCE))


def test_rows_stay_in_their_order_and_ids_are_not_used_twice(run: Run) -> None:
    assert run.step('launch("Tern", 2)') == "Ok(1)"
    assert run.step('launch("Skua", 0)') == 'Error("no crew")'
    assert run.step('launch("Gull", 3)') == "Ok(2)"
    assert run.step("names()") == '["Tern", "Gull"]'
    assert run.step("db.Boat.delete(1)") == "Ok(Unit)"
    assert run.step("db.Boat.find(1)") == "Ok(None)"
    assert run.step("db.Boat.find(2)") == 'Ok(Some({ crew: 3, name: "Gull" }))'
    assert run.step('db.Boat.insert({ crew: 1, name: "Knot" })') == "Ok(3)"
    assert run.step("db.Boat.filter({ crew: 1 })") == '[{ crew: 1, name: "Knot" }]'
    assert run.step("db.Boat.count()") == "Ok(2)"


def test_each_run_starts_with_empty_tables() -> None:
    program = Program(SOURCE)
    Run(program).step('launch("Tern", 2)')
    assert Run(program).step("names()") == "[]"


@pytest.mark.parametrize(
    "step",
    [
        'db.Boat.insert({ name: "Tern" })',
        'db.Boat.insert({ name: "Tern", crew: "two" })',
        'db.Ship.insert({ name: "Tern" })',
        'db.Boat.update(1, { name: "Tern" })',
        'half_done("Tern")',
    ],
)
def test_what_a_table_does_not_define_is_refused(run: Run, step: str) -> None:
    with pytest.raises(UnknownError):
        run.step(step)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ('{"name": "Tern", "days": [1, 2]}', '"Tern: 2"'),
        ('{"name": 4, "days": []}', '"refused: \u2026"'),
        ('{"days": []}', '"refused: \u2026"'),
        ("[", '"refused: \u2026"'),
    ],
)
def test_the_words_of_an_error_that_no_program_chose_are_left_open(
    run: Run, body: str, outcome: str
) -> None:
    assert run.step(f"told('{body}')") == outcome


def test_the_words_of_an_error_cannot_be_compared(run: Run) -> None:
    with pytest.raises(UnknownError):
        run.step("told('[') is \"refused: no\"")
