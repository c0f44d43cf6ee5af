"""The interface of front ends, and the front end that uses the built-in grammar.

The front end that runs the real compiler is in `compiler`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import Protocol

from vox_assets.store.progress import Log, silent
from vox_assets.vox_syntax.builtin import check
from vox_assets.vox_syntax.reserved import reserved_word

REMEMBERED = 20_000
"""Verdicts that the built-in grammar keeps in memory: an answer is checked when it is made, when
its table is checked and when it is scored. All answers of a large corpus fit; at about a
kilobyte each they take twenty megabytes."""


class FrontEnd(Protocol):
    """Checks Vox programs."""

    @property
    def name(self) -> str:
        """Name and version of the front end, recorded with the tables that it checked."""

    def check(
        self, sources: Sequence[str], *, ui_module: bool = False, log: Log = silent
    ) -> list[str | None]:
        """Return for each program the reason why it is refused, in one line, or None.

        `ui_module` is for ``.vox.ui`` files, which allow state and effects at the top level.
        Progress goes to `log`.
        """


class BuiltInGrammar:
    """The grammar of this package: checks syntax only, more strictly than the compiler.

    It also refuses what the compiler refuses before it parses. `builtin.check` accepts that, as the
    compiler's parser does.
    """

    @property
    def name(self) -> str:
        return f"built-in grammar {_digest()}"

    def check(
        self, sources: Sequence[str], *, ui_module: bool = False, log: Log = silent
    ) -> list[str | None]:
        return [_fault(source, ui_module) for source in sources]


def one_by_one(front_end: FrontEnd) -> Callable[[str], str | None]:
    """Return a function that checks single programs, for callers that need verdicts at once."""
    return lambda source: front_end.check([source])[0]


@lru_cache(maxsize=REMEMBERED)
def _fault(source: str, ui_module: bool) -> str | None:
    if (reserved := reserved_word(source)) is not None:
        return str(reserved)
    diagnostics = check(source, ui_module=ui_module)
    return str(diagnostics[0]) if diagnostics else None


@cache
def _digest() -> str:
    """Return twelve hex digits of a digest over the files that decide a verdict."""
    digest = hashlib.sha256()
    for name in ("grammar.lark", "lexer.py", "builtin.py", "diagnostics.py", "reserved.py"):
        digest.update(resources.files(__package__).joinpath(name).read_bytes())
    return digest.hexdigest()[:12]
