"""Turns the rows of other tools' tables into rows that the stages compare and score.

A row has a dialogue (`messages`, or `conversations` of ShareGPT) or a question and an answer under
one of several pairs of names. What a row lacks is filled in; a row that has no answer to judge is
passed over with a reason and never lost.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl

from vox_assets.contract.rows import MESSAGE_TYPE, RESPONSE_MODES, Message, pair_id, turns
from vox_assets.curate.copies import looks_like_code
from vox_assets.curate.features import PROSE
from vox_assets.curate.tables import Table, TableError, kind_of

#: Columns that hold a dialogue.
DIALOGUES = ("messages", "conversations", "conversation")
#: Columns of a question and its answer, the first pair that a row has.
PAIRS = (
    ("prompt", "response"),
    ("prompt", "completion"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("question", "answer"),
    ("query", "response"),
    ("input", "output"),
)
#: Columns that belong to an instruction: the text that it is about.
_INPUTS = ("input", "context")
_EXPECTED = (
    "expected prompt and response, prompt and completion, instruction and output, "
    "question and answer, messages, or conversations"
)
#: Who says a turn, by the names of the common formats. Tools answer the assistant, so that a model
#: reads them as it reads the user.
_ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("system", "developer"), "user"),
    **dict.fromkeys(("tool", "function", "observation", "function_response", "ipython"), "user"),
    **dict.fromkeys(
        ("assistant", "gpt", "chatgpt", "model", "bot", "ai", "function_call"), "assistant"
    ),
}
_CALLS = ("tool_calls", "function_call")
#: Columns that are read besides the texts.
_CONTRACT = (
    "pair_id", "lane", "language", "origin", "response_mode", "documented", "source_date", "system",
)  # fmt: skip
DEFAULT_LANE, DEFAULT_ORIGIN = "vox_codegen", "human"

#: Columns of the rows that are read, in order.
READ_SCHEMA: dict[str, pl.DataType] = {
    "position": pl.Int64(),
    "pair_id": pl.String(),
    "prompt": pl.String(),
    "response": pl.String(),
    "messages": pl.List(MESSAGE_TYPE),
    "lane": pl.String(),
    "response_mode": pl.String(),
    "language": pl.String(),
    "origin": pl.String(),
    "documented": pl.Boolean(),
    "source_date": pl.String(),
    "content": pl.String(),
}


@dataclass(frozen=True)
class Reading:
    """Rows of a table in the form of the stages, and the rows that were passed over."""

    #: Columns of `READ_SCHEMA`: `position` is the row in the table, `pair_id` is unique, and
    #: `content` is the id that the content gives.
    rows: pl.DataFrame
    #: Position and reason of each row without an answer to judge.
    passed_over: dict[int, str]
    #: The pair id of every row, as given where the table has one.
    ids: list[Any]
    #: The unique pair id of every row.
    unique_ids: list[str]
    #: Lines that tell what was repaired or is ambiguous.
    notes: list[str]

    @property
    def reasons(self) -> str:
        """The reasons why rows were passed over, with their numbers."""
        counts = Counter(self.passed_over.values())
        return ", ".join(f"{reason} ({count:,})" for reason, count in counts.most_common())


class _PassedOverError(Exception):
    """A row has no answer to judge; the message is the reason."""


def read_rows(table: Table, needed: Sequence[str] = ()) -> Reading:
    """Read the rows of a table. Columns of `needed` must hold text in every row.

    Raises TableError with the place and what was expected.
    """
    known = set(table.columns)
    dialogues = [name for name in DIALOGUES if name in known]
    pairs = [pair for pair in PAIRS if known.issuperset(pair)]
    if len(table):
        _require(table, known, dialogues, pairs, needed)
    wanted = dict.fromkeys(
        [*dialogues, *(name for pair in pairs for name in pair), *_INPUTS, *_CONTRACT]
    )
    records: list[dict[str, Any]] = []
    passed_over: dict[int, str] = {}
    ids: list[Any] = []
    repairs = Counter(table.repairs)
    for position, given in enumerate(table.each(list(wanted))):
        row = _Row(table, position, given, repairs)
        for name in needed:
            row.text(name)
        messages: list[Message] = []
        try:
            messages = row.dialogue(dialogues, pairs)
        except _PassedOverError as reason:
            passed_over[position] = str(reason)
        record = row.contract(messages)
        ids.append(given["pair_id"] if given.get("pair_id") is not None else record["pair_id"])
        records.append(record)
    unique, ambiguous = _unique_ids(table, records)
    for record, name in zip(records, unique, strict=True):
        record["pair_id"] = name
    judged = [record for record in records if record["position"] not in passed_over]
    notes = [f"{fault}: {count:,} times" for fault, count in sorted(repairs.items())]
    return Reading(
        pl.DataFrame(judged, schema=READ_SCHEMA), passed_over, ids, unique, notes + ambiguous
    )


def _require(
    table: Table,
    known: set[str],
    dialogues: Sequence[str],
    pairs: Sequence[tuple[str, str]],
    needed: Sequence[str],
) -> None:
    """Raise TableError where a column is missing."""
    if not dialogues and not pairs:
        half = next((pair for pair in PAIRS if known.intersection(pair)), PAIRS[0])
        missing = next(name for name in half if name not in known)
        raise TableError(f"{table.path}: column {missing!r} is missing: {_EXPECTED}")
    for name in needed:
        if name not in known:
            raise TableError(
                f"{table.path}: column {name!r} is missing: expected text in every row"
            )


class _Row:
    """One row of a table, as it was given."""

    def __init__(
        self, table: Table, position: int, given: Mapping[str, Any], repairs: Counter[str]
    ) -> None:
        self._table, self._position, self._given = table, position, given
        self._repairs = repairs

    def fault(self, column: str, fault: str) -> TableError:
        return TableError(f"{self._table.place(self._position)}: column {column!r}: {fault}")

    def text(self, column: str) -> str:
        """Return a cell that must hold text."""
        value = self._given.get(column)
        if not isinstance(value, str):
            raise self.fault(column, f"expected text in every row, is {kind_of(value)}")
        return value

    def dialogue(self, dialogues: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[Message]:
        """Return the turns of the first form that is filled, user and assistant in alternation."""
        for name in dialogues:
            value = self._given.get(name)
            if value is not None and value not in ([], ""):
                return _alternating([*self._system(), *self._turns(name, value)])
        reason = "the dialogue is empty"
        for question, answer in pairs:
            asked, answered = self._given.get(question), self._given.get(answer)
            if asked is None or answered is None:
                reason = f"{question if asked is None else answer} is null"
                continue
            return _alternating(
                [
                    *self._system(),
                    *self._said(question, "user", asked),
                    *self._said(answer, "assistant", answered),
                ]
            )
        raise _PassedOverError(reason)

    def _system(self) -> Iterator[tuple[str, str]]:
        value = self._given.get("system")
        if isinstance(value, str) and value.strip():
            yield "user", value

    def _said(self, column: str, role: str, value: Any) -> Iterator[tuple[str, str]]:
        """Yield the turn of a cell; a cell can be a dialogue itself, or content in parts."""
        if isinstance(value, list) and any(isinstance(v, dict) and "role" in v for v in value):
            yield from self._turns(column, value)
            return
        text = self._content(column, value)
        if column == "instruction":
            inputs = (self._given.get(name) for name in _INPUTS)
            about = next(
                (given for given in inputs if isinstance(given, str) and given.strip()), ""
            )
            text = f"{text}\n\n{about}" if about else text
        yield role, text

    def _turns(self, column: str, value: Any) -> Iterator[tuple[str, str]]:
        if isinstance(value, str):
            # Parquet and CSV often hold a dialogue as JSON.
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise self.fault(column, "expected an array of turns, is text") from None
        if not isinstance(value, (list, tuple)):
            raise self.fault(column, f"expected an array of turns, is {kind_of(value)}")
        for number, turn in enumerate(value, 1):
            if not isinstance(turn, dict):
                kind = kind_of(turn)
                raise self.fault(
                    column, f"turn {number}: expected an object with role and content, is {kind}"
                )
            name = turn.get("role") or turn.get("from")
            content = next(
                (turn[key] for key in ("content", "value", "text") if turn.get(key) is not None),
                None,
            )
            role = _ROLES.get(name.lower()) if isinstance(name, str) else None
            if role is None:
                raise self.fault(
                    column, f"turn {number}: expected a role such as user or assistant, is {name!r}"
                )
            calls = {key: turn[key] for key in _CALLS if turn.get(key)}
            if content is None and not calls:
                raise _PassedOverError(f"a turn of the {name} has no content")
            text = "" if content is None else self._content(f"{column}: turn {number}", content)
            if calls:
                text_of_calls = json.dumps(calls, sort_keys=True, ensure_ascii=False, default=str)
                text = f"{text}\n\n{text_of_calls}" if text else text_of_calls
            yield role, text

    def _content(self, column: str, value: Any) -> str:
        """Return a text, or the parts of one."""
        if isinstance(value, str):
            return value
        if not isinstance(value, (list, tuple)) or not value:
            raise self.fault(column, f"expected text, is {kind_of(value)}")
        parts = []
        for part in value:
            text = part.get("text") if isinstance(part, dict) else part
            if not isinstance(text, str):
                kind = part.get("type") if isinstance(part, dict) else kind_of(part)
                if not isinstance(part, dict) or kind in (None, "text"):
                    raise self.fault(column, f"expected text, is {kind_of(value)}")
                raise _PassedOverError(f"a turn holds a part that is no text: {kind}")
            parts.append(text)
        return "\n".join(parts)

    def contract(self, messages: Sequence[Message]) -> dict[str, Any]:
        """Return the row with the columns of `READ_SCHEMA`, filled in where they are missing."""
        answer = messages[-1]["content"] if messages else ""
        lane = self._plain("lane", DEFAULT_LANE)
        language = self._given.get("language")
        mode = self._given.get("response_mode")
        if mode not in RESPONSE_MODES:
            if isinstance(language, str):
                prose = language.lower() in PROSE
            else:
                prose = not looks_like_code(answer)
            mode = "prose_only" if prose else "code_only"
        return {
            "position": self._position,
            "pair_id": self._pair_id(lane, messages),
            "prompt": messages[-2]["content"] if messages else "",
            "response": answer,
            "messages": list(messages),
            "lane": lane,
            "response_mode": mode,
            "language": language if isinstance(language, str) else "text",
            "origin": self._plain("origin", DEFAULT_ORIGIN),
            "documented": self._given.get("documented") is True,
            "source_date": self._date(),
            "content": pair_id(lane, messages),
        }

    def _plain(self, column: str, default: str) -> str:
        value = self._given.get(column)
        return value if isinstance(value, str) else default

    def _pair_id(self, lane: str, messages: Sequence[Message]) -> str:
        value = self._given.get("pair_id")
        if value is None:
            return pair_id(lane, messages)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self.fault("pair_id", f"expected text or a number, is {kind_of(value)}")
        return str(value)

    def _date(self) -> str | None:
        value = self._given.get("source_date")
        if isinstance(value, datetime):
            return value.date().isoformat()
        if isinstance(value, date):
            return value.isoformat()
        if value is None or value == "":
            return None
        try:
            return date.fromisoformat(value[:10]).isoformat()
        except (TypeError, ValueError):
            self._repairs["source_date is no ISO date and counts as unknown"] += 1
            return None


def _alternating(said: Sequence[tuple[str, str]]) -> list[Message]:
    """Join turns of one side, and return a dialogue that ends with an answer."""
    sides: list[list[str]] = []
    last = ""
    for role, text in said:
        if role != last:
            sides.append([])
        elif not text.strip():
            continue
        sides[-1].append(text)
        last = role
    if not sides:
        raise _PassedOverError("the dialogue is empty")
    if said[0][0] == "assistant":
        raise _PassedOverError("the dialogue starts with an answer")
    if last == "user":
        raise _PassedOverError("the dialogue ends with a question")
    return list(turns(*("\n\n".join(texts) for texts in sides)))


def _unique_ids(table: Table, records: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Return a name of its own for every row, and a note where an id names different rows.

    Rows of one id are numbered by their content, so that the order of the table decides nothing.
    """
    by_id: dict[str, list[int]] = {}
    for position, record in enumerate(records):
        by_id.setdefault(record["pair_id"], []).append(position)
    unique = [record["pair_id"] for record in records]
    ambiguous: list[str] = []
    for name, positions in by_id.items():
        if len(positions) == 1:
            continue
        ordered = sorted(positions, key=lambda position: _canonical(table, position))
        for number, position in enumerate(ordered[1:], 2):
            unique[position] = f"{name}#{number}"
        texts = {_canonical_texts(records[position]): position for position in positions}
        if len(texts) > 1:
            places = " and ".join(table.place(position) for position in sorted(texts.values())[:2])
            ambiguous.append(f"pair_id {name!r} names different rows: {places}")
    if len(ambiguous) > 1:
        ambiguous = [f"{ambiguous[0]}, and {len(ambiguous) - 1:,} more ids"]
    return unique, ambiguous


def repeats(table: Table, reading: Reading) -> list[int]:
    """Return the positions of rows that equal an earlier row in every column."""
    twins = reading.rows.filter(pl.col("content").is_duplicated())["position"].to_list()
    seen: set[str] = set()
    found = []
    for position in twins:
        content = _canonical(table, position)
        if content in seen:
            found.append(position)
        seen.add(content)
    return found


def _canonical(table: Table, position: int) -> str:
    given = table.records[position]
    record = given.row(0, named=True) if isinstance(given, pl.DataFrame) else given
    return json.dumps(record, sort_keys=True, default=str)


def _canonical_texts(record: Mapping[str, Any]) -> str:
    return json.dumps(record["messages"])
