"""Several source roots give one table, in which every row names its repository."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from vox_assets.contract.rows import pair_id
from vox_assets.extract import (
    Extraction,
    SourceError,
    audit,
    extract_docs_of,
    extract_rust,
    extract_rust_of,
    git_commit,
    reader_of,
    source_roots,
)
from vox_assets.extract.docs.mdbook import IncludeError
from vox_assets.profiles import RESERVED_NAMES, Profile, Repository
from vox_assets.vox_syntax.parsers import vox_fault

CLOCK = """//! Turning instants into what a person reads on a wall clock, whatever the zone.

/// Seconds since midnight as hours and minutes, the seconds cut off.
pub fn wall_time(seconds: u32) -> (u32, u32) {
    let minutes = seconds / 60;
    (minutes / 60 % 24, minutes % 60)
}
"""
LEDGER = """
/// Adds an amount in cents to the balance and says whether the account is in credit.
pub fn book(balance: &mut i64, cents: i64) -> bool {
    *balance += cents;
    *balance >= 0
}
"""
PAGE = """# Introduction

{about} keeps its promises in small steps. Every step is checked before the next one begins, and
what was checked once is never taken on trust again by any later step of the same run.

```vox
{{{{#include ../../examples/first.vox}}}}
```
"""
FIRST = "fn {name}(n: int) to int {{\n    return n + {n}\n}}\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Write the main repository and `../other`, which contains a copy of its crate `clock`."""
    for name, number in (("main", 1), ("other", 2)):
        root = tmp_path / name
        _write(root / "crates/clock/Cargo.toml", '[package]\nname = "clock"\n')
        _write(root / "crates/clock/src/lib.rs", CLOCK)
        _write(root / "docs/src/intro.md", PAGE.format(about=name.capitalize()))
        _write(root / "examples/first.vox", FIRST.format(name=f"add_{name}", n=number))
    _write(tmp_path / "other/crates/books/src/lib.rs", LEDGER)
    return tmp_path / "main"


@pytest.fixture
def both(profile: Profile) -> Profile:
    return named(profile, main=".", other="../other")


def named(profile: Profile, /, **roots: str) -> Profile:
    content = profile.model_dump()
    content["repositories"] = [{"name": name, "root": root} for name, root in roots.items()]
    return Profile.model_validate(content)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def rust(profile: Profile, source_dir: Path) -> Extraction:
    return extract_rust_of(source_roots(profile, source_dir), profile, lambda line: None)


def docs(profile: Profile, source_dir: Path) -> Extraction:
    roots = source_roots(profile, source_dir)
    return extract_docs_of(roots, profile, vox_fault, lambda line: None)


def test_an_unnamed_root_gives_the_same_tables_as_one_extraction(
    profile: Profile, workspace: Path
) -> None:
    plain = extract_rust(workspace, profile, commit=None)
    extraction = rust(profile, workspace)
    assert extraction.rows.equals(plain.rows)
    assert extraction.files.equals(plain.files)
    assert extraction.drops.equals(plain.drops)


def test_paths_and_categories_begin_with_the_repository(both: Profile, workspace: Path) -> None:
    rows = rust(both, workspace).rows
    books = rows.filter(pl.col("source_symbol") == "books::book")
    assert set(books["source_path"]) == {"other/crates/books/src/lib.rs"}
    assert set(books["category"]) == {"other/books"}
    assert both.locate(books["source_path"][0]) == ("other", "crates/books/src/lib.rs")


def test_a_row_of_two_repositories_is_kept_once_and_its_copy_is_a_drop(
    profile: Profile, both: Profile, workspace: Path
) -> None:
    alone = rust(profile, workspace).rows
    extraction = rust(both, workspace)
    kept = extraction.rows.filter(pl.col("source_path").str.contains("clock"))
    assert kept["pair_id"].to_list() == alone["pair_id"].to_list(), (
        "an id depends on the content alone"
    )
    assert set(kept["source_path"]) == {"main/crates/clock/src/lib.rs"}
    copies = extraction.drops.filter(pl.col("lost_to").is_not_null())
    assert copies["lost_to"].to_list() == kept["pair_id"].to_list()
    assert set(copies["source_path"]) == {"other/crates/clock/src/lib.rs"}


def test_the_repository_that_is_listed_first_keeps_a_common_row(
    profile: Profile, workspace: Path
) -> None:
    rows = rust(named(profile, other="../other", main="."), workspace).rows
    clock = rows.filter(pl.col("source_path").str.contains("clock"))
    assert set(clock["source_path"]) == {"other/crates/clock/src/lib.rs"}


def test_questions_about_pages_of_one_title_name_the_repository(
    both: Profile, workspace: Path
) -> None:
    rows = docs(both, workspace).rows
    prose = rows.filter(pl.col("response_mode") == "prose_only")
    assert [("main" in q, "other" in q) for q in prose["prompt"]] == [(True, False), (False, True)]
    assert prose["pair_id"].n_unique() == 2
    assert prose["pair_id"][0] == pair_id(prose["lane"][0], prose["messages"][0])


def test_rows_of_a_repository_do_not_depend_on_other_repositories(
    profile: Profile, both: Profile, workspace: Path
) -> None:
    alone = docs(named(profile, main="."), workspace).rows
    together = docs(both, workspace).rows.filter(pl.col("source_path").str.starts_with("main/"))
    assert together.equals(alone)


