"""Both extractors on small complete trees: they account for every file and are deterministic."""

from __future__ import annotations

import os
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vox_assets.contract import rows
from vox_assets.extract import (
    FILES_SCHEMA,
    Extraction,
    SourceError,
    audit,
    extract_docs,
    extract_rust,
)
from vox_assets.profiles import Folders, Grammar, Profile
from vox_assets.vox_syntax.frontend import one_by_one
from vox_assets.vox_syntax.other_languages import TreeSitter
from vox_assets_tests.extract.conftest import WriteTree

LONG = "The harbour master writes down every boat that leaves, with the hour and the crew. "

RUST: dict[str, str | bytes] = {
    "crates/sea-map/Cargo.toml": '[package]\nname = "sea-map"\ndescription = "Sea maps."\n',
    "crates/sea-map/src/lib.rs": "mod tiles;\n#[cfg(test)] mod checks;\n",
    "crates/sea-map/src/tiles.rs": (
        "/// Cuts the map into squares of one sea mile.\r\n"
        "pub fn cut(size: u8) -> u8 {\r\n    size / 2\r\n}\r\n"
    ),
    "crates/sea-map/src/checks.rs": "fn helper() { 1; 2; }\nfn other() {\n a();\n b();\n c();\n}",
    "crates/sea-map/tests/all.rs": "/// Tests everything that there is to test.\nfn a() { 1 }",
    "crates/sea-map/src/latin.rs": b"// caf\xe9\nfn a() {}\n",
    "crates/sea-map/src/bom.rs": (
        b"\xef\xbb\xbf/// Measures how deep the water is here.\nfn depth() -> u8 { 3 }\n"
    ),
    "crates/sea-map/src/empty.rs": "",
    "crates/sea-map/src/cut.rs": (
        "/// Names the harbour that lies to the north.\nfn north() -> u8 { 4 }\nfn south() { if"
    ),
    "crates/sea-map/README.md": "# no Rust\n",
    "crates/sea-map/src/made.rs": "// @generated\nfn a() {\n b();\n c();\n d();\n}",
}

DOCS: dict[str, str | bytes] = {
    "docs/src/a.md": f"# A\n\n{LONG * 3}\n",
    "docs/src/b.md": f"---\ntraining_eligible: false\n---\n# B\n\n{LONG * 3} B.\n",
    "docs/src/c.md": f"---\nstatus: deprecated\n---\n# C\n\n{LONG * 3} C.\n",
    "docs/src/d.md": f"---\ntitle: [\n---\n# D\n\n{LONG * 3} D.\n",
    "docs/src/copy.md": f"# Copy\n\n{LONG * 3}\n",
    "docs/src/x/twin.md": f"---\ntitle: Twin\n---\n## S\n\n{LONG * 3} x.\n",
    "docs/src/y/twin.md": f"---\ntitle: Twin\n---\n## S\n\n{LONG * 3} y.\n",
    "docs/src/latin.md": b"# caf\xe9\n",
    "docs/src/chart.png": b"\x89PNG",
    "docs/src/code.md": "# Code\n\n```vox\n{{#include ../../examples/a.vox}}\n```\n",
    "examples/a.vox": "fn tide() to int { return 3 }\n",
}


def _rust(root: Path, profile: Profile) -> Extraction:
    return extract_rust(root, profile, commit="c0ffee")


def _docs(root: Path, profile: Profile) -> Extraction:
    return extract_docs(root, profile, commit=None, check_vox=lambda _: None)


def _check(extraction: Extraction) -> None:
    """Assert the invariants of every extraction."""
    assert extraction.rows.schema == rows.SCHEMA
    assert extraction.files.schema == FILES_SCHEMA
    assert extraction.drops.schema == rows.DROP_SCHEMA
    assert extraction.rows["pair_id"].is_unique().all()
    files = extraction.files
    assert files["path"].is_unique().all()
    assert files["path"].to_list() == sorted(files["path"])
    assert files["rows"].sum() == extraction.rows.height
    with_rows = {path for path, status in files.select("path", "status").rows() if status == "rows"}
    assert with_rows == set(extraction.rows["source_path"])
    assert all(
        (reason is None) == (status == "rows")
        for reason, status in files.select("reason", "status").rows()
    )


def _accounts(extraction: Extraction) -> dict[str, tuple[str, str | None]]:
    return {
        path.rsplit("/", 1)[1]: (status, reason)
        for path, status, reason in extraction.files.select("path", "status", "reason").rows()
    }


