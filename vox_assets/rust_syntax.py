"""The parser of Rust: tree-sitter's grammar, loaded once."""

from __future__ import annotations

from collections.abc import Sequence

import tree_sitter
import tree_sitter_rust

LANGUAGE = tree_sitter.Language(tree_sitter_rust.language())


def parse(source: bytes, ranges: Sequence[tree_sitter.Range] = ()) -> tree_sitter.Node:
    """Parse Rust source, or only the given ranges of it, and return the root node."""
    parser = tree_sitter.Parser(LANGUAGE, included_ranges=list(ranges) or None)
    return parser.parse(source).root_node
