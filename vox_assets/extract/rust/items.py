"""The items that a Rust file declares, read from its syntax tree.

The definition of an item, its documentation and its mark as test code belong here. `rows` selects
the items that become rows, and `crates` arranges files into modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import tree_sitter
from tree_sitter import Node

from vox_assets import rust_syntax
from vox_assets.extract.rust.attributes import (
    ATTRIBUTE,
    CFG_MACRO,
    PATH_ATTRIBUTE,
    TEST_ATTRIBUTE,
    asks_for_test,
    is_test_attribute,
)

ItemKind = Literal["function", "struct", "enum", "union", "trait", "type alias", "module"]

#: Number of lines in which a generator's mark counts; further down, its words are prose.
GENERATED_HEADER_LINES = 10

#: Size of the cache of verdicts on short code: copies of a crate repeat their examples.
_KEPT_VERDICTS = 4096

#: Depth to which nested macro calls are read; deeper calls contain no plain items.
MAX_MACRO_DEPTH = 3

_ITEM_KINDS: dict[str, ItemKind] = {
    "function_item": "function",
    "function_signature_item": "function",
    "struct_item": "struct",
    "enum_item": "enum",
    "union_item": "union",
    "trait_item": "trait",
    "type_item": "type alias",
}

_GENERATED = re.compile(
    r"@generated|\bdo not edit\b|\bauto(?:-?|matically )generated (?:by|from)\b", re.IGNORECASE
)

_ITEM_WORD = re.compile(rb"\b(?:fn|struct|enum|union|trait|type) ")

_DOC_STRING = re.compile(r'=\s*(r#*)?"(.*)"#*\s*\]\s*\Z', re.DOTALL)

_ESCAPE = re.compile(r"\\(?:(\n)\s*|u\{([0-9a-fA-F_]+)\}|x([0-7][0-9a-fA-F])|(.))", re.DOTALL)

_ESCAPED = {"n": "\n", "t": "\t", "r": "", "0": ""}


@dataclass(frozen=True, slots=True)
class Container:
    """The `impl` or `trait` block around a method."""

    #: Its attributes and everything up to its opening brace.
    header: str
    type_name: str
    trait_name: str | None
    #: `type X = ..;` declarations, without which a method of a trait's impl names unknown types.
    associated: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """A declaration. Lines are 1-based and inclusive, and include its documentation."""

    kind: ItemKind
    name: str
    #: The modules inside the file that contain it, outermost first.
    modules: tuple[str, ...]
    container: Container | None
    #: Markdown of its doc comments, without the comment marks.
    doc: str
    #: Plain comments directly above it.
    remarks: str
    #: Its attributes other than documentation, as written.
    attributes: tuple[str, ...]
    #: The declaration as written, without documentation and attributes.
    text: str
    #: The text before the body.
    signature: str
    body: str
    parameters: tuple[str, ...]
    result: str
    #: Names of fields, variants or trait members.
    members: tuple[str, ...]
    #: White space before it on its first line.
    indent: str
    #: Whether its indentation differs from an answer's and a literal in it spans lines: new
    #: indentation would change the literal.
    has_long_literal: bool
    start_line: int
    end_line: int

    @property
    def symbol(self) -> str:
        """The path of the item below its file's module."""
        owner = (self.container.type_name,) if self.container else ()
        return "::".join((*self.modules, *owner, self.name))


@dataclass(frozen=True, slots=True)
class ModuleDeclaration:
    """A declaration `mod name;`, which includes another file."""

    name: str
    modules: tuple[str, ...]
    path: str | None
    test: bool


@dataclass(frozen=True, slots=True)
class Skipped:
    """An item that is test code or does not parse."""

    line: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class RustFile:
    """The declarations of a file, in source order."""

    items: tuple[Item, ...] = ()
    declarations: tuple[ModuleDeclaration, ...] = ()
    #: Name and text of the constants of its modules.
    constants: tuple[tuple[str, str], ...] = ()
    skipped: tuple[Skipped, ...] = ()
    #: Markdown of the file's own `//!` documentation, and its first and last line.
    doc: str = ""
    doc_lines: tuple[int, int] = (0, 0)
    #: The reason why the file has no library code, or None.
    left_out: str | None = None
    #: Whether the whole file parses.
    sound: bool = True


