"""Makes wrong programs from a correct one, each with one change of its text."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from lark import Token, Tree

from vox_assets.vox_syntax import parse
from vox_assets.vox_syntax.builtin import walk

Kind = Literal["constant", "operator", "comparison", "branch", "dropped", "swapped"]

_OTHER: Mapping[str, tuple[str, ...]] = {
    "+": ("-", "*"),
    "-": ("+", "*"),
    "*": ("+", "-"),
    "/": ("*", "+"),
    "%": ("*", "+"),
    "<": ("<=", ">"),
    "<=": ("<", ">="),
    ">": (">=", "<"),
    ">=": (">", "<="),
    "is": ("isnt",),
    "isnt": ("is",),
    "==": ("!=",),
    "!=": ("==",),
    "+=": ("-=",),
    "-=": ("+=",),
    "*=": ("+=",),
    "/=": ("*=",),
    "true": ("false",),
    "false": ("true",),
    "or": ("and",),
    "and": ("or",),
}
#: Statements that can be left out; without a `let` the program would not be one.
_STATEMENTS = frozenset({"assignment", "compound_assignment", "return", "if", "call", "while"})
#: Parts of declarations that can be left out.
_PARTS = frozenset(
    "field variant form_field route machine_state transition url_variant style_property v0_prop "
    "effect lifecycle handler contract decorator rate_limit cors element".split()
)

Node = Any


class Mutant(NamedTuple):
    """A wrong program and what is wrong in it."""

    kind: Kind
    source: str


class _Change(NamedTuple):
    kind: Kind
    start: int
    end: int
    text: str


def mutants(source: str) -> list[Mutant]:
    """List the mutants of a program in the order of their changes, each once.

    Some do not parse, and some behave like the program. Raises VoxSyntaxError when it does not
    parse.
    """
    return _made(source, _changes)


def structural_mutants(source: str) -> list[Mutant]:
    """List mutants of what does not run: options, labels, fields, routes, members, elements.

    Like `mutants`; none of them is among those.
    """
    return _made(source, _structural_changes)


def _made(source: str, find: Callable[[Node, str], Iterable[_Change]]) -> list[Mutant]:
    changes = {change for node, _ in walk(parse(source)) for change in find(node, source)}
    made = (
        Mutant(change.kind, source[: change.start] + change.text + source[change.end :])
        for change in sorted(changes, key=lambda item: (item.start, item.end, item.text))
    )
    return [mutant for mutant in dict.fromkeys(made) if mutant.source != source]


def _changes(node: Node, source: str) -> Iterator[_Change]:
    match node.data:
        case "literal" | "literal_pattern":
            token = node.children[0]
            for text in _other_literals(token):
                yield _Change("constant", token.start_pos, token.end_pos, text)
        case "sum" | "product" | "compound_assignment":
            yield from _operator("operator", node, source)
        case "comparison" | "equality":
            yield from _operator("comparison", node, source)
        case "or" | "and":
            yield from _operator("operator", node, source)
        case "not":
            yield _Change("operator", node.meta.start_pos, _start(node.children[0]), "")
        case "if":
            test = node.children[0]
            for text in (f"not ({_text(test, source)})", "true", "false"):
                yield _Change("branch", _start(test), _end(test), text)
        case "match":
            yield from _exchanged("branch", [_body(arm) for arm in node.children[1:]], source)
        case "block":
            for statement in node.children:
                if isinstance(statement, Tree) and statement.data in _STATEMENTS:
                    yield _Change("dropped", _start(statement), _end(statement), "")
        case "arguments":
            given = [item for item in node.children if item.data != "named_argument"]
            yield from _exchanged("swapped", given[:2], source)


def _structural_changes(node: Node, source: str) -> Iterator[_Change]:
    if node.data in _PARTS:
        yield _Change("dropped", _start(node), _end(node), "")
    if node.data == "if" and len(node.children) > 2:
        yield from _exchanged("branch", node.children[1:], source)
    if node.data == "element":
        yield from _exchanged("swapped", node.children[1:], source)
    if node.data not in ("literal", "literal_pattern"):
        for token in node.children:
            if isinstance(token, Token):
                for text in _other_literals(token)[:1]:
                    yield _Change("constant", _start(token), _end(token), text)


def _other_literals(token: Token) -> tuple[str, ...]:
    match token.type:
        case "INT":
            return str(int(token) + 1), str(max(0, int(token) - 1))
        case "DECIMAL":
            whole, point, part = token.removesuffix("dec").partition(".")
            return (f"{int(whole) + 1}{point}{part}dec",)
        case "STRING" | "QUOTED":
            return (f"{token[:-1]}x{token[-1]}",)
    return _OTHER.get(str(token), ())


def _operator(kind: Kind, node: Node, source: str) -> Iterator[_Change]:
    """Change the operator, which the text has between the operands."""
    left, right = node.children
    between = source[_end(left) : _start(right)]
    symbol = between.strip()
    start = _end(left) + between.find(symbol)
    for text in _OTHER.get(symbol, ()):
        yield _Change(kind, start, start + len(symbol), text)


def _exchanged(kind: Kind, parts: list[Node], source: str) -> Iterator[_Change]:
    """Exchange two parts that follow one another."""
    for first, second in itertools.pairwise(parts):
        if first is None or second is None:
            continue
        one, other = _text(first, source), _text(second, source)
        between = source[_end(first) : _start(second)]
        yield _Change(kind, _start(first), _end(second), f"{other}{between}{one}")


def _body(arm: Node) -> Node | None:
    """Return what an arm computes, unless its pattern binds names for it."""
    pattern = arm.children[0]
    is_open = pattern.data == "literal_pattern" or (
        pattern.data == "name_pattern" and str(pattern.children[0]) == "_"
    )
    return arm.children[1] if len(arm.children) > 1 and is_open else None


def _text(node: Node, source: str) -> str:
    return source[_start(node) : _end(node)]


def _start(node: Node) -> int:
    return int(node.meta.start_pos if isinstance(node, Tree) else node.start_pos)


def _end(node: Node) -> int:
    return int(node.meta.end_pos if isinstance(node, Tree) else node.end_pos)
