"""Separates code, strings and comments of languages with `//`, `/* */` and `"` strings."""

from __future__ import annotations

import re

#: A string within its line: in prose a quote without its pair must not hide the code after it.
STRING = r'"(?:\\.|[^"\\\n])*"'
_ANY_STRING = r'"(?:\\[\s\S]|[^"\\])*"'


def _literal_or_comment(string: str) -> re.Pattern[str]:
    # Literals come first, because they may contain comment signs.
    return re.compile(
        rf"""(?P<literal>r(?P<hashes>\#*)"[\s\S]*?"(?P=hashes)|(?:\b[bc])?{string}|b?'(?:\\[^'\n]*|[^'\\\n])')"""
        r"""|(?P<comment>//[^\n]*|/\*[\s\S]*?(?:\*/|\Z))""",
        re.VERBOSE,
    )


_IN_ANY_TEXT = _literal_or_comment(STRING)
_IN_CODE = _literal_or_comment(_ANY_STRING)
_COMMENT_MARK = re.compile(r"^\s*(?://[/!]?|/\*[*!]?|\*/|\*(?!/))\s?|\*/\s*$", re.MULTILINE)


def without_comments(text: str) -> str:
    """Replace each comment by a space, in code or in a text that contains code."""
    return _IN_ANY_TEXT.sub(lambda match: match["literal"] or " ", text)


def bare_code(code: str) -> str:
    """Replace each literal of code by `""` and each comment by a space."""
    return _IN_CODE.sub(lambda match: " " if match["comment"] else '""', code)


def comments(code: str) -> str:
    """Return the text of all comments of code, without their marks, one comment per line."""
    return "\n".join(
        _COMMENT_MARK.sub("", match["comment"])
        for match in _IN_CODE.finditer(code)
        if match["comment"]
    )
