"""Test code stays test code where the parser recovers from a syntax error."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vox_assets.extract.rust import crates
from vox_assets.extract.rust import items as items_module
from vox_assets.extract.rust.crates import Crate, CrateIndex

LIBRARY = "/// Counts boats.\nfn library() -> u8 { 1 }\n"
HELPER = "/// Makes a boat.\nfn helper() -> u8 { 2 }\n"


def _parse(text: str) -> items_module.RustFile:
    return items_module.parse(textwrap.dedent(text))


@pytest.mark.parametrize(
    "broken",
    [
        f"#[cfg(test)]\nmod checks {{\n #[test]\n fn t() {{ a(); }} }}\n {HELPER}}}\n",
        f"#[cfg(test)]\nmod checks {{\n fn t() {{ if a {{ b(); }} }} }}\n {HELPER}}}\n",
        f"mod tests {{\n fn t() {{ a(); }} }}\n {HELPER}}}\n",
        f"#[cfg(test)]\nmod checks\n {HELPER}}}\n",
        f"#[cfg(test)\nmod checks {{\n {HELPER}}}\n",
        f"#[cfg(all(test, unix))] pub mod checks {{ fn t() {{ (; }}\n {HELPER} }}\n",
        f"mod checks {{\n #![cfg(test)]\n fn t() {{ a(); }} }}\n {HELPER}}}\n",
        f"#[cfg(test)]\nimpl Boat {{\n fn t() {{ a(); }} }}\n {HELPER}}}\n",
        f"#[test]\nfn t() {{ a(); }}\n {HELPER}}}\n",
        f"proptest! {{\n #[test]\n fn t() {{ a(); }} }}\n {HELPER}}}\n",
        f'#[cfg(test)]\nmod checks {{\n fn t() {{ let a = "; }}\n {HELPER}}}\n',
        f"#[cfg(test)]\n#[allow(dead_code)]\n// Why.\nmod checks {{ fn t() }} }}\n {HELPER}}}\n",
    ],
)
def test_no_helper_of_a_broken_test_module_is_library_code(broken: str) -> None:
    file = _parse(LIBRARY + broken)
    assert [item.name for item in file.items] == ["library"]
    assert not file.sound
    assert file.skipped


def test_what_may_be_test_code_is_dropped_with_a_reason() -> None:
    file = _parse(f"#[cfg(test)]\nmod checks {{\n fn t() {{ a(); }} }}\n {HELPER}}}\n")
    reasons = {skipped.name: skipped.reason for skipped in file.skipped}
    assert reasons["helper"] == "may be test code: the file does not parse"


def test_constants_of_a_broken_test_module_are_not_shown() -> None:
    file = _parse("#[cfg(test)]\nmod checks {\n fn t() { a(); } }\n const BOATS: u8 = 3;\n}\n")
    assert file.constants == ()


@pytest.mark.parametrize(
    "source",
    [
        # The error is before the test code.
        f"fn broken( {{ }} \n\n{LIBRARY}#[cfg(test)]\nmod checks {{ fn t() {{}} }}\n",
        # The mark belongs to an item that contains no others.
        f"#[cfg(test)]\nuse a::b;\n#[cfg(test)]\nmod checks;\n{LIBRARY}fn broken(\n",
        # Words about tests.
        f"// #[cfg(test)]\n/// #[test]\n{LIBRARY}fn broken(\n",
        f"#[cfg(not(test))]\n{LIBRARY}fn broken(\n",
    ],
)
def test_library_code_of_a_broken_file_is_kept(source: str) -> None:
    assert "library" in [item.name for item in _parse(source).items]


def test_a_test_file_whose_declaration_is_in_an_error_is_test_code() -> None:
    files = {
        "crates/a/src/lib.rs": items_module.parse("fn broken( {\n#[cfg(test)]\nmod checks;\n"),
        "crates/a/src/checks.rs": items_module.parse(HELPER),
    }
    found = crates.modules(files, CrateIndex([Crate("crates/a", "a")]))
    assert found["crates/a/src/checks.rs"].left_out is not None


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ('unsafe extern "C" { pub safe fn a(); }', []),
        ("gen fn a() {}", []),
        ("auto trait A {}", []),
        ("struct A { b: u8 = 3 }", []),
        ("use a::{b;\nfn c() {}", ["c"]),
        ("const A: u8 = ;\nfn c() {}", ["c"]),
        ("macro_rules! a { ( }\nfn c() {}", ["c"]),
    ],
)
def test_what_does_not_parse_is_never_left_out_in_silence(source: str, names: list[str]) -> None:
    file = items_module.parse(source)
    assert [item.name for item in file.items] == names
    assert not file.sound
    assert file.skipped


_BITS = st.sampled_from(
    "fn impl mod use const struct A b ( ) { } ; : = , #[cfg(x)] #[a] /// \" ' -> u8 1".split(" ")
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_BITS, max_size=40).map(" ".join))
def test_every_syntax_error_is_in_the_account(source: str) -> None:
    file = items_module.parse(source)
    assert file.sound or file.skipped


def test_branches_of_cfg_if_for_tests_are_test_code() -> None:
    file = _parse(
        """
        cfg_if::cfg_if! {
            if #[cfg(test)] { fn a() {} }
            else if #[cfg(unix)] { fn b() {} }
            else { fn c() {} }
        }
        cfg_if! {
            if #[cfg(not(test))] { fn d() {} } else { fn e() {} }
        }
        cfg_if! { if #[cfg(all(unix, test))] { fn f() {} } else {} }
        """
    )
    assert [item.name for item in file.items] == ["b", "c", "d"]
    assert [skipped.name for skipped in file.skipped] == ["a", "e", "f"]


def test_items_of_a_macro_that_are_no_plain_rust_are_in_the_account() -> None:
    file = _parse("bitflags! { pub struct Sails: u8 { const MAIN = 1; } }")
    assert file.items == ()
    (skipped,) = file.skipped
    assert (skipped.name, skipped.reason) == (
        "bitflags",
        "items in a macro call that are not plain Rust",
    )


HARBOUR = """\
/// Counts boats.
pub fn library(x: u8) -> u8 {
    if x > 1 { x } else { let s = "a}{"; 2 }
}
#[cfg(test)]
mod checks {
    /// Makes a boat.
    fn helper_one() -> Boat { Boat { name: String::from("a") } }
    #[test]
    fn t() { assert_eq!(library(1), 2); for i in 0..3 { println!("{}", i); } }
    mod deep {
        /// Makes a deep boat.
        pub fn helper_two(x: &[u8]) -> Option<u8> { x.iter().map(|y| { y + 1 }).next() }
        impl Boat { fn helper_three(&self) -> u8 { if self.a > 1 { 1 } else { 2 } } }
    }
    /// Makes the last boat.
    fn helper_four() -> u8 { let c = '}'; 4 }
}
"""
MARKS = ("#[cfg(test)]", "#[test]")


@settings(max_examples=300, deadline=None)
@given(
    position=st.integers(0, len(HARBOUR) - 1),
    inserted=st.sampled_from([*"{}()[]\"'/*#;,<>!", ""]),
    removed=st.integers(0, 9),
)
def test_no_single_slip_makes_test_code_library_code(
    position: int, inserted: str, removed: int
) -> None:
    source = HARBOUR[:position] + inserted + HARBOUR[position + removed :]
    # A mark that is spelled wrongly is none.
    assume(all(source.count(mark) == HARBOUR.count(mark) for mark in MARKS))
    file = items_module.parse(source)
    assert [item.name for item in file.items if "helper" in item.name] == []


def test_an_attribute_marks_what_follows_a_semicolon() -> None:
    assert _parse(f"#[cfg(test)];\nmod checks {{ {HELPER} }}").items == ()