def test_every_rust_file_gives_rows_or_a_reason(write_tree: WriteTree, profile: Profile) -> None:
    messages: list[str] = []
    extraction = extract_rust(write_tree(RUST), profile, commit="c0ffee", log=messages.append)
    _check(extraction)
    assert _accounts(extraction) == {
        "Cargo.toml": ("excluded", "not Rust"),
        "README.md": ("excluded", "not Rust"),
        "bom.rs": ("rows", None),
        "checks.rs": ("excluded", "test code: only #[cfg(test)] pulls it in"),
        "cut.rs": ("rows", None),
        "empty.rs": ("no_rows", "it contains nothing that becomes a row"),
        "latin.rs": ("unreadable", "not UTF-8: byte 0xe9 at offset 6"),
        "lib.rs": ("no_rows", "it contains nothing that becomes a row"),
        "made.rs": ("excluded", "generated: its header says '@generated'"),
        "all.rs": ("excluded", "test code: tests/ folder"),
        "tiles.rs": ("rows", None),
    }
    assert messages == ["crates/sea-map/src/latin.rs: not UTF-8: byte 0xe9 at offset 6"]
    assert set(extraction.rows["source_symbol"]) == {
        "sea_map::tiles::cut",
        "sea_map::bom::depth",
        "sea_map::cut::north",
    }
    assert set(extraction.rows["source_commit"]) == {"c0ffee"}
    tiles = extraction.rows.filter(extraction.rows["source_path"].str.ends_with("tiles.rs"))
    assert tiles["source_start_line"].to_list() == [1]
    assert tiles["source_end_line"].to_list() == [4]
    assert "\r" not in tiles["response"][0]


def test_every_page_gives_rows_or_a_reason(write_tree: WriteTree, profile: Profile) -> None:
    extraction = _docs(write_tree(DOCS), profile)
    _check(extraction)
    accounts = _accounts(extraction)
    assert accounts["b.md"] == ("excluded", "training_eligible: false")
    assert accounts["c.md"] == ("excluded", "status: deprecated")
    assert accounts["d.md"][0] == "excluded"
    assert accounts["latin.md"] == ("unreadable", "not UTF-8: byte 0xe9 at offset 5")
    assert accounts["chart.png"] == ("excluded", "not Markdown")
    assert accounts["a.md"] == ("rows", None)
    code = extraction.rows.filter(extraction.rows["response_mode"] == "code_only")
    assert code["response"].to_list() == ["fn tide() to int { return 3 }"]


def test_the_title_of_a_page_is_its_heading_and_not_a_line_of_code(
    write_tree: WriteTree, profile: Profile
) -> None:
    page = f"```sh\n# comment\n```\n\nHarbour *guide*\n===\n\n{LONG * 3}\n"
    (prompt,) = _docs(write_tree({"docs/src/a.md": page}), profile).rows["prompt"]
    assert "Harbour *guide*" in prompt
    assert "comment" not in prompt


def test_pages_of_one_title_get_distinct_questions_and_repeated_answers_are_dropped(
    write_tree: WriteTree, profile: Profile
) -> None:
    extraction = _docs(write_tree(DOCS), profile)
    twins = extraction.rows.filter(extraction.rows["source_path"].str.contains("twin"))
    assert twins["prompt"].n_unique() == 2
    assert all("twin.md" in prompt for prompt in twins["prompt"])
    repeats = extraction.drops.filter(extraction.drops["lost_to"].is_not_null())
    assert repeats["reason"].to_list() == ["an earlier row has the same answer"]
    assert repeats["lost_to"][0] in set(extraction.rows["pair_id"])


def test_a_file_without_read_permission_is_accounted_for(profile: Profile) -> None:
    # Not in tmp_path: only the user who runs the tests may enter that folder.
    with tempfile.TemporaryDirectory() as folder, as_ordinary_user(Path(folder)):
        root = Path(folder)
        for name, text in {"crates/a/src/lib.rs": "fn a() {}", "docs/src/a.md": "# A"}.items():
            (root / name).parent.mkdir(parents=True)
            (root / name).write_text(text)
            (root / name).chmod(0)
        assert _accounts(_rust(root, profile))["lib.rs"] == ("unreadable", "permission denied")
        assert _accounts(_docs(root, profile))["a.md"] == ("unreadable", "permission denied")


