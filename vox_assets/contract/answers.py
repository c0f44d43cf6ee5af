"""Properties of an answer: code fences, code lanes and the response mode.

Extraction, synthesis, the audits, the gates and the evaluation share these definitions, so that an
audit is never weaker than the step that it audits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from vox_assets.contract.rows import Message

#: Lanes whose answers are code and nothing else. The answers of every other lane are prose.
CODE_LANES = frozenset({"vox_codegen", "vox_tooling", "vox_speech"})

#: The start of a line that opens or closes a Markdown code fence. Any indentation counts: Markdown
#: allows three spaces, but measures them from the list item that holds the fence.
FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})", re.MULTILINE)
#: A whole fenced block: a fence of the same sign, at least as long as the first, closes it. A line
#: with more backticks after its opening backticks is a code span.
FENCED_BLOCK = re.compile(
    r"^[ \t]*(?P<mark>(?P<sign>[`~])(?P=sign){2,}+)(?:(?<=`)[^\n`]*|(?<=~)[^\n]*)\n"
    r"(?P<code>.*?)"
    r"^[ \t]*(?P=mark)(?P=sign)*[ \t]*$",
    re.MULTILINE | re.DOTALL,
)

_HEADING = re.compile(r"^#{1,6} \S", re.MULTILINE)
#: A line of prose: words from a capital to a full stop, without the characters typical of code. No
#: two parts match the same words, so that a long line takes linear time.
_SENTENCE = re.compile(r"^\s*(?:[-*] |\d+\. )?[A-Z][\w',\-]*(?: +[\w',\-`.()]+){3,}[.:!?]\s*$")
_CODE_SIGNS = re.compile(r"[{};=<>\[\]]|//|::|->|\)\s*$")


def fenced_code(text: str) -> list[str]:
    """Return the code inside each fenced block of a Markdown text, in order."""
    return [match["code"] for match in FENCED_BLOCK.finditer(text)]


def without_fenced_blocks(text: str) -> str:
    """Return a Markdown text without its fenced blocks."""
    return FENCED_BLOCK.sub("", text)


def mode_fault(text: str, response_mode: str, lane: str | None = None) -> str | None:
    """Return how an answer violates its response mode or its lane, or None.

    `lane` is omitted for a text that has no lane yet.
    """
    if lane is not None and (response_mode == "code_only") != (lane in CODE_LANES):
        return f"is {'code' if response_mode == 'code_only' else 'prose'} in lane {lane}"
    if FENCE.search(text):
        return "holds a fence"
    if response_mode == "prose_only" and _HEADING.search(text):
        return "holds a heading"
    return None


def dialogue_fault(messages: Iterable[Message], response_mode: str, lane: str) -> str | None:
    """Return the first `mode_fault` of the answers in a dialogue, or None."""
    answers = (turn["content"] for turn in messages if turn["role"] == "assistant")
    return next(filter(None, (mode_fault(text, response_mode, lane) for text in answers)), None)


def out_of_mode(text: str, response_mode: str) -> bool:
    """Return whether an answer that a language model wrote violates its response mode.

    Besides `mode_fault`, code from a model must not contain sentences of prose. Rows extracted from
    sources are not tested for sentences: their code is parsed, and raw strings of Rust contain
    sentences (in 3 of 14,990 rows of the Vox repository).
    """
    if mode_fault(text, response_mode):
        return True
    if response_mode == "prose_only":
        return False
    return any(_SENTENCE.match(line) and not _CODE_SIGNS.search(line) for line in text.splitlines())
