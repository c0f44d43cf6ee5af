"""Extracts the names that a text uses and those of live sources, to refuse invented APIs.

A name is grounded when the source fact of the text or the live tree contains it. Local names that a
program declares itself need no ground.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
from lark import Token
from tree_sitter import Node

from vox_assets import rust_syntax, vox_syntax

_NAME_PATTERN = r"[A-Za-z_][A-Za-z0-9_]*"
_NAME = re.compile(_NAME_PATTERN)
_CODE_SPAN = re.compile(r"`([^`\n]+)`")
#: Words of prose that must be names: with an underscore or with a capital inside.
_NAME_IN_PROSE = re.compile(r"\b(?:[A-Za-z_]\w*_\w+|[A-Za-z]*[a-z][A-Z]\w*)\b", re.ASCII)

#: Names that every Rust program may use undeclared: `std::prelude::v1`, the crate paths and the
#: macros of `std` that need no import.
_RUST_PRELUDE = frozenset(
    """
    AsMut AsRef Box Clone Copy Debug Default DoubleEndedIterator Drop Eq Err ExactSizeIterator
    Extend Fn FnMut FnOnce From Hash Into IntoIterator Iterator None Ok Option Ord PartialEq
    PartialOrd Result Self Send Sized Some String Sync ToOwned ToString TryFrom TryInto Unpin Vec
    alloc allow as_mut as_ref assert assert_eq assert_ne cfg clone cmp collect core crate dbg
    default derive drop eprintln eq filter fmt format from inline into into_iter iter len map
    matches must_use ne new next panic partial_cmp print println self std super test to_owned
    to_string todo try_from try_into unreachable vec write writeln
    """.split()
)

#: Nodes that declare a name, by type: the field that holds the name.
_RUST_DECLARING = {
    "associated_type": "name",
    "const_item": "name",
    "const_parameter": "name",
    "enum_item": "name",
    "enum_variant": "name",
    "field_declaration": "name",
    "function_item": "name",
    "function_signature_item": "name",
    "macro_definition": "name",
    "mod_item": "name",
    "static_item": "name",
    "struct_item": "name",
    "trait_item": "name",
    "type_item": "name",
    "type_parameter": "name",
    "union_item": "name",
    "use_as_clause": "alias",
}
#: Fields and nodes that hold a pattern: a lower-case name in a pattern is a new binding.
_RUST_PATTERNS = {"pattern"}
_RUST_PATTERN_NODES = {"closure_parameters", "match_pattern"}
_RUST_NAMES = {
    "identifier",
    "type_identifier",
    "field_identifier",
    "shorthand_field_identifier",
}

#: Lifetimes and labels, which have a namespace of their own.
_RUST_OWN_NAMES = {"lifetime", "label"}

#: Rules of the Vox grammar whose names refer to a declaration elsewhere.
_VOX_USING = {
    "attribute",
    "constructor_pattern",
    "generic_type",
    "name",
    "named_argument",
    "named_type",
    "pair",
}


@dataclass(frozen=True)
class Names:
    """The names that a text uses, and those that it declares."""

    used: frozenset[str]
    declared: frozenset[str] = frozenset()

    @property
    def open(self) -> frozenset[str]:
        """The used names that the text does not declare."""
        return self.used - self.declared


def names_in(text: str, language: str) -> Names:
    """Extract the names of a text; outside `rust` and `vox` those that look like code.

    Raises VoxSyntaxError when a Vox text does not parse.
    """
    if language == "rust":
        return _rust_names(text)
    if language == "vox":
        return _vox_names(text)
    spans = (name for span in _CODE_SPAN.findall(text) for name in _NAME.findall(span))
    return Names(frozenset({*spans, *_NAME_IN_PROSE.findall(text)}))


def known_names(text: str) -> frozenset[str]:
    """Extract every identifier in a text."""
    return frozenset(_NAME.findall(text))


@dataclass(frozen=True)
class LiveNames:
    """The names of the live tree, by language; `prose` may use those of all languages."""

    _by_language: dict[str, frozenset[str]]
    _all: frozenset[str]

    @staticmethod
    def of(rows: pl.DataFrame) -> LiveNames:
        """Collect the names of the live rows' answers, and for prose also of their questions."""
        by_language = {
            str(language): _distinct(part["response"])
            for (language,), part in rows.group_by("language", maintain_order=True)
        }
        everything = frozenset().union(*by_language.values(), _distinct(rows["prompt"]))
        by_language["rust"] = _RUST_PRELUDE | by_language.get("rust", frozenset())
        return LiveNames(by_language, everything)

    def knows(self, language: str) -> frozenset[str]:
        """Return the names that a text in `language` may use."""
        if language in ("rust", "vox"):
            return self._by_language.get(language, frozenset())
        return self._all


def _distinct(texts: pl.Series) -> frozenset[str]:
    return frozenset(texts.str.extract_all(_NAME_PATTERN).explode().unique().drop_nulls())


def _rust_names(source: str) -> Names:
    used: set[str] = set()
    declared: set[str] = set()
    pending = [(rust_syntax.parse(source.encode()), False)]
    while pending:
        node, binds = pending.pop()
        if node.type in _RUST_NAMES:
            name = (node.text or b"").decode().removeprefix("r#")
            new = binds and node.type != "type_identifier" and name[:1].islower()
            (declared if new else used).add(name)
            continue
        if node.type in _RUST_OWN_NAMES:
            continue
        naming = _RUST_DECLARING.get(node.type)
        for index, child in enumerate(node.children):
            role = node.field_name_for_child(index)
            if naming is not None and role == naming:
                declared.add((child.text or b"").decode().removeprefix("r#"))
            else:
                pending.append((child, _in_pattern(node, role, child, binds)))
    return Names(frozenset(used), frozenset(declared))


def _in_pattern(parent: Node, role: str | None, child: Node, binds: bool) -> bool:
    """Check whether a lower-case name in `child` is a new binding."""
    if role in _RUST_PATTERNS or child.type in _RUST_PATTERN_NODES:
        return True
    # The types, paths and guards of a pattern refer to existing names.
    return (
        binds and role not in ("type", "path", "condition") and parent.type != "scoped_identifier"
    )


def _vox_names(source: str) -> Names:
    used: set[str] = set()
    declared: set[str] = set()
    for node in vox_syntax.parse(source).iter_subtrees():
        (used if node.data in _VOX_USING else declared).update(_tokens(node.children))
    return Names(frozenset(used), frozenset(declared))


def _tokens(children: list[Any]) -> Iterator[str]:
    return (
        str(child)
        for child in children
        if isinstance(child, Token) and child.type in ("NAME", "TYPE_NAME")
    )
