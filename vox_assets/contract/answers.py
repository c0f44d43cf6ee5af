"""Properties of an answer: code fences, lanes of code, and the response mode.

Extraction, synthesis, the audits, the gates and the evaluation all use these definitions, so that
none of them is weaker than another.
"""

from __future__ import annotations

import re

#: Lanes whose answers are code and nothing else.
CODE_LANES = frozenset({"vox_codegen", "vox_tooling", "vox_speech"})

#: The line that opens or closes a Markdown code fence, of backticks or tildes, however indented.
FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})", re.MULTILINE)
#: A whole fenced block. A fence of the same sign, at least as long, closes it.
FENCED_BLOCK = re.compile(
    r"^[ \t]*(?P<mark>(?P<sign>[`~])(?P=sign){2,})[^\n]*\n"
    r"(?P<code>.*?)"
    r"^[ \t]*(?P=mark)(?P=sign)*[ \t]*$",
    re.MULTILINE | re.DOTALL,
)

_HEADING = re.compile(r"^#{1,6} \S", re.MULTILINE)
#: A line of prose: words from a capital to a full stop, none of the signs that code is made of.
_SENTENCE = re.compile(r"^\s*(?:[-*] |\d+\. )?[A-Z][\w',\- ]*(?: [\w',\-`.()]+){3,}[.:!?]\s*$")
_CODE_SIGNS = re.compile(r"[{};=<>\[\]]|//|::|->|\)\s*$")


def fenced_code(text: str) -> list[str]:
    """The code inside each fenced block of a Markdown text, in order."""
    return [match["code"] for match in FENCED_BLOCK.finditer(text)]


def without_fenced_blocks(text: str) -> str:
    """A Markdown text without its fenced blocks."""
    return FENCED_BLOCK.sub("", text)


def mode_fault(text: str, response_mode: str, lane: str | None = None) -> str | None:
    """Return how an answer of a row leaves its response mode, or None when it keeps to it.

    `lane` is left out for a text that belongs to no lane yet.
    """
    if response_mode == "prose_only" and lane in CODE_LANES:
        return f"is prose in lane {lane}"
    if FENCE.search(text):
        return "holds a fence"
    if response_mode == "prose_only" and _HEADING.search(text):
        return "holds a heading"
    return None


def out_of_mode(text: str, response_mode: str) -> bool:
    """Return whether a model's answer leaves its mode.

    Beside `mode_fault`, code that a model wrote may not hold sentences. Rows of the corpus are
    spared that guess: their code is parsed, and a raw string of Rust may hold sentences.
    """
    if mode_fault(text, response_mode):
        return True
    if response_mode == "prose_only":
        return False
    return any(_SENTENCE.match(line) and not _CODE_SIGNS.search(line) for line in text.splitlines())
