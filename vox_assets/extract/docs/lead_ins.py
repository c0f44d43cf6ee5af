"""Sentences that introduce a block, such as `For example:`, where the block is not in the text."""

from __future__ import annotations

import re

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")

#: A colon at the end, possibly in bold; `path::` ends a path.
_COLON = re.compile(r"(?<!:)[:\uff1a]-?[*_]{0,3}\s*\Z")

#: Words that only introduce: without the block they say nothing.
_BARE = re.compile(
    r"[*_]*(?:for (?:example|instance)|examples?|e\.g\.|usage|synopsis|input|output|results?|prints"
    r"|returns|produces|becomes|gives|yields|where|or|and|then|like (?:so|this)|as follows|thus"
    r"|before|after|request|response)[\s.,:\u2026*_]*",
    re.IGNORECASE,
)

#: Words for a block that follows.
_POINTS_DOWN = re.compile(
    r"\b(?:following|as follows|shown below|see below|like (?:so|this)|here is|here's|here are"
    r"|looks? like|would be|this (?:code|snippet|example|command|program))\b"
    r"|\b(?:code|snippet|listing|example|command|program|block)s? below\b",
    re.IGNORECASE,
)

#: A short paragraph in bold alone is a heading; a sentence in bold is a statement.
_BOLD_LINE = re.compile(r"(?:\*\*[^*\n]{1,80}\*\*|__[^_\n]{1,80}__):?\s*")
_MAX_BOLD_WORDS = 4

#: Bare words and headings are shorter than this.
_LONG_CHARS = 100

#: The marks before the text of a list item or a quote.
_MARKER = re.compile(r"[ \t]*(?:>[ \t]*)*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(?:>[ \t]*)*")

_ITEM = re.compile(r"^[ \t]*(?:>[ \t]*)*(?:[-*+]|\d{1,9}[.)])[ \t]+", re.MULTILINE)


def leads_in(text: str) -> bool:
    """Return whether a text ends in a colon, and so introduces what follows it."""
    return _COLON.search(text[-20:]) is not None


def without_lead_in(text: str, before_code: bool) -> str:
    """Remove the end of a block that introduces what is not in the text.

    The end is the last sentence, the whole list item or, where nothing else remains, the block.
    `before_code` says that code was removed directly after the block.
    """
    if not before_code and len(text) > _LONG_CHARS and text.endswith("."):
        # Most texts end in a sentence, and this test is much faster.
        return text
    head, last = _last_item(text.rstrip())
    start = _marker_end(last)
    words = last[start:]
    if not _introduces(words, before_code):
        return text
    kept, _ = _without_last_sentence(words)
    if kept:
        return f"{head}{last[:start]}{kept}"
    rest = head.rstrip()
    # `Steps:` before the only item goes with it; deeper nesting is not worth a loop.
    return rest if _ITEM.search(rest) or not leads_in(rest) else _without_last_sentence(rest)[0]


def as_statement(text: str) -> str:
    """Turn the text before a snippet into a description that does not end in a lead-in."""
    above, blank_line, paragraph = text.rstrip().rpartition("\n\n")
    _, last = _last_item(paragraph)
    words = last[_marker_end(last) :]
    if not leads_in(words):
        return text.rstrip()
    sentence = _without_last_sentence(words)[1]
    if any(p.fullmatch(sentence) for p in (_BARE, _BOLD_LINE)) or _POINTS_DOWN.search(sentence):
        return as_statement(above + blank_line + without_lead_in(paragraph, before_code=True))
    full_stop = _COLON.sub(
        lambda end: end.group().replace(":", ".").replace("\uff1a", "."), paragraph
    )
    return above + blank_line + full_stop


def _introduces(words: str, before_code: bool) -> bool:
    if leads_in(words):
        return True
    if _BARE.fullmatch(words):
        return True
    if _BOLD_LINE.fullmatch(words):
        is_sentence = words.rstrip(" *_\n").endswith((".", "!", "?"))
        return not is_sentence or (before_code and len(words.split()) <= _MAX_BOLD_WORDS)
    return before_code and _POINTS_DOWN.search(_without_last_sentence(words)[1]) is not None


def _marker_end(text: str) -> int:
    marker = _MARKER.match(text)
    return marker.end() if marker else 0


def _without_last_sentence(text: str) -> tuple[str, str]:
    """Split a text before its last sentence."""
    ends = [match.span() for match in SENTENCE_END.finditer(text)]
    return (text[: ends[-1][0]], text[ends[-1][1] :]) if ends else ("", text)


def _last_item(text: str) -> tuple[str, str]:
    """Split a text before its last list item; a text without items has no part before."""
    start = 0
    for item in _ITEM.finditer(text):
        start = item.start()
    return text[:start], text[start:]
