"""Each audit of extraction reports its fault and passes rows that only resemble it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from vox_assets.contract.rows import Drop, Reason, drops_to_frame, to_frame
from vox_assets.extract import audit
from vox_assets.extract.docs.mdbook import INCLUDE
from vox_assets.extract.source_tree import FILES_SCHEMA
from vox_assets.vox_syntax.parsers import vox_fault
from vox_assets_tests.conftest import make_pair


def files(*lines: tuple[str, str, str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        [(path, 1, status, reason, 0) for path, status, reason in lines],
        schema=FILES_SCHEMA,
        orient="row",
    )


def test_a_file_missing_from_the_files_table_is_reported(tmp_path: Path) -> None:
    (tmp_path / "crates").mkdir()
    for name in ("a.rs", "b.rs"):
        (tmp_path / "crates" / name).write_text("fn f() {}")
    row = to_frame([make_pair("p", "fn f() {}", source_path="crates/a.rs")])
    complete = files(("crates/a.rs", "rows", None), ("crates/b.rs", "no_rows", "nothing in it"))
    assert audit.files_accounted({"": tmp_path}, ["crates"], complete, row).passed
    verdict = audit.files_accounted({"": tmp_path}, ["crates"], complete.head(1), row)
    assert not verdict.passed
    assert "crates/b.rs is not accounted for" in verdict.summary
    without_reason = files(("crates/a.rs", "rows", None), ("crates/b.rs", "no_rows", None))
    assert not audit.files_accounted({"": tmp_path}, ["crates"], without_reason, row).passed


@pytest.mark.parametrize(
    "changes",
    [
        {"source_path": "crates/a/tests/it.rs"},
        {"source_symbol": "a::tests::helper"},
        {"response": "#[tokio::test]\nasync fn works() {}"},
        {"response": "impl A {\n    #[cfg(test)]\n    fn f() {}\n}"},
        {"response": '#[cfg(all(feature = "x", test))]\nfn f() {}'},
    ],
)
def test_test_code_is_reported(changes: dict) -> None:
    response = changes.pop("response", "fn f() {}")
    assert not audit.library_code_only(to_frame([make_pair("p", response, **changes)])).passed


@pytest.mark.parametrize(
    "response",
    [
        'fn f() -> bool {\n    line.contains("#[test]")\n}',
        "fn contest() {}",
        "#[cfg(not(test))]\nfn f() {}",
    ],
)
def test_code_that_only_mentions_tests_is_library_code(response: str) -> None:
    assert audit.library_code_only(to_frame([make_pair("p", response)])).passed


def test_unreplaced_includes_and_unresolved_includes_are_reported_separately() -> None:
    assert not audit.includes_replaced(to_frame([make_pair("p", "{{#include a.vox}}")])).passed
    assert audit.includes_replaced(to_frame([make_pair("p", "fn f() {}")])).passed
    unresolved = drops_to_frame(
        [Drop("doc_qa_pairs", Reason(INCLUDE, "'x': no such file"), "docs/a.md", 3)]
    )
    assert "docs/a.md:3" in audit.includes_found(unresolved).summary


@pytest.mark.parametrize(
    ("front", "eligible"),
    [
        ("title: A", True),
        ("training_eligible: false", False),
        ("training_eligible: 'no'", False),
        ("training_eligible: 0", False),
        ("training_eligible: 'yes'", True),
        ("status: deprecated", False),
        ("status: Legacy", False),
        ("status: archived", False),
        ("status: superseded", False),
        ("status: obsolete", False),
        ("status: draft", True),
        ("title: a: b", False),
        ("- a list", False),
        ("training_eligible: false\ntraining_eligible: true", False),
        (None, True),
    ],
)
def test_rows_of_opted_out_pages_are_reported(
    tmp_path: Path, front: str | None, eligible: bool
) -> None:
    page = tmp_path / "docs" / "a.md"
    page.parent.mkdir()
    page.write_text(f"---\n{front}\n---\n# A\n" if front else "# A\n")
    rows = to_frame([make_pair("p", "x", source_path="docs/a.md")])
    assert audit.eligible_pages_only({"": tmp_path}, rows).passed == eligible


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "---\ntitle: A\nstatus: legacy\n...\n# A\n"),
        ("a.md", "---\ntitle: A\n# A\n"),
        ("a.md", "\ufeff---\r\nstatus: archived\r\n---\r\n# A\r\n"),
        ("a.markdown", "---\nstatus: obsolete\n---\n# A\n"),
    ],
    ids=["closed by dots", "never closed", "byte order mark", "other ending"],
)
def test_front_matter_is_read_as_the_extractor_reads_it(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / name).write_bytes(text.encode())
    rows = to_frame([make_pair("p", "x", source_path=f"docs/{name}")])
    assert not audit.eligible_pages_only({"": tmp_path}, rows).passed


PROSE = {"lane": "vox_docs_qa", "response_mode": "prose_only", "language": "markdown"}


@pytest.mark.parametrize(
    ("response", "changes", "pure"),
    [
        ("A table keeps rows.", PROSE, True),
        ("Like so:\n\n```vox\nfn f() {}\n```", PROSE, False),
        ("A table keeps rows.", {**PROSE, "lane": "vox_codegen"}, False),
        ("fn f() to int {\n    return 1\n}", {"language": "vox"}, True),
        ("fn f() -> {", {"language": "vox"}, False),
        ("```\nfn f() {}\n```", {"language": "rust"}, False),
        ("~~~\nfn f() {}\n~~~", {"language": "rust"}, False),
        ("A table keeps rows.", {**PROSE, "lane": "vox_tooling"}, False),
        ("A table keeps rows.", {**PROSE, "lane": "vox_speech"}, False),
        ("fn f() {}", {"language": "rust", "lane": "vox_docs_qa"}, False),
    ],
)
def test_rows_that_mix_code_and_prose_are_reported(
    response: str, changes: dict, pure: bool
) -> None:
    rows = to_frame([make_pair("p", response, **changes)])
    assert audit.lane_purity(rows, vox_fault).passed == pure


LINE = "The keeper writes every boat into a book that nobody else may read."


@pytest.mark.parametrize(
    ("files", "response", "passes"),
    [
        ({"docs/out.md": f"---\ntraining_eligible: false\n---\n{LINE}\n"}, LINE, False),
        ({"docs/out.md": f"---\ntraining_eligible: false\n---\n{LINE}\n"}, "Other words.", True),
        ({"docs/out.md": f"---\nstatus: current\n---\n{LINE}\n"}, LINE, True),
        ({"docs/out.md": f"// training_eligible: false\n{LINE}\n"}, LINE, True),
        (
            {
                "docs/out.md": "{{#include ../examples/a.vox:x}}\n",
                "examples/a.vox": "// training_eligible: no\nfn count_boats() to int { ret 0 }",
            },
            "fn count_boats() to int { ret 0 }",
            False,
        ),
        (
            {"docs/out.md": f"---\ntraining_eligible: false\n---\n[{LINE}](x)\n"},
            LINE.replace("boat into", "boat\n*into*"),
            False,
        ),
    ],
)
def test_text_of_an_included_file_that_opted_out_is_found(
    tmp_path: Path, files: dict[str, str], response: str, passes: bool
) -> None:
    page = "# A\n\nText.\n\n{{#include out.md}}\n"
    for path, text in {"docs/a.md": page, **files}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    rows = to_frame([make_pair("p", response, source_path="docs/a.md")])
    verdict = audit.eligible_pages_only({"": tmp_path}, rows)
    assert verdict.passed == passes, verdict.summary
    if not passes:
        assert "docs/a.md: has text of" in verdict.summary


def test_a_line_that_the_page_has_too_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text(f"# A\n\n{LINE}\n\n{{{{#include out.md}}}}\n")
    (tmp_path / "docs/out.md").write_text(f"---\ntraining_eligible: false\n---\n{LINE}\n")
    rows = to_frame([make_pair("p", LINE, source_path="docs/a.md")])
    assert audit.eligible_pages_only({"": tmp_path}, rows).passed