@contextmanager
def as_ordinary_user(folder: Path) -> Iterator[None]:
    """If the tests run as root, who can read every file, act as another user who owns `folder`."""
    if os.geteuid() != 0:
        yield
        return
    nobody = 65534
    os.chown(folder, nobody, nobody)
    os.seteuid(nobody)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_of_ten_megabytes_is_not_parsed(write_tree: WriteTree, profile: Profile) -> None:
    long = b"/// Counts.\nfn a() -> u8 { 1 }\n" * 400_000
    extraction = _rust(write_tree({"crates/a/src/lib.rs": long}), profile)
    assert _accounts(extraction)["lib.rs"] == ("excluded", "larger than 2,000,000 bytes")


def test_two_runs_give_the_same_rows_in_the_same_order(
    write_tree: WriteTree, profile: Profile
) -> None:
    root = write_tree(RUST | DOCS)
    for extract in (_rust, _docs):
        first, second = extract(root, profile), extract(root, profile)
        assert first.rows.equals(second.rows)
        assert first.files.equals(second.files)
        assert first.drops.equals(second.drops)


def test_moving_the_root_changes_no_row(
    write_tree: WriteTree, profile: Profile, tmp_path: Path
) -> None:
    root = write_tree(RUST)
    before = _rust(root, profile)
    after = _rust(root.rename(tmp_path / "elsewhere"), profile)
    assert before.rows.equals(after.rows)


@pytest.mark.parametrize(("extract", "folder"), [(_rust, "crates"), (_docs, "docs/src")])
def test_a_missing_folder_is_a_one_line_error(
    extract: object, folder: str, tmp_path: Path, profile: Profile
) -> None:
    assert callable(extract)
    with pytest.raises(SourceError) as error:
        extract(tmp_path, profile)
    assert folder in str(error.value)
    assert "expected" in str(error.value)
    assert "\n" not in str(error.value)


def test_empty_folders_give_empty_tables(tmp_path: Path, profile: Profile) -> None:
    (tmp_path / "crates").mkdir()
    (tmp_path / "docs" / "src").mkdir(parents=True)
    _check(_rust(tmp_path, profile))
    _check(_docs(tmp_path, profile))


@pytest.mark.parametrize(
    "include",
    ["../../../secret.vox", "../../link.vox", "../../linked/secret.vox", "/etc/hostname"],
)
def test_no_include_reads_outside_the_root(
    write_tree: WriteTree, profile: Profile, include: str
) -> None:
    page = f"# A\n\n```vox\n{{{{#include {include}}}}}\n```\n"
    root = write_tree({"docs/src/a.md": page})
    outside = root.parent / "secret.vox"
    outside.write_text("fn secret() to int { return 42 }\n")
    (root / "link.vox").symlink_to(outside)
    (root / "linked").symlink_to(root.parent)
    extraction = _docs(root, profile)
    assert extraction.rows.is_empty()
    assert extraction.drops["reason"].str.starts_with("include").any()


def test_a_question_about_a_method_shows_its_type_from_another_file(
    write_tree: WriteTree, profile: Profile
) -> None:
    root = write_tree(
        {
            "crates/a/src/lib.rs": "mod s; mod t;",
            "crates/a/src/s.rs": "pub struct Sail { pub area: f64 }",
            "crates/a/src/t.rs": textwrap.dedent(
                """
                impl crate::s::Sail {
                    /// How far the boat goes in an hour with this sail.
                    pub fn speed(&self) -> f64 { self.area * 2.0 }
                }
                """
            ),
        }
    )
    (prompt,) = _rust(root, profile).rows["prompt"]
    assert "pub struct Sail { pub area: f64 }" in prompt


@pytest.mark.parametrize(
    ("books", "folder"),
    [
        ({"docs/book.toml": "[book]\nsrc = 'content'\n"}, "docs/content"),
        ({"docs/book.toml": "[book]\nsrc = '.'\n"}, "docs"),
        ({"docs/book.toml": "[book]\ntitle = 'T'\n"}, "docs/src"),
        ({"book.toml": "[book]\nsrc = 'docs/content'\n"}, "docs/content"),
        ({}, "docs/src"),
    ],
)
def test_pages_are_where_the_book_has_them(
    write_tree: WriteTree, profile: Profile, books: dict[str, str], folder: str
) -> None:
    page = f"# A\n\n{LONG * 3}\n"
    extraction = _docs(write_tree({**books, f"{folder}/how/a.md": page}), profile)
    _check(extraction)
    assert extraction.rows.select("source_path", "category").rows() == [
        (f"{folder}/how/a.md", "how")
    ]


