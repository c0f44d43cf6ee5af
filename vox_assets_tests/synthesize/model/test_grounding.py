"""Names that a text declares are separated from open names, and known names from invented."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.synthesize.model.grounding import LiveNames, names_in
from vox_assets.vox_syntax import VoxSyntaxError

RUST = """
use crate::harbour::Boat as Vessel;

pub struct Crew<T> {
    people: Vec<T>,
}

impl<'a, T: Display> Crew<'a, T> {
    #[must_use]
    pub fn board(&mut self, names: &[T], (low, high): (u8, u8)) -> Result<usize, BoatError> {
        let Some(first) = names.first() else {
            return Err(BoatError::Empty { at: low });
        };
        let total: usize = names.iter().map(|one| one.weight()).sum();
        for (place, name) in names.iter().enumerate() {
            self.people.push(Seat { name, place, ..Default::default() });
        }
        match high {
            LIMIT => warn_crew!("full {}", total),
            Kind::Small(rest) if rest > margin => {}
            other => {}
        }
        Ok(total)
    }
}
"""

VOX = """
@table type Chore {
    task: str
    done: bool
}

type Mood =
    | Glad(reason: str)
    | Tired

@endpoint(kind: mutation)
fn add(task: str) to Result[int] {
    let n = helper(task)
    for c in db.Chore.all() {
        c.paint(label="x")
    }
    match n {
        Known(v) => v
        _ => n
    }
    return db.Chore.insert({ task: task, room: n })
}
"""


def test_open_names_of_rust_code_are_those_it_does_not_declare() -> None:
    names = names_in(RUST, "rust")
    declared = set("Crew T Vessel people board names low high first total one place name".split())
    assert declared | {"rest", "other"} <= names.declared
    open_names = {
        *"harbour Boat BoatError Empty at Seat Default LIMIT warn_crew Kind Small margin".split(),
        *"Display weight enumerate iter map push sum default Vec Result Some Err Ok".split(),
    }
    assert open_names <= names.open
    assert not names.open & declared
    assert names.open - open_names <= {"u8", "usize", "must_use", "crate"}


def test_open_names_of_vox_code_are_those_it_does_not_declare() -> None:
    names = names_in(VOX, "vox")
    assert {"Chore", "Mood", "Glad", "Tired", "add", "task", "done", "n", "c", "v"} <= (
        names.declared
    )
    expected = "helper db all paint label Known insert room str bool int Result".split()
    assert names.open == set(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Call `Boat::fill(x)` first.", {"Boat", "fill", "x"}),
        ("It sets max_items to 10_000 on each BoatYard.", {"max_items", "BoatYard"}),
        ("A boat fills. It is good, isn't it?", set()),
        ("", set()),
    ],
)
def test_open_names_of_prose_are_those_that_look_like_code(text: str, expected: set[str]) -> None:
    assert names_in(text, "markdown").open == expected


def test_code_may_use_names_of_its_own_language_and_prose_those_of_every_language() -> None:
    rows = pl.DataFrame(
        {
            "language": ["rust", "vox", "markdown"],
            "prompt": ["Write `moor`.", "Show the jetty.", "What is a keel?"],
            "response": ["fn moor() {}", "fn jetty() to int {\n    1\n}", "The `keel` is below."],
        }
    )
    live = LiveNames.of(rows)
    assert "moor" in live.knows("rust")
    assert "jetty" not in live.knows("rust")
    assert "Vec" in live.knows("rust")
    assert "moor" not in live.knows("vox")
    assert {"moor", "jetty", "keel", "Write"} <= live.knows("markdown")


@given(st.text())
def test_any_text_is_read_as_rust_without_an_error(text: str) -> None:
    names = names_in(text.encode("utf-8", "ignore").decode(), "rust")
    assert names.open <= names.used


@given(st.text() | st.text("(){}[]|@.:=> \nabfnT"))
def test_any_text_is_read_as_vox_or_is_a_syntax_error(text: str) -> None:
    try:
        names = names_in(text, "vox")
    except VoxSyntaxError:
        return
    assert not names.open & names.declared


@pytest.mark.parametrize("language", ["rust", "markdown"])
def test_deep_nesting_is_read_without_recursion(language: str) -> None:
    assert "deep_one" in names_in("fn f() { " + "(" * 5_000 + "deep_one", language).used
