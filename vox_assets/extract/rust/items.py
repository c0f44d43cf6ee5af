"""The items that a Rust file declares, read from its syntax tree.

The definition of an item, its documentation and its mark as test code belong here. `rows` selects
the items that become rows, and `crates` arranges files into modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import tree_sitter
from tree_sitter import Node

from vox_assets import rust_syntax
from vox_assets.extract.rust.attributes import (
    TEST_ATTRIBUTE,
    is_test_attribute,
    module_paths,
)
from vox_assets.extract.rust.comments import (
    comment_body,
    doc_attribute,
    doc_macro,
    is_doc_comment,
    unindent,
)
from vox_assets.extract.rust.file_head import generator_mark, without_script_head
from vox_assets.extract.rust.names import imports
from vox_assets.extract.rust.nodes import (
    cfg_branches,
    constant,
    has_long_literal,
    holds_test_code,
    macro_definition,
)
from vox_assets.extract.rust.recovery import first_test_mark, last_error, test_files

ItemKind = Literal["function", "struct", "enum", "union", "trait", "type alias", "module"]

#: Size of the cache of verdicts on short code: copies of a crate repeat their examples.
_KEPT_VERDICTS = 4096

#: A longer mark is cut in the reason of the file.
MAX_SHOWN_MARK_CHARS = 80

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

#: Reasons of skipped items that tell of text that the parser does not understand.
_SYNTAX_ERROR = "a syntax error"
_UNPARSED = "does not parse"
_DOUBTFUL = "may be test code: the file does not parse"

_ITEM_WORD = re.compile(rb"\b(?:fn|struct|enum|union|trait|type) ")


@dataclass(frozen=True, slots=True)
class Container:
    """The `impl` or `trait` block around a method."""

    #: Its attributes and everything up to its opening brace.
    header: str
    type_name: str
    trait_name: str | None
    #: `type X = ..;` declarations, without which a method of a trait's impl names unknown types.
    associated: tuple[str, ...]
    #: The same by the name of the type.
    associated_by_name: Mapping[str, str] = field(default_factory=dict, compare=False)


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
    #: The declaration without the default bodies of a trait's methods.
    interface: str
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
    """An item that is or may be test code or that does not parse, or documentation elsewhere."""

    line: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class RustFile:
    """The declarations of a file, in source order."""

    items: tuple[Item, ...] = ()
    declarations: tuple[ModuleDeclaration, ...] = ()
    #: Name and text of the constants of its modules, of its types' constants (`Type::NAME`), and
    #: of its macros (`name!`), which are shown without what they expand to.
    constants: tuple[tuple[str, str], ...] = ()
    #: Path of what its `use` declarations import, by the local name.
    imports: Mapping[str, str] = field(default_factory=dict)
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
    #: Reasons why documentation of the item is not read.
    absent_docs: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    remark_row: int = -2
    #: The last row of a syntax error before the item, which may have words of the item.
    error_row: int = -1
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
    if mark := generator_mark(text):
        return RustFile(left_out=f"generated: its header says {mark[:MAX_SHOWN_MARK_CHARS]!r}")
    return _Reader(without_script_head(text)).read()


@lru_cache(maxsize=_KEPT_VERDICTS)
def has_errors(code: str) -> bool:
    """Return whether `code`, as a file of its own, has a syntax error."""
    return rust_syntax.parse(code.encode()).has_error


class _Reader:
    """Reads one file as bytes, because tree-sitter counts positions in bytes."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.source = text.encode()
        self.items: list[Item] = []
        self.declarations: list[ModuleDeclaration] = []
        self.constants: list[tuple[str, str]] = []
        self.imports: dict[str, str] = {}
        self.skipped: list[Skipped] = []
        self.file_docs: list[str] = []
        self.file_doc_lines: list[int] = []
        self.test_file = False
        #: Position from which on items may be test code, because a syntax error is after it.
        self.doubtful_from = len(self.source) + 1

    def read(self) -> RustFile:
        root = rust_syntax.parse(self.source)
        error_end = last_error(root)
        if error_end is not None:
            self._find_doubtful(error_end)
        # A stack, because modules may nest deeper than Python's recursion limit.
        scopes = [_Scope([root] if root.is_error else root.children)]
        top = scopes[0]
        while scopes:
            scope = scopes.pop()
            scopes.extend(self._read_scope(scope, is_top=scope is top))
        self.items.sort(key=lambda item: item.start_line)
        reasons = {skipped.reason for skipped in self.skipped}
        if error_end is not None and not reasons & {_SYNTAX_ERROR, _UNPARSED}:
            line = self.source.count(b"\n", 0, error_end) + 1
            self.skipped.append(Skipped(line, "", _SYNTAX_ERROR))
        self.skipped.sort(key=lambda skipped: skipped.line)
        return RustFile(
            items=() if self.test_file else tuple(self.items),
            declarations=tuple(self.declarations),
            constants=tuple(self.constants),
            imports=self.imports,
            skipped=() if self.test_file else tuple(self.skipped),
            doc=unindent(self.file_docs),
            doc_lines=(min(self.file_doc_lines, default=0), max(self.file_doc_lines, default=0)),
            left_out="test code: #![cfg(test)]" if self.test_file else None,
            sound=not root.has_error,
        )

    def _find_doubtful(self, error_end: int) -> None:
        mark = first_test_mark(self.text)
        if mark is not None and (start := len(self.text[:mark].encode())) < error_end:
            self.doubtful_from = start
        # The attribute of a module in a file of its own may be lost with the error around it.
        names = test_files(self.text)
        self.declarations += [ModuleDeclaration(name, (), None, True) for name in names]

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
            elif kind == "empty_statement":
                # `#[cfg(test)];` is a slip, and the attribute still marks what follows.
                continue
            elif kind == "inner_attribute_item":
                self._read_inner_attribute(node, scope, is_top)
            elif kind == "ERROR":
                yield from self._read_broken(node, scope)
                leading = _Leading(error_row=node.end_point.row)
            elif node.is_named:
                yield from self._read_item(node, scope, leading)
                leading = _Leading()

    def _read_inner_attribute(self, node: Node, scope: _Scope, is_top: bool) -> None:
        text = self._text(node)
        row = node.start_point.row
        if is_test_attribute(text):
            scope.test = True
            self.test_file |= is_top
        elif macro := doc_macro(text):
            self.skipped.append(Skipped(row + 1, "", f"documentation that {macro}! writes"))
        elif is_top and (documentation := doc_attribute(text)) is not None:
            self.file_docs.append(documentation)
            self.file_doc_lines += (row + 1, node.end_point.row + 1)

    def _read_comment(self, node: Node, leading: _Leading, is_top: bool) -> None:
        text = self._text(node)
        row = node.start_point.row
        if text.startswith(("//!", "/*!")):
            if is_top:
                self.file_docs.append(comment_body(text))
                self.file_doc_lines += (row + 1, row + 1 + text.rstrip("\n").count("\n"))
        elif is_doc_comment(text):
            leading.starts(node)
            leading.docs.append(comment_body(text))
        elif text.startswith("//"):
            if row != leading.remark_row + 1:
                leading.remarks.clear()
            leading.remark_row = row
            leading.remarks.append(text[2:].strip())

    def _read_attribute(self, node: Node, leading: _Leading) -> None:
        leading.starts(node)
        text = self._text(node)
        if (documentation := doc_attribute(text)) is not None:
            leading.docs.append(documentation)
            return
        if macro := doc_macro(text):
            leading.absent_docs.append(f"documentation that {macro}! writes")
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
            if node.has_error:
                self._skip(node, leading, name, _UNPARSED)
            elif name is not None and not (test or self._is_doubtful(node)):
                block = scope.container
                owner, header = (block.type_name, block.header) if block else ("", "")
                self.constants.append(constant(self._text(name), self._text(node), owner, header))
        elif kind == "use_declaration":
            tree = node.child_by_field_name("argument")
            if tree is not None and not test:
                self.imports.update(imports(self._text(tree)))
        elif kind == "macro_definition":
            if not (test or node.has_error or self._is_doubtful(node)):
                self.constants += macro_definition(node, self._text)
        elif kind == "impl_item":
            yield from self._read_block(node, scope, leading, test)
        elif kind == "mod_item":
            yield from self._read_module(node, scope, leading, test)
        elif kind == "macro_invocation":
            yield from self._read_macro(node, scope, leading, test)
        elif node.has_error:
            self._skip(node, leading, node.child_by_field_name("name"), _UNPARSED)

    def _is_doubtful(self, node: Node) -> bool:
        return node.start_byte >= self.doubtful_from

    def _skip(self, node: Node, leading: _Leading, name: Node | None, reason: str) -> None:
        start_row = node.start_point.row if leading.start_row is None else leading.start_row
        self.skipped.append(Skipped(start_row + 1, self._text(name) if name else "", reason))

    def _read_declaration(self, node: Node, scope: _Scope, leading: _Leading, test: bool) -> None:
        name_node = node.child_by_field_name("name")
        name = self._text(name_node) if name_node else ""
        start_row = node.start_point.row if leading.start_row is None else leading.start_row
        text = self._text(node)
        reason = (
            "test code"
            if test
            else _DOUBTFUL
            if self._is_doubtful(node)
            else _UNPARSED
            if node.has_error or not name or leading.error_row == node.start_point.row
            else "parts of it are test code"
            if holds_test_code(node, text)
            else None
        )
        if reason is not None:
            self.skipped.append(Skipped(start_row + 1, name, reason))
            return
        self.skipped += [Skipped(start_row + 1, name, absent) for absent in leading.absent_docs]
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
                doc=unindent(leading.docs),
                remarks="\n".join(leading.remarks),
                attributes=tuple(leading.attributes),
                text=text,
                signature=self._before(node, body),
                body=self._text(body) if body else "",
                interface=self._without_bodies(node, body) if node.type == "trait_item" else text,
                parameters=tuple(
                    self._text(child)
                    for child in (parameters.named_children if parameters else ())
                    if child.type in ("parameter", "self_parameter")
                ),
                result=self._text(result) if result else "",
                members=self._members(node, body),
                indent=indent,
                has_long_literal=indent != ("    " if scope.container else "")
                and has_long_literal(node),
                start_line=start_row + 1,
                end_line=node.end_point.row + 1,
            )
        )

    def _before(self, node: Node, body: Node | None) -> str:
        end = body.start_byte if body else node.end_byte
        return self.source[node.start_byte : end].decode().rstrip().removesuffix(";")

    def _without_bodies(self, trait: Node, body: Node | None) -> str:
        """Return a trait without the default bodies of its methods."""
        pieces: list[bytes] = []
        start = trait.start_byte
        for method in body.named_children if body else ():
            default = method.child_by_field_name("body")
            if method.type == "function_item" and default is not None:
                pieces += (self.source[start : default.start_byte].rstrip(), b";")
                start = default.end_byte
        pieces.append(self.source[start : trait.end_byte])
        return b"".join(pieces).decode()

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
        types = [child for child in body.named_children if child.type == "type_item"]
        by_name = {
            self._text(name): self._text(child)
            for child in (types if trait_node is not None else ())
            if (name := child.child_by_field_name("name")) is not None
        }
        yield _Scope(
            body.children,
            scope.modules,
            Container(
                header="\n".join((*leading.attributes, self._before(node, body))),
                type_name=self._type_name(type_node),
                trait_name=self._text(trait_node) if trait_node else None,
                associated=tuple(by_name.values()),
                associated_by_name=by_name,
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
        test = test or self._is_doubtful(node)
        paths, may_be_usual = module_paths(leading.attributes)
        self.declarations += [
            ModuleDeclaration(name, scope.modules, named.path, test or named.test)
            for named in paths
        ]
        if may_be_usual:
            self.declarations.append(ModuleDeclaration(name, scope.modules, None, test))

    def _read_macro(
        self, node: Node, scope: _Scope, leading: _Leading, test: bool
    ) -> Iterator[_Scope]:
        """Read plain items in the braces of a macro call, where the braces contain only Rust."""
        tokens = node.named_children[-1]
        inside = self.source[tokens.start_byte + 1 : tokens.end_byte - 1]
        if not _ITEM_WORD.search(inside):
            return
        macro = node.child_by_field_name("macro")
        name = self._text(macro) if macro is not None else ""
        # `proptest! { fn a() {} }`: the items of such a macro are tests.
        test = test or TEST_ATTRIBUTE.search(name) is not None
        if tokens.children[0].type != "{" or tokens.children[-1].type != "}":
            return
        inner = []
        if scope.macro_depth < MAX_MACRO_DEPTH:
            branches = (
                cfg_branches(tokens, self._text)
                if name.rpartition("::")[2] == "cfg_if"
                else [(tokens, False)]
            )
            inner = [self._macro_scope(part, scope, test or is_test) for part, is_test in branches]
        parsed = [found for found in inner if found is not None]
        if not test and len(parsed) < max(1, len(inner)):
            self._skip(node, leading, macro, "items in a macro call that are not plain Rust")
        yield from parsed

    def _macro_scope(self, tokens: Node, scope: _Scope, test: bool) -> _Scope | None:
        """Parse the braces of a macro call, or return None where they contain more than items."""
        start, end = tokens.children[0], tokens.children[-1]
        # Parsing a range of the whole file keeps every position exact.
        only = tree_sitter.Range(start.end_point, end.start_point, start.end_byte, end.start_byte)
        if only.start_byte == only.end_byte:
            # An empty range would mean the whole file.
            return _Scope([], scope.modules)
        root = rust_syntax.parse(self.source, [only])
        if root.has_error:
            return None
        return _Scope(root.children, scope.modules, scope.container, test, scope.macro_depth + 1)

    def _read_broken(self, broken: Node, scope: _Scope) -> Iterator[_Scope]:
        """Read whole items inside an ERROR node, which lists the tokens of blocks that never close.

        A header in these tokens is parsed again with an empty body, so that the methods of an
        unfinished `impl` keep their header. The contents of an unfinished function are skipped.
        """
        self.skipped.append(Skipped(broken.start_point.row + 1, "", _SYNTAX_ERROR))
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
