"""Footnotes, as extensions of markdown-it: notes are no text, and marks of notes are removed."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

#: The type of the token of a note; it has no content.
NOTE = "footnote"

_NOTE = re.compile(r"\[\^[^\[\]\s]+\]:")

_REFERENCE = re.compile(r"\[\^[^\[\]\s]+\]")

#: Indentation of the lines that continue a note after a blank line.
_CONTINUED = 4


def without_notes(parser: MarkdownIt) -> MarkdownIt:
    """Add a rule to a parser of blocks that reads a note as one token without content."""
    parser.block.ruler.before("reference", NOTE, _note, {"alt": ["paragraph", "reference"]})
    return parser


def without_references(parser: MarkdownIt) -> MarkdownIt:
    """Add a rule to a parser of inline text that removes marks of notes."""
    parser.inline.ruler.before("link", NOTE, _reference)
    return parser


def _starts_note(state: StateBlock, line: int) -> bool:
    start = state.bMarks[line] + state.tShift[line]
    return _NOTE.match(state.src, start, state.eMarks[line]) is not None


def _note(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    if state.is_code_block(start_line) or not _starts_note(state, start_line):
        return False
    if silent:
        return True
    rules = state.md.block.ruler.getRules("paragraph")
    last = line = start_line
    while (line := line + 1) < end_line:
        if state.isEmpty(line):
            continue
        is_indented = state.sCount[line] - state.blkIndent >= _CONTINUED
        # A line of a paragraph may continue the note without indentation.
        is_lazy = (
            line == last + 1
            and state.sCount[line] >= state.blkIndent
            and not _starts_note(state, line)
            and not any(rule(state, line, end_line, True) for rule in rules)
        )
        if not (is_indented or is_lazy):
            break
        last = line
    state.line = last + 1
    token = state.push(NOTE, "", 0)
    token.map = [start_line, state.line]
    return True


def _reference(state: StateInline, silent: bool) -> bool:
    mark = _REFERENCE.match(state.src, state.pos)
    if mark is None:
        return False
    if not silent and state.pending[-1:] in (" ", "\t"):
        state.pending = state.pending[:-1]
    state.pos = mark.end()
    return True
