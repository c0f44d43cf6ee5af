"""The prose of sections: short sections are merged into their parent, long sections are split."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from vox_assets.contract.rows import Reason
from vox_assets.extract.docs import mdbook
from vox_assets.extract.docs.code_spans import without_code_spans
from vox_assets.extract.docs.lead_ins import without_lead_in
from vox_assets.extract.docs.markdown import Block, Section
from vox_assets.extract.docs.questions import NOT_WORDS, NUMBERING

#: Shorter sections are merged into their parent section.
FOLD_BELOW_CHARS = 300

#: About 1,000 tokens: the room that a training context leaves for an answer.
MAX_PROSE_CHARS = 4_000

#: Number of words that name the start and the end of a part of a long section.
NAME_WORDS = 6

#: Highest share of link text in a section; above it the section only points to other pages.
MAX_LINKED_SHARE = 0.5

_SIGNPOST = re.compile(
    r"related\b|see also|further reading|bibliography|(?:references?|sources?|links?|citations?)$",
    re.IGNORECASE,
)

_MARKS = re.compile(r"^(?:[-*>]|\d+\.)\s+|[*`']")

_POINTS_BACK = re.compile(r"(?:This|That|These|Those|It|They|Here|Both|Where|Then|The same)\b")

_HTML_COMMENT = re.compile(r"<!--|-->")

ABSENT_CODE = re.compile(
    r"\b(?:code|snippet|listing|example)s?(?: blocks?)? (?:above|below)\b"
    r"|\b(?:above|below|following) (?:code|snippet|listing|example)s?\b",
    re.IGNORECASE,
)

CHECKBOX = re.compile(r"^(\s*(?:- |\d+\. )?)\[[ xX]\] ", re.MULTILINE)

BRANCH = re.compile(r"\b(?:if|match|for|while|loop)\b|=>")


@dataclass(slots=True)
class Prose:
    """The prose of a section, empty once it is merged into the parent; `problem` says if unfit."""

    text: str
    problem: str | None = None
    #: The blocks that `text` consists of, unless subsections are merged into it.
    blocks: Sequence[Block] = ()
    #: Blocks that are not in the text, each with the reason.
    removed: Sequence[tuple[int, Reason | str]] = ()


def fold(sections: Sequence[Section], failures: Mapping[str, Reason]) -> list[Prose]:
    """Return the prose of every section; subsections that are all short merge into their parent.

    All or none merge: an answer with some of the subsections would look complete. `failures` are
    those of the page's `Includes`.
    """
    prose = [_own_prose(section, failures) for section in sections]
    children: dict[int, list[int]] = {}
    for index, parent in enumerate(_parents(sections)):
        if parent is not None:
            children.setdefault(parent, []).append(index)
    # From the end, so that a subsection contains its own subsections before its length is tested.
    for parent in reversed(children):
        below = [index for index in children[parent] if prose[index].text]
        parts = [f"**{sections[index].path[-1]}**\n\n{prose[index].text}" for index in below]
        short = all(
            len(prose[index].text) < FOLD_BELOW_CHARS and prose[index].problem is None
            for index in below
        )
        together = "\n\n".join([prose[parent].text, *parts]).strip()
        if below and short and len(together) <= MAX_PROSE_CHARS:
            prose[parent].text = together
            for index in below:
                prose[index].text = ""
    return prose


def _parents(sections: Sequence[Section]) -> list[int | None]:
    parents: list[int | None] = []
    open_sections: list[int] = []
    for index, section in enumerate(sections):
        while open_sections and sections[open_sections[-1]].level >= section.level:
            open_sections.pop()
        # Text before the first heading is the parent of no section.
        parents.append(open_sections[-1] if open_sections else None)
        if section.level:
            open_sections.append(index)
    return parents


def _own_prose(section: Section, failures: Mapping[str, Reason]) -> Prose:
    removed: list[tuple[int, Reason | str]] = []
    #: The blocks of the section; None in the place of one that is not in the text.
    blocks: list[Block | None] = []
    after_code = in_comment = False
    for block in section.blocks:
        reason = _unreadable(block, failures)
        marks = _HTML_COMMENT.findall(without_code_spans(block.text)) if "--" in block.text else []
        # Also in a code span: no text of a comment is in an answer, which the audits can check.
        if in_comment or "<!--" in block.text:
            reason = reason or "holds an HTML comment"
            in_comment = marks[-1] == "<!--" if marks else in_comment
        # `This starts the server.` after a command has no meaning without the command.
        points_back = after_code and _POINTS_BACK.match(block.text)
        after_code = block.holds_code or reason is not None or bool(points_back)
        if reason is not None:
            removed.append((block.start_line, reason))
        blocks.append(None if after_code else block)
    kept: list[Block] = []
    nothing_follows = True
    before_code = False
    for remaining in reversed(blocks):
        if remaining is None:
            before_code = True
            continue
        text = remaining.text
        if nothing_follows or before_code:
            # The end introduces text that is elsewhere or missing.
            text = without_lead_in(text, before_code)
        if text:
            nothing_follows = before_code = False
            kept.append(remaining if text == remaining.text else replace(remaining, text=text))
        else:
            before_code = True
    kept.reverse()
    text = "\n\n".join(block.text for block in kept)
    code = sum(len(fence.content) for fence in section.fences)
    problem = None
    if text and code > len(text):
        problem = "needs its code"
    elif text and sum(block.linked for block in kept) > MAX_LINKED_SHARE * len(text):
        problem = "mostly links"
    elif sum(block.boxes for block in kept) > 1:
        problem = "a list of work to do"
    elif section.path and _SIGNPOST.match(NUMBERING.sub("", section.path[-1])):
        problem = "a list of references"
    return Prose(text, problem, kept, removed)


def _unreadable(block: Block, failures: Mapping[str, Reason]) -> Reason | str | None:
    """Return why a block is not in the text of its section, or None.

    An include that fails stays in the text: it is a fault of the page, and costs the section.
    """
    reason = mdbook.why(block.text, failures)
    if not isinstance(reason, Reason) or reason.kind != mdbook.INCLUDE:
        return reason
    # An include in a code span that names no file is a text about includes.
    outside = mdbook.why(without_code_spans(block.text), failures)
    return "holds a template directive" if outside is None else None


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a long section: an answer that a question names by its first and last words."""

    text: str
    lines: tuple[int, int]
    ends: str


