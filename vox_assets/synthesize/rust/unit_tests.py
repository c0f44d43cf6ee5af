"""Reads the unit tests of a Rust file for its own items.

Extraction leaves test code out of its rows; a dialogue that ends in a test takes it from here.
`dialogues` decides which test suits which dialogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from vox_assets import rust_syntax

_CALLED = re.compile(r"(?:\b(?P<owner>[A-Z]\w*)::|(?P<dot>\.)|(?<![\w.:]))(?P<name>[a-z_]\w*)\s*\(")
_ASSERTION = re.compile(r"^\s*(assert(?:_eq|_ne)?!\(.*\));$", re.MULTILINE)
_DEFINED = re.compile(r"\bfn (\w+)")
_KEYWORDS = frozenset({"if", "match", "while", "for", "return", "in", "fn", "move", "loop"})


@dataclass(frozen=True, slots=True)
class UnitTest:
    """A `#[test]` function that uses no other item of its test module. Lines are 1-based."""

    name: str
    #: Its attributes and its text, without indentation.
    text: str
    start_line: int
    end_line: int
    #: Methods that it calls on a value, as far as the file itself defines them.
    methods: frozenset[str]
    #: Associated functions that it calls, as (type, name).
    associated: frozenset[tuple[str, str]]
    #: Plain functions that it calls.
    functions: frozenset[str]

    @property
    def assertions(self) -> list[str]:
        """The assertions that fill a line."""
        return _ASSERTION.findall(self.text)


def unit_tests(source: str) -> list[UnitTest]:
    """List the tests of a file in source order, without those that use a helper of their module."""
    root = rust_syntax.parse(source.encode())
    defined = frozenset(_DEFINED.findall(source))
    result = []
    for module in _modules(root):
        items = list(_items(module))
        tests = [(node, above) for node, above in items if "#[test]" in above]
        helpers = {
            _text(name)
            for node, above in items
            if "#[test]" not in above and (name := node.child_by_field_name("name"))
        }
        words = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(helpers)))})\b")
        for node, above in tests:
            text = _text(node)
            if not (helpers and words.search(text)) and not node.has_error:
                result.append(_unit_test(node, above, defined))
    return sorted(result, key=lambda test: test.start_line)


def _modules(root: Node) -> Iterator[Node]:
    """Yield the bodies of all modules of the file."""
    pending = [root]
    while pending:
        for child in pending.pop().named_children:
            if child.type == "mod_item" and (body := child.child_by_field_name("body")):
                yield body
                pending.append(body)


def _items(body: Node) -> Iterator[tuple[Node, list[str]]]:
    """Yield each item of a module with the attributes above it."""
    above: list[str] = []
    for node in body.named_children:
        if node.type == "attribute_item":
            above.append(_text(node))
        elif node.type not in ("line_comment", "block_comment"):
            yield node, above
            above = []


def _unit_test(node: Node, attributes: list[str], defined: frozenset[str]) -> UnitTest:
    indent = " " * node.start_point.column
    lines = [line.removeprefix(indent) for line in _text(node).split("\n")]
    text = "\n".join([*attributes, *lines])
    name = node.child_by_field_name("name")
    calls = [item for item in _CALLED.finditer(text) if item["name"] not in _KEYWORDS]
    return UnitTest(
        name=_text(name) if name else "",
        text=text,
        start_line=node.start_point.row + 1 - len(attributes),
        end_line=node.end_point.row + 1,
        methods=frozenset(item["name"] for item in calls if item["dot"]) & defined,
        associated=frozenset((item["owner"], item["name"]) for item in calls if item["owner"]),
        functions=frozenset(item["name"] for item in calls if not item["dot"] and not item["owner"])
        - {_text(name) if name else ""},
    )


def _text(node: Node) -> str:
    return (node.text or b"").decode()
