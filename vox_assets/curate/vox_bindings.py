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
    "( = return + - * / % < > <= >= == != is isnt and or not [ |> in if while match => += -= *="
    " /=".split()
)
_LOCAL = re.compile(r"(?:^[ \t]+|[{;][ \t]*)let\s+(?:mut\s+)?([A-Za-z_]\w*)", re.MULTILINE)
_BODY = re.compile(
    r"\bfn\s+\w+\s*\((?P<parameters>[^()]+)\)[^{}\n]*\{(?P<body>[^{}]*)\}",
)
_TRIVIAL = re.compile(
    r"(?:return\s+)?(?:(?:Ok|Some|Error)\(\s*)?(?:-?\d+(?:\.\d+)?(?:dec)?|\"\"|true|false|None|\[\s*\]|\{\s*\}|Unit)?\)?"
)


def undeclared(code: str, prompt: str) -> str | None:
    """Find a variable that is used and that neither its declaration nor the prompt declares."""
    parts = _top_level(_tokens(code))
    shared = {name for names in _SHARED.findall(f"{prompt}\n{code}") for name in names}
    if "@ensure" in code:
        shared.add("result")
    return next(filter(None, (_undeclared(tokens, shared) for tokens in parts)), None)


def _undeclared(tokens: Sequence[tuple[str, str]], shared: set[str]) -> str | None:
    declared = _declared(tokens) | shared
    inside_values = _inside_values(tokens)
    lambdas = _ends_of_lambdas(tokens)
    for index, (kind, text) in enumerate(tokens):
        before = tokens[index - 1][1] if index else ""
        after = tokens[index + 1][1] if index + 1 < len(tokens) else ""
        is_name = kind == "word" and text[0].islower() and text not in _NOT_NAMES
        is_value = before in _BEFORE_VALUE or (before in (",", ":") and inside_values[index])
        is_value |= index - 1 in lambdas or (before == "{" and after == "}")
        is_value &= after not in ("(", ":", "=", "=>")
        is_value |= after in ("+=", "-=", "*=", "/=") and before != "."
        if is_name and is_value and text not in declared:
            return text
        # Single quotes do not interpolate, and `{name}` in an address is a parameter of it.
        is_text = kind == "string" and text[0] == '"' and "/{" not in text
        inside = _INTERPOLATED.findall(text) if is_text else []
        unknown = next((n for n in inside if n not in declared and n not in _NOT_NAMES), None)
        if unknown:
            return unknown
    return None


#: What a value can begin after: a bracket after one of these opens an object or a list.
_BEFORE_OBJECT = frozenset("( = return + , : [ =>".split())


def _inside_values(tokens: Sequence[tuple[str, str]]) -> list[bool]:
    """Mark tokens directly within the brackets of a call, an object or a list.

    A comma or colon before a name there comes before a value; elsewhere it can belong to a pattern
    or a declaration.
    """
    marks: list[bool] = []
    opened: list[bool] = []
    for index, (_, text) in enumerate(tokens):
        before = tokens[index - 1] if index else ("", "")
        earlier = tokens[index - 2][1] if index > 1 else ""
        marks.append(bool(opened) and opened[-1])
        if text == "(":
            is_call = before[0] == "word" and before[1][0].islower() and before[1] not in _NOT_NAMES
            opened.append(is_call and earlier not in _DECLARES_PARAMETERS)
        elif text in ("{", "["):
            is_object = before[1] in _BEFORE_OBJECT and (text == "[" or _is_object(tokens, index))
            opened.append(is_object)
        elif text in (")", "}", "]") and opened:
            opened.pop()
    return marks


def _ends_of_lambdas(tokens: Sequence[tuple[str, str]]) -> set[int]:
    """Return the places of the brackets after which the value of a lambda `fn(x) x` follows."""
    ends = set()
    opened: list[int] = []
    for index, (_, text) in enumerate(tokens):
        if text == "(":
            opened.append(index)
        elif text == ")" and opened:
            start = opened.pop()
            if start and tokens[start - 1][1] == "fn":
                ends.add(index)
    return ends


#: Words before the name of a declaration with parameters, which are followed by types.
_DECLARES_PARAMETERS = frozenset("fn on state activity workflow component event".split())


def _is_object(tokens: Sequence[tuple[str, str]], brace: int) -> bool:
    """Return whether a brace opens an object: its first key is followed by a colon."""
    return brace + 2 < len(tokens) and tokens[brace + 2][1] == ":"


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
