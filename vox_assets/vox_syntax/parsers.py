"""Parses answers in the grammar of their language."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from vox_assets import rust_syntax, vox_syntax
from vox_assets.vox_syntax.frontend import BuiltInGrammar, one_by_one

#: Languages that `parses` judges by a grammar.
PARSED = frozenset({"vox", "rust"})

#: The first fault of a Vox program by the built-in grammar, in one line; None when it parses.
vox_fault = one_by_one(BuiltInGrammar())


def parses(language: str, text: str) -> bool:
    """True when `text` parses in `language`; a language without a parser here is not judged."""
    if language == "vox":
        return vox_fault(text) is None
    if language == "rust":
        return not rust_syntax.parse(text.encode("utf-8", "replace")).has_error
    return bool(text.strip())


def tree(language: str, text: str) -> object | None:
    """The parse tree without comments and layout, comparable by `==`; None if there is none."""
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
    """Depth, kind and, of a leaf, text of every node but comments, in source order."""
    pending = [(0, root)]
    while pending:
        depth, node = pending.pop()
        if node.type in ("line_comment", "block_comment"):
            continue
        yield depth, node.type, b"" if node.children else node.text or b""
        pending.extend((depth + 1, child) for child in reversed(node.children))
