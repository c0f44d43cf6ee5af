"""Trims answers: removes text that costs tokens in every training step and teaches nothing.

Applied where rows enter the corpus, so that every table has the same text under the same id. Code
keeps its meaning: a trim that changes the parse tree, apart from comments, is undone, and code
without a parse tree is not trimmed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import polars as pl

from vox_assets.contract.rows import ROWS_AT_ONCE, Drop, drops_to_frame, pair_id
from vox_assets.curate.features import PROSE
from vox_assets.vox_syntax.parsers import tree

_PREAMBLE = re.compile(
    r"\A(?:sure|certainly|of course|absolutely|great question|here(?:'s| is| are))\b[^\n]*"
    r"(?:[:!]\s*\n+|\.\s*\n\n+)",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    # Blanks alone, not lines: a long run of empty lines would be read once from each of them.
    r"\n[ \t]*(?:i hope this helps|let me know if|feel free to|happy coding)\b[^\n]*\Z",
    re.IGNORECASE,
)
_COMMENT_LINE = r"[ \t]*(?://|#(?!\[|!\[))[^\n]*\n"
_LICENCE = re.compile(rf"\A(?:{_COMMENT_LINE})+")
_LICENCE_WORDS = re.compile(r"SPDX-License-Identifier|Copyright|Licensed under", re.IGNORECASE)
_TRAILING_COMMENTS = re.compile(r"(?:\n[ \t]*(?:(?://|#(?!\[|!\[))[^\n]*)?)+\Z")
#: The id of a task, finding or phase of a project (verbose syntax); the ids of standards, licences
#: and algorithms have the same form.
PROJECT_ID = r"""(?:\b(?!(?:UTF|ISO|RFC|SHA\d?|ADR|MD|GPT|CVE|AES|RSA|TLS|IEEE|ANSI|BLAKE|CRC|PKCS
    |BCP|PEP|HTTP|ES|CUDA|COVID|BERT|LLAMA|AVX|SSE|CP|KOI|SM|RTX|USB|PDF|HS|RS|ED|EC|DIN|GB|FIPS|NIST|FNV
    |A?GPL|LGPL|BSD|MPL|CC|EPL|XXH\d?|JWT|DNS)-)[A-Z]{1,8}\d?-[A-Z]{0,2}\d{1,4}(?:\.\d+)*[a-z]?\b
    |\b(?:Phase|Sprint|Wave|Milestone|Batch)\s+[A-Z]?\d+(?:\.\d+)*\b)"""
#: An id in brackets after a statement, or before a description: the text says as much without it.
_ID_IN_BRACKETS = re.compile(
    rf"""[ ]\(\s*{PROJECT_ID}(?:\s*[,/&+\u2013-]\s*{PROJECT_ID})*\s*\)""", re.VERBOSE
)
_ID_BEFORE = re.compile(
    rf"""^{PROJECT_ID}\s*(?::|\u2014|\u2013|-)\s+(?=\S)""", re.VERBOSE | re.MULTILINE
)
# How byte-pair tokenisers split a text before they merge: no token crosses these boundaries.
_PRETOKEN = re.compile(r" ?[^\W\d_]+| ?\d+| ?[^\s\w]+|_+|\s+(?!\S)|\s+")
_BLANK_RUN = re.compile(r"\n(?:[ \t]*\n){2,}")
_TRAILING_SPACE = re.compile(r"[ \t]+$", re.MULTILINE)


def tokens(text: str) -> int:
    """Count the fewest tokens that a byte-pair tokeniser of any vocabulary makes of a text."""
    return len(_PRETOKEN.findall(text))


def trim(text: str, language: str) -> tuple[str, Counter[str]]:
    """Shorten a text without changing its meaning; also return the tokens that each rule saved."""
    saved: Counter[str] = Counter()
    is_prose = language in PROSE
    for name, rule in (_PROSE_RULES if is_prose else _CODE_RULES).items():
        shorter = rule(text)
        if len(shorter) < len(text) and (is_prose or _same_code(text, shorter, language)):
            saved[name] += tokens(text) - tokens(shorter)
            text = shorter
    return text, saved


def without_chatter(text: str) -> str:
    """Return a text without the preamble and the closing words that assistants add."""
    return _without_closing(_PREAMBLE.sub("", text)).strip()


def _without_closing(text: str) -> str:
    shorter = _CLOSING.sub("", text)
    return shorter.rstrip() if len(shorter) < len(text) else text


def trim_rows(
    rows: pl.DataFrame, drops: pl.DataFrame, stage: str
) -> tuple[pl.DataFrame, pl.DataFrame, Counter[str]]:
    """Trim every answer of a corpus table and recompute the pair ids.

    Returns the table; `drops` with the new ids of winners, plus a drop for each row that trimming
    made equal to an earlier row; and the tokens that each rule saved.
    """
    saved: Counter[str] = Counter()
    parts = [rows.clear()]
    for part in rows.iter_slices(ROWS_AT_ONCE):
        records = part.to_dicts()
        for record in records:
            _trim_record(record, saved)
        parts.append(pl.DataFrame(records, schema=rows.schema))
    trimmed = pl.concat(parts)
    first = trimmed["pair_id"].is_first_distinct()
    repeated = [
        Drop(
            stage=stage,
            why="equal to an earlier row once trimmed",
            source_path=path,
            line=line,
            item=symbol,
            lost_to=winner,
            similarity=1.0,
        )
        for winner, path, line, symbol in trimmed.filter(~first)
        .select("pair_id", "source_path", "source_start_line", "source_symbol")
        .iter_rows()
    ]
    renamed = dict(zip(rows["pair_id"], trimmed["pair_id"], strict=True))
    drops = drops.with_columns(pl.col("lost_to").replace(renamed))
    return trimmed.filter(first), pl.concat([drops, drops_to_frame(repeated)]), saved


def _trim_record(record: dict[str, Any], saved: Counter[str]) -> None:
    changed = False
    for turn in record["messages"]:
        if turn["role"] == "assistant":
            shorter, saved_here = trim(turn["content"], record["language"])
            saved.update(saved_here)
            changed = changed or shorter != turn["content"]
            turn["content"] = shorter
    if changed:
        record["response"] = record["messages"][-1]["content"]
        record["pair_id"] = pair_id(record["lane"], record["messages"])


def _without_licence(text: str) -> str:
    header = _LICENCE.match(text)
    if header and _LICENCE_WORDS.search(header.group()):
        return text[header.end() :].lstrip("\n")
    return text


def _same_code(before: str, after: str, language: str) -> bool:
    tree_before = tree(language, before)
    return tree_before is not None and tree_before == tree(language, after)


_CODE_RULES: dict[str, Callable[[str], str]] = {
    "licence header": _without_licence,
    "trailing comments": lambda text: _TRAILING_COMMENTS.sub("", text),
    "trailing space": lambda text: _TRAILING_SPACE.sub("", text).strip("\n"),
    "blank lines": lambda text: _BLANK_RUN.sub("\n\n", text),
}
_PROSE_RULES: dict[str, Callable[[str], str]] = {
    "preamble": lambda text: _PREAMBLE.sub("", text),
    "closing chatter": _without_closing,
    "project ids": lambda text: _ID_BEFORE.sub("", _ID_IN_BRACKETS.sub("", text)),
    "trailing space": lambda text: _TRAILING_SPACE.sub("", text).strip("\n"),
    "blank lines": lambda text: _BLANK_RUN.sub("\n\n", text),
}
