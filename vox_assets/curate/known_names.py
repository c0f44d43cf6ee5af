"""Finds calls in code of functions that nobody declares: names that a model invented."""

from __future__ import annotations

import re
from collections.abc import Collection

from vox_assets.curate.code_text import bare_code

_WORD = re.compile(r"[A-Za-z_]\w*")
#: A function or method that is called; types and variants begin with a capital.
_CALL = re.compile(r"(?<!\w)([a-z_]\w*+)(?=\s*(?:::\s*<[^<>(){};]{0,120}>\s*)?\()")


def unknown_call(code: str, shown: str, known: Collection[str]) -> str | None:
    """Find the first call of a name that neither `known`, `shown` nor the code itself has.

    The code knows a name that it mentions other than by a call, such as its own declarations.
    """
    bare = bare_code(code)
    called = dict.fromkeys(name for name in _CALL.findall(bare) if name not in known)
    if not called:
        return None
    elsewhere = set(_WORD.findall(_CALL.sub(" ", bare))) | set(_WORD.findall(shown))
    declared = set(re.findall(r"\bfn\s+(\w+)", bare))
    return next((n for n in called if n not in elsewhere and n not in declared), None)