@dataclass(slots=True)
class _Scope:
    """A list of declarations, with the modules and the block that contain it."""

    nodes: Sequence[Node]
    modules: tuple[str, ...] = ()
    container: Container | None = None
    test: bool = False
    macro_depth: int = 0


@dataclass(slots=True)
class _Leading:
    """Documentation, attributes and remarks before the next item."""

    docs: list[str] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    remark_row: int = -2
    start_row: int | None = None
    test: bool = False

    def starts(self, node: Node) -> None:
        if self.start_row is None:
            self.start_row = node.start_point.row


def parse(text: str) -> RustFile:
    """Parse one file into its declarations.

    Any text is accepted: items before and after a syntax error are returned, and items that the
    error affects are in `skipped`.
    """
    if generated := _generated_header(text):
        return RustFile(left_out=f"generated: {generated}")
    return _Reader(text).read()


@lru_cache(maxsize=_KEPT_VERDICTS)
def has_errors(code: str) -> bool:
    """Return whether `code`, as a file of its own, has a syntax error."""
    return rust_syntax.parse(code.encode()).has_error


def _generated_header(text: str) -> str | None:
    for line in text.split("\n", GENERATED_HEADER_LINES)[:GENERATED_HEADER_LINES]:
        stripped = line.strip()
        if stripped.startswith(("//", "/*", "*")) and (match := _GENERATED.search(stripped)):
            return f"its header says {match.group().lower()!r}"
    return None


