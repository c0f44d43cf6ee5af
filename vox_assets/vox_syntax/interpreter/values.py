"""Values of running programs: what they may cost, their operators, and their texts.

`int`, `bool`, `float`, `str`, `Decimal` and `None` (Unit) are Python's, a list is a list, a tuple a
tuple, and a record a dict from field to value. No value is changed after it was made.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, Inexact, localcontext
from operator import add, floordiv, ge, gt, le, lt, mod, mul, sub, truediv
from typing import Any

#: Nodes visited for a call; a loop that does not end raises UnknownError.
MAX_STEPS = 20_000
#: Nested nodes and calls. Each takes two to four frames of Python's 1,000, and the callers of the
#: interpreter need some too.
MAX_DEPTH = 200
#: Characters of a text and elements of a list: a text that a loop doubles would fill the memory.
MAX_LENGTH = 10_000
#: Characters and elements made for a call, also those that are no longer needed.
MAX_MADE = 1_000_000
_INT_BITS = 64


class UnknownError(Exception):
    """The interpreter cannot know the outcome of the program."""


class FailedError(Exception):
    """An `assert` is false; the message is its source."""


@dataclass(frozen=True)
class Variant:
    """A value of a type with variants, including `Option` and `Result`."""

    name: str
    payload: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Worded:
    """A text with parts that each back end words in its own way, such as messages of errors.

    `text` has OPEN in their places.
    """

    text: str


OPEN = "\u2026"

NONE = Variant("None")


def some(value: Any) -> Variant:
    return Variant("Some", (value,))


def ok(value: Any) -> Variant:
    return Variant("Ok", (value,))


def error(message: Any) -> Variant:
    return Variant("Error", (message,))


class Budget:
    """What a call may still visit and make."""

    def __init__(self, max_steps: int) -> None:
        self._max_steps = max_steps
        self.refill()

    def refill(self) -> None:
        self.steps = self._max_steps
        self.left = MAX_MADE

    @property
    def used(self) -> int:
        """Steps since the last refill."""
        return self._max_steps - self.steps

    def step(self, count: int = 1) -> None:
        self.steps -= count
        if self.steps < 0:
            raise UnknownError("too many steps")

    def make(self, size: int) -> None:
        """Allow a new text or list, before it is made."""
        self.left -= size
        if size > MAX_LENGTH:
            raise UnknownError(f"a value of more than {MAX_LENGTH:,} characters or elements")
        if self.left < 0:
            raise UnknownError(f"more than {MAX_MADE:,} characters and elements in one call")


def equal(left: Any, right: Any, budget: Budget) -> bool:
    """Compare two values by content; each part counts, because parts may be shared many times."""
    budget.step()
    if isinstance(left, Worded) or isinstance(right, Worded):
        raise UnknownError("a comparison with the message of an error")
    if type(left) is not type(right):
        raise UnknownError(f"a comparison of {_kind(left)} with {_kind(right)}")
    match left:
        case list() | tuple():
            return len(left) == len(right) and all(
                equal(one, other, budget) for one, other in zip(left, right, strict=True)
            )
        case dict():
            return left.keys() == right.keys() and all(
                equal(value, right[name], budget) for name, value in left.items()
            )
        case Variant():
            return left.name == right.name and equal(left.payload, right.payload, budget)
        case None | bool() | int() | float() | str() | Decimal():
            return bool(left == right)
    raise UnknownError(f"a comparison of two values of type {_kind(left)}")


def _kind(value: Any) -> str:
    return type(value).__name__


_ORDER: dict[str, Callable[[Any, Any], Any]] = {"<": lt, ">": gt, "<=": le, ">=": ge}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {"+": add, "-": sub, "*": mul}
#: What each operator computes, by the type of both operands.
_OPERATORS: dict[type, dict[str, Callable[[Any, Any], Any]]] = {
    int: {**_ORDER, **_ARITHMETIC, "/": floordiv, "%": mod},
    float: {**_ORDER, **_ARITHMETIC, "/": truediv},
    Decimal: {**_ORDER, **_ARITHMETIC, "/": truediv},
    str: {**_ORDER, "+": add},
}


def compute(symbol: str, left: Any, right: Any, budget: Budget) -> Any:
    """Apply a binary operator; raises UnknownError where back ends may differ in the result."""
    if symbol in ("is", "=="):
        return equal(left, right, budget)
    if symbol in ("isnt", "!="):
        return not equal(left, right, budget)
    if symbol == "+" and {type(left), type(right)} in ({Worded}, {Worded, str}):
        return joined([left, right], budget)
    kind = type(left)
    if kind is not type(right):
        raise UnknownError(f"{symbol} between {_kind(left)} and {_kind(right)}")
    operation = _OPERATORS.get(kind, {}).get(symbol)
    if operation is None:
        raise UnknownError(f"{symbol} of two values of type {kind.__name__}")
    if kind is int and symbol in ("/", "%"):
        _refuse_rounding(symbol, left, right)
    if kind is str and symbol == "+":
        budget.make(len(left) + len(right))
    try:
        value = _exactly(operation, left, right) if kind is Decimal else operation(left, right)
    except ArithmeticError:
        raise UnknownError(f"{symbol} without an exact result") from None
    if type(value) is int and not -(1 << _INT_BITS - 1) <= value < 1 << _INT_BITS - 1:
        raise UnknownError(f"{symbol} of integers whose result does not fit {_INT_BITS} bits")
    return value


def _exactly(operation: Callable[[Any, Any], Any], left: Decimal, right: Decimal) -> Any:
    with localcontext() as context:
        context.traps[Inexact] = True
        return operation(left, right)


def negated(value: Any, budget: Budget) -> Any:
    if type(value) not in (int, float, Decimal):
        raise UnknownError(f"- of a value of type {_kind(value)}")
    return compute("-", type(value)(0), value, budget)


def _refuse_rounding(symbol: str, left: int, right: int) -> None:
    """Raise UnknownError for a negative operand, a division by zero, or a remainder of `/`."""
    if left < 0 or right <= 0 or (symbol == "/" and left % right):
        raise UnknownError("a division that back ends may round differently")


_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "str": (str, Worded),
    "bool": (bool,),
    "dec": (Decimal,),
    "float": (float,),
    "list": (list,),
    "List": (list,),
}
_CASES = {"Option": ("Some", "None"), "Result": ("Ok", "Error")}


def has_type(value: Any, name: str) -> bool:
    """Check whether a value may have a type; only the outer part of the type is compared."""
    outer = name.partition("[")[0].strip()
    if outer in _CASES:
        return isinstance(value, Variant) and value.name in _CASES[outer]
    return outer not in _TYPES or type(value) in _TYPES[outer]


def condition(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UnknownError(f"a condition of type {_kind(value)}")
    return value


def text(value: Any) -> str:
    """Format an integer or a text; decimals have texts of several scales, such as 2 and 2.00."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UnknownError(f"no single text for a value of type {_kind(value)}")
    return str(value)


