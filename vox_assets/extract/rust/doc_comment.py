"""The prose of Rust doc comments: headings, links, line breaks and remarks."""

from __future__ import annotations

import re

from vox_assets.extract.docs.lead_ins import without_lead_in
from vox_assets.extract.docs.markdown import ALERT
from vox_assets.extract.rust.items import Item
from vox_assets.extract.rust.links import words_of_links

#: Shorter documentation ("The name.") is not enough to write the item from.
MIN_DOC_CHARS = 30

#: Longer documentation fills the context window before the code begins.
MAX_DOC_CHARS = 1_500

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*\Z")

#: A heading that is underlined.
_UNDERLINED = re.compile(
    r"(?:(?<=\n\n)|(?<=\A))(?![ \t]*[-*+>#|])(\S[^\n]*)\n(=+|-+)[ \t]*(?=\n|\Z)"
)

#: A heading at the start repeats the name that the question has already.
_TITLE = re.compile(r"\A\s*#\s+.*\n")

#: A line break inside a paragraph or list item, where the next line starts no new block.
_WRAPPED = re.compile(r"(?<=[^\n:|])\n[ \t]*(?=[^\s\-*+>|#\d]|\*\*|\d+[^.)\d])")

#: The first line of an alert of GitHub, such as `> [!NOTE]`.
_ALERT = re.compile(rf"^([ \t]*>[ \t]*){ALERT.pattern}[ \t]*$", re.MULTILINE | re.IGNORECASE)

CHECKBOX = re.compile(r"^\s*[-*+]\s+\[[ xX]\]", re.MULTILINE)

WORK_WORDS = ("TODO", "FIXME", "XXX", "STUB")

WORK_MARK = re.compile(rf"\b(?:{'|'.join(WORK_WORDS)})\b")

_DIVIDER = re.compile(r"[-=─━═~*#/]{3,}")

RUSTDOC_WORDS = {"rust", "ignore", "no_run", "should_panic", "compile_fail", "standalone_crate"}


def prose_of(text: str) -> str:
    """Convert documentation to prose: headings become lead-ins, links text; lines are joined.

    A heading or a lead-in without text below it is removed: its code is not in the prose.
    """
    text = words_of_links(text)
    if "[!" in text:
        text = _ALERT.sub(lambda match: f"{match[1]}{match[2].capitalize()}:", text)
    if "\n==" in text or "\n--" in text:
        text = _UNDERLINED.sub(r"## \1", text)
    if "#" in text:
        text = _with_headings(_TITLE.sub("", text))
    text = _ending(text)
    return _WRAPPED.sub(" ", text).strip() if "\n" in text else text.strip()


def _with_headings(text: str) -> str:
    """Turn headings into lead-ins, without those that have no text below them."""
    #: The level, words and lines of each section; text before the first heading has level 0.
    sections: list[tuple[int, str, list[str]]] = [(0, "", [])]
    for line in text.split("\n"):
        if line.lstrip()[:1] == "#" and (heading := _HEADING.match(line)):
            sections.append((len(heading[1]), (heading[2] or "").rstrip(" \t#:"), []))
        else:
            sections[-1][2].append(line)
    kept: list[str] = []
    next_level: int | None = None
    for level, words, lines in reversed(sections):
        body = "\n".join(lines).rstrip()
        has_subsection = next_level is not None and next_level > level
        if not has_subsection:
            body = _ending(body)
        if body.strip() or has_subsection:
            kept.append(f"{words}:\n{body}".rstrip() if level and words else body)
            next_level = level
    return "\n\n".join(reversed(kept))


def _ending(text: str) -> str:
    """Remove lead-ins from the end of a text, which nothing follows."""
    paragraphs = text.rstrip().split("\n\n")
    while paragraphs:
        last = without_lead_in(paragraphs[-1], before_code=False)
        if last and last == paragraphs[-1]:
            break
        paragraphs.pop()
        if last:
            paragraphs.append(last)
    return "\n\n".join(paragraphs)


def shorten(prose: str) -> str:
    """Cut `prose` after the last whole paragraph that fits into a question."""
    if len(prose) <= MAX_DOC_CHARS:
        return prose
    cut = prose.rfind("\n\n", 0, MAX_DOC_CHARS)
    return _ending(prose[: cut if cut > 0 else MAX_DOC_CHARS])


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
