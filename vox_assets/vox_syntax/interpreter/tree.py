"""Reads programs and expressions: their trees, with what the grammar leaves out of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from lark import Token, Tree

from vox_assets.vox_syntax import VoxSyntaxError, parse
from vox_assets.vox_syntax.builtin import walk
from vox_assets.vox_syntax.interpreter.values import UnknownError

#: A tree or a token; the grammar decides which.
Node = Any

#: Digits of a decimal: with more, the arithmetic of the interpreter would round.
MAX_DIGITS = 28
#: Constructors that every program has, with the number of their values.
CONSTRUCTORS = {"Ok": 1, "Error": 1, "Some": 1, "None": 0}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True)
class Module:
    """What a program declares, by name."""

    functions: Mapping[str, Node]
    components: Mapping[str, Node]
    handlers: Mapping[str, Mapping[str, Node]]
    machines: Mapping[str, Node]
    columns: Mapping[str, Mapping[str, str]]
    constants: Mapping[str, Node]
    #: Number of values that each constructor of a variant takes.
    constructors: Mapping[str, int]
    #: Names that the program imports or declares without saying what they do.
    foreign: frozenset[str]
    mutations: frozenset[str]


def _parsed(source: str) -> Tree[Token]:
    """Parse a source and keep in the nodes what the tree leaves out of it."""
    tree = parse(source)
    for node, _ in walk(tree):
        meta: Any = node.meta
        match node.data:
            case "equality" | "comparison" | "sum" | "product" | "compound_assignment":
                left, right = node.children
                meta.operator = source[_end(left) : _start(right)].strip()
            case "arguments" if not node.meta.empty:
                meta.source = source[meta.start_pos + 1 : meta.end_pos - 1].strip()
            case "parameter" | "machine_field":
                meta.type = _type_text(node, source)
            case "contract":
                meta.after = source.startswith("@ensure", meta.start_pos)
            case "function" | "handler":
                meta.result = _type_text(node, source)
            case "machine_state":
                meta.terminal = source.startswith("terminal", meta.start_pos)
            case "lifecycle":
                meta.on_mount = re.match(r"on\s+mount\b", source[meta.start_pos :]) is not None
            case "transition":
                _keep_transition(node, source)
    return tree


def _type_text(node: Node, source: str) -> str:
    kind = next((item for item in node.children if data_of(item).endswith("_type")), None)
    return "" if kind is None else source[_start(kind) : _end(kind)]


def _keep_transition(node: Node, source: str) -> None:
    """Keep the event's parameters, the state before and the state after."""
    names = [str(_word(item)) for item in node.children if _word(item) is not None]
    between = names[1:-1]
    before = source[node.meta.start_pos : node.meta.end_pos]
    is_any = re.search(r"\bfrom\s+any\b", before) is not None
    node.meta.source = "any" if is_any else between.pop()
    node.meta.takes = between
    node.meta.target = names[-1]


def _word(item: Any) -> Token | None:
    if isinstance(item, Token):
        return item
    return item.children[0] if item.data == "half_reserved" else None


def _start(node: Any) -> int:
    return int(node.meta.start_pos if isinstance(node, Tree) else node.start_pos)


def _end(node: Any) -> int:
    return int(node.meta.end_pos if isinstance(node, Tree) else node.end_pos)


def read_module(source: str) -> Module:
    """Read what a program declares; raises VoxSyntaxError when it does not parse."""
    tree = _parsed(source)
    functions = {name_of(node): node for node in tree.find_data("function")}
    tables = {
        name_of(node): {
            name_of(field): source[_start(field.children[-1]) : _end(field.children[-1])]
            for field in node.find_data("field")
        }
        for node in tree.find_data("table")
    }
    components = {
        name_of(node): node for kind in ("component", "fragment") for node in tree.find_data(kind)
    }
    handlers = {
        name_of(actor): {name_of(item): item for item in actor.find_data("handler")}
        for actor in tree.find_data("actor")
    }
    constructors = dict(CONSTRUCTORS)
    for kind in ("variant", "machine_state"):
        for node in tree.find_data(kind):
            values = [item for item in node.children if data_of(item) in ("field", "machine_field")]
            constructors[name_of(node)] = len(values)
    foreign = {name_of(node) for node in tree.find_data("v0_component")}
    for kind in ("import_member", "import_alias", "react_import", "import_path"):
        for node in tree.find_data(kind):
            foreign |= {
                str(item) for item in node.scan_values(lambda item: isinstance(item, Token))
            }
    return Module(
        functions=functions,
        components=components,
        handlers=handlers,
        machines={name_of(node): node for node in tree.find_data("state_machine")},
        columns=tables,
        constants={name_of(node): node.children[-1] for node in tree.find_data("constant")},
        constructors=constructors,
        foreign=frozenset(foreign),
        mutations=frozenset(
            name_of(function)
            for node in tree.find_data("endpoint_mutation")
            for function in node.find_data("function")
        ),
    )


@lru_cache(maxsize=4096)
def read_expression(text: str) -> Node:
    """Parse an expression that is given as text, such as an interpolation in a string."""
    try:
        tree = _parsed(f"fn inside() {{\n    return {text}\n}}")
    except VoxSyntaxError as error:
        raise UnknownError(f"{text[:80]} is no expression") from error
    returned = list(tree.find_data("return"))
    inner: Node = tree.children[0]
    last = inner.children[-1].children
    if len(tree.children) != 1 or len(last) != 1 or last[0] not in returned:
        raise UnknownError(f"{text[:80]} is no expression")
    return last[0].children[0]


def data_of(node: Any) -> str:
    return node.data if isinstance(node, Tree) else "token"


def parameters(node: Node) -> list[Node]:
    """List the parameters of a function or lambda, without those of a lambda inside it."""
    found = next(item for item in node.children if data_of(item) == "parameters")
    return [item for item in found.children if isinstance(item, Tree)]


def name_of(node: Node) -> str:
    """Return the first name among the children; the name of an attribute is the last."""
    children = reversed(node.children) if node.data == "attribute" else node.children
    for child in children:
        if data_of(child) == "half_reserved":
            return str(child.children[0])
        if isinstance(child, Token) and child.type in ("NAME", "TYPE_NAME"):
            return str(child)
    raise UnknownError(f"{node.data} without a name")


def dotted(attribute: Node) -> str:
    """Return the path of names such as `std.json.parse`, or an empty text for other owners."""
    names: list[str] = []
    node = attribute
    while node.data == "attribute":
        names.append(name_of(node))
        node = node.children[0]
    if node.data != "name":
        return ""
    return ".".join([str(node.children[0]), *reversed(names)])


def literal_value(token: Token) -> Any:
    match token.type:
        case "INT":
            return int(token)
        case "FLOAT":
            return float(token)
        case "DECIMAL":
            value = Decimal(token.removesuffix("dec"))
            if len(value.as_tuple().digits) > MAX_DIGITS:
                raise UnknownError(f"a decimal of more than {MAX_DIGITS} digits")
            return value
        case "STRING" | "QUOTED":
            return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), token[1:-1])
    if token in ("true", "false"):
        return token == "true"
    raise UnknownError(f"{token} is not evaluated")