def joined(parts: list[Any], budget: Budget) -> str | Worded:
    """Join texts, integers and messages of errors to one text."""
    texts = [part.text if isinstance(part, Worded) else text(part) for part in parts]
    budget.make(sum(map(len, texts)))
    whole = "".join(texts)
    return Worded(whole) if any(isinstance(part, Worded) for part in parts) else whole


def written(value: Any, budget: Budget) -> str:
    """Write a value as Vox does, with the fields of a record in the order of their names.

    Equal values have equal texts. Raises UnknownError for a value that has no text, such as a
    function, and for a text that is too long.
    """
    pieces = []
    for piece in _pieces(value, budget):
        pieces.append(piece)
        budget.make(len(piece))
    whole = "".join(pieces)
    budget.make(len(whole))
    return whole


def _pieces(value: Any, budget: Budget) -> Iterator[str]:
    budget.step()
    match value:
        case None:
            yield "Unit"
        case bool():
            yield "true" if value else "false"
        case int():
            yield str(value)
        case float() if math.isfinite(value):
            yield repr(value + 0.0)
        case Decimal():
            yield f"{value.normalize() + 0:f}dec"
        case str():
            yield json.dumps(value, ensure_ascii=False)
        case Worded():
            yield json.dumps(value.text, ensure_ascii=False)
        case Variant(name, ()):
            yield name
        case Variant(name, payload):
            yield name
            yield from _listed("(", payload, ")", budget)
        case tuple():
            yield from _listed("(", value, ")", budget)
        case list():
            yield from _listed("[", value, "]", budget)
        case dict():
            for place, name in enumerate(sorted(value)):
                yield f"{', ' if place else '{ '}{name}: "
                yield from _pieces(value[name], budget)
            yield " }" if value else "{}"
        case _:
            raise UnknownError(f"no text for a value of type {_kind(value)}")


def _listed(start: str, values: Any, end: str, budget: Budget) -> Iterator[str]:
    yield start
    for place, value in enumerate(values):
        if place:
            yield ", "
        yield from _pieces(value, budget)
    yield end
