"""Compares extraction with bare parsers, and loading the definitions with `import dagster`.

A bare parser only reads and parses every file below a folder, which is the least possible work on
the same text. Extraction also applies the rules of the profile, makes rows, checks Vox programs,
accounts for every file and writes a table. Both run as complete processes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from timing import Result, alternate_processes, compare_medians

BARE_RUST_PARSE = """
import pathlib, sys, tree_sitter, tree_sitter_rust
parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))
for path in sorted(pathlib.Path(sys.argv[1], "crates").rglob("*.rs")):
    parser.parse(path.read_bytes())
"""
BARE_MARKDOWN_PARSE = """
import pathlib, sys
from markdown_it import MarkdownIt
parser = MarkdownIt("commonmark").enable("table")
for path in sorted(pathlib.Path(sys.argv[1], "docs", "src").rglob("*.md")):
    parser.parse(path.read_text(encoding="utf-8", errors="replace"))
"""
DEFINITIONS_LOAD = "import vox_assets.pipeline.wiring as code; code.defs()"


def rust(tree: Path, scratch: Path) -> Result:
    """Compare `vox-assets extract rust` with a bare tree-sitter parse of the same crates."""
    return _extract("rust", tree, scratch, "bare tree-sitter parse", BARE_RUST_PARSE, 3.0)


def docs(tree: Path, scratch: Path) -> Result:
    """Compare `vox-assets extract docs` with a bare markdown-it parse of the same pages."""
    return _extract("docs", tree, scratch, "bare markdown-it parse", BARE_MARKDOWN_PARSE, 2.0)


def _extract(
    kind: str, tree: Path, scratch: Path, reference: str, parse: str, target: float
) -> Result:
    ours = [sys.executable, "-m", "vox_assets.cli", "extract", kind, str(tree)]
    out = str(scratch / "rows.parquet")
    theirs = [sys.executable, "-c", parse, str(tree)]
    our_times, their_times = alternate_processes([*ours, out], theirs)
    return compare_medians(f"extract {kind}", our_times, reference, their_times, target)


def definitions() -> Result:
    """Compare loading all definitions, as every Dagster process does, with `import dagster`."""
    our_times, their_times = alternate_processes(
        [sys.executable, "-c", DEFINITIONS_LOAD], [sys.executable, "-c", "import dagster"]
    )
    return compare_medians("definitions", our_times, "import dagster", their_times, target=2.5)
