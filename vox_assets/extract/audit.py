"""Statements that must hold of what was extracted, checked against the tree and not the code.

Each is a predicate over tables and, where possible, over the sources themselves. It shares
definitions with the extractor, but never calls the extractor whose work it judges.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import yaml

from vox_assets import rust_syntax
from vox_assets.contract.answers import mode_fault
from vox_assets.contract.verdict import Verdict
from vox_assets.extract.docs import mdbook
from vox_assets.extract.docs.eligibility import opted_out

_TEST_PATH = re.compile(r"(?:^|/)(?:tests|benches|target)/")
_TEST_ATTRIBUTE = re.compile(
    rb"#\[\s*(?:(?:\w+::)*(?:test|rstest|test_case|proptest|bench)\b"
    rb"|cfg\((?:\s*(?:all|any)\()*(?:[^()]*,)?\s*test\s*[,)])"
)
_DIRECTIVE = "{{#"
_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)


def files_accounted(
    roots: Mapping[str, Path], folder: str, files: pl.DataFrame, rows: pl.DataFrame
) -> Verdict:
    """Check that `files` lists every file below `folder` once, and the file of every row.

    `roots` are source roots by the prefix of their paths in the tables.
    """
    found = {
        prefix + Path(parent, name).relative_to(root).as_posix()
        for prefix, root in roots.items()
        for parent, _, names in os.walk(root / folder)
        for name in names
    }
    accounted = files["path"].to_list()
    covered = tuple(path for path in accounted if path.endswith("/"))
    faults = [
        f"{path} is not accounted for"
        for path in sorted(found - set(accounted))
        if not path.startswith(covered)
    ]
    faults += [f"{path} is accounted for twice" for path in _repeated(accounted)]
    silent = files.filter((pl.col("status") != "rows") & pl.col("reason").is_null())
    faults += [f"{path} gave no rows and no reason" for path in silent["path"]]
    with_rows = set(files.filter(pl.col("status") == "rows")["path"])
    faults += [f"{p} has rows and no account" for p in sorted(set(rows["source_path"]) - with_rows)]
    return Verdict.none_of(faults, "files without a place", len(found))


def library_code_only(rows: pl.DataFrame) -> Verdict:
    """No row comes from a test folder or a test module, or carries a test's attribute."""
    columns = ("pair_id", "source_path", "source_symbol", "language", "response")
    faults = [
        f"{pair_id} from {symbol} ({path})"
        for pair_id, path, symbol, language, response in rows.select(columns).iter_rows()
        if _TEST_PATH.search(path)
        or "::tests::" in symbol
        or (language == "rust" and _has_test_attribute(response))
    ]
    return Verdict.none_of(faults, "rows from test code", rows.height)


def _has_test_attribute(answer: str) -> bool:
    """Whether an attribute of the answer, and not a text that mentions one, marks a test."""
    if "test" not in answer and "bench" not in answer:
        return False
    pending = [rust_syntax.parse(answer.encode())]
    while pending:
        node = pending.pop()
        if node.type == "attribute_item":
            if _TEST_ATTRIBUTE.match(node.text or b""):
                return True
        elif node.type not in ("string_literal", "raw_string_literal", "token_tree"):
            pending.extend(node.children)
    return False


def includes_replaced(rows: pl.DataFrame) -> Verdict:
    """No row holds an include directive."""
    faults = [
        f"{pair_id} holds a directive"
        for pair_id, prompt, response in rows.select("pair_id", "prompt", "response").iter_rows()
        if _DIRECTIVE in prompt or _DIRECTIVE in response
    ]
    return Verdict.none_of(faults, "rows with an include directive", rows.height)


def includes_found(drops: pl.DataFrame) -> Verdict:
    """No row was lost to an include that names what is not there."""
    lost = drops.filter(pl.col("kind") == mdbook.INCLUDE)
    faults = [
        f"{path}:{line}: {reason}"
        for path, line, reason in lost.select("source_path", "line", "reason").iter_rows()
    ]
    return Verdict.none_of(faults, "includes that name nothing", drops.height)


def eligible_pages_only(roots: Mapping[str, Path], rows: pl.DataFrame) -> Verdict:
    """No row comes from a page whose front matter opts out, is deprecated or does not parse.

    `roots` as in `files_accounted`.
    """
    faults = []
    pages = rows.filter(pl.col("source_path").str.ends_with(".md"))["source_path"].unique().sort()
    for path in pages:
        prefix = next(prefix for prefix in roots if path.startswith(prefix))
        page = roots[prefix] / path.removeprefix(prefix)
        match = _FRONT_MATTER.match(page.read_text(encoding="utf-8"))
        if match is None:
            continue
        try:
            front = yaml.safe_load(match.group(1)) or {}
        except yaml.YAMLError:
            faults.append(f"{path}: front matter does not parse")
            continue
        if not isinstance(front, dict):
            faults.append(f"{path}: front matter is not a mapping")
        elif (why := opted_out(front)) is not None:
            faults.append(f"{path}: {why}")
    return Verdict.none_of(faults, "pages that opted out", len(pages))


def lane_purity(rows: pl.DataFrame, vox_fault: Callable[[str], str | None]) -> Verdict:
    """Code answers hold no Markdown and parse where they are Vox; prose answers hold no fence."""
    faults = []
    for pair_id, lane, mode, language, response in rows.select(
        "pair_id", "lane", "response_mode", "language", "response"
    ).iter_rows():
        if fault := mode_fault(response, mode, lane):
            faults.append(f"{pair_id} {fault}")
        elif mode == "code_only" and language == "vox" and (refused := vox_fault(response)):
            faults.append(f"{pair_id} is not Vox: {refused}")
    return Verdict.none_of(faults, "rows that mix code and prose", rows.height)


def _repeated(values: list[str]) -> list[str]:
    seen: set[str] = set()
    repeated: set[str] = set()
    for value in values:
        (repeated if value in seen else seen).add(value)
    return sorted(repeated)