@dataclass(frozen=True, slots=True)
class _Unit:
    """An indivisible piece of a part; `cut` is the long block that contained it, or None."""

    text: str
    lines: tuple[int, int]
    cut: Block | None = None


def parts_of(blocks: Sequence[Block]) -> list[_Part]:
    """Split a long section into answers between its blocks, list items and table rows."""
    units = list(_units(blocks))
    room = MAX_PROSE_CHARS - max(len(_table_head(unit.cut)) for unit in units)
    # A head that fills an answer alone leaves one part, which is too long.
    room = room if room > 0 else sys.maxsize
    runs: list[list[_Unit]] = [[]]
    size = 0
    for unit in units:
        if runs[-1] and size + len(unit.text) > room:
            runs.append([])
            size = 0
        runs[-1].append(unit)
        size += len(unit.text) + len("\n\n")
    return [_part(run) for run in runs]


def _units(blocks: Sequence[Block]) -> Iterator[_Unit]:
    groups: list[list[Block]] = []
    for block in blocks:
        # A list or table belongs to the paragraph that introduces it.
        if groups and block.kind != "paragraph" and groups[-1][-1].kind == "paragraph":
            groups[-1].append(block)
        else:
            groups.append([block])
    for group in groups:
        text = "\n\n".join(block.text for block in group)
        if len(text) <= MAX_PROSE_CHARS:
            yield _Unit(text, (group[0].start_line, group[-1].end_line))
            continue
        for block in group:
            body = block.text.removeprefix(_table_head(block))
            items = [
                item.rstrip() for item in re.split(r"^(?=\S)", body, flags=re.MULTILINE) if item
            ]
            for index, item in enumerate(items, start=block.start_line + 2):
                # A table row is one line; the number of lines of a list item is not known here.
                is_row = block.kind == "table"
                lines = (index, index) if is_row else (block.start_line, block.end_line)
                yield _Unit(item, lines, block)


def _part(run: Sequence[_Unit]) -> _Part:
    pieces = []
    for _, group in groupby(run, key=lambda unit: id(unit.cut or unit)):
        same = list(group)
        pieces.append(_table_head(same[0].cut) + "\n".join(unit.text for unit in same))
    first, last = first_words(run[0].text), first_words(run[-1].text, at_end=True)
    ends = f"from '{first}' to '{last}'" if first != last else f"at '{first}'"
    return _Part("\n\n".join(pieces), (run[0].lines[0], run[-1].lines[1]), ends)


def _table_head(block: Block | None) -> str:
    """Return the two header lines of a table, which every part repeats; empty for other blocks."""
    if block is None or block.kind != "table":
        return ""
    # Without a split of the whole table, which every row would repeat.
    return block.text[: block.text.find("\n", block.text.find("\n") + 1) + 1]


def first_words(text: str, at_end: bool = False) -> str:
    """Return the first words of a unit, for a table those of its first or, `at_end`, last row."""
    lines = text.split("\n")
    line = lines[0]
    if line.startswith("| "):
        first_row = 2 if len(lines) > 2 and lines[1].startswith("| ---") else 0
        line = lines[-1 if at_end else first_row][2:].split(" | ")[0]
    return " ".join(_MARKS.sub("", line).split()[:NAME_WORDS]).rstrip(" .,:;—-")


def words_of(text: str) -> str:
    return NOT_WORDS.sub(" ", text).strip().casefold()
