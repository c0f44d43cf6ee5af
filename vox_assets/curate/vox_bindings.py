"""Finds faults of Vox answers that parse: undeclared and unused variables, and bodies without work.

Works on tokens, so it knows neither types nor scopes. A name is a variable only where it cannot be
anything else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from vox_assets.vox_syntax.lexer import HALF_RESERVED, RESERVED, VIEW_TAGS

_WORD = re.compile(r"[A-Za-z_]\w*")
#: Functions and constants at the top level.
_SHARED = re.compile(
    r"^(?:pub\s+|async\s+|extern\s+)*(?:fn|let)\s+([A-Za-z_]\w*)|\bfn\s+(\w+)", re.MULTILINE
)
_INTERPOLATED = re.compile(r"\{([a-z_]\w*)(?=[}.])")
_TOKEN = re.compile(
    r"(?P<blank>[ \t\r\n]+|(?://|\#)[^\n]*|\bimport\b[^\n]*|@index\b[^\n]*|@[\w.]+(?:\([^)]*\))?)|(?P<string>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|(?P<word>[A-Za-z_]\w*)|(?P<sign>=>|==|!=|<=|>=|\+=|-=|\*=|/=|->|\|>|\.\.|[^\w\s])|(?P<number>\d[\w.]*)"
)
_TYPES = frozenset("int float str bool dec list char".split())
_NOT_NAMES = RESERVED | HALF_RESERVED | VIEW_TAGS | _TYPES | {"db", "std", "self"}
_DECLARING = frozenset("let mut for fn state derived field".split())
#: Tokens before a value: after any other token, a word can be part of a declaration.
_BEFORE_VALUE = frozenset(
    "( = return + - * / % < > <= >= == != is isnt and or not [ |> in if while match".split()
)
_LOCAL = re.compile(r"(?:^[ \t]+|[{;][ \t]*)let\s+(?:mut\s+)?([A-Za-z_]\w*)", re.MULTILINE)
_BODY = re.compile(
    r"\bfn\s+\w+\s*\((?P<parameters>[^()]+)\)[^{}\n]*\{(?P<body>[^{}]*)\}",
)
_TRIVIAL = re.compile(
    r"(?:return\s+)?(?:(?:Ok|Some)\(\s*)?(?:-?\d+(?:\.\d+)?(?:dec)?|\"\"|true|false|None|\[\s*\]|\{\s*\}|Unit)?\)?"
)


def undeclared(code: str, prompt: str) -> str | None:
    """Find a variable that is used and that neither its declaration nor the prompt declares."""
    parts = _top_level(_tokens(code))
    shared = {name for names in _SHARED.findall(f"{prompt}\n{code}") for name in names}
    shared.add("result")
    return next(filter(None, (_undeclared(tokens, shared) for tokens in parts)), None)


def _undeclared(tokens: Sequence[tuple[str, str]], shared: set[str]) -> str | None:
    declared = _declared(tokens) | shared
    for index, (kind, text) in enumerate(tokens):
        before = tokens[index - 1][1] if index else ""
        after = tokens[index + 1][1] if index + 1 < len(tokens) else ""
        is_name = kind == "word" and text[0].islower() and text not in _NOT_NAMES
        is_value = before in _BEFORE_VALUE and after not in ("(", ":", "=", "=>")
        is_value |= after in ("+=", "-=", "*=", "/=") and before != "."
        if is_name and is_value and text not in declared:
            return text
        # Only a string that interpolates a variable of the code can be known to interpolate.
        inside = _INTERPOLATED.findall(text) if kind == "string" else []
        if any(name in declared for name in inside):
            unknown = next((n for n in inside if n not in declared and n not in _NOT_NAMES), None)
            if unknown:
                return unknown
    return None


def _top_level(tokens: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Split tokens into declarations: each ends where its last brace closes, or before the next."""
    parts: list[list[tuple[str, str]]] = [[]]
    depth = 0
    for token in tokens:
        if depth == 0 and token[1] in ("let", "fn", "type", "component") and parts[-1]:
            parts.append([])
        parts[-1].append(token)
        depth += {"{": 1, "(": 1, "}": -1, ")": -1}.get(token[1], 0)
        if depth == 0 and token[1] == "}":
            parts.append([])
    return parts


def unused(code: str) -> str | None:
    """Find a `let` variable that nothing uses, unless its name begins with an underscore."""
    words = Counter(_WORD.findall(code))
    # A constant at the top level is for other declarations.
    names = _LOCAL.findall(code)
    return next((n for n in names if words[n] == 1 and not n.startswith("_")), None)


def trivial_body(code: str) -> str | None:
    """Find a function that takes parameters, uses none, and returns a constant of no content."""
    for match in _BODY.finditer(code):
        body = match["body"].strip()
        if _TRIVIAL.fullmatch(body):
            return body or "{}"
    return None


def _tokens(code: str) -> list[tuple[str, str]]:
    return [
        (match.lastgroup or "", match[0])
        for match in _TOKEN.finditer(code)
        if match.lastgroup != "blank"
    ]


def _declared(tokens: Sequence[tuple[str, str]]) -> set[str]:
    names = set()
    for index, (kind, text) in enumerate(tokens):
        if kind != "word":
            continue
        before = tokens[index - 1][1] if index else ""
        after = tokens[index + 1][1] if index + 1 < len(tokens) else ""
        if before in _DECLARING or after == "=>":
            names.add(text)
    # Parameters and patterns stand in brackets after `fn` or `let` or before `=>`, and before `in`.
    opened: list[int] = []
    depth = 0
    depths = []
    for _, text in tokens:
        depth += {"{": 1, "}": -1}.get(text, 0)
        depths.append(depth)
    for index, (_, text) in enumerate(tokens):
        if text == "(":
            opened.append(index)
        elif text == ")" and opened:
            start = opened.pop()
            opening = {tokens[at][1] for at in (start - 1, start - 2) if at >= 0}
            after = tokens[index + 1][1] if index + 1 < len(tokens) else ""
            inside = range(start + 1, index)
            if after == "=>" or opening & {"fn", "let"}:
                names.update(tokens[at][1] for at in inside if tokens[at][0] == "word")
            # Parameters of components, handlers and addresses.
            names.update(
                tokens[at][1]
                for at in inside
                # A key of an object within the brackets declares nothing.
                if tokens[at + 1][1] == ":" and depths[at] == depths[start]
            )
        elif text == "in" and index >= 2:
            names.update(tokens[at][1] for at in (index - 1, index - 3) if at >= 0)
    return names
