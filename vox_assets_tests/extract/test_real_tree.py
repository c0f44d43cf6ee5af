"""Checks extraction on a real tree: set VOX_REAL_DIR to a checkout of vox-foundation/vox.

The tests read the sources with their own code, not with the code of the extractors.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
import tree_sitter
import tree_sitter_rust
import yaml

from vox_assets import profiles
from vox_assets.extract import Extraction, extract_docs, extract_rust
from vox_assets.vox_syntax import check

pytestmark = pytest.mark.slow

ROOT = Path(os.environ["VOX_REAL_DIR"])
LANGUAGE = tree_sitter.Language(tree_sitter_rust.language())

#: Limit for the tree's 743 pages on one core, including the start of the process.
DOCS_SECONDS = 10
MAX_RUST_RATIO = 3

_GATED = tree_sitter.Query(LANGUAGE, "(attribute_item) @attribute")
_TEST_WORD = re.compile(r"\btest\b|rstest|proptest|test_case|_test\b")
_DECLARATION = r"\b(?:fn|struct|enum|union|trait|type)\s+(?:r#)?{}\b"


def check_vox(source: str) -> str | None:
    diagnostics = check(source)
    return str(diagnostics[0]) if diagnostics else None


@pytest.fixture(scope="module")
def rust() -> Extraction:
    return extract_rust(ROOT, profiles.load("vox"), commit=None)


@pytest.fixture(scope="module")
def docs() -> Extraction:
    return extract_docs(ROOT, profiles.load("vox"), commit=None, check_vox=check_vox)


def _code(extraction: Extraction) -> pl.DataFrame:
    return extraction.rows.filter(pl.col("response_mode") == "code_only")


def _prose(extraction: Extraction) -> pl.DataFrame:
    return extraction.rows.filter(pl.col("response_mode") == "prose_only")


def test_there_are_enough_rust_rows(rust: Extraction) -> None:
    assert rust.rows.height >= 9_000


def test_there_are_enough_documentation_rows(docs: Extraction) -> None:
    assert docs.rows.height >= 1_500


def test_every_rust_answer_parses(rust: Extraction) -> None:
    parser = tree_sitter.Parser(LANGUAGE)
    broken = [
        symbol
        for symbol, response in _code(rust).select("source_symbol", "response").iter_rows()
        if parser.parse(response.encode()).root_node.has_error
    ]
    assert broken == []


def test_no_rust_row_comes_from_test_code(rust: Extraction) -> None:
    parser = tree_sitter.Parser(LANGUAGE)
    offending = []
    for (path,), group in rust.rows.group_by("source_path", maintain_order=True):
        assert not re.search(r"(?:^|/)(?:tests|benches|target)/", str(path))
        source = (ROOT / str(path)).read_bytes()
        root = parser.parse(source).root_node
        gated = []
        for attribute in tree_sitter.QueryCursor(_GATED).captures(root).get("attribute", []):
            text = (attribute.text or b"").decode()
            if _TEST_WORD.search(text) and not re.search(
                r'not\(\s*test|"[^"]*test|cfg_attr|doc', text
            ):
                item = attribute.next_named_sibling
                while item is not None and item.type in ("attribute_item", "line_comment"):
                    item = item.next_named_sibling
                if item is not None:
                    gated.append((item.start_point.row + 1, item.end_point.row + 1))
        modules = group.filter(pl.col("source_symbol").str.contains("::"))
        for symbol, family, start, end in modules.select(
            "source_symbol", "task_family", "source_start_line", "source_end_line"
        ).iter_rows():
            if any(first <= end and start <= last for first, last in gated):
                offending.append((path, symbol, family, start))
    assert offending == []


_TEST_MODULE = re.compile(
    r"#\[cfg\((?:all\(|any\()?\s*test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*"
    r"(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;"
)


def test_no_rust_row_comes_from_a_file_that_only_test_code_declares(rust: Extraction) -> None:
    with_rows = set(rust.rows["source_path"])
    offending = []
    for file in (ROOT / "crates").rglob("*.rs"):
        text = file.read_text(encoding="utf-8", errors="replace")
        folder = file.parent if file.stem in ("lib", "main", "mod") else file.parent / file.stem
        for name in _TEST_MODULE.findall(text):
            if re.search(rf"(?<!\]\s)^\s*(?:pub\s+)?mod\s+{name}\s*;", text, re.MULTILINE) is None:
                continue
            for target in (folder / f"{name}.rs", folder / name / "mod.rs"):
                path = target.relative_to(ROOT).as_posix()
                if path in with_rows:
                    offending.append((path, file))
    assert offending == []


def test_the_lines_of_a_row_contain_the_item_that_it_names(rust: Extraction) -> None:
    lines: dict[str, list[str]] = {}
    for path, symbol, start, end, family in rust.rows.select(
        "source_path", "source_symbol", "source_start_line", "source_end_line", "task_family"
    ).iter_rows():
        if path not in lines:
            lines[path] = (ROOT / path).read_text(encoding="utf-8-sig").split("\n")
        span = "\n".join(lines[path][start - 1 : end])
        name = symbol.rsplit("::", 1)[-1]
        is_module = family in ("explain_api", "use_api") and span.lstrip().startswith("//!")
        assert is_module or re.search(_DECLARATION.format(re.escape(name)), span), (path, symbol)


def test_every_file_is_accounted_for(rust: Extraction, docs: Extraction) -> None:
    for extraction, folder in ((rust, "crates"), (docs, "docs/src")):
        paths = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / folder).rglob("*")
            if path.is_file()
        }
        assert set(extraction.files["path"]) == paths
        assert extraction.files["path"].is_unique().all()
        inconsistent = extraction.files.filter(
            (pl.col("status") == "rows") == pl.col("reason").is_not_null()
        )
        assert inconsistent.is_empty()


def test_every_question_is_unique(rust: Extraction, docs: Extraction) -> None:
    for extraction in (docs, rust):
        duplicates = extraction.rows.filter(pl.col("prompt").is_duplicated())
        assert duplicates["prompt"].to_list() == []
        assert extraction.rows["pair_id"].is_unique().all()


def test_no_two_documentation_rows_share_an_answer(docs: Extraction) -> None:
    assert docs.rows.filter(pl.col("response").is_duplicated()).is_empty()


def test_no_row_comes_from_an_opted_out_page(docs: Extraction) -> None:
    eligible = 0
    for path in docs.rows["source_path"].unique():
        text = (ROOT / path).read_text(encoding="utf-8-sig")
        if text.startswith("---\n"):
            head = yaml.safe_load(text.split("\n---", 1)[0][4:])
            assert head.get("training_eligible") is not False, path
            assert head.get("status") != "deprecated", path
            eligible += 1
    assert eligible > 300


def test_no_include_directive_remains(docs: Extraction) -> None:
    for prompt, response in docs.rows.select("prompt", "response").iter_rows():
        assert "{{#" not in prompt + response
        assert "ANCHOR" not in response


_VOX_FENCE = re.compile(r"^[ \t>]*```vox(.*)\n((?:.*\n)*?)[ \t>]*```[ \t]*$", re.MULTILINE)


def _bare(code: str) -> str:
    """Remove indentation, blank lines and comment lines from code."""
    lines = (line.strip() for line in code.split("\n"))
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def test_no_skipped_snippet_becomes_a_row(docs: Extraction) -> None:
    skipped, shown = {}, set()
    for page in (ROOT / "docs/src").rglob("*.md"):
        for info, code in _VOX_FENCE.findall(page.read_text(encoding="utf-8", errors="replace")):
            if "skip" in info or "vox:skip" in code:
                skipped[_bare(code)] = page
            else:
                shown.add(_bare(code))
    assert len(skipped) > 100
    extracted = {_bare(response) for response in _code(docs)["response"]}
    assert [skipped[code] for code in extracted & skipped.keys() - shown] == []
    assert not any("vox:skip" in response for response in _code(docs)["response"])


def test_every_fence_is_balanced_and_has_its_own_line(rust: Extraction, docs: Extraction) -> None:
    fence = re.compile(r"^[ \t>]*(?:```|~~~)(.*)$", re.MULTILINE)
    for extraction in (rust, docs):
        for prompt, response in extraction.rows.select("prompt", "response").iter_rows():
            assert not fence.search(response)
            marks = [mark.strip() for mark in fence.findall(prompt)]
            assert marks == ["rust", ""] * (len(marks) // 2), prompt
    for response in _prose(docs)["response"]:
        assert "```" not in response


def test_prose_is_in_the_prose_lane_and_code_is_not(rust: Extraction, docs: Extraction) -> None:
    heading = re.compile(r"^#{1,6} ", re.MULTILINE)
    for extraction in (rust, docs):
        assert set(_prose(extraction)["lane"]) == {"vox_docs_qa"}
        assert "vox_docs_qa" not in set(_code(extraction)["lane"])
        assert not any(heading.search(response) for response in _prose(extraction)["response"])
    assert not any("<!--" in response for response in _prose(docs)["response"])


def test_lanes_follow_the_crates(rust: Extraction) -> None:
    lanes = {crate: set(group["lane"]) for (crate,), group in _code(rust).group_by("category")}
    assert lanes["vox-oratio"] == {"vox_speech"}
    assert lanes["vox-orchestrator-mcp"] == lanes["vox-cli"] == {"vox_tooling"}
    assert lanes["vox-compiler"] == lanes["vox-db"] == {"vox_codegen"}


def test_documentation_code_passes_the_grammar(docs: Extraction) -> None:
    assert [
        check_vox(response) for response in _code(docs)["response"] if check_vox(response)
    ] == []


def test_every_task_family_is_there(rust: Extraction) -> None:
    assert set(rust.rows["task_family"]) == {
        "implement_from_doc",
        "complete_signature",
        "define_type",
        "explain_api",
        "use_api",
    }


def test_questions_have_many_wordings(rust: Extraction, docs: Extraction) -> None:
    for extraction in (rust, docs):
        openings = Counter(" ".join(p.split()[:2]) for p in extraction.rows["prompt"])
        assert openings.most_common(1)[0][1] < 0.25 * extraction.rows.height
    assert not any(re.match(r"Implement the `\w+` function", p) for p in rust.rows["prompt"])


def test_two_runs_give_the_same_rows(rust: Extraction, docs: Extraction) -> None:
    profile = profiles.load("vox")
    assert extract_rust(ROOT, profile, commit=None).rows.equals(rust.rows)
    second = extract_docs(ROOT, profile, commit=None, check_vox=check_vox)
    assert second.rows.equals(docs.rows)


PROGRAM = """
import sys
from pathlib import Path
from vox_assets import profiles
from vox_assets.extract import extract_docs, extract_rust
root, profile = Path(sys.argv[1]), profiles.load("vox")
if sys.argv[2] == "rust":
    extract_rust(root, profile, commit=None)
else:
    extract_docs(root, profile, commit=None, check_vox=lambda source: None)
"""


def _process_seconds(side: str) -> float:
    """Measure the processor time of one process with its start; load on the machine is excluded."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", PROGRAM, str(ROOT), side], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _parsing_seconds(sources: list[bytes]) -> float:
    parser = tree_sitter.Parser(LANGUAGE)
    start = time.process_time()
    for source in sources:
        parser.parse(source)
    return time.process_time() - start


def test_rust_extraction_costs_little_more_than_parsing() -> None:
    sources = [path.read_bytes() for path in sorted((ROOT / "crates").rglob("*.rs"))]
    # Alternate and take the minimum of each, so that load on the machine affects both equally.
    timings = [(_parsing_seconds(sources), _process_seconds("rust")) for _ in range(3)]
    ratio = min(total for _, total in timings) / min(parsing for parsing, _ in timings)
    print(f"extraction costs {ratio:.2f} times a bare parse of {len(sources)} files")
    assert ratio <= MAX_RUST_RATIO


def test_documentation_extraction_takes_seconds() -> None:
    seconds = _process_seconds("docs")
    print(f"extraction of the pages takes {seconds:.2f} s of one core")
    assert seconds < DOCS_SECONDS
