"""Properties of a node of the syntax tree: test code inside it, literals, branches of `cfg_if!`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import tree_sitter
from tree_sitter import Node

from vox_assets import rust_syntax
from vox_assets.extract.rust.attributes import (
    ATTRIBUTE,
    CFG_MACRO,
    asks_for_test,
    is_test_attribute,
)

_ATTRIBUTES = tree_sitter.Query(rust_syntax.LANGUAGE, "(attribute_item) @attribute")


_LITERALS = tree_sitter.Query(
    rust_syntax.LANGUAGE, "[(string_literal) (raw_string_literal)] @literal"
)


def cfg_branches(tokens: Node, text: Callable[[Node], str]) -> Iterator[tuple[Node, bool]]:
    """Yield the blocks of a `cfg_if!` call, and whether each is compiled for tests only."""
    test = or_else = False
    for child in tokens.children:
        if child.type == "token_tree" and child.children[0].type == "[":
            condition = ATTRIBUTE.sub("", f"#{text(child)}", count=1)
            test = test or asks_for_test(condition)
            or_else = or_else or asks_for_test(f"(not{condition})")
        elif child.type == "token_tree" and child.children[0].type == "{":
            yield child, test
            # The branches after `cfg(not(test))` are for tests.
            test = or_else


def holds_test_code(node: Node, text: str) -> bool:
    """Return whether statements, fields or variants of an item exist only under `cfg(test)`."""
    if "test" not in text or "cfg" not in text:
        return False
    attributes = tree_sitter.QueryCursor(_ATTRIBUTES).captures(node).get("attribute", [])
    return any(
        is_test_attribute(attribute.text.decode()) for attribute in attributes if attribute.text
    ) or any(asks_for_test(match.group(1)) for match in CFG_MACRO.finditer(text))


def has_long_literal(node: Node) -> bool:
    cursor = tree_sitter.QueryCursor(_LITERALS)
    literals = cursor.captures(node).get("literal", [])
    return any(literal.start_point.row != literal.end_point.row for literal in literals)


def macro_definition(node: Node, text_of: Callable[[Node], str]) -> Iterator[tuple[str, str]]:
    """Yield `name!` and the patterns of a `macro_rules!` definition, without their expansions."""
    name = node.child_by_field_name("name")
    patterns = [
        text_of(pattern)
        for rule in node.named_children
        if rule.type == "macro_rule" and (pattern := rule.child_by_field_name("left")) is not None
    ]
    if name is not None and patterns:
        rules = "".join(f"    {pattern} => {{ .. }};\n" for pattern in patterns)
        yield f"{text_of(name)}!", f"macro_rules! {text_of(name)} {{\n{rules}}}"


def constant(name: str, text: str, owner: str, header: str) -> tuple[str, str]:
    """Return name and text of a constant: `Type::NAME` inside its block, if it has an owner."""
    return (f"{owner}::{name}", f"{header} {{\n    {text}\n}}") if owner else (name, text)