@pytest.mark.parametrize(
    "book",
    [
        "[book\n",
        "[book]\nsrc = 3\n",
        "[book]\nsrc = '../../..'\n",
        "[book]\nsrc = '/etc'\n",
        "book = 3\n",
        "[book]\nsrc = 'nowhere'\n",
    ],
)
def test_a_book_that_names_no_folder_is_one_clear_line(
    write_tree: WriteTree, profile: Profile, book: str
) -> None:
    root = write_tree({"docs/book.toml": book, "docs/src/a.md": "# A"})
    with pytest.raises(SourceError, match="expected") as error:
        _docs(root, profile)
    assert "\n" not in str(error.value)
    assert "docs/" in str(error.value)


def test_no_row_has_text_of_a_page_that_opted_out(write_tree: WriteTree, profile: Profile) -> None:
    secret = "The keeper writes every boat into a book that nobody else may read at all. "
    head = "---\ntraining_eligible: false\n---\n"
    root = write_tree(
        {
            "docs/src/out.md": f"{head}# Out\n\n<!-- ANCHOR: x -->\n{secret * 3}\n",
            "docs/src/a.md": (
                f"# A\n\n{LONG * 3}\n\n{{{{#include out.md}}}}\n\n- {{{{#include out.md:x}}}}\n\n"
                f"| a |\n|---|\n| {{{{#include out.md:7}}}} |\n\n"
                "Inline {{#include out.md:x}}.\n"
            ),
            "docs/src/between.md": f"# B\n\n{LONG * 3} B.\n\n{{{{#include a.md}}}}\n",
        }
    )
    extraction = _docs(root, profile)
    _check(extraction)
    assert extraction.rows.height == 2
    for prompt, response in extraction.rows.select("prompt", "response").rows():
        assert "keeper" not in prompt + response
    kinds = extraction.drops.filter(extraction.drops["source_path"] == "docs/src/a.md")["kind"]
    assert set(kinds) == {"the included file opted out"}
    assert audit.eligible_pages_only({"": root}, extraction.rows).passed


def test_a_shared_page_that_is_included_is_read_as_a_page(
    write_tree: WriteTree, profile: Profile
) -> None:
    root = write_tree(
        {
            "docs/src/a.md": "# A\n\n{{#include part.txt}}\n",
            "docs/src/part.txt": f"# Part\n{LONG * 3}\n- one\n- two\n",
        }
    )
    (row,) = _docs(root, profile).rows.rows(named=True)
    assert row["response"] == f"{(LONG * 3).strip()}\n\n- one\n- two"
    assert row["source_symbol"] == "Part"


@pytest.mark.parametrize(
    ("head", "path"),
    [
        ("use sea_map::{tide::Tide, tide};", "Tide::at(1, tide::DEPTH)"),
        ("use sea_map::tide::Tide as Ebb;", "Ebb::at(1, sea_map::tide::DEPTH)"),
        ("", "sea_map::tide::Tide::at(1, sea_map::tide::DEPTH)"),
        ("", "{ use sea_map::{tide::{self, Tide}}; Tide::at(1, tide::DEPTH) }"),
    ],
)
def test_a_question_shows_declarations_that_are_imported_from_another_crate(
    write_tree: WriteTree, profile: Profile, head: str, path: str
) -> None:
    tide = "pub struct Tide;\nimpl Tide { pub fn at(hour: u8, depth: u8) -> u8 { hour } }\n"
    root = write_tree(
        {
            "crates/sea-map/Cargo.toml": '[package]\nname = "sea-map"',
            "crates/sea-map/src/tide.rs": f"{tide}pub const DEPTH: u8 = 3;",
            "crates/boat/Cargo.toml": '[package]\nname = "boat"',
            "crates/boat/src/lib.rs": (
                f"{head}\nfn sail() -> u8 {{\n    let a = {path};\n    let b = a;\n    b\n}}"
            ),
            # A crate of the same names that nothing imports.
            "crates/other/src/tide.rs": "pub struct Tide { other: u8 }\nconst DEPTH: u8 = 9;",
        }
    )
    rows = _rust(root, profile).rows.rows(named=True)
    (prompt,) = (row["prompt"] for row in rows if "boat" in row["source_path"])
    assert "impl Tide {\n    pub fn at(hour: u8, depth: u8) -> u8;\n}" in prompt
    assert "pub const DEPTH: u8 = 3;" in prompt
    assert "other" not in prompt
    assert "DEPTH: u8 = 9" not in prompt


