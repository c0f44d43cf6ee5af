"""Parsing of answers by the grammar of their language."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from tree_sitter import Node

from vox_assets import rust_syntax, vox_syntax
from vox_assets.vox_syntax.frontend import BuiltInGrammar, one_by_one

#: Languages that have a grammar here.
PARSED = frozenset({"vox", "rust"})

#: Returns the first fault of a Vox program in one line, by the built-in grammar, or None.
vox_fault = one_by_one(BuiltInGrammar())


@lru_cache(maxsize=4)
def parses(language: str, text: str) -> bool:
    """Return whether `text` parses; in a language without a grammar, any non-blank text does."""
    if language == "vox":
        return vox_fault(text) is None
    if language == "rust":
        return not rust_syntax.parse(text.encode("utf-8", "replace")).has_error
    return bool(text.strip())


def tree(language: str, text: str) -> object | None:
    """Return a tree without comments and layout, which `==` compares; None if it does not parse."""
    if language == "vox":
        try:
            return vox_syntax.parse(text)
        except vox_syntax.VoxSyntaxError:
            return None
    if language == "rust":
        root = rust_syntax.parse(text.encode("utf-8", "replace"))
        return None if root.has_error else list(_rust_nodes(root))
    return None


def _rust_nodes(root: Node) -> Iterator[tuple[int, str, bytes]]:
    """Yield depth, kind and, for a leaf, text of every node but comments, in source order."""
    pending = [(0, root)]
    while pending:
        depth, node = pending.pop()
        if node.type in ("line_comment", "block_comment"):
            continue
        yield depth, node.type, b"" if node.children else node.text or b""
        pending.extend((depth + 1, child) for child in reversed(node.children))
