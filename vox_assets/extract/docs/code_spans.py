"""Code spans of Markdown text: their positions, which links and marks must not change."""

from __future__ import annotations

import re

#: The mark that `masked` puts in the place of a code span.
MASK = re.compile(r"\0(\d+)\0")

_TICKS = re.compile(r"`+")

#: A code span does not reach over a blank line.
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


def code_spans(text: str) -> list[tuple[int, int]]:
    """Return the start and end of each code span, in linear time."""
    if "`" not in text:
        return []
    found: list[tuple[int, int]] = []
    start = 0
    for gap in _BLANK_LINE.finditer(text):
        found += _in_paragraph(text, start, gap.start())
        start = gap.end()
    return found + _in_paragraph(text, start, len(text))


def _in_paragraph(text: str, start: int, end: int) -> list[tuple[int, int]]:
    runs = [match.span() for match in _TICKS.finditer(text, start, end)]
    # The next run of the same length closes a span.
    closing: list[int | None] = [None] * len(runs)
    nearest: dict[int, int] = {}
    for index in range(len(runs) - 1, -1, -1):
        length = runs[index][1] - runs[index][0]
        closing[index] = nearest.get(length)
        nearest[length] = index
    found = []
    index = 0
    while index < len(runs):
        close = closing[index]
        first = runs[index][0]
        if close is None or text[max(start, first - 1) : first] == "\\":
            index += 1
        else:
            found.append((first, runs[close][1]))
            index = close + 1
    return found


def without_code_spans(text: str) -> str:
    """Return `text` without its code spans."""
    return MASK.sub("", masked(text)[0]) if "`" in text else text


def masked(text: str) -> tuple[str, list[str]]:
    """Replace each code span by a mark that contains its index, and return the spans."""
    pieces: list[str] = []
    spans: list[str] = []
    last = 0
    for start, end in code_spans(text):
        pieces += (text[last:start].replace("\0", "\ufffd"), f"\0{len(spans)}\0")
        spans.append(text[start:end])
        last = end
    pieces.append(text[last:].replace("\0", "\ufffd"))
    return "".join(pieces), spans


def unmasked(text: str, spans: list[str]) -> str:
    """Put code spans back in the place of their marks."""
    return MASK.sub(lambda match: spans[int(match.group(1))], text) if spans else text
