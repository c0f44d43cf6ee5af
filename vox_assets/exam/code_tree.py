"""Reads Vox code from a parse tree into nodes that are easy to rewrite, and writes them as text.

Reading removes layout, comments and parentheses, and gives every local variable a number, so that
its name no longer matters. `normal_form` rewrites the nodes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple, Union

from lark import Token, Tree

from vox_assets.vox_syntax import Diagnostic, VoxSyntaxError, parse
from vox_assets.vox_syntax.constructs import INTERPOLATED
from vox_assets.vox_syntax.lexer import words

#: Nested nodes of a tree. Templates and the Vox repository reach 26; a deeper tree could exhaust
#: Python's stack at a depth that depends on the caller, and a verdict must not.
MAX_DEPTH = 100

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SIMPLE_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
#: Signs in a text that are not the start or end of an interpolation or of the text.
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "{": "{{", "}": "}}"})
_WRITTEN = {"is": "==", "isnt": "!="}
_TIGHT = re.compile(r"\s*([()\[\]<>.?])\s*| (?=[,:])")


class Code(NamedTuple):
    """A node of simplified code; parts that are no nodes are names, literals and numbers."""

    kind: str
    parts: tuple[Part, ...] = ()


Part = Union[Code, str, int]  # noqa: UP007 - the alias refers to itself
_Scope = dict[str, int]


def refuse_deep(tree: Tree[Token]) -> None:
    """Raise VoxSyntaxError for a tree that is nested too deeply to be read here."""
    pending = [(tree, 1)]
    while pending:
        node, depth = pending.pop()
        if depth > MAX_DEPTH:
            line, column = node.meta.line, node.meta.column
            raise VoxSyntaxError(
                Diagnostic(line, column, f"the code nests deeper than {MAX_DEPTH} levels")
            )
        pending.extend((child, depth + 1) for child in node.children if isinstance(child, Tree))


def type_text(node: Tree[Token] | Token, source: str) -> str:
    """Return the text of a type: one spelling of `list`, no blanks except after a comma."""
    if isinstance(node, Token):
        return _spelt([str(node)])
    return _spelt(words(source[node.meta.start_pos : node.meta.end_pos]))


def _spelt(found: Iterable[str]) -> str:
    spelling = {"List": "list", "->": "to"}
    text = " ".join(spelling.get(word, word) for word in found)
    return re.sub(r"(?<=[\])])to ", " to ", _TIGHT.sub(r"\1", text))


def read_value(node: Tree[Token] | Token, source: str) -> Code:
    """Read an expression of `source`."""
    return _Reader(source).value(node, {})


def read_block(node: Tree[Token], source: str) -> Code:
    """Read the statements of a block of `source`."""
    return _Reader(source).block(node, {})


@dataclass
class _Reader:
    """Reads code from a parse tree; local variables become numbers."""

    source: str

    def __post_init__(self) -> None:
        self.numbers = count()

    def value(self, node: Tree[Token] | Token, scope: _Scope) -> Code:
        if isinstance(node, Token):
            return Code("literal", (str(node),))
        read: Callable[[Tree[Token], _Scope], Code] | None = getattr(self, f"_{node.data}", None)
        if read is not None:
            return read(node, scope)
        children = node.children
        if node.data in _OPERATORS:
            left, right = children
            symbol = self._between(left, right)
            parts = (self.value(left, scope), self.value(right, scope))
            return Code("operator", (_WRITTEN.get(symbol, symbol), *parts))
        if node.data == "group":
            return self.value(children[0], scope)
        return Code(str(node.data), tuple(self.value(child, scope) for child in children))

    def block(self, node: Tree[Token], scope: _Scope) -> Code:
        inner = dict(scope)
        return Code("block", tuple(self.value(child, inner) for child in node.children))

    _block = _block_value = block

    def _between(self, left: Tree[Token] | Token, right: Tree[Token] | Token) -> str:
        """Read an operator, which the tree does not hold, from between its operands."""
        return self.source[_end(left) : _start(right)].strip()

    def _new(self, name: str, scope: _Scope) -> Code:
        scope[name] = next(self.numbers)
        return Code("local", (scope[name],))

    # Names and literals.

    def _name(self, node: Tree[Token], scope: _Scope) -> Code:
        return _variable(str(node.children[0]), scope)

    def _literal(self, node: Tree[Token], scope: _Scope) -> Code:
        token = node.children[0]
        assert isinstance(token, Token)
        if token.type not in ("STRING", "QUOTED"):
            return Code("literal", (str(token),))
        inside = str(token)[1:-1]
        if token.type == "QUOTED":
            return Code("text", (_unescaped(inside),))
        parts: list[Part] = []
        for index, part in enumerate(INTERPOLATED.split(inside)):
            if index % 2:
                parts.append(self._hole(part, scope))
            elif part:
                parts.append(_unescaped(part))
        return Code("text", tuple(parts))

    def _hole(self, inside: str, scope: _Scope) -> Part:
        """Read the expression of an interpolation; text that is none stays as it is."""
        if _SIMPLE_NAME.fullmatch(inside):
            first, *attributes = inside.split(".")
            value = _variable(first, scope)
            for name in attributes:
                value = Code("attribute", (value, name))
            return value
        source = f"fn inside() {{\n    return {inside}\n}}"
        try:
            tree = parse(source)
            refuse_deep(tree)
        except VoxSyntaxError:
            return f"{{{inside}}}"
        (function,) = tree.children
        assert isinstance(function, Tree)
        (returned,) = _tree(function.children[-1]).children
        reader = _Reader(source)
        reader.numbers = self.numbers
        return reader.value(_tree(returned).children[0], scope)

    def _attribute(self, node: Tree[Token], scope: _Scope) -> Code:
        owner, name = node.children
        return Code("attribute", (self.value(owner, scope), plain_name(name)))

    def _object_literal(self, node: Tree[Token], scope: _Scope) -> Code:
        pairs: list[Code] = []
        for pair in map(_tree, node.children):
            key = str(pair.children[0]).strip("\"'")
            pairs.append(Code("pair", (key, self.value(pair.children[1], scope))))
        pairs.sort(key=_first)
        return Code("record", tuple(pairs))

    # Calls.

    def _call(self, node: Tree[Token], scope: _Scope) -> Code:
        callee, arguments = map(_tree, node.children)
        given = [self.value(item, scope) for item in arguments.children]
        named = sorted((part for part in given if part.kind == "named"), key=_first)
        positional = [part for part in given if part.kind != "named"]
        return Code("call", (self.value(callee, scope), *positional, *named))

    _method_call = _call

    def _named_argument(self, node: Tree[Token], scope: _Scope) -> Code:
        """Read the value; an event handler is code, with or without `fn()` before it."""
        name, value = str(node.children[0]), node.children[1]
        read = self.value(value, scope)
        while True:
            inner = read.parts[0] if len(read.parts) == 1 else None
            peeled = read.kind == "block" or (read.kind == "lambda" and name.startswith("on_"))
            if not peeled or not isinstance(inner, Code):
                return Code("named", (name, read))
            read = inner

    def _element(self, node: Tree[Token], scope: _Scope) -> Code:
        return Code("element", tuple(self.value(child, scope) for child in node.children))

    def _lambda(self, node: Tree[Token], scope: _Scope) -> Code:
        inner = dict(scope)
        parameters = next(
            child
            for child in node.children
            if isinstance(child, Tree) and child.data == "parameters"
        )
        names = [self._new(plain_name(_tree(item)), inner) for item in parameters.children]
        return Code("lambda", (*names, self._lambda_body(node.children[-1], inner)))

    def _arrow_lambda(self, node: Tree[Token], scope: _Scope) -> Code:
        inner = dict(scope)
        names = [self._new(str(item), inner) for item in node.children[:-1]]
        return Code("lambda", (*names, self._lambda_body(node.children[-1], inner)))

    def _lambda_body(self, node: Tree[Token] | Token, scope: _Scope) -> Code:
        read = self.value(node, scope)
        return read if read.kind == "block" else Code("block", (read,))

    def _pipe(self, node: Tree[Token], scope: _Scope) -> Code:
        value, function = (self.value(child, scope) for child in node.children)
        return Code("call", (function, value))

    # Choices and loops.

    def _if(self, node: Tree[Token], scope: _Scope) -> Code:
        """Read a chain of `if` and `else if` as a flat list of branches and a last block."""
        branches: list[Code] = []
        current = node
        while True:
            condition, chosen, *others = current.children
            parts = (self.value(condition, scope), self.block(_tree(chosen), scope))
            branches.append(Code("branch", parts))
            if not others:
                break
            current = _tree(others[0])
            if current.data == "block":
                branches.append(self.block(current, scope))
                break
        return Code("if", tuple(branches))

    def _arm(self, node: Tree[Token], scope: _Scope) -> Code:
        inner = dict(scope)
        pattern = self._pattern(node.children[0], inner)
        result = self.value(node.children[1], inner) if len(node.children) > 1 else Code("return")
        result = result if result.kind == "block" else Code("block", (result,))
        return Code("arm", (pattern, result))

    _leaving_arm = _arm

    def _returned(self, node: Tree[Token], scope: _Scope) -> Code:
        return Code("return", (self.value(node.children[0], scope),))

    def _pattern(self, node: Tree[Token] | Token, scope: _Scope) -> Code:
        pattern = _tree(node)
        first = str(pattern.children[0]) if isinstance(pattern.children[0], Token) else ""
        if pattern.data == "literal_pattern":
            if first[0] == '"':
                return Code("text", (_unescaped(first[1:-1]),))
            return Code("literal", (first,))
        if pattern.data == "name_pattern":
            if first == "_" or first[0].isupper():
                return Code("name", (first,))
            return self._new(first, scope)
        inner = pattern.children[1:] if pattern.data == "constructor_pattern" else pattern.children
        parts = tuple(self._pattern(part, scope) for part in inner)
        if pattern.data == "constructor_pattern":
            return Code("call", (Code("name", (first,)), *parts))
        return Code("tuple", parts)

    def _for(self, node: Tree[Token], scope: _Scope) -> Code:
        names = [str(child) for child in node.children if isinstance(child, Token)]
        values, *rest = node.children[len(names) :]
        read = self.value(values, scope)
        inner = dict(scope)
        local = tuple(self._new(name, inner) for name in names)
        keys = tuple(self.value(_tree(item).children[0], inner) for item in rest[:-1])
        return Code("for", (*local, read, *keys, self.block(_tree(rest[-1]), inner)))

    # Statements.

    def _let(self, node: Tree[Token], scope: _Scope) -> Code:
        trees = [child for child in node.children if isinstance(child, Tree)]
        changes = trees[0].data == "mutable"
        # The value is read first: it may use an earlier variable of the same name.
        value = self.value(node.children[-1], scope)
        pattern = self._pattern(trees[1 if changes else 0], scope)
        return Code("let", (pattern, value))

    def _compound_assignment(self, node: Tree[Token], scope: _Scope) -> Code:
        target, value = node.children
        left, right = self.value(target, scope), self.value(value, scope)
        symbol = self._between(target, value).removesuffix("=")
        return Code("assignment", (left, Code("operator", (symbol, left, right))))


_OPERATORS = frozenset({"equality", "comparison", "sum", "product"})


def _tree(node: Tree[Token] | Token) -> Tree[Token]:
    assert isinstance(node, Tree)
    return node


def _first(code: Code) -> str:
    return str(code.parts[0])


def _start(node: Tree[Token] | Token) -> int:
    return (node.start_pos or 0) if isinstance(node, Token) else node.meta.start_pos


def _end(node: Tree[Token] | Token) -> int:
    return (node.end_pos or 0) if isinstance(node, Token) else node.meta.end_pos


def plain_name(node: Tree[Token] | Token) -> str:
    """Return a name that is a token, a half-reserved word, or the first name of a node."""
    while isinstance(node, Tree):
        node = node.children[0]
    return str(node)


def _variable(name: str, scope: _Scope) -> Code:
    return Code("local", (scope[name],)) if name in scope else Code("name", (name,))


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(
        lambda match: {"n": "\n", "t": "\t", "r": "\r"}.get(match[1], match[1]), text
    )


def shown(code: Part) -> str:
    """Write code in one line; local variables are numbered in the order of their appearance."""
    order: dict[int, int] = {}
    return _shown(code, order)


def _shown(code: Part, order: dict[int, int]) -> str:
    if not isinstance(code, Code):
        return str(code)
    kind, parts = code
    if kind == "local":
        (number,) = parts
        assert isinstance(number, int)
        return f"${order.setdefault(number, len(order) + 1)}"
    if kind == "text":
        inside = (
            "{" + _shown(part, order) + "}"
            if isinstance(part, Code)
            else str(part).translate(_ESCAPES)
            for part in parts
        )
        return '"' + "".join(inside) + '"'
    texts = [_shown(part, order) for part in parts]
    write = _WRITE.get(kind)
    return write(texts) if write else f"{kind}({', '.join(texts)})"


def _inner(texts: Sequence[str]) -> str:
    return ", ".join(texts)


_WRITE: dict[str, Callable[[list[str]], str]] = {
    "name": _inner,
    "literal": _inner,
    "block": lambda texts: "{ " + "; ".join(texts) + " }" if texts else "{}",
    "attribute": ".".join,
    "pair": ": ".join,
    "named": lambda texts: f"{texts[0]}={{{texts[1]}}}",
    "record": lambda texts: "{" + _inner(texts) + "}",
    "list_literal": lambda texts: "[" + _inner(texts) + "]",
    "tuple": lambda texts: "(" + _inner(texts) + ")",
    "operator": lambda texts: f"({texts[1]} {texts[0]} {texts[2]})",
    "and": lambda texts: "(" + " and ".join(texts) + ")",
    "or": lambda texts: "(" + " or ".join(texts) + ")",
    "not": lambda texts: f"not {texts[0]}",
    "negative": lambda texts: f"-{texts[0]}",
    "indexing": lambda texts: f"{texts[0]}[{texts[1]}]",
    "error_propagation": lambda texts: f"{texts[0]}?",
    "call": lambda texts: f"{texts[0]}({_inner(texts[1:])})",
    "element": lambda texts: f"{texts[0]} {{ {'; '.join(texts[1:])} }}",
    "lambda": lambda texts: f"fn({_inner(texts[:-1])}) {texts[-1]}",
    "let": lambda texts: f"let {texts[0]} = {texts[1]}",
    "assignment": lambda texts: f"{texts[0]} = {texts[1]}",
    "return": lambda texts: " ".join(["return", *texts]),
    "branch": lambda texts: f"if {texts[0]} {texts[1]}",
    "if": " else ".join,
    "arm": lambda texts: f"{texts[0]} => {texts[1]}",
    "match": lambda texts: f"match {texts[0]} {{ {'; '.join(texts[1:])} }}",
    "while": lambda texts: f"while {texts[0]} {texts[1]}",
    "loop": lambda texts: f"loop {texts[0]}",
}
