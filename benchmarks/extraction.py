"""Whole extraction processes against bare parsers, and the definitions against `import dagster`.

A bare parser reads every file below the folder and parses it whole, and that is all: the least
that anything can do that looks at the same text. Ours also walks the tree by its rules, makes rows,
judges Vox programs, accounts for every file and writes a table.
"""

from __future__ import annotations

import sys
from pathlib import Path

from timing import Result, compared, processes

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
    """`vox-assets extract rust` against a bare tree-sitter parse of the same crates."""
    return _extract("rust", tree, scratch, "bare tree-sitter parse", BARE_RUST_PARSE, 3.0)


def docs(tree: Path, scratch: Path) -> Result:
    """`vox-assets extract docs` against a bare markdown-it parse of the same pages."""
    return _extract("docs", tree, scratch, "bare markdown-it parse", BARE_MARKDOWN_PARSE, 2.0)


def _extract(
    kind: str, tree: Path, scratch: Path, reference: str, parse: str, target: float
) -> Result:
    ours = [sys.executable, "-m", "vox_assets.cli", "extract", kind, str(tree)]
    out = str(scratch / "rows.parquet")
    mine, others = processes([*ours, out], [sys.executable, "-c", parse, str(tree)])
    return compared(f"extract {kind}", mine, reference, others, target)


def definitions() -> Result:
    """Loading all definitions, as every Dagster process does, against `import dagster`."""
    mine, others = processes(
        [sys.executable, "-c", DEFINITIONS_LOAD], [sys.executable, "-c", "import dagster"]
    )
    return compared("definitions", mine, "import dagster", others, target=2.5)
