"""Names that code uses are read from its text: paths, methods, macros and imports."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.extract.rust import names


@pytest.mark.parametrize(
    ("code", "used"),
    [
        ("self.reef(); self . furl(1); self.mast", {"Boat::reef": 1, "Boat::furl": 1}),
        ("Self::new(); Self { a }", {"Boat::new": 1}),
        ("sail.reef(); sail.mast", {".reef": 1}),
        ("reef(1) + reef(2) + mast", {"reef": 2}),
        ("reef::<u8>(1); Boat::<u8>::new()", {"reef": 1, "Boat::new": 1}),
        ("0..LIMIT; 0..=MOST; a.0", {"LIMIT": 1, "MOST": 1}),
        ("horn!(1); a != b", {"horn!": 1}),
        (
            "crate::sea::depth(x).map(tide::high)",
            {"crate::sea::depth": 1, ".map": 1, "tide::high": 1},
        ),
        (r"let a = '\"'; B", {"B": 1}),
        ("fn f<'a>(a: &'a Boat)", {"Boat": 1}),
        ('r#"" A"#; "B \\" C"; // D\n/* E */ F', {"F": 1}),
        ("Tide::default()", {}),
    ],
)
def test_the_names_that_code_uses_are_counted(code: str, used: dict[str, int]) -> None:
    found = names.used(code, "Boat")
    # `f<` is no call.
    assert dict(found) == used


def test_imports_are_read_with_groups_aliases_and_globs() -> None:
    code = "use sea::{self, tide::{High, Low as Ebb}, chart::*};\nuse crate::Boat;"
    assert names.imports_in(code) == {
        "sea": "sea",
        "High": "sea::tide::High",
        "Ebb": "sea::tide::Low",
        "Boat": "crate::Boat",
    }


@given(st.text(alphabet="aB:<>(){}.,;!'\"/*r# \n_*", max_size=200))
def test_any_text_is_read(text: str) -> None:
    names.used(text, "Boat")
    names.imports_in(f"use {text}")


@pytest.mark.parametrize(
    "part",
    ["self.", "::<", "a::<", 'r#"', "/*", "'", "a (", "a::b", '\\"', "use a::{", "use a", "."],
)
def test_hostile_text_is_read_in_linear_time(part: str) -> None:
    def seconds(count: int) -> float:
        start = time.process_time()
        names.used(part * count, "Boat")
        names.imports_in(part * count)
        return time.process_time() - start

    # Quadratic time would take minutes.
    assert seconds(20_000) < 2
