"""Checks the Vox answers of a table with a front end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import polars as pl

from vox_assets.contract.answers import fenced_code
from vox_assets.contract.rows import Drop, Message, Reason, drops_to_frame
from vox_assets.store.progress import Log, silent
from vox_assets.vox_syntax.constructs import Declaration, declarations
from vox_assets.vox_syntax.diagnostics import VoxSyntaxError
from vox_assets.vox_syntax.frontend import REMEMBERED, FrontEnd


class AnswerFault(NamedTuple):
    """An answer that a front end refuses; `row` is its index in the table, from 0."""

    row: int
    answer: str
    fault: str


def answer_faults(rows: pl.DataFrame, front_end: FrontEnd, log: Log = silent) -> list[AnswerFault]:
    """Return the Vox answers of `rows` that `front_end` refuses, in order.

    An answer is checked in one program with the answers before it. If that program is refused, the
    code that the user shows is added: an answer may use it, but it may also be what the answer
    corrects. The fault is that of the first program.
    """
    answers = [
        (row, pieces)
        for row, (language, messages) in enumerate(rows.select("language", "messages").iter_rows())
        if language == "vox"
        for pieces in _pieces(messages)
    ]
    programs = [
        _program([text for role, text in pieces if role != "user"]) for _, pieces in answers
    ]
    faults = dict(enumerate(front_end.check([text for text, _ in programs], log=log)))
    refused = [number for number, fault in faults.items() if fault is not None]
    shown = [number for number in refused if any(role == "user" for role, _ in answers[number][1])]
    with_shown = [_program([text for _, text in answers[number][1]])[0] for number in shown]
    for number, fault in zip(shown, front_end.check(with_shown, log=log), strict=True):
        if fault is None:
            faults[number] = None
    return [
        AnswerFault(row, pieces[-1][1], _place(fault, programs[number][1]))
        for number, (row, pieces) in enumerate(answers)
        if (fault := faults[number]) is not None
    ]


def faults_by_answer(rows: pl.DataFrame, front_end: FrontEnd) -> dict[str, str]:
    """Return the faults of `answer_faults` by the text of the answer."""
    return {answer: fault for _, answer, fault in answer_faults(rows, front_end)}


def _pieces(messages: list[Message]) -> Iterator[list[tuple[str, str]]]:
    """Yield, for every answer, the code of its dialogue that ends with it: role and text."""
    code: list[tuple[str, str]] = []
    for turn in messages:
        if turn["role"] == "user":
            code += (("user", text) for text in fenced_code(turn["content"]))
        else:
            code.append((turn["role"], turn["content"]))
            yield list(code)


def _program(pieces: list[str]) -> tuple[str, int]:
    """Join pieces of code into a program, and return the number of lines before the last piece.

    A later declaration of a name replaces an earlier one, as in an answer that revises a function.
    Earlier code that does not parse is left out: it is shown to be corrected.
    """
    *earlier, last = pieces
    declared: dict[str, str] = {}
    for piece in earlier:
        declared |= {_key(entry): entry.text for entry in _declared(piece)}
    for entry in _declared(last):
        declared.pop(_key(entry), None)
    before = "".join(f"{text}\n\n" for text in declared.values())
    return before + last, before.count("\n")


def _declared(piece: str) -> tuple[Declaration, ...]:
    try:
        return _declarations(piece)
    except VoxSyntaxError:
        return ()


@lru_cache(maxsize=REMEMBERED)
def _declarations(piece: str) -> tuple[Declaration, ...]:
    # Each later turn of a dialogue reads the declarations of the turns before it again.
    return tuple(declarations(piece))


def _key(entry: Declaration) -> str:
    return entry.name or f"{entry.kind} without a name"


_POSITION = re.compile(r"(\d+)(?=:\d+: )")


def _place(fault: str, lines_before: int) -> str:
    """Count the line of a fault from the start of the answer, or say that it is before it."""
    match = _POSITION.match(fault) if lines_before else None
    if match is None:
        return fault
    line = int(match[1]) - lines_before
    if line > 0:
        return f"{line}{fault[match.end() :]}"
    return f"after the turns before it: {fault[match.end() :].split(' ', 1)[1]}"


def drop_refused(
    rows: pl.DataFrame, front_end: FrontEnd, stage: str, log: Log = silent
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split rows into rows whose Vox answers `front_end` accepts, and drops with the fault."""
    faults: dict[int, str] = {}
    for row, _, fault in answer_faults(rows, front_end, log):
        faults.setdefault(row, fault)
    sources = rows.select("source_path", "source_start_line", "source_symbol")
    drops = []
    for row, fault in faults.items():
        path, line, symbol = sources.row(row)
        reason = Reason(f"refused by {front_end.name}", fault)
        drops.append(Drop(stage, reason, path, line, symbol))
    kept = pl.Series([row not in faults for row in range(rows.height)], dtype=pl.Boolean)
    return rows.filter(kept), drops_to_frame(drops)
