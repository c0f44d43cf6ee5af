"""Reads tables of rows in the forms that other tools write, and writes results beside them.

JSON lines, one JSON array, CSV, TSV and Parquet are distinguished by content, compressed with
gzip or not. What cannot be read is refused in one line with the file, the line and the column."""

from __future__ import annotations

import csv
import gzip
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import polars as pl

from vox_assets.store.files import atomic_file

#: Endings of the tables that can be written; JSON lines have two names.
ENDINGS = (".jsonl", ".ndjson", ".parquet")

_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
#: Compressed and other binary forms that are refused by name.
_OTHER_FORMS = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"ARROW1": "Arrow IPC",
    b"Obj\x01": "Avro",
    b"\x89HDF": "HDF5",
}
#: Byte order marks of text that is not UTF-8.
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
# Half of a pair of UTF-16 units: valid in JSON, but no text.
_HALF = re.compile("[\ud800-\udfff]")
#: Nested deeper than this is no table; Python's parser would run out of stack.
_TOO_DEEP = "nested too deep"


class TableError(ValueError):
    """A table cannot be read or written; the message is one line."""


@dataclass
class Table:
    """The rows of a file as they were given, by position, and where each came from."""

    path: Path
    #: The rows of a text file, or the frame of a Parquet file.
    records: list[dict[str, Any]] | pl.DataFrame
    #: 1-based line of each row of a text file.
    lines: list[int] = field(default_factory=list)
    #: What was changed to make the text valid, with its number of occurrences.
    repairs: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in the order of their first appearance."""
        if isinstance(self.records, pl.DataFrame):
            return self.records.columns
        return list(dict.fromkeys(name for record in self.records for name in record))

    def place(self, position: int) -> str:
        """Name a row for a message: `file:line`, or the row of a Parquet file."""
        if self.lines:
            return f"{self.path}:{self.lines[position]}"
        return f"{self.path}: row {position + 1}"

    def each(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield each row with those of the named columns that it has."""
        if isinstance(self.records, pl.DataFrame):
            present = [name for name in columns if name in self.records.columns]
            if not present:
                yield from ({} for _ in range(self.records.height))
            else:
                yield from self.records.select(present).iter_rows(named=True)
        else:
            wanted = set(columns)
            for record in self.records:
                yield {name: value for name, value in record.items() if name in wanted}


# Reading --------------------------------------------------------------------------------------


def read_table(path: Path) -> Table:
    """Read a table. Raises TableError with the place and what was expected."""
    if not path.exists() or path.is_dir():
        fault = "is a folder" if path.is_dir() else "no such file"
        raise TableError(f"{path}: {fault}: expected a table in JSON lines, CSV or Parquet")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {_one_line(error)}") from error
    return parse_table(path, content)


def parse_table(path: Path, content: bytes) -> Table:
    """Parse a table. `path` names it in messages, and its ending selects CSV. Raises TableError."""
    try:
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise TableError(f"{path}: cannot be read: {_one_line(error)}") from error
    names = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".gzip")]
    ending = names[-1] if names else ""
    if content.startswith(_PARQUET) or ending in (".parquet", ".pq"):
        try:
            return Table(path, pl.read_parquet(BytesIO(content)))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise TableError(f"{path}: cannot be read as parquet: {_one_line(error)}") from error
    for mark, name in _OTHER_FORMS.items():
        if content.startswith(mark):
            raise TableError(
                f"{path}: is {name}: expected JSON lines, a JSON array, CSV or Parquet, "
                "plain or compressed with gzip"
            )
    text = _decoded(path, content)
    if ending in (".csv", ".tsv", ".tab"):
        return _read_csv(path, text, "," if ending == ".csv" else "\t")
    return _read_json(path, text)


def _decoded(path: Path, content: bytes) -> str:
    """Decode text by its byte order mark, or as UTF-8."""
    encoding = "utf-16" if content.startswith(_UTF16) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        byte = content[error.start]
        raise TableError(
            f"{path}:{line}:{column}: byte 0x{byte:02x} is no UTF-8: expected text in UTF-8"
        ) from error


