"""What counts as code and as prose in an answer."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^\s*(```|~~~)", re.MULTILINE)


#: A line of prose: words from a capital to a full stop, none of the signs that code is made of.
_SENTENCE = re.compile(r"^\s*(?:[-*] |\d+\. )?[A-Z][\w',\- ]*(?: [\w',\-`.()]+){3,}[.:!?]\s*$")


_CODE_SIGNS = re.compile(r"[{};=<>\[\]]|//|::|->|\)\s*$")


def out_of_mode(text: str, response_mode: str) -> bool:
    """Whether an answer leaves its lane: prose or fences among code, or fenced code in prose."""
    if _FENCE.search(text):
        return True
    if response_mode == "prose_only":
        return False
    return any(_SENTENCE.match(line) and not _CODE_SIGNS.search(line) for line in text.splitlines())
