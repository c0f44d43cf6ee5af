"""A survey finds the Rust and the pages of a project of any layout, and the language they show."""

from __future__ import annotations

from pathlib import Path

import pytest

from vox_assets.extract import SourceError
from vox_assets.extract.survey import survey
from vox_assets_tests.extract.conftest import WriteTree

PACKAGE = '[package]\nname = "{}"\nlicense = "MIT"\n'
#: Five fences of a language, a mark of data, and one fence of another language.
PAGE = "# Page\n\n" + "```koto\nx = 1\n```\n\n" * 5 + "```toml\na = 1\n```\n\n```ts\nlet a;\n```\n"


def test_a_single_crate_with_plain_pages(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            "Cargo.toml": PACKAGE.format("sea-map"),
            "src/lib.rs": "",
            "examples/a.rs": "",
            "tests/docs/not.md": "# Not\n",
            "README.md": "# Sea Map\n",
            "docs/a.md": PAGE,
            "docs/deep/b.md": "# B\n",
        }
    )
    found = survey(root)
    assert (found.rust, found.docs) == (("examples", "src"), ("README.md", "docs"))
    assert (found.project, found.license, found.language) == ("Sea Map", "MIT", "koto")
    assert (found.pages, found.fences) == (3, {"koto": 5, "toml": 1, "ts": 1})


def test_a_workspace_and_a_book(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            "Cargo.toml": '[workspace]\nmembers = ["crates/*", "tools/build"]\n'
            '[workspace.package]\nlicense = "Apache-2.0"\n',
            "crates/a/Cargo.toml": PACKAGE.format("a"),
            "crates/b/Cargo.toml": PACKAGE.format("b"),
            "tools/build/Cargo.toml": PACKAGE.format("build"),
            "elsewhere/c/Cargo.toml": PACKAGE.format("c"),
            "guide/book.toml": '[book]\nsrc = "pages"\n',
            "guide/pages/SUMMARY.md": "# Summary\n",
            "guide/README.md": "# How to build the guide\n",
        }
    )
    found = survey(root)
    assert found.rust == ("crates", "tools/build")
    assert found.docs == ("guide/pages",)
    assert (found.packages, found.license) == (3, "Apache-2.0")


def test_few_fences_are_not_the_language_of_a_project(write_tree: WriteTree) -> None:
    root = write_tree({"README.md": "```ts\nlet a;\n```\n"})
    assert survey(root).language == "rust"


@pytest.mark.parametrize("manifest", ["[package", "package = 3", "workspace = {members = 3}", ""])
def test_a_manifest_that_says_nothing_is_passed_over(write_tree: WriteTree, manifest: str) -> None:
    root = write_tree({"Cargo.toml": manifest, "README.md": "# A\n"})
    assert survey(root).docs == ("README.md",)


def test_a_folder_without_sources_is_refused(write_tree: WriteTree, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"neither a Cargo\.toml with Rust code nor Markdown"):
        survey(write_tree({"notes.txt": "a"}))
    with pytest.raises(SourceError, match="no such folder; expected the root of a project"):
        survey(tmp_path / "nowhere")