def _read_json(path: Path, text: str) -> Table:
    table = Table(path, [])
    reader = _Reader(table)
    if text.lstrip()[:1] == "[":
        start = text.index("[")
        reader.take_array(text, start)
    elif (path.suffix.lower() == ".json" and text.lstrip()[:2].rstrip() == "{") or (
        # An object over several lines: its first line is no value.
        text.lstrip().split("\n", 1)[0].strip() == "{"
    ):
        reader.take_values(text)
    else:
        # Only "\n" ends a line: the other separators of Unicode may stand in a string.
        for number, line in enumerate(text.split("\n"), 1):
            # Files that were joined keep their marks.
            line = line.removeprefix("\ufeff")
            if line.strip():
                reader.take_line(line, number)
    return table


class _Reader:
    """Parses JSON into the rows of a table, and refuses what is ambiguous."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_constant=self._constant,
            parse_float=self._number,
        )

    def take_line(self, line: str, number: int) -> None:
        """Add the row of one line."""
        start = len(line) - len(line.lstrip())
        value, end = self._value(line, start, number)
        if line[end:].strip():
            raise TableError(
                f"{self._table.path}:{number}:{end + 1}: expected the line to end after its object"
            )
        self._add(value, number)

    def take_array(self, text: str, start: int) -> None:
        """Add the rows of an array of objects."""
        place = _skip_blanks(text, start + 1)
        while text[place : place + 1] != "]":
            line = self._line(text, place)
            value, end = self._value(text, place, None)
            self._add(value, line)
            place = _skip_blanks(text, end)
            if text[place : place + 1] == ",":
                place = _skip_blanks(text, place + 1)
            elif text[place : place + 1] != "]":
                raise self._fault(text, place, "expected ',' or ']' after an object of the array")
        if text[place + 1 :].strip():
            raise self._fault(text, _skip_blanks(text, place + 1), "expected the end of the file")

    def take_values(self, text: str) -> None:
        """Add the rows of objects that follow each other, over several lines each."""
        place = _skip_blanks(text, 0)
        while place < len(text):
            line = self._line(text, place)
            value, end = self._value(text, place, None)
            self._add(value, line)
            place = _skip_blanks(text, end)

    _counted = (0, 1)

    def _line(self, text: str, place: int) -> int:
        """Return the line of a place; places are asked for in order, so each line is read once."""
        before, line = self._counted
        line += text.count("\n", before, place)
        self._counted = place, line
        return line

    def _value(self, text: str, start: int, number: int | None) -> tuple[Any, int]:
        """Parse the value at `start`; `number` is the line of a text that is one line."""
        try:
            return self._decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            line = number or error.lineno
            raise TableError(
                f"{self._table.path}:{line}:{error.colno}: is no JSON: {_told(error)}"
            ) from error
        except _RepeatedKeyError as error:
            line = number or text.count("\n", 0, start) + 1
            raise TableError(
                f"{self._table.path}:{line}: the key {error} occurs twice in one object: "
                "expected each key once"
            ) from error
        except RecursionError as error:
            line = number or text.count("\n", 0, start) + 1
            raise TableError(f"{self._table.path}:{line}: is {_TOO_DEEP}") from error
        except ValueError as error:
            # Python refuses integers of more than some thousand digits.
            line = number or text.count("\n", 0, start) + 1
            raise TableError(f"{self._table.path}:{line}: {_one_line(error)}") from error

    def _fault(self, text: str, place: int, fault: str) -> TableError:
        line = text.count("\n", 0, place) + 1
        column = place - (text.rfind("\n", 0, place) + 1) + 1
        return TableError(f"{self._table.path}:{line}:{column}: {fault}")

    def _add(self, value: Any, line: int) -> None:
        if not isinstance(value, dict):
            kind = kind_of(value)
            raise TableError(f"{self._table.path}:{line}: expected an object, is {kind}")
        assert isinstance(self._table.records, list)
        self._table.records.append(value)
        self._table.lines.append(line)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = {self._text(key): self._valid(value) for key, value in pairs}
        if len(found) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            raise _RepeatedKeyError(json.dumps(counts.most_common(1)[0][0]))
        return found

    def _valid(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._valid(item) for item in value]
        return value

    def _text(self, text: str) -> str:
        if text.isascii() or not _HALF.search(text):
            return text
        self._table.repairs["half of a surrogate pair became U+FFFD"] += 1
        return _HALF.sub("\ufffd", text)

    def _number(self, text: str) -> float | None:
        value = float(text)
        if math.isfinite(value):
            return value
        self._constant("a number beyond 64 bits")
        return None

    def _constant(self, name: str) -> None:
        self._table.repairs[f"{name} is no JSON and became null"] += 1


class _RepeatedKeyError(Exception):
    """An object has a key twice."""


def _read_csv(path: Path, text: str, delimiter: str) -> Table:
    # Rows of a corpus have long cells; Python's limit is 128 KiB.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records: list[dict[str, Any]] = []
    lines: list[int] = []
    header: list[str] | None = None
    start = 1
    try:
        for cells in reader:
            if cells and header is None:
                header = cells
                if len(set(header)) < len(header):
                    twice = Counter(header).most_common(1)[0][0]
                    raise TableError(f"{path}:{start}: the column {twice!r} occurs twice")
            elif cells and header is not None:
                if len(cells) != len(header):
                    raise TableError(
                        f"{path}:{start}: expected {len(header)} cells as in the header, "
                        f"is {len(cells)}"
                    )
                records.append(dict(zip(header, cells, strict=True)))
                lines.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise TableError(f"{path}:{start}: is no CSV: {_one_line(error)}") from error
    return Table(path, records, lines)


def _skip_blanks(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place


def kind_of(value: Any) -> str:
    """Name the kind of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "an array" if isinstance(value, (list, tuple)) else "an object"


