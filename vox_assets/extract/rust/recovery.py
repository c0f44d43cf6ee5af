"""Test code in files with a syntax error, where the parser may lose the end of a test module.

After an error the parser continues at a position of its own choice: a brace too many ends a module
early, and an attribute before the error is lost. The text still contains the marks of test code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from vox_assets.extract.rust.attributes import is_test_attribute

#: Longest attribute that is read as a mark; longer ones list data.
_MAX_ATTRIBUTE_CHARS = 500

#: Number of characters before a mark in which a comment is looked for.
_MAX_LINE_CHARS = 500

#: `#[cfg(test)]`, also without its closing bracket, and a module that is test code by its name.
_MARK = re.compile(r"#\s*!?\s*\[|\bmod\s+tests\b")

_ATTRIBUTE_END = re.compile(r"\]|\n\s*(?=#|mod\b|fn\b|pub\b)")

#: Between a mark and its item; a limit, because every mark of a hostile file starts a search.
_BETWEEN = r"(?:\s*#\s*\[[^\]\n]*\]|\s*//[^\n]*){0,20}\s*(?:pub\s*(?:\([^)\n]*\))?\s*)?"

_TEST_FILE = re.compile(_BETWEEN + r"mod\s+(?:r#)?(\w+)\s*;")

#: Items that contain no other items, so that a lost end of them does not matter.
_WITHOUT_ITEMS = re.compile(
    _BETWEEN + r"(?:(?:use|extern\s+crate|static|type|struct|enum|union|let)\b|const\s+\w+\s*:)"
)


def first_test_mark(text: str) -> int | None:
    """Return the position of the first mark of test code that other items may follow, or None.

    In a file that does not parse, what is after this position may be test code.
    """
    # With too many closing braces, a `mod name;` can be a module that lost its opening brace.
    is_declaration = None if text.count("}") > text.count("{") else _TEST_FILE
    for start, end in _marks(text):
        if end is None:
            return start
        is_file = is_declaration is not None and is_declaration.match(text, end)
        if not is_file and not _WITHOUT_ITEMS.match(text, end):
            return start
    return None


def test_files(text: str) -> list[str]:
    """Return the modules in files of their own that a mark of test code precedes."""
    names = []
    for _, end in _marks(text):
        if end is not None and (declared := _TEST_FILE.match(text, end)):
            names.append(declared.group(1))
    return names


def _marks(text: str) -> Iterator[tuple[int, int | None]]:
    """Yield the start and the end of each mark; a mark that encloses what it marks has no end."""
    for match in _MARK.finditer(text):
        start, end = match.span()
        line_start = text.rfind("\n", max(0, start - _MAX_LINE_CHARS), start) + 1
        if "//" in text[max(line_start, start - _MAX_LINE_CHARS) : start]:
            continue
        if match.group().startswith("mod"):
            if not _TEST_FILE.match(text, start):
                yield start, None
        elif is_test_attribute(text[start : start + _MAX_ATTRIBUTE_CHARS]):
            closing = _ATTRIBUTE_END.search(text, end, end + _MAX_ATTRIBUTE_CHARS)
            is_inner = "!" in match.group()
            yield start, None if is_inner or closing is None else closing.end()


def last_error(root: Node) -> int | None:
    """Return the end of the last syntax error, in bytes, or None for a sound tree."""
    end = None
    pending = [root] if root.has_error else []
    while pending:
        node = pending.pop()
        if node.is_error or node.is_missing:
            end = max(end or 0, node.end_byte)
        pending.extend(child for child in node.children if child.has_error or child.is_missing)
    return end
