"""Interpreter for small Vox programs: the part of the language that computing assertions needs.

A tree-walking interpreter for functions without effects: numbers, texts, lists, records, variants,
loops, matches, lambdas. It raises UnknownError for what it does not know and for what two back
ends may compute differently: division with a remainder, rounded decimals, decimals as text,
integers beyond 64 bits, operands of two types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, Inexact, localcontext
from functools import partial
from operator import add, floordiv, ge, gt, le, lt, mod, mul, sub, truediv
from typing import Any

from lark import Token, Tree

from vox_assets.vox_syntax import parse

#: Nodes visited for a call; a loop that does not end raises UnknownError.
MAX_STEPS = 20_000
#: Nested calls of the program's functions. Deeper recursion could reach Python's own limit at a
#: depth that depends on the caller's stack: 32 calls take 300 to 800 of its 1,000 frames.
MAX_CALLS = 32
#: Characters of a text and elements of a range: a text that a loop doubles would fill the memory.
MAX_LENGTH = 10_000
_INT_BITS = 64

_HOLE = re.compile(r"\{([A-Za-z_][^{}\"]*)\}")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


class UnknownError(Exception):
    """The interpreter cannot know the outcome of the program."""


class FailedError(Exception):
    """An `assert` is false; the message is its source."""


@dataclass(frozen=True)
class Variant:
    """A value of a type with variants, including `Option` and `Result`."""

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

    Raises VoxSyntaxError when `source` does not parse.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.functions: dict[str, Callable[[Sequence[Any], Mapping[str, Any]], Any]] = {
            _name_of(node): partial(self._apply, node)
            for node in parse(source).find_data("function")
        }
        self.steps = 0
        self.calls = 0

    def call(self, name: str) -> None:
        """Run a function without parameters, such as a test; raises UnknownError or FailedError."""
        self.value(f"{name}()")

    def value(self, expression: str) -> Any:
        """Evaluate an expression that may call functions; raises UnknownError or FailedError."""
        self.steps = self.calls = 0
        try:
            return self._inside(expression, {})
        except (TypeError, ValueError, AttributeError, LookupError, RecursionError) as error:
            raise UnknownError(f"{expression}: {error}") from error

    def _inside(self, expression: str, scope: Scope) -> Any:
        """Evaluate an expression that is given as text, such as an interpolation in a string."""
        inner = Program(f"fn inside() {{\n    return {expression}\n}}")
        function: Node = parse(inner.source).children[0]
        # Each function stays bound to the source that declares it.
        inner.functions = self.functions
        returned = function.children[-1].children[0]
        return inner._value(returned.children[0], scope)

    def _apply(self, function: Node, positional: Sequence[Any], named: Mapping[str, Any]) -> Any:
        scope: Scope = {}
        for index, parameter in enumerate(_parameters(function)):
            name = _name_of(parameter)
            default = next(parameter.find_data("default"), None)
            if index < len(positional):
                scope[name] = positional[index]
            elif name in named:
                scope[name] = named[name]
            elif default is not None:
                scope[name] = self._value(default.children[0], {})
            else:
                raise UnknownError(f"no value for {name}")
        self.calls += 1
        if self.calls > MAX_CALLS:
            raise UnknownError("too many nested calls")
        try:
            return self._block(function.children[-1], scope)
        except _ReturnError as returned:
            return returned.value
        finally:
            self.calls -= 1

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
                condition = node.children[0]
                self._loop(iter(lambda: self._holds(condition, scope), False), node, scope)
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
        """Match a value against a pattern and bind the names in the pattern."""
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
                return type(value) in (int, str) and value == _literal_value(inner[0])
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
        value = make(node, scope)
        if isinstance(value, str) and len(value) > MAX_LENGTH:
            raise UnknownError(f"a text of more than {MAX_LENGTH:,} characters")
        return value

    def _holds(self, node: Node, scope: Scope) -> bool:
        return _condition(self._value(node, scope))

    def _block_value(self, node: Node, scope: Scope) -> Any:
        return self._block(node, scope)

    def _literal(self, node: Node, scope: Scope) -> Any:
        value = _literal_value(node.children[0])
        if node.children[0].type == "STRING":
            return _HOLE.sub(lambda hole: _text(self._inside(hole[1], scope)), value)
        return value

    def _name(self, node: Node, scope: Scope) -> Any:
        name = str(node.children[0])
        if name in scope:
            return scope[name]
        if name in self.functions:
            return lambda *arguments: self.functions[name](arguments, {})
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
        return owner[_name_of(node)]

    def _indexing(self, node: Node, scope: Scope) -> Any:
        owner, index = (self._value(item, scope) for item in node.children)
        if index < 0:
            raise UnknownError("a negative index")
        return owner[index]

    def _call(self, node: Node, scope: Scope) -> Any:
        callee, arguments = node.children
        named, positional = {}, []
        for item in arguments.children:
            if item.data == "named_argument":
                named[str(item.children[0])] = self._value(item.children[1], scope)
            else:
                positional.append(self._value(item, scope))
        if callee.data == "name":
            name = str(callee.children[0])
            if name == "assert":
                if not _condition(positional[0]):
                    raise FailedError(self._source(arguments))
                return None
            if name in self.functions and name not in scope:
                return self.functions[name](positional, named)
            if name in _BUILT_IN and name not in scope:
                return _BUILT_IN[name](*positional)
            if name[0].isupper():
                return Variant(name, tuple(positional))
        return self._value(callee, scope)(*positional)

    def _method_call(self, node: Node, scope: Scope) -> Any:
        attribute, arguments = node.children
        owner = self._value(attribute.children[0], scope)
        method = _METHODS.get((type(owner), _name_of(attribute)))
        if method is None:
            raise UnknownError(f"{_name_of(attribute)} is not known")
        return method(owner, *(self._value(item, scope) for item in arguments.children))

    def _lambda(self, node: Node, scope: Scope) -> Callable[..., Any]:
        names = [_name_of(item) for item in _parameters(node)]
        return self._closure(names, node.children[-1], scope)

    def _arrow_lambda(self, node: Node, scope: Scope) -> Callable[..., Any]:
        return self._closure([str(item) for item in node.children[:-1]], node.children[-1], scope)

    def _closure(self, names: list[str], body: Node, scope: Scope) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            try:
                return self._value(body, {**scope, **dict(zip(names, arguments, strict=False))})
            except _ReturnError as returned:
                return returned.value

        return run

    def _pipe(self, node: Node, scope: Scope) -> Any:
        value, function = (self._value(item, scope) for item in node.children)
        return function(value)

    def _or(self, node: Node, scope: Scope) -> Any:
        return any(self._holds(item, scope) for item in node.children)

    def _and(self, node: Node, scope: Scope) -> Any:
        return all(self._holds(item, scope) for item in node.children)

    def _not(self, node: Node, scope: Scope) -> Any:
        return not self._holds(node.children[0], scope)

    def _negative(self, node: Node, scope: Scope) -> Any:
        value = self._value(node.children[0], scope)
        if type(value) not in (int, Decimal):
            raise UnknownError(f"- of a value of type {type(value).__name__}")
        return _compute("-", type(value)(0), value)

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
        chosen = 0 if self._holds(condition, scope) else 1
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
            for index, value in enumerate(values):
                scope.update(zip(names, (value, index), strict=False))
                yield

        self._loop(rounds(), node, scope)

    # Source.

    def _between(self, node: Node) -> str:
        """Read the operator from the source, because the tree does not keep it."""
        left, right = node.children
        return self.source[left.meta.end_pos : right.meta.start_pos].strip()

    def _source(self, node: Node) -> str:
        return self.source[node.meta.start_pos : node.meta.end_pos]


def _data(node: Any) -> str:
    return node.data if isinstance(node, Tree) else "token"


def _parameters(node: Node) -> list[Node]:
    """List the parameters of a function or lambda, without those of a lambda inside it."""
    parameters = next(item for item in node.children if _data(item) == "parameters")
    return [item for item in parameters.children if isinstance(item, Tree)]


def _name_of(node: Node) -> str:
    """Return the first name among the children; the name of an attribute is the last."""
    children = reversed(node.children) if node.data == "attribute" else node.children
    for child in children:
        if _data(child) == "half_reserved":
            return str(child.children[0])
        if isinstance(child, Token) and child.type in ("NAME", "TYPE_NAME"):
            return str(child)
    raise UnknownError(f"{node.data} without a name")


def _literal_value(token: Token) -> Any:
    match token.type:
        case "INT":
            return int(token)
        case "DECIMAL":
            return Decimal(token.removesuffix("dec"))
        case "STRING" | "QUOTED":
            return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), token[1:-1])
    if token in ("true", "false"):
        return token == "true"
    raise UnknownError(f"{token} is not evaluated")


def _text(value: Any) -> str:
    """Format an integer or a text; decimals have texts of several scales, such as 2 and 2.00."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UnknownError(f"no single text for a value of type {type(value).__name__}")
    return str(value)