def _told(error: json.JSONDecodeError) -> str:
    fault = error.msg[0].lower() + error.msg[1:]
    if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated"):
        return f"{fault}: the text ends inside an object"
    return fault


def _one_line(error: Exception) -> str:
    lines = str(error).split("\n")
    return " ".join(lines[0].split()) or type(error).__name__


# Writing --------------------------------------------------------------------------------------


def check_ending(path: Path) -> None:
    """Raise TableError unless a table can be written under this name."""
    if path.suffix.lower() not in ENDINGS:
        raise TableError(f"{path}: expected a name that ends in .jsonl or .parquet")


def write_table(rows: pl.DataFrame, path: Path) -> None:
    """Write a frame as JSON lines or Parquet, atomically."""
    with atomic_file(path) as work:
        if path.suffix.lower() == ".parquet":
            rows.write_parquet(work)
        else:
            rows.write_ndjson(work)


def write_with(
    table: Table, positions: Sequence[int], added: Mapping[str, Sequence[Any]], path: Path
) -> None:
    """Write rows of a table as they were given, with columns added at the end.

    A column of the same name is replaced, except `pair_id`, which is first and is only added
    where it is missing.
    """
    if isinstance(table.records, pl.DataFrame):
        frame = table.records[list(positions)].with_columns(
            pl.Series(name, values, strict=False) for name, values in added.items()
        )
        names = [*(name for name in table.columns if name not in added), *added]
        _write_frame(frame.select(_id_first(names)), path)
        return
    records = []
    for number, position in enumerate(positions):
        own = {name: values[number] for name, values in added.items()}
        record = {name: value for name, value in table.records[position].items() if name not in own}
        merged = {**record, **own}
        records.append({name: merged[name] for name in _id_first(list(merged))})
    if path.suffix.lower() != ".parquet":
        with atomic_file(path) as work, Path(work).open("w", encoding="utf-8", newline="\n") as out:
            for record in records:
                out.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        return
    _write_frame(_framed(table, positions, records), path)


def _id_first(names: list[str]) -> list[str]:
    return (
        ["pair_id", *(name for name in names if name != "pair_id")] if "pair_id" in names else names
    )


def _framed(table: Table, positions: Sequence[int], records: list[dict[str, Any]]) -> pl.DataFrame:
    """Build a frame from records whose values have one type in each column."""
    names = list(dict.fromkeys(name for record in records for name in record))
    series = []
    for name in names:
        values = [record.get(name) for record in records]
        if name == "pair_id" and len({type(value) for value in values}) > 1:
            # Some ids were given as numbers, and others were filled in.
            values = [None if value is None else str(value) for value in values]
        try:
            series.append(pl.Series(name, values, strict=True))
        except (TypeError, pl.exceptions.PolarsError, OverflowError) as error:
            kinds = [kind_of(value) for value in values]
            first = next(kind for kind in kinds if kind != "null")
            odd = next((n for n, kind in enumerate(kinds) if kind not in (first, "null")), 0)
            raise TableError(
                f"{table.place(positions[odd])}: column {name!r} is {kinds[odd]}, and {first} "
                "before: expected one type in a column of Parquet; JSON lines can hold both"
            ) from error
    return pl.DataFrame(series)


def _write_frame(frame: pl.DataFrame, path: Path) -> None:
    try:
        write_table(frame, path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise TableError(f"{path}: cannot be written: {_one_line(error)}") from error
