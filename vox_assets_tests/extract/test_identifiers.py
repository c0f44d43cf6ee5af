"""The identifiers of a source tree are those of its code, programs and pages."""

from __future__ import annotations

from vox_assets.extract import SourceRoot
from vox_assets.extract.identifiers import identifiers
from vox_assets_tests.extract.conftest import WriteTree


def test_identifiers_of_code_tests_programs_and_pages_are_listed_once(
    write_tree: WriteTree,
) -> None:
    root = write_tree(
        {
            "crates/sea/src/lib.rs": "fn reef() { reef() }",
            "crates/sea/tests/reefing.rs": "fn unreef() {}",
            "crates/sea/notes.txt": "elsewhere",
            "docs/src/page.md": "`haul_up(1)`",
            "examples/golden/a.vox": "fn sail() {}",
        }
    )
    names = identifiers([SourceRoot("", root)])["name"].to_list()
    assert names == ["fn", "haul_up", "reef", "sail", "unreef"]


def test_a_tree_without_pages_has_the_identifiers_of_its_code(write_tree: WriteTree) -> None:
    root = write_tree({"crates/sea/src/lib.rs": "struct Reef;"})
    assert identifiers([SourceRoot("", root)])["name"].to_list() == ["Reef", "struct"]
