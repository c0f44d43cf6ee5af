"""Interpreter for small Vox programs: enough of the language to compute a test's assertions.

A tree-walking interpreter for functions without effects: numbers, texts, lists, records, variants,
loops, matches, lambdas. Whatever it does not know, and whatever two back ends may compute
differently (division with a remainder, floating point as text), raises rather than guesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, Inexact, localcontext
from functools import partial
from typing import Any

from lark import Token, Tree

from vox_assets.vox_syntax import parse

#: Nodes visited for one call; a loop that does not end is `UnknownError`.
MAX_STEPS = 20_000

_HOLE = re.compile(r"\{([A-Za-z_][^{}\"]*)\}")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


class UnknownError(Exception):
    """The program does something whose outcome is not known here."""


class FailedError(Exception):
    """An `assert` that does not hold; the message is its source."""


@dataclass(frozen=True)
class Variant:
    """A value of a type with variants, those of `Option` and `Result` included."""

    name: str
    payload: tuple[Any, ...] = ()


class _ReturnError(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _BreakError(Exception):
    pass


class _ContinueError(Exception):
    pass


Scope = dict[str, Any]
#: A tree or a token; the grammar decides which.
Node = Any


class Program:
    """A parsed program whose functions can be called.

    Raises VoxSyntaxError where `source` is none.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.functions: dict[str, Callable[[Sequence[Any], Mapping[str, Any]], Any]] = {
            _name(node): partial(self._apply, node) for node in parse(source).find_data("function")
        }
        self.steps = 0

    def call(self, name: str) -> None:
        """Run a function without parameters, such as a test; raises UnknownError or FailedError."""
        self.value(f"{name}()")

    def value(self, expression: str) -> Any:
        """The value of an expression over the functions; raises UnknownError or FailedError."""
        self.steps = 0
        try:
            return self._inside(expression, {})
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
            raise UnknownError(f"{expression}: {error}") from error

    def _inside(self, expression: str, scope: Scope) -> Any:
        """The value of an expression that is text, such as what a string interpolates."""
        inner = Program(f"fn inside() {{\n    return {expression}\n}}")
        function: Node = parse(inner.source).children[0]
        # Functions stay bound to the source that they stand in.
        inner.functions = self.functions
        returned = function.children[-1].children[0]
        return inner._value(returned.children[0], scope)

    def _apply(self, function: Node, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
        scope: Scope = {}
        for place, parameter in enumerate(_parameters(function)):
            name = _name(parameter)
            default = next(parameter.find_data("default"), None)
            if place < len(positional):
                scope[name] = positional[place]
            elif name in named:
                scope[name] = named[name]
            elif default is not None:
                scope[name] = self._value(default.children[0], {})
            else:
                raise UnknownError(f"no value for {name}")
        try:
            return self._block(function.children[-1], scope)
        except _ReturnError as left:
            return left.value

    # Statements.

    def _block(self, block: Node, scope: Scope) -> Any:
        value = None
        for statement in block.children:
            value = self._statement(statement, scope)
        return value

    def _statement(self, node: Node, scope: Scope) -> Any:
        self._count()
        match node.data:
            case "let":
                binding = next(item for item in node.children if _data(item) != "mutable")
                if not self._bind(binding, self._value(node.children[-1], scope), scope):
                    raise UnknownError("a binding that does not match")
            case "assignment":
                scope[self._assigned(node)] = self._value(node.children[1], scope)
            case "compound_assignment":
                name = self._assigned(node)
                operator = self._between(node).removesuffix("=")
                scope[name] = _compute(operator, scope[name], self._value(node.children[1], scope))
            case "while":
                self._loop(iter(lambda: self._value(node.children[0], scope), False), node, scope)
            case "loop":
                self._loop(iter(lambda: True, False), node, scope)
            case "return":
                raise _ReturnError(self._value(node.children[0], scope) if node.children else None)
            case "break":
                raise _BreakError
            case "continue":
                raise _ContinueError
            case _:
                return self._value(node, scope)
        return None

    def _loop(self, rounds: Iterator[Any], node: Node, scope: Scope) -> None:
        for _ in rounds:
            self._count()
            try:
                self._block(node.children[-1], scope)
            except _ContinueError:
                continue
            except _BreakError:
                break

    def _assigned(self, node: Node) -> str:
        target = node.children[0]
        if target.data != "name":
            raise UnknownError(f"assignment to {target.data}")
        return str(target.children[0])

    def _count(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise UnknownError("too many steps")

    # Patterns.

    def _bind(self, pattern: Node, value: Any, scope: Scope) -> bool:
        """Whether the value has the pattern; names in it are bound."""
        inner = pattern.children
        match pattern.data:
            case "name_pattern":
                name = str(inner[0])
                if name[0].isupper():
                    return value == Variant(name)
                if name != "_":
                    scope[name] = value
                return True
            case "literal_pattern":
                return type(value) in (int, str) and value == _literal(inner[0])
            case "tuple_pattern":
                return len(inner) == len(value) and all(
                    self._bind(part, item, scope) for part, item in zip(inner, value, strict=True)
                )
            case _:
                return (
                    value.name == str(inner[0])
                    and len(value.payload) == len(inner) - 1
                    and all(
                        self._bind(part, item, scope)
                        for part, item in zip(inner[1:], value.payload, strict=True)
                    )
                )

    # Expressions.

    def _value(self, node: Any, scope: Scope) -> Any:
        self._count()
        make = getattr(self, f"_{_data(node)}", None)
        if make is None:
            raise UnknownError(f"{_data(node)} is not evaluated")
        return make(node, scope)

    def _block_value(self, node: Node, scope: Scope) -> Any:
        return self._block(node, scope)

    def _literal(self, node: Node, scope: Scope) -> Any:
        value = _literal(node.children[0])
        if node.children[0].type == "STRING":
            return _HOLE.sub(lambda hole: _text(self._inside(hole[1], scope)), value)
        return value

    def _name(self, node: Node, scope: Scope) -> Any:
        name = str(node.children[0])
        if name in scope:
            return scope[name]
        if name in self.functions:
            return lambda *given: self.functions[name](given, {})
        if name[0].isupper():
            return Variant(name)
        raise UnknownError(f"{name} is not known")

    def _group(self, node: Node, scope: Scope) -> Any:
        return self._value(node.children[0], scope)

    def _list_literal(self, node: Node, scope: Scope) -> Any:
        return [self._value(item, scope) for item in node.children]

    def _tuple(self, node: Node, scope: Scope) -> Any:
        return tuple(self._value(item, scope) for item in node.children)

    def _object_literal(self, node: Node, scope: Scope) -> Any:
        return {
            str(pair.children[0]).strip("\"'"): self._value(pair.children[1], scope)
            for pair in node.children
        }

    def _attribute(self, node: Node, scope: Scope) -> Any:
        owner = self._value(node.children[0], scope)
        return owner[_name(node)]

    def _indexing(self, node: Node, scope: Scope) -> Any:
        owner, place = (self._value(item, scope) for item in node.children)
        if place < 0:
            raise UnknownError("a negative index")
        return owner[place]

    def _call(self, node: Node, scope: Scope) -> Any:
        callee, arguments = node.children
        named, given = {}, []
        for item in arguments.children:
            if item.data == "named_argument":
                named[str(item.children[0])] = self._value(item.children[1], scope)
            else:
                given.append(self._value(item, scope))
        if callee.data == "name":
            name = str(callee.children[0])
            if name == "assert":
                if not given[0]:
                    raise FailedError(self._source(arguments))
                return None
            if name in self.functions and name not in scope:
                return self.functions[name](given, named)
            if name in _BUILT_IN and name not in scope:
                return _BUILT_IN[name](*given)
            if name[0].isupper():
                return Variant(name, tuple(given))
        return self._value(callee, scope)(*given)

    def _method_call(self, node: Node, scope: Scope) -> Any:
        attribute, arguments = node.children
        owner = self._value(attribute.children[0], scope)
        method = _METHODS.get((type(owner), _name(attribute)))
        if method is None:
            raise UnknownError(f"{_name(attribute)} is not known")
        return method(owner, *(self._value(item, scope) for item in arguments.children))

    def _lambda(self, node: Node, scope: Scope) -> Callable[..., Any]:
        names = [_name(item) for item in _parameters(node)]
        return self._closure(names, node.children[-1], scope)

    def _arrow_lambda(self, node: Node, scope: Scope) -> Callable[..., Any]:
        return self._closure([str(item) for item in node.children[:-1]], node.children[-1], scope)

    def _closure(self, names: list[str], body: Node, scope: Scope) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            try:
                return self._value(body, {**scope, **dict(zip(names, given, strict=False))})
            except _ReturnError as left:
                return left.value

        return run

    def _pipe(self, node: Node, scope: Scope) -> Any:
        value, function = (self._value(item, scope) for item in node.children)
        return function(value)

    def _or(self, node: Node, scope: Scope) -> Any:
        return any(self._value(item, scope) for item in node.children)

    def _and(self, node: Node, scope: Scope) -> Any:
        return all(self._value(item, scope) for item in node.children)

    def _not(self, node: Node, scope: Scope) -> Any:
        return not self._value(node.children[0], scope)

    def _negative(self, node: Node, scope: Scope) -> Any:
        return -self._value(node.children[0], scope)

    def _binary(self, node: Node, scope: Scope) -> Any:
        left, right = (self._value(item, scope) for item in node.children)
        return _compute(self._between(node), left, right)

    _equality = _comparison = _sum = _product = _binary

    def _error_propagation(self, node: Node, scope: Scope) -> Any:
        value = self._value(node.children[0], scope)
        if value.name in ("Ok", "Some"):
            return value.payload[0]
        raise _ReturnError(value)

    def _if(self, node: Node, scope: Scope) -> Any:
        condition, *branches = node.children
        chosen = 0 if self._value(condition, scope) else 1
        return self._branch(branches[chosen], scope) if chosen < len(branches) else None

    def _branch(self, node: Node, scope: Scope) -> Any:
        return self._block(node, scope) if node.data == "block" else self._value(node, scope)

    def _match(self, node: Node, scope: Scope) -> Any:
        value = self._value(node.children[0], scope)
        for arm in node.children[1:]:
            if not self._bind(arm.children[0], value, scope):
                continue
            body = arm.children[1]
            if body.data == "returned":
                raise _ReturnError(self._value(body.children[0], scope))
            return self._statement(body, scope)
        raise UnknownError("no arm matches")

    def _for(self, node: Node, scope: Scope) -> None:
        names = [str(item) for item in node.children if isinstance(item, Token)]
        values = self._value(node.children[len(names)], scope)

        def rounds() -> Iterator[None]:
            for place, value in enumerate(values):
                scope.update(zip(names, (value, place), strict=False))
                yield

        self._loop(rounds(), node, scope)

    # Source.

    def _between(self, node: Node) -> str:
        """The operator, which the tree does not keep."""
        left, right = node.children
        return self.source[left.meta.end_pos : right.meta.start_pos].strip()

    def _source(self, node: Node) -> str:
        return self.source[node.meta.start_pos : node.meta.end_pos]


def _data(node: Any) -> str:
    return node.data if isinstance(node, Tree) else "token"


def _parameters(node: Node) -> list[Node]:
    """Of a function or lambda, not of a lambda inside it."""
    found = next(item for item in node.children if _data(item) == "parameters")
    return [item for item in found.children if isinstance(item, Tree)]


def _name(node: Node) -> str:
    """The first name among the children; that of an attribute is its last."""
    children = reversed(node.children) if node.data == "attribute" else node.children
    for child in children:
        if _data(child) == "half_reserved":
            return str(child.children[0])
        if isinstance(child, Token) and child.type in ("NAME", "TYPE_NAME"):
            return str(child)
    raise UnknownError(f"{node.data} without a name")


def _literal(token: Token) -> Any:
    match token.type:
        case "INT":
            return int(token)
        case "DECIMAL":
            return Decimal(token.removesuffix("dec"))
        case "STRING" | "QUOTED":
            return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), token[1:-1])
    if token in ("true", "false"):
        return token == "true"
    raise UnknownError(f"{token} is not evaluated")


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise UnknownError("a value without one text")
    return str(value)