class _Reader:
    """Reads one file as bytes, because tree-sitter counts positions in bytes."""

    def __init__(self, text: str) -> None:
        self.source = text.encode()
        self.items: list[Item] = []
        self.declarations: list[ModuleDeclaration] = []
        self.constants: list[tuple[str, str]] = []
        self.skipped: list[Skipped] = []
        self.file_docs: list[str] = []
        self.file_doc_lines: list[int] = []
        self.test_file = False

    def read(self) -> RustFile:
        root = rust_syntax.parse(self.source)
        # A stack, because modules may nest deeper than Python's recursion limit.
        scopes = [_Scope([root] if root.is_error else root.children)]
        top = scopes[0]
        while scopes:
            scope = scopes.pop()
            scopes.extend(self._read_scope(scope, is_top=scope is top))
        self.items.sort(key=lambda item: item.start_line)
        self.skipped.sort(key=lambda skipped: skipped.line)
        return RustFile(
            items=() if self.test_file else tuple(self.items),
            declarations=tuple(self.declarations),
            constants=tuple(self.constants),
            skipped=() if self.test_file else tuple(self.skipped),
            doc=_unindent(self.file_docs),
            doc_lines=(min(self.file_doc_lines, default=0), max(self.file_doc_lines, default=0)),
            left_out="test code: #![cfg(test)]" if self.test_file else None,
            sound=not root.has_error,
        )

    def _text(self, node: Node) -> str:
        return self.source[node.start_byte : node.end_byte].decode()

    def _read_scope(self, scope: _Scope, is_top: bool) -> Iterator[_Scope]:
        leading = _Leading()
        for node in scope.nodes:
            kind = node.type
            if kind == "line_comment" or kind == "block_comment":
                # The documentation of test code is not used.
                if not scope.test:
                    self._read_comment(node, leading, is_top)
            elif kind == "attribute_item":
                self._read_attribute(node, leading)
            elif kind == "inner_attribute_item":
                if is_test_attribute(self._text(node)):
                    scope.test = True
                    self.test_file |= is_top
            elif kind == "ERROR":
                yield from self._read_broken(node, scope)
                leading = _Leading()
            elif node.is_named:
                yield from self._read_item(node, scope, leading)
                leading = _Leading()

    def _read_comment(self, node: Node, leading: _Leading, is_top: bool) -> None:
        text = self._text(node)
        row = node.start_point.row
        if text.startswith(("//!", "/*!")):
            if is_top:
                self.file_docs.append(_comment_body(text))
                self.file_doc_lines += (row + 1, row + 1 + text.rstrip("\n").count("\n"))
        elif _is_doc_comment(text):
            leading.starts(node)
            leading.docs.append(_comment_body(text))
        elif text.startswith("//"):
            if row != leading.remark_row + 1:
                leading.remarks.clear()
            leading.remark_row = row
            leading.remarks.append(text[2:].strip())

    def _read_attribute(self, node: Node, leading: _Leading) -> None:
        leading.starts(node)
        text = self._text(node)
        name = ATTRIBUTE.match(text)
        is_doc = name is not None and name.group(1) == "doc"
        if is_doc and (value := _DOC_STRING.match(text, name.end() if name else 0)):
            is_raw, content = value.groups()
            leading.docs.append(content if is_raw else _ESCAPE.sub(_unescape, content))
            return
        leading.attributes.append(text)
        leading.test |= is_test_attribute(text)

    def _read_item(self, node: Node, scope: _Scope, leading: _Leading) -> Iterator[_Scope]:
        test = scope.test or leading.test
        kind = node.type
        if kind == "expression_statement" and node.named_child_count == 1:
            node = node.named_children[0]
            kind = node.type
        if kind in _ITEM_KINDS:
            self._read_declaration(node, scope, leading, test)
            if kind == "trait_item":
                yield from self._read_block(node, scope, leading, test)
        elif kind in ("const_item", "static_item"):
            name = node.child_by_field_name("name")
            if name is not None and not (test or node.has_error or scope.container):
                self.constants.append((self._text(name), self._text(node)))
        elif kind == "impl_item":
            yield from self._read_block(node, scope, leading, test)
        elif kind == "mod_item":
            yield from self._read_module(node, scope, leading, test)
        elif kind == "macro_invocation":
            yield from self._read_macro(node, scope, test)

    def _read_declaration(self, node: Node, scope: _Scope, leading: _Leading, test: bool) -> None:
        name_node = node.child_by_field_name("name")
        name = self._text(name_node) if name_node else ""
        start_row = node.start_point.row if leading.start_row is None else leading.start_row
        if test:
            self.skipped.append(Skipped(start_row + 1, name, "test code"))
            return
        if node.has_error or not name:
            self.skipped.append(Skipped(start_row + 1, name, "does not parse"))
            return
        if _holds_test_code(node, text := self._text(node)):
            self.skipped.append(Skipped(start_row + 1, name, "parts of it are test code"))
            return
        body = node.child_by_field_name("body")
        result = node.child_by_field_name("return_type")
        parameters = node.child_by_field_name("parameters")
        line_start = self.source.rfind(b"\n", 0, node.start_byte) + 1
        before = self.source[line_start : node.start_byte]
        indent = before.decode() if not before.strip() else ""
        if leading.remark_row + 1 < start_row:
            leading.remarks.clear()
        self.items.append(
            Item(
                kind=_ITEM_KINDS[node.type],
                name=name,
                modules=scope.modules,
                container=scope.container,
                doc=_unindent(leading.docs),
                remarks="\n".join(leading.remarks),
                attributes=tuple(leading.attributes),
                text=text,
                signature=self._before(node, body),
                body=self._text(body) if body else "",
                parameters=tuple(
                    self._text(child)
                    for child in (parameters.named_children if parameters else ())
                    if child.type in ("parameter", "self_parameter")
                ),
                result=self._text(result) if result else "",
                members=self._members(node, body),
                indent=indent,
                has_long_literal=indent != ("    " if scope.container else "")
                and _has_long_literal(node),
                start_line=start_row + 1,
                end_line=node.end_point.row + 1,
            )
        )

    def _before(self, node: Node, body: Node | None) -> str:
        end = body.start_byte if body else node.end_byte
        return self.source[node.start_byte : end].decode().rstrip().removesuffix(";")

    def _members(self, node: Node, body: Node | None) -> tuple[str, ...]:
        if body is None or node.type == "function_item":
            return ()
        names = (child.child_by_field_name("name") for child in body.named_children)
        return tuple(self._text(name) for name in names if name is not None)

    def _read_block(
        self, node: Node, scope: _Scope, leading: _Leading, test: bool
    ) -> Iterator[_Scope]:
        body = node.child_by_field_name("body")
        if body is None:
            return
        is_impl = node.type == "impl_item"
        type_node = node.child_by_field_name("type" if is_impl else "name")
        trait_node = node.child_by_field_name("trait") if is_impl else None
        associated = (
            ()
            if trait_node is None
            else tuple(
                self._text(child) for child in body.named_children if child.type == "type_item"
            )
        )
        yield _Scope(
            body.children,
            scope.modules,
            Container(
                header="\n".join((*leading.attributes, self._before(node, body))),
                type_name=self._type_name(type_node),
                trait_name=self._text(trait_node) if trait_node else None,
                associated=associated,
            ),
            test,
            scope.macro_depth,
        )

    def _type_name(self, node: Node | None) -> str:
        """Return `Shelf` for `Shelf<T>`, `&mut Shelf` and `store::Shelf`; else the whole type."""
        inner = node
        while inner is not None:
            if inner.type == "type_identifier":
                return self._text(inner)
            inner = inner.child_by_field_name(
                "name" if inner.type == "scoped_type_identifier" else "type"
            )
        return self._text(node) if node else ""

    def _read_module(
        self, node: Node, scope: _Scope, leading: _Leading, test: bool
    ) -> Iterator[_Scope]:
        name_node = node.child_by_field_name("name")
        if name_node is None:
            return
        name = self._text(name_node).removeprefix("r#")
        # A test module by convention, sometimes without the attribute.
        test = test or name == "tests"
        body = node.child_by_field_name("body")
        if body is not None:
            yield _Scope(body.children, (*scope.modules, name), None, test, scope.macro_depth)
            return
        paths = (PATH_ATTRIBUTE.match(attribute) for attribute in leading.attributes)
        path = next((match.group(1) for match in paths if match), None)
        self.declarations.append(ModuleDeclaration(name, scope.modules, path, test))

    def _read_macro(self, node: Node, scope: _Scope, test: bool) -> Iterator[_Scope]:
        """Read plain items in the braces of a macro call, where the braces contain only Rust."""
        tokens = node.named_children[-1]
        inside = self.source[tokens.start_byte + 1 : tokens.end_byte - 1]
        if scope.macro_depth >= MAX_MACRO_DEPTH or not _ITEM_WORD.search(inside):
            return
        macro = node.child_by_field_name("macro")
        # `proptest! { fn a() {} }`: the items of such a macro are tests.
        test = test or (macro is not None and TEST_ATTRIBUTE.search(self._text(macro)) is not None)
        start, end = tokens.children[0], tokens.children[-1]
        if start.type != "{" or end.type != "}":
            return
        # Parsing a range of the whole file keeps every position exact.
        only = tree_sitter.Range(start.end_point, end.start_point, start.end_byte, end.start_byte)
        root = rust_syntax.parse(self.source, [only])
        if not root.has_error:
            yield _Scope(root.children, scope.modules, scope.container, test, scope.macro_depth + 1)

    def _read_broken(self, broken: Node, scope: _Scope) -> Iterator[_Scope]:
        """Read whole items inside an ERROR node, which lists the tokens of blocks that never close.

        A header in these tokens is parsed again with an empty body, so that the methods of an
        unfinished `impl` keep their header. The contents of an unfinished function are skipped.
        """
        self.skipped.append(Skipped(broken.start_point.row + 1, "", "a syntax error"))
        open_scopes: list[_Scope | None] = [scope]
        leading = _Leading()
        header: int | None = None
        for node in broken.children:
            kind = node.type
            if kind in ("impl", "trait", "mod") and header is None:
                header = node.start_byte
            elif kind == "{":
                open_scopes.append(self._reopen(header, node, open_scopes[-1], leading))
                header, leading = None, _Leading()
            elif kind == "}":
                if len(open_scopes) > 1:
                    open_scopes.pop()
                header, leading = None, _Leading()
            elif kind in ("line_comment", "block_comment"):
                self._read_comment(node, leading, is_top=False)
            elif kind == "attribute_item":
                self._read_attribute(node, leading)
            elif kind in _ITEM_KINDS or kind in ("impl_item", "mod_item"):
                inner = open_scopes[-1]
                if inner is not None and header is None:
                    yield from self._read_item(node, inner, leading)
                leading = _Leading()

    def _reopen(
        self, header: int | None, brace: Node, scope: _Scope | None, leading: _Leading
    ) -> _Scope | None:
        if header is None or scope is None:
            return None
        source = self.source[header : brace.start_byte] + b"{}"
        reader = _Reader(source.decode())
        node = rust_syntax.parse(reader.source).children[0]
        test = scope.test or leading.test
        if node.type == "mod_item" and not node.has_error:
            inner = next(reader._read_module(node, scope, leading, test), None)
        elif node.type in ("impl_item", "trait_item") and not node.has_error:
            inner = next(reader._read_block(node, scope, leading, test), None)
        else:
            inner = None
        return inner