OTHER: dict[str, str | bytes] = {
    "Cargo.toml": '[package]\nname = "tide"\n[workspace]\nmembers = ["kits/*"]\n',
    "src/lib.rs": "/// Says how high the water stands.\npub fn level() -> u8 {\n    3\n}\n",
    "kits/rope/Cargo.toml": '[package]\nname = "rope"\n',
    "kits/rope/src/lib.rs": (
        "/// Ties one rope to another rope with a knot.\npub fn tie() -> u8 {\n    4\n}\n"
    ),
    "README.md": f"# Tide\n\n{LONG * 3}\n\n```nu\nlet depth = 3 + 4\n```\n",
    "manual/ports/north.md": f"# North\n\n{LONG * 3} North.\n",
    "elsewhere/lib.rs": "/// Is in no folder that is read.\npub fn lost() -> u8 {\n    5\n}\n",
}


def other(profile: Profile) -> Profile:
    """Make a profile of another language, with other folders."""
    folders = Folders(rust=("src", "kits"), docs=("README.md", "manual"))
    changes = {"language": "nu", "frontend": "none", "project": "Tide", "folders": folders}
    return profile.model_copy(update=changes)


def test_the_profile_names_the_folders_and_files_of_the_sources(
    write_tree: WriteTree, profile: Profile
) -> None:
    root = write_tree(OTHER)
    rust = extract_rust(root, other(profile), commit=None).rows
    assert dict(rust.select("source_symbol", "category").rows()) == {
        "tide::level": "tide",
        "rope::tie": "rope",
    }
    docs = extract_docs(root, other(profile), commit=None, check_vox=lambda code: None)
    assert docs.files["path"].to_list() == ["README.md", "manual/ports/north.md"]
    assert dict(docs.rows.select("source_path", "category").rows()) == {
        "README.md": "overview",
        "manual/ports/north.md": "ports",
    }


def test_a_question_names_the_project_and_the_language(
    write_tree: WriteTree, profile: Profile
) -> None:
    rows = extract_docs(
        write_tree(OTHER), other(profile), commit=None, check_vox=lambda code: None
    ).rows
    assert all("Tide" in prompt and "Vox" not in prompt for prompt in rows["prompt"])
    (code,) = rows.filter(response_mode="code_only").rows(named=True)
    assert "Nu" in code["prompt"]
    assert code["response"] == "let depth = 3 + 4"
    assert code["language"] == "nu"
    assert code["task_family"] == "docs_code_unchecked"


def test_a_folder_of_the_profile_that_is_missing_is_named(
    write_tree: WriteTree, profile: Profile
) -> None:
    root = write_tree({"src/lib.rs": ""})
    with pytest.raises(SourceError, match="kits: no such folder; expected a folder of Rust crates"):
        extract_rust(root, other(profile), commit=None)


@pytest.mark.parametrize(
    ("fence", "answers"),
    [
        ("rust\n# use a::b;\nlet depth = b();\n##[test]", ["let depth = b();\n#[test]"]),
        (
            "rust\n{\n    let depth = 3;\n}\nsound(depth)",
            ["{\n    let depth = 3;\n}\nsound(depth)"],
        ),
        ("rust\nlet depth = = 3;", []),
        ("rust,compile_fail\nlet depth: u8 = 3.5;", []),
    ],
)
def test_rust_on_pages_is_read_as_rustdoc_reads_it(
    write_tree: WriteTree, profile: Profile, fence: str, answers: list[str]
) -> None:
    root = write_tree({"README.md": f"# Tide\n\n```{fence}\n```\n"})
    policy = profile.model_copy(
        update={
            "language": "rust",
            "frontend": Grammar(grammar="tree_sitter_rust"),
            "folders": Folders(rust=(), docs=("README.md",)),
        }
    )
    check = one_by_one(TreeSitter("tree_sitter_rust"))
    rows = extract_docs(root, policy, commit=None, check_vox=check).rows
    assert rows["response"].to_list() == answers
    assert extract_rust(root, policy, commit=None).rows.is_empty()


def test_an_example_without_words_says_what_it_is_of(
    write_tree: WriteTree, profile: Profile
) -> None:
    above = "## clear\n\n```text\n|List| -> List\n```\n\nRemoves every boat from the list.\n\n"
    page = f"# Lists\n\n{above}### Example\n\n```nu\nlet boats = 3 + 4\n```\n"
    root = write_tree({"src/lib.rs": "", "kits/a.rs": "", "README.md": page, "manual/a.md": ""})
    rows = extract_docs(root, other(profile), commit=None, check_vox=lambda code: None).rows
    (code,) = rows.filter(response_mode="code_only").rows(named=True)
    assert code["prompt"].endswith("\n\nRemoves every boat from the list.")
