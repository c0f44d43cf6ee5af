"""Values of Vox types, written as expressions, with which the functions of a program are called.

Values near the constants of the code come first: they tell one side of a limit from the other.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

from lark import Token, Tree

from vox_assets.vox_syntax import parse
from vox_assets.vox_syntax.builtin import walk

#: Values of types that hold others: enough to tell their parts apart.
MAX_VALUES = 24
#: Combinations before the random ones.
_STRIDES = 6
#: Depth of values of recursive types.
_MAX_DEPTH = 3
#: Longest text that is written for a number in the code, which may be a limit of a length.
_MAX_TEXT = 200

_NUMBER = re.compile(r"(?<![\w.\"])\d+(?![\w.])")
_PRICE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)dec\b")
_COMPARED = re.compile(r'(?:is|isnt|==|!=) ("[^"{}\n]*")|("[^"{}\n]*") =>')
_QUOTED = re.compile(r'"([^"{}\\\n]{1,40})"')
_JSON_KEY = re.compile(r'\.get_(str|int|bool|array|object)\("(\w+)"\)')
_GENERIC = re.compile(r"(\w+)\[(.*)\]")
#: Names of people and things, for code that compares with no text.
_ORDINARY_TEXTS = ('"north"', '"Ada"')
_PADDED_TEXTS = ('""', '"  "', '" Fig tree "', '"b: c"')


class Inputs:
    """The values that suit a program: `code` has the constants, `source` declares the types."""

    def __init__(self, source: str, code: str) -> None:
        self._code = code
        self._records: dict[str, list[tuple[str, str]]] = {}
        self._variants: dict[str, list[tuple[str, list[str]]]] = {}
        self._known: dict[tuple[str, int], list[str]] = {}
        for node, _ in walk(parse(source)):
            if node.data in ("struct", "table"):
                self._records[_name(node)] = _fields(node, source)
            elif node.data == "adt":
                self._variants[_name(node)] = [
                    (_name(item), [kind for _, kind in _fields(item, source)])
                    for item in node.children
                    if isinstance(item, Tree)
                ]

    def of(self, kind: str) -> list[str]:
        """List values of a type; empty for a type whose values are not known."""
        return self._of(kind.replace(" ", ""), 0)

    def rows(self, table: str, count: int, first: int) -> list[str]:
        """Write rows of a table, from the value number `first` on."""
        values = self.of(table)
        return [values[(first + place) % len(values)] for place in range(count)] if values else []

    def _of(self, kind: str, depth: int) -> list[str]:
        if (kind, depth) not in self._known:
            self._known[kind, depth] = self._made(kind, depth)
        return self._known[kind, depth]

    def _made(self, kind: str, depth: int) -> list[str]:
        match kind:
            case "int":
                return self._integers
            case "str":
                return self._texts
            case "bool":
                return ["true", "false"]
            case "dec":
                return self._prices
            case "float":
                return ["0.0", "2.5", "10.0"]
            case _ if kind in self._records:
                return self._record_values(self._records[kind], depth)
            case _ if kind in self._variants and depth < _MAX_DEPTH:
                return self._variant_values(self._variants[kind], depth)
        generic = _GENERIC.fullmatch(kind)
        if generic is None:
            return []
        inner = self._of(generic[2], depth)
        if not inner:
            return []
        rest = inner[1 : MAX_VALUES // 2]
        match generic[1]:
            case "list" | "List":
                return _lists(inner)
            case "Option":
                return [f"Some({inner[0]})", "None", *(f"Some({value})" for value in rest)]
            case "Result":
                return [f"Ok({inner[0]})", 'Error("no")', *(f"Ok({value})" for value in rest)]
        return []

    @cached_property
    def _integers(self) -> list[str]:
        known = sorted({int(number) for number in _NUMBER.findall(self._code)})
        near = [number + step for number in known for step in (0, 1)]
        wider = [*(number - 1 for number in known), *(number * 2 for number in known)]
        values = [*near, 0, 4, 9, *wider, 1, 2, 3, 5, 10, 12, 50, 100, -1]
        return [str(number) for number in dict.fromkeys(values) if abs(number) < 10**12]

    @cached_property
    def _prices(self) -> list[str]:
        known = sorted({Decimal(number) for number in _PRICE.findall(self._code)})
        step = Decimal("0.01")
        near = [number + change for number in known for change in (0, step, -step)]
        values = [*near, Decimal("0.00"), Decimal("12.50"), Decimal("100.00"), Decimal("3.20")]
        return [f"{number}dec" for number in dict.fromkeys(values) if number >= 0]

    @cached_property
    def _texts(self) -> list[str]:
        compared = [first or second for first, second in _COMPARED.findall(self._code)]
        quoted = list(dict.fromkeys(_QUOTED.findall(self._code)))
        held = [text for text in quoted if len(text) <= 4]
        around = [f'"{text}Fig"' for text in held] + [f'"fig {text} Tree"' for text in held]
        limits = sorted({int(number) for number in _NUMBER.findall(self._code)})
        long = [
            f'"{("Abcdefghij" * (length // 10 + 1))[:length]}"'
            for number in limits
            for length in (number, number + 1)
            if 2 < length <= _MAX_TEXT
        ]
        documents = self._documents if "std.json" in self._code else []
        return list(
            dict.fromkeys(
                [
                    *compared,
                    *_ORDINARY_TEXTS,
                    *documents,
                    *_PADDED_TEXTS,
                    *around,
                    *long,
                    *(f'"{text}"' for text in quoted),
                ]
            )
        )

    @property
    def _documents(self) -> list[str]:
        """Write JSON with the keys that the code reads, complete and with faults."""
        keys = list(dict.fromkeys(_JSON_KEY.findall(self._code)))
        values: dict[str, list[Any]] = {
            "str": ["Fig", "", "north"],
            "int": [4, 0, 9],
            "bool": [True, False, True],
            "array": [[1, 2], [], [{"a": 1}]],
            "object": [{}, {"a": 1}, {}],
        }
        whole = [{key: values[kind][lap] for kind, key in keys} for lap in range(3)]
        wrong = {"str": 7, "int": "7", "bool": "true", "array": "no", "object": 7}
        faulty = [{**whole[0], key: wrong[kind]} for kind, key in keys]
        lacking = [{name: whole[0][name] for _, name in keys if name != key} for _, key in keys]
        texts = [json.dumps(document) for document in [*whole, *lacking, *faulty]]
        return [f"'{text}'" for text in [*texts, "[]", "{"]]

    def _record_values(self, fields: Sequence[tuple[str, str]], depth: int) -> list[str]:
        choices = [self._field_values(kind, depth) for _, kind in fields]
        if not all(choices):
            return []
        names = [name for name, _ in fields]
        return [
            f"{{ {', '.join(map(': '.join, zip(names, row, strict=True)))} }}"
            for row in combinations(choices, MAX_VALUES)
        ]

    def _field_values(self, kind: str, depth: int) -> list[str]:
        """List values of a field: few texts, so that records share some with one another."""
        values = self._of(kind, depth)
        if kind == "str":
            return [*values[:3], *(text for text in _PADDED_TEXTS[2:] if text not in values[:3])]
        return values

    def _variant_values(
        self, variants: Sequence[tuple[str, Sequence[str]]], depth: int
    ) -> list[str]:
        values: list[list[str]] = []
        for name, kinds in variants:
            choices = [self._of(kind, depth + 1) for kind in kinds]
            if all(choices):
                payloads = combinations(choices, 6) if choices else [()]
                values.append([f"{name}({', '.join(row)})" if row else name for row in payloads])
        laps = max(map(len, values), default=0)
        turns = [items[lap] for lap in range(laps) for items in values if lap < len(items)]
        return turns[:MAX_VALUES]


def combinations(choices: Sequence[Sequence[str]], count: int) -> list[tuple[str, ...]]:
    """Combine a value of each choice, up to `count` times without repetition.

    The first rows take uneven strides, so that two choices of one type are not always equal. Later
    rows are random, by the choices: values that move together would never meet.
    """
    if not all(choices):
        return []
    longest = max(map(len, choices), default=0)
    rows = [
        tuple(
            values[(lap + lap // len(values) + index) % len(values)]
            for index, values in enumerate(choices)
        )
        for lap in range(longest)
    ]
    if len(choices) > 1:
        rng = random.Random(json.dumps(choices))
        drawn = [tuple(map(rng.choice, choices)) for _ in range(2 * count)]
        rows[_STRIDES:_STRIDES] = drawn
    return list(dict.fromkeys(rows))[:count]


def _lists(values: Sequence[str]) -> list[str]:
    """Write lists of values, of several lengths; those of texts and integers begin as people do."""
    if values[0].lstrip("-").isdigit():
        first = ["[3, 1, 2]", "[]"]
    elif values[0].startswith('"'):
        first = ['["north", "south"]', "[]"]
    else:
        first = [f"[{', '.join(values[:3])}]", "[]"]
    rng = random.Random(json.dumps(list(values)))
    drawn = [rng.choices(values, k=size) for size in (1, 2, 3, 4, 5, 2, 3, 4, 6, 3, 4, 5)]
    repeated = [[value, value] for value in values[:2]]
    lists = [*first, *(f"[{', '.join(items)}]" for items in [*repeated, *drawn])]
    return list(dict.fromkeys(lists))


def _name(node: Tree[Token]) -> str:
    return next(str(item) for item in node.children if isinstance(item, Token))


def _fields(node: Tree[Token], source: str) -> list[tuple[str, str]]:
    fields = []
    for field in node.find_data("field"):
        first, kind = field.children[0], field.children[-1]
        name = first if isinstance(first, Token) else first.children[0]
        text = source[kind.meta.start_pos : kind.meta.end_pos] if isinstance(kind, Tree) else ""
        fields.append((str(name), text.replace(" ", "")))
    return fields