def _holds_test_code(node: Node, text: str) -> bool:
    """Return whether statements, fields or variants of an item exist only under `cfg(test)`."""
    if "test" not in text or "cfg" not in text:
        return False
    attributes = tree_sitter.QueryCursor(_ATTRIBUTES).captures(node).get("attribute", [])
    return any(
        is_test_attribute(attribute.text.decode()) for attribute in attributes if attribute.text
    ) or any(asks_for_test(match.group(1)) for match in CFG_MACRO.finditer(text))


def _has_long_literal(node: Node) -> bool:
    cursor = tree_sitter.QueryCursor(_LITERALS)
    literals = cursor.captures(node).get("literal", [])
    return any(literal.start_point.row != literal.end_point.row for literal in literals)


_ATTRIBUTES = tree_sitter.Query(rust_syntax.LANGUAGE, "(attribute_item) @attribute")


_LITERALS = tree_sitter.Query(
    rust_syntax.LANGUAGE, "[(string_literal) (raw_string_literal)] @literal"
)


def _is_doc_comment(text: str) -> bool:
    if text.startswith("///"):
        return not text.startswith("////")
    return text.startswith("/**") and not text.startswith(("/***", "/**/"))


def _comment_body(text: str) -> str:
    """Return the text of a doc comment without its marks; lines keep their indentation."""
    if text.startswith("//"):
        return text[3:].rstrip("\n")
    lines = text[3:].removesuffix("*/").split("\n")
    # Stars at the left edge are decoration only if every line has a star.
    rest = [line.lstrip() for line in lines[1:] if line.strip()]
    if rest and all(line.startswith("*") for line in rest):
        lines[1:] = [line.lstrip()[1:] for line in lines[1:]]
    elif rest:
        margin = min(len(line) - len(line.lstrip()) for line in lines[1:] if line.strip())
        lines = [lines[0].strip(), *(line[margin:] for line in lines[1:])]
    return "\n".join(lines).strip("\n")


def _unindent(fragments: list[str]) -> str:
    """Join doc fragments into one text without the indentation that all lines share."""
    if not fragments:
        return ""
    lines = [line.rstrip() for line in "\n".join(fragments).split("\n")]
    margin = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return "\n".join(line[margin:] for line in lines).strip("\n")


def _unescape(match: re.Match[str]) -> str:
    continuation, unicode, byte, character = match.groups()
    if continuation:
        return ""
    if digits := unicode or byte:
        point = int(digits.replace("_", ""), 16)
        return chr(point) if point < 0x110000 and not 0xD800 <= point < 0xE000 else "\ufffd"
    return _ESCAPED.get(character, character)