def _compute(operator: str, left: Any, right: Any) -> Any:
    if operator in ("is", "=="):
        return left == right
    if operator in ("isnt", "!="):
        return left != right
    if type(left) is not type(right):
        raise UnknownError(f"{operator} between two types")
    if operator in ("/", "%"):
        return _divide(operator, left, right)
    return _OPERATORS[operator](left, right)


def _divide(operator: str, left: Any, right: Any) -> Any:
    """Divide only where every back end must agree: exactly, and without signs for integers."""
    if isinstance(left, Decimal):
        if operator == "%" or right == 0:
            raise UnknownError(f"{operator} of decimals that back ends may compute differently")
        with localcontext() as context:
            context.traps[Inexact] = True
            try:
                return left / right
            except Inexact:
                raise UnknownError("a division that back ends may round differently") from None
    if not isinstance(left, int):
        raise UnknownError(f"{operator} of values that are not numbers")
    if left < 0 or right <= 0 or (operator == "/" and left % right):
        raise UnknownError("a division that back ends may round differently")
    return left // right if operator == "/" else left % right


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "<": lambda left, right: left < right,
    ">": lambda left, right: left > right,
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
}

_BUILT_IN: dict[str, Callable[..., Any]] = {
    "str": _text,
    "len": len,
    "range": lambda first, end: list(range(first, end)),
}


