"""The prose of Rust doc comments: headings, links, line breaks and remarks."""

from __future__ import annotations

import re

from vox_assets.extract.rust.items import Item

#: Shorter documentation ("The name.") is not enough to write the item from.
MIN_DOC_CHARS = 30

#: Longer documentation fills the context window before the code begins.
MAX_DOC_CHARS = 1_500

_HEADING = re.compile(r"^#{1,6}[ \t]+(.+)$", re.MULTILINE)

_LINK = re.compile(
    r"!?\[(`?[^\[\]\n]+?`?)\](?:\([^()\s]*(?:\s\"[^\"]*\")?\)|\[[^\[\]]*\])?(?![(\[:])"
)

#: A heading at the start repeats the name that the question has already.
_TITLE = re.compile(r"\A\s*#\s+.*\n")

#: A line break inside a paragraph or list item, where the next line starts no new block.
_WRAPPED = re.compile(r"(?<=[^\n:|])\n[ \t]*(?=[^\s\-*+>|#\d]|\*\*|\d+[^.)\d])")

_LINK_DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s*\S+.*\n?", re.MULTILINE)

CHECKBOX = re.compile(r"^\s*[-*+]\s+\[[ xX]\]", re.MULTILINE)

WORK_WORDS = ("TODO", "FIXME", "XXX", "STUB")

WORK_MARK = re.compile(rf"\b(?:{'|'.join(WORK_WORDS)})\b")

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")

_DIVIDER = re.compile(r"[-=─━═~*#/]{3,}")

RUSTDOC_WORDS = {"rust", "ignore", "no_run", "should_panic", "compile_fail", "standalone_crate"}


def prose_of(text: str) -> str:
    """Convert documentation to prose: headings become lead-ins, links text; lines are joined."""
    text = _LINK_DEFINITION.sub("", text) if "]:" in text else text
    text = _LINK.sub(_link_words, text) if "[" in text else text
    if "#" in text:
        text = _HEADING.sub(_lead_in, _TITLE.sub("", text))
    return _WRAPPED.sub(" ", text).strip() if "\n" in text else text.strip()


def _lead_in(heading: re.Match[str]) -> str:
    return heading.group(1).rstrip(" \t#:") + ":"


def _link_words(match: re.Match[str]) -> str:
    words = match.group(1)
    is_link = match.group().endswith((")", "]]")) or words.startswith("`")
    return words if is_link else match.group()


def shorten(prose: str) -> str:
    """Cut `prose` after the last whole paragraph that fits into a question."""
    if len(prose) <= MAX_DOC_CHARS:
        return prose
    cut = prose.rfind("\n\n", 0, MAX_DOC_CHARS)
    return prose[: cut if cut > 0 else MAX_DOC_CHARS].rstrip()


def remarks(item: Item) -> list[str]:
    """Return the lines of the comments above an item, or none when they are too short to help."""
    lines = [line for line in item.remarks.split("\n") if line and not _DIVIDER.search(line)]
    return lines if sum(map(len, lines)) >= MIN_DOC_CHARS else []


def paragraphs(*parts: str) -> str:
    """Join the parts that have text with blank lines."""
    return "\n\n".join(part.strip() for part in parts if part)


def sentences(*parts: str) -> str:
    """Join the parts that have text with spaces."""
    return " ".join(part for part in parts if part)
