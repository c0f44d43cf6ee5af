"""Refuses programs that parse although the compiler reserves a word in them.

The compiler searches the text for these words before it parses, and refuses the whole program.
Hence they are refused as well where they are only part of a name, as in ``my_workflow``, in a
comment that starts with ``#``, and in single quotes. The search here is the same, so the two front
ends agree.
"""

from __future__ import annotations

import re

from vox_assets.vox_syntax.diagnostics import Diagnostic

# A string that is never closed ends with the text, which bounds the work; it is refused anyway.
_STRING = r"""{0}(?:[^{0}\\]|\\(?s:.))*+[{0}\\]?"""
_DOUBLE, _SINGLE = _STRING.format('"'), _STRING.format("'")
# In this search the compiler passes over comments with slashes and text in double quotes only. It
# finds a decorator in a longer one, and a word only at the end of a longer one.
_DURABLE = re.compile(
    rf"//[^\n]*|/\*(?s:.*?)(?:\*/|\Z)|{_DOUBLE}"
    r"|(?P<reserved>@scheduled|@durable|(?:workflow|activity)(?![A-Za-z0-9_]))"
)
# The compiler finds these among its tokens, so comments of both kinds and all strings are passed.
_MACRO = re.compile(
    rf"(?://|\#)[^\r\n]*|{_DOUBLE}|{_SINGLE}"
    r"|(?<![A-Za-z0-9_])(?P<reserved>macro(?:_rules)?)(?![A-Za-z0-9_])"
)


def reserved_word(source: str) -> Diagnostic | None:
    """Return why the compiler refuses ``source`` before it parses it, or None."""
    for pattern, reason in (
        (_MACRO, "no name in Vox, which has no macros (E091)"),
        (_DURABLE, "reserved for a future release (E028, ADR-028): write a plain `fn`"),
    ):
        for match in pattern.finditer(source):
            if word := match["reserved"]:
                line_start = source.rfind("\n", 0, match.start("reserved")) + 1
                line = source.count("\n", 0, line_start) + 1
                column = match.start("reserved") - line_start + 1
                return Diagnostic(line, column, f"`{word}` is {reason}")
    return None
