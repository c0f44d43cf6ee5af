"""Faults of programs that stand in the language's own repository: does the grammar keep up with it?

Programs that the maintainers of the language publish should parse. Where one does not, either it is
wrong or the language has moved on and the grammar has to follow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from vox_assets.vox_syntax.builtin import check
from vox_assets.vox_syntax.diagnostics import Diagnostic
from vox_assets.vox_syntax.lexer import blank_unreadable

DROPPED_BY_DESIGN: Mapping[str, str] = MappingProxyType(
    {
        "!": "`!x` is read as `x`, the opposite of what it says",
        "&": "`a && b` is read as two statements",
        ";": "a line end separates statements, so the sign teaches another language's habit",
        "`": "text in backticks is read as code",
    }
)
"""Signs that the compiler's lexer drops in silence and the grammar refuses on purpose, and why.

A program that is refused for such a sign alone is no drift of the grammar."""

_SIGN = re.compile(r"!(?!=)|[&;`]")


@dataclass(frozen=True)
class Refusal:
    """The first fault of a refused program, without its position in the message.

    `by_design` is the sign of `DROPPED_BY_DESIGN` for which it is refused, or "".
    """

    line: int
    message: str
    by_design: str = ""


def refusal(source: str, *, ui_module: bool = False) -> Refusal | None:
    """Return why the grammar refuses ``source``, or None.

    A sign that is dropped by design does not hide another fault: the rest of the program is checked
    without such signs, as the compiler reads it. A fault on the line of a sign is a consequence.
    """
    faults = check(source, ui_module=ui_module)
    if not faults:
        return None
    first = faults[0]
    sign = _sign_at(source, first)
    if sign:
        blanked, lines = blank_unreadable(source, DROPPED_BY_DESIGN)
        faults = check(blanked, ui_module=ui_module)
        if not faults or faults[0].line in lines:
            return Refusal(first.line, first.text, sign)
        first = faults[0]
    return Refusal(first.line, first.text)


def _sign_at(source: str, fault: Diagnostic) -> str:
    line = source.split("\n")[fault.line - 1]
    match = _SIGN.match(line, fault.column - 1)
    return match.group() if match else ""
