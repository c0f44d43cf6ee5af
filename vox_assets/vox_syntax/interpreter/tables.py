"""The database of a running program: rows by table, in the order in which they were inserted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from vox_assets.vox_syntax.interpreter.values import (
    NONE,
    Budget,
    UnknownError,
    Variant,
    equal,
    ok,
    some,
)

#: Rows of one run; a loop that inserts would fill the memory.
MAX_ROWS = 1_000
_COLUMN: dict[str, type] = {"str": str, "int": int, "bool": bool, "dec": Decimal, "float": float}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """The handle `db.Name`."""

    name: str


class Database:
    """The tables of a program; ids count from 1 in each table, and none is used twice."""

    def __init__(self, columns: Mapping[str, Mapping[str, str]]) -> None:
        self._columns = columns
        self._rows: dict[str, dict[int, Row]] = {name: {} for name in columns}
        self._last_id = dict.fromkeys(columns, 0)
        #: Number of inserts and deletes so far.
        self.changes = 0

    def table(self, name: str) -> Table:
        if name not in self._columns:
            raise UnknownError(f"no table {name}")
        return Table(name)

    def call(self, table: Table, method: str, budget: Budget, *arguments: Any) -> Any:
        """Call a method of a table; raises UnknownError for a method that is not known."""
        known = _METHODS.get(method)
        if known is None:
            raise UnknownError(f"db.{table.name}.{method} is not known")
        return known(self, table.name, budget, *arguments)

    def _insert(self, name: str, budget: Budget, row: Any) -> Variant:
        columns = self._columns[name]
        if not isinstance(row, dict) or row.keys() != columns.keys():
            raise UnknownError(f"a row of {name} without exactly its columns")
        for column, value in row.items():
            kind = _COLUMN.get(columns[column])
            if kind is not None and type(value) is not kind:
                raise UnknownError(f"{name}.{column} takes no {type(value).__name__}")
        if self._last_id[name] >= MAX_ROWS:
            raise UnknownError(f"more than {MAX_ROWS} rows")
        self._last_id[name] += 1
        self._rows[name][self._last_id[name]] = row
        self.changes += 1
        return ok(self._last_id[name])

    def _find(self, name: str, budget: Budget, row_id: Any) -> Variant:
        found = self._rows[name].get(_row_id(row_id))
        return ok(NONE if found is None else some(found))

    def _delete(self, name: str, budget: Budget, row_id: Any) -> Variant:
        if self._rows[name].pop(_row_id(row_id), None) is not None:
            self.changes += 1
        return ok(None)

    def _all(self, name: str, budget: Budget) -> Variant:
        budget.make(len(self._rows[name]))
        return ok(list(self._rows[name].values()))

    def _count(self, name: str, budget: Budget) -> Variant:
        return ok(len(self._rows[name]))

    def _filter(self, name: str, budget: Budget, wanted: Any) -> list[Row]:
        """Select the rows with all given values."""
        if not isinstance(wanted, dict) or not wanted.keys() <= self._columns[name].keys():
            raise UnknownError(f"a filter of {name} by other names than its columns")
        budget.make(len(self._rows[name]))
        return [
            row
            for row in self._rows[name].values()
            if all(equal(row[column], value, budget) for column, value in wanted.items())
        ]


def _row_id(value: Any) -> int:
    if type(value) is not int:
        raise UnknownError(f"a row id of type {type(value).__name__}")
    return value


_METHODS: dict[str, Callable[..., Any]] = {
    "insert": Database._insert,
    "find": Database._find,
    "get": Database._find,
    "delete": Database._delete,
    "all": Database._all,
    "count": Database._count,
    "filter": Database._filter,
}
