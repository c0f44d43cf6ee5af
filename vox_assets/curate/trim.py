"""Token optimisation: what costs memory in every training step and teaches nothing.

Applied where rows enter the corpus, so that every table holds the same text under the same id.
Code keeps its meaning: a trim that changes anything but comments and white space is undone.
"""

from __future__ import annotations

import re
from collections import Counter

import polars as pl

from vox_assets.rows import Drop, drops_to_frame, pair_id

_PREAMBLE = re.compile(
    r"\A(?:sure|certainly|of course|absolutely|great question|here(?:'s| is| are))\b[^\n]*"
    r"(?:[:!]\s*\n+|\.\s*\n\n+)",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"\n\s*(?:i hope this helps|let me know if|feel free to|happy coding)\b[^\n]*\Z", re.IGNORECASE
)
_COMMENT_LINE = r"[ \t]*(?://|#(?!\[|!\[))[^\n]*\n"
_LICENCE = re.compile(rf"\A(?:{_COMMENT_LINE})+")
_LICENCE_WORDS = re.compile(r"SPDX-License-Identifier|Copyright|Licensed under", re.IGNORECASE)
_TRAILING_COMMENTS = re.compile(r"(?:\n[ \t]*(?:(?://|#(?!\[|!\[))[^\n]*)?)+\Z")
_BLANK_RUN = re.compile(r"\n(?:[ \t]*\n){2,}")
_TRAILING_SPACE = re.compile(r"[ \t]+$", re.MULTILINE)


def trim(text: str, language: str) -> tuple[str, Counter[str]]:
    """A shorter text of the same meaning, and the characters that each rule saved."""
    saved: Counter[str] = Counter()
    rules = _PROSE_RULES if language == "markdown" else _CODE_RULES
    for name, rule in rules.items():
        shorter = rule(text)
        if len(shorter) < len(text) and (language == "markdown" or _same_code(text, shorter)):
            saved[name] += len(text) - len(shorter)
            text = shorter
    return text, saved


def trim_rows(rows: pl.DataFrame, stage: str) -> tuple[pl.DataFrame, pl.DataFrame, Counter[str]]:
    """Trim every answer of a corpus table; ids follow the text.

    Returns the table, a drop for each row that trimming made equal to an earlier one, and the
    characters saved per rule.
    """
    saved: Counter[str] = Counter()
    records = rows.to_dicts()
    for record in records:
        before = +saved
        for turn in record["messages"]:
            if turn["role"] == "assistant":
                turn["content"], spared = trim(turn["content"], record["language"])
                saved += spared
        if saved != before:
            record["response"] = record["messages"][-1]["content"]
            record["pair_id"] = pair_id(record["lane"], record["messages"])
    trimmed = pl.DataFrame(records, schema=rows.schema)
    first = trimmed["pair_id"].is_first_distinct()
    drops = [
        Drop(
            stage=stage,
            reason="equal to an earlier row once trimmed",
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
    return trimmed.filter(first), drops_to_frame(drops), saved


def _without_licence(text: str) -> str:
    header = _LICENCE.match(text)
    if header and _LICENCE_WORDS.search(header.group()):
        return text[header.end() :].lstrip("\n")
    return text


def _same_code(before: str, after: str) -> bool:
    """Whether two texts hold the same code once comments and white space are set aside.

    Quoted text counts to the letter, so that blank lines inside a string are never taken out.
    """
    return _code_only(before) == _code_only(after)


_CODE_PART = re.compile(
    r"r(#+)\".*?\"\1|\"(?:[^\"\\]|\\.)*\"|//[^\n]*|/\*.*?\*/|#(?!\[|!\[)[^\n\"]*$|\s+|.",
    re.DOTALL | re.MULTILINE,
)


def _code_only(text: str) -> str:
    parts = (match.group() for match in _CODE_PART.finditer(text))
    return "".join(
        part for part in parts if not part.isspace() and not part.startswith(("//", "/*", "#"))
    )


_CODE_RULES = {
    "licence header": _without_licence,
    "trailing comments": lambda text: _TRAILING_COMMENTS.sub("", text),
    "trailing space": lambda text: _TRAILING_SPACE.sub("", text).strip("\n"),
    "blank lines": lambda text: _BLANK_RUN.sub("\n\n", text),
}
_PROSE_RULES = {
    "preamble": lambda text: _PREAMBLE.sub("", text),
    "closing chatter": lambda text: _CLOSING.sub("", text),
    "trailing space": lambda text: _TRAILING_SPACE.sub("", text).strip("\n"),
    "blank lines": lambda text: _BLANK_RUN.sub("\n\n", text),
}