def test_includes_are_confined_to_their_own_root(both: Profile, workspace: Path) -> None:
    code = docs(both, workspace).rows.filter(pl.col("response_mode") == "code_only")
    assert ["add_main" in text for text in code["response"]] == [True, False]
    _write(
        workspace.parent / "other/examples/first.vox", "{{#include ../../main/examples/first.vox}}"
    )
    extraction = docs(both, workspace)
    assert "add_main" not in "".join(
        extraction.rows.filter(pl.col("source_path").str.starts_with("other/"))["response"]
    )
    assert any("leads out of the source root" in reason for reason in extraction.drops["reason"])
    read = reader_of(source_roots(both, workspace))
    assert read("main/examples/first.vox") == FIRST.format(name="add_main", n=1)
    for path in ("other/../main/examples/first.vox", "third/examples/first.vox", "main", ""):
        with pytest.raises(IncludeError):
            read(path)


def test_a_lane_rule_may_name_a_repository(profile: Profile, workspace: Path) -> None:
    content = named(profile, main=".", other="../other").model_dump()
    content["lane_rules"] = [
        {"lane": "vox_docs_qa", "mode": "prose_only"},
        {"lane": "vox_tooling", "repository": "oth*"},
        {"lane": "vox_codegen"},
    ]
    policy = Profile.model_validate(content)
    rows = pl.concat([rust(policy, workspace).rows, docs(policy, workspace).rows])
    lanes = rows.filter(pl.col("response_mode") == "code_only").select(
        pl.col("source_path").str.split("/").list.first(), "lane"
    )
    assert set(lanes.iter_rows()) == {("main", "vox_codegen"), ("other", "vox_tooling")}
    assert policy.lane_for("synthetic", "code_only", "synthesize/templates/a.vox.j2") == (
        "vox_codegen"
    )


def test_every_file_of_every_root_is_accounted_for(both: Profile, workspace: Path) -> None:
    roots = {root.prefix: root.directory for root in source_roots(both, workspace)}
    extraction = rust(both, workspace)
    assert audit.files_accounted(roots, ["crates"], extraction.files, extraction.rows).passed
    main_files = extraction.files.filter(pl.col("path").str.starts_with("main/"))
    verdict = audit.files_accounted(roots, ["crates"], main_files, extraction.rows)
    assert "other/crates/books/src/lib.rs is not accounted for" in verdict.summary
    pages = docs(both, workspace).rows
    assert audit.eligible_pages_only(roots, pages).passed
    _write(workspace.parent / "other/docs/src/intro.md", "---\nstatus: deprecated\n---\n# I\n")
    assert "other/docs/src/intro.md" in audit.eligible_pages_only(roots, pages).summary


def test_a_side_may_be_missing_in_one_repository_but_not_in_all(
    both: Profile, workspace: Path
) -> None:
    shutil.rmtree(workspace.parent / "other/docs")
    assert set(docs(both, workspace).rows["source_path"]) == {"main/docs/src/intro.md"}
    shutil.rmtree(workspace / "docs")
    with pytest.raises(SourceError, match="docs/src: no such folder"):
        docs(both, workspace)


def test_every_row_has_the_commit_of_its_own_repository(both: Profile, workspace: Path) -> None:
    other = workspace.parent / "other"
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--message", "m"],
    ):
        subprocess.run(["git", "-C", str(other), *command], check=True)
    commit = git_commit(other)
    assert commit is not None
    rows = rust(both, workspace).rows
    name = pl.col("source_path").str.split("/").list.first()
    assert set(rows.select(name, "source_commit").iter_rows()) == {
        ("main", None),
        ("other", commit),
    }


@pytest.mark.parametrize(
    ("roots", "message"),
    [
        ({"main": ".", "other": "../nowhere"}, "'other': .*nowhere holds neither crates/ nor docs"),
        ({"main": ".", "other": "examples/first.vox"}, "'other': .*holds neither"),
        ({"main": ".", "other": "round"}, "'other': .*holds neither"),
        ({"main": ".", "again": "../main"}, "'again': .* is read as a part of 'main' already"),
        ({"part": "crates/inner", "main": "."}, "'main': .* is read as a part of 'part' already"),
    ],
)
def test_an_empty_or_overlapping_root_is_refused_in_one_line(
    profile: Profile, workspace: Path, roots: dict[str, str], message: str
) -> None:
    _write(workspace / "crates/inner/crates/a/src/lib.rs", LEDGER)
    (workspace / "round").symlink_to(workspace / "round")
    with pytest.raises(SourceError, match=f"profile 'sample': repositories: root of {message}"):
        source_roots(named(profile, **roots), workspace)


@given(name=st.text(max_size=70), below=st.text(max_size=20))
@example(name="vox\n", below="crates/a.rs")
@example(name="..", below="etc/passwd")
@example(name="a..b", below="../crates/a.rs")
@example(name="tests", below="crates/a.rs")
@example(name="profile", below="")
def test_a_repository_name_is_a_safe_path_component_or_refused(
    profile: Profile, name: str, below: str
) -> None:
    try:
        Repository(name=name, root=".")
        policy = named(profile, **{name: "."})
    except ValidationError:
        return
    assert name == Path(name).name and name.isascii() and name.isprintable() and name != ".."
    assert name not in RESERVED_NAMES and name == name.lower().strip()
    assert policy.locate(f"{name}/{below}") == (name, below)
    assert policy.locate(f"{name}x/{below}") == ("", f"{name}x/{below}")