def _found(values: Sequence[Any], place: int) -> Variant:
    return Variant("Some", (values[place],)) if 0 <= place < len(values) else Variant("None")


def _place(text: str, part: str) -> Variant:
    return Variant("Some", (text.index(part),)) if part in text else Variant("None")


_METHODS: dict[tuple[type, str], Callable[..., Any]] = {
    (str, "length"): len,
    (str, "trim"): str.strip,
    (str, "to_lower"): str.lower,
    (str, "to_upper"): str.upper,
    (str, "split"): str.split,
    (str, "replace"): str.replace,
    (str, "slice"): lambda text, start, end: text[start:end],
    (str, "starts_with"): str.startswith,
    (str, "ends_with"): str.endswith,
    (str, "contains"): lambda text, part: part in text,
    (str, "char_at"): _found,
    (str, "index_of"): _place,
    (list, "length"): len,
    (list, "push"): lambda values, value: [*values, value],
    (list, "map"): lambda values, function: [function(item) for item in values],
    (list, "filter"): lambda values, function: [item for item in values if function(item)],
    (list, "join"): lambda values, separator: separator.join(values),
    (list, "contains"): lambda values, value: value in values,
    (list, "get"): _found,
    (Variant, "is_some"): lambda value: value.name == "Some",
    (Variant, "is_none"): lambda value: value.name == "None",
    (Variant, "is_ok"): lambda value: value.name == "Ok",
    (Variant, "is_err"): lambda value: value.name == "Error",
}
