"""Checks the Vox answers of a table with a front end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from vox_assets.contract.answers import fenced_code
from vox_assets.contract.rows import Drop, Message, Reason, drops_to_frame
from vox_assets.store.progress import Log, silent
from vox_assets.vox_syntax.frontend import FrontEnd


class AnswerFault(NamedTuple):
    """An answer that a front end refuses; `row` is its index in the table, from 0."""

    row: int
    answer: str
    fault: str


def answer_faults(rows: pl.DataFrame, front_end: FrontEnd, log: Log = silent) -> list[AnswerFault]:
    """Return the Vox answers of `rows` that `front_end` refuses, in order.

    An answer may use earlier code of its dialogue: fenced code of the user and earlier answers. It
    passes if it parses alone or after any number of the pieces directly before it. Otherwise the
    fault is that of the answer alone.
    """
    answers = [
        (row, chain)
        for row, (language, messages) in enumerate(rows.select("language", "messages").iter_rows())
        if language == "vox"
        for chain in _chains(messages)
    ]
    faults: dict[int, str] = {}
    pending = list(range(len(answers)))
    depth = 0
    while pending:
        programs = ["\n\n".join(answers[number][1][-depth - 1 :]) for number in pending]
        verdicts = front_end.check(programs, log=log)
        refused = []
        for number, fault in zip(pending, verdicts, strict=True):
            if fault is None:
                faults.pop(number, None)
            else:
                faults.setdefault(number, fault)
                refused.append(number)
        depth += 1
        pending = [number for number in refused if len(answers[number][1]) > depth]
    return [
        AnswerFault(answers[number][0], answers[number][1][-1], faults[number])
        for number in sorted(faults)
    ]


def faults_by_answer(rows: pl.DataFrame, front_end: FrontEnd) -> dict[str, str]:
    """Return the faults of `answer_faults` by the text of the answer."""
    return {answer: fault for _, answer, fault in answer_faults(rows, front_end)}


def _chains(messages: list[Message]) -> Iterator[list[str]]:
    """Yield, for every answer, the pieces of code in its dialogue that end with the answer."""
    code: list[str] = []
    for turn in messages:
        if turn["role"] == "user":
            code += fenced_code(turn["content"])
        else:
            code.append(turn["content"])
            yield list(code)


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