def _condition(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UnknownError(f"a condition of type {type(value).__name__}")
    return value


_ORDER: dict[str, Callable[[Any, Any], Any]] = {"<": lt, ">": gt, "<=": le, ">=": ge}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {"+": add, "-": sub, "*": mul}
#: What each operator computes, by the type of both operands; equality is defined for every type.
_OPERATORS: dict[type, dict[str, Callable[[Any, Any], Any]]] = {
    int: {**_ORDER, **_ARITHMETIC, "/": floordiv, "%": mod},
    Decimal: {**_ORDER, **_ARITHMETIC, "/": truediv},
    str: {**_ORDER, "+": add},
}


def _compute(symbol: str, left: Any, right: Any) -> Any:
    """Apply a binary operator; raises UnknownError where back ends may differ in the result."""
    kind = type(left)
    if kind is not type(right):
        raise UnknownError(f"{symbol} between {kind.__name__} and {type(right).__name__}")
    if symbol in ("is", "=="):
        return left == right
    if symbol in ("isnt", "!="):
        return left != right
    operation = _OPERATORS.get(kind, {}).get(symbol)
    if operation is None:
        raise UnknownError(f"{symbol} of two values of type {kind.__name__}")
    if kind is int and symbol in ("/", "%"):
        _refuse_rounding(symbol, left, right)
    with localcontext() as context:
        context.traps[Inexact] = True
        try:
            value = operation(left, right)
        except ArithmeticError:
            raise UnknownError(f"{symbol} of decimals without an exact result") from None
    if type(value) is int and not -(1 << _INT_BITS - 1) <= value < 1 << _INT_BITS - 1:
        raise UnknownError(f"{symbol} of integers whose result does not fit {_INT_BITS} bits")
    return value


def _refuse_rounding(symbol: str, left: int, right: int) -> None:
    """Raise UnknownError for a negative operand, a division by zero, or a remainder of `/`."""
    if left < 0 or right <= 0 or (symbol == "/" and left % right):
        raise UnknownError("a division that back ends may round differently")


def _range(first: int, end: int) -> list[int]:
    if end - first > MAX_LENGTH:
        raise UnknownError(f"a range of more than {MAX_LENGTH:,} numbers")
    return list(range(first, end))


def _slice(text: str, start: int, end: int) -> str:
    if not 0 <= start <= end <= len(text):
        raise UnknownError("a slice beyond the text")
    return text[start:end]


_BUILT_IN: dict[str, Callable[..., Any]] = {
    "str": _text,
    "len": len,
    "range": _range,
}


def _element(values: Sequence[Any], index: int) -> Variant:
    return Variant("Some", (values[index],)) if 0 <= index < len(values) else Variant("None")


def _index_of(text: str, part: str) -> Variant:
    return Variant("Some", (text.index(part),)) if part in text else Variant("None")


_METHODS: dict[tuple[type, str], Callable[..., Any]] = {
    (str, "length"): len,
    (str, "trim"): str.strip,
    (str, "to_lower"): str.lower,
    (str, "to_upper"): str.upper,
    (str, "split"): str.split,
    (str, "replace"): str.replace,
    (str, "slice"): _slice,
    (str, "starts_with"): str.startswith,
    (str, "ends_with"): str.endswith,
    (str, "contains"): lambda text, part: part in text,
    (str, "char_at"): _element,
    (str, "index_of"): _index_of,
    (list, "length"): len,
    (list, "push"): lambda values, value: [*values, value],
    (list, "map"): lambda values, function: [function(item) for item in values],
    (list, "filter"): lambda values, function: [
        item for item in values if _condition(function(item))
    ],
    (list, "join"): lambda values, separator: separator.join(values),
    (list, "contains"): lambda values, value: value in values,
    (list, "get"): _element,
    (Variant, "is_some"): lambda value: value.name == "Some",
    (Variant, "is_none"): lambda value: value.name == "None",
    (Variant, "is_ok"): lambda value: value.name == "Ok",
    (Variant, "is_err"): lambda value: value.name == "Error",
}
