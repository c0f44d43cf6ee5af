"""Functions and methods of the standard library that every back end computes alike.

Each takes the budget of the call and then its arguments. `std.json` reads documents, and `std.fs`
keeps texts in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vox_assets.vox_syntax.interpreter.values import (
    MAX_LENGTH,
    NONE,
    OPEN,
    Budget,
    UnknownError,
    Variant,
    Worded,
    condition,
    equal,
    error,
    ok,
    some,
    text,
)

Function = Callable[..., Any]


@dataclass(frozen=True)
class Document:
    """A value that `std.json.parse` read."""

    value: Any


def _length(budget: Budget, value: Any) -> int:
    if not isinstance(value, str | list):
        raise UnknownError(f"the length of a value of type {type(value).__name__}")
    if isinstance(value, str) and not value.isascii():
        raise UnknownError("the length of a text with letters that back ends count differently")
    return len(value)


def _range(budget: Budget, first: int, end: int) -> list[int]:
    if type(first) is not int or type(end) is not int:
        raise UnknownError("a range of other values than integers")
    if end - first > MAX_LENGTH:
        raise UnknownError(f"a range of more than {MAX_LENGTH:,} numbers")
    budget.make(max(0, end - first))
    return list(range(first, end))


def _float(budget: Budget, value: Any) -> float:
    if type(value) not in (int, float):
        raise UnknownError(f"float of a value of type {type(value).__name__}")
    return float(value)


def _text(budget: Budget, value: Any) -> str:
    return text(value)


FUNCTIONS: dict[str, Function] = {
    "str": _text,
    "len": _length,
    "range": _range,
    "float": _float,
}


def _texts(*values: Any) -> None:
    for value in values:
        if type(value) is not str:
            raise UnknownError(f"a value of type {type(value).__name__} in place of a text")


def _slice(budget: Budget, whole: str, start: int, end: int) -> str:
    if type(start) is not int or type(end) is not int or start < 0 or end < 0:
        raise UnknownError("a slice between other places than natural numbers")
    budget.make(len(whole))
    return whole[start:end]


def _split(budget: Budget, whole: str, separator: str) -> list[str]:
    _texts(separator)
    budget.make(len(whole))
    budget.make(whole.count(separator) + 1 if separator else 0)
    return whole.split(separator)


def _replace(budget: Budget, whole: str, old: str, new: str) -> str:
    """Replace a part that occurs once: of several, some back ends replace only the first."""
    _texts(old, new)
    if not old or whole.count(old) > 1:
        raise UnknownError("a replacement of a text that occurs several times")
    budget.make(len(whole) + len(new))
    return whole.replace(old, new)


def _contains(budget: Budget, whole: Any, part: Any) -> bool:
    if isinstance(whole, str):
        _texts(part)
        return part in whole
    return any(equal(item, part, budget) for item in whole)


def _element(budget: Budget, values: Sequence[Any], index: int) -> Variant:
    if type(index) is not int:
        raise UnknownError("an index that is no integer")
    return some(values[index]) if 0 <= index < len(values) else NONE


def _index_of(budget: Budget, whole: str, part: str) -> Variant:
    _texts(part)
    return some(whole.index(part)) if part in whole else NONE


def _push(budget: Budget, values: list[Any], value: Any) -> list[Any]:
    budget.make(len(values) + 1)
    return [*values, value]


def _map(budget: Budget, values: list[Any], function: Function) -> list[Any]:
    budget.make(len(values))
    return [function(item) for item in values]


def _filter(budget: Budget, values: list[Any], function: Function) -> list[Any]:
    budget.make(len(values))
    return [item for item in values if condition(function(item))]


def _join(budget: Budget, values: list[Any], separator: str) -> str:
    _texts(separator, *values)
    budget.make(sum(map(len, values)) + len(separator) * len(values))
    return separator.join(values)


def _starts_with(budget: Budget, whole: str, part: str) -> bool:
    _texts(part)
    return whole.startswith(part)


def _ends_with(budget: Budget, whole: str, part: str) -> bool:
    _texts(part)
    return whole.endswith(part)


def _unwrap(budget: Budget, value: Variant) -> Any:
    if value.name not in ("Some", "Ok"):
        raise UnknownError(f"unwrap of {value.name}")
    return value.payload[0]


def _is(*names: str) -> Function:
    def check(budget: Budget, value: Variant) -> bool:
        if value.name not in ("Some", "None", "Ok", "Error"):
            raise UnknownError(f"a method of {value.name}")
        return value.name in names

    return check


def _changed(change: Callable[[str], str]) -> Function:
    def make(budget: Budget, whole: str) -> str:
        budget.make(len(whole))
        return change(whole)

    return make


METHODS: dict[tuple[type, str], Function] = {
    (str, "length"): _length,
    (str, "len"): _length,
    (str, "trim"): _changed(str.strip),
    (str, "to_lower"): _changed(str.lower),
    (str, "to_upper"): _changed(str.upper),
    (str, "split"): _split,
    (str, "replace"): _replace,
    (str, "slice"): _slice,
    (str, "starts_with"): _starts_with,
    (str, "ends_with"): _ends_with,
    (str, "contains"): _contains,
    (str, "char_at"): _element,
    (str, "index_of"): _index_of,
    (list, "length"): _length,
    (list, "len"): _length,
    (list, "push"): _push,
    (list, "append"): _push,
    (list, "map"): _map,
    (list, "filter"): _filter,
    (list, "join"): _join,
    (list, "contains"): _contains,
    (list, "get"): _element,
    (Variant, "is_some"): _is("Some"),
    (Variant, "is_none"): _is("None"),
    (Variant, "is_ok"): _is("Ok"),
    (Variant, "is_err"): _is("Error"),
    (Variant, "unwrap"): _unwrap,
}

_MESSAGE = Worded(OPEN)


def _parse(budget: Budget, source: str) -> Variant:
    """Parse JSON; a number of more digits than all back ends keep is unknown."""
    _texts(source)
    budget.make(len(source))
    try:
        value = json.loads(source, parse_constant=_refuse, parse_int=_integer)
    except ValueError:
        return error(_MESSAGE)
    return ok(Document(value))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _integer(digits: str) -> int:
    if len(digits) > 15:
        raise UnknownError("an integer of more than 15 digits in JSON")
    return int(digits)


_READ: dict[str, type] = {
    "get_str": str,
    "get_int": int,
    "get_bool": bool,
    "get_object": dict,
    "get_array": list,
}


def _read(kind: type) -> Function:
    def read(budget: Budget, document: Document, key: str) -> Variant:
        _texts(key)
        value = document.value
        found = value[key] if isinstance(value, dict) and key in value else None
        if type(found) is not kind:
            return error(_MESSAGE)
        return ok(Document(found) if kind in (dict, list) else found)

    return read


def _items(budget: Budget, document: Document) -> int:
    return len(document.value) if isinstance(document.value, list) else 0


def _item(budget: Budget, document: Document, index: int) -> Variant:
    value = document.value
    if type(index) is int and isinstance(value, list) and 0 <= index < len(value):
        return ok(Document(value[index]))
    return error(_MESSAGE)


METHODS |= {(Document, name): _read(kind) for name, kind in _READ.items()}
METHODS |= {
    (Document, "length"): _items,
    (Document, "at"): _item,
    (Document, "is_null"): lambda budget, document: document.value is None,
}


class Files:
    """Texts by path, and what was written and printed, in order."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self.done: list[str] = []

    def call(self, name: str, budget: Budget, *arguments: Any) -> Any:
        """Call a function of `std.fs`; a file that was not written cannot be known."""
        _texts(*arguments)
        path, *rest = arguments
        match name, rest:
            case "write", [content]:
                self._texts[path] = content
                self.record(budget, f"write {json.dumps(path)} {json.dumps(content)}")
                return ok(None)
            case "read", [] if path in self._texts:
                return ok(self._texts[path])
            case "exists", [] if path in self._texts:
                return True
        raise UnknownError(f"std.fs.{name} of {path[:80]}")

    def record(self, budget: Budget, line: str) -> None:
        budget.make(len(line) + 1)
        self.done.append(line)


def namespace(path: str, files: Files, budget: Budget) -> Function | None:
    """Return a function of `std` by its path, such as `std.json.parse`, or None."""
    if path == "std.json.parse":
        return lambda *arguments: _parse(budget, *arguments)
    if path.startswith("std.fs."):
        return lambda *arguments: files.call(path.removeprefix("std.fs."), budget, *arguments)
    return None
