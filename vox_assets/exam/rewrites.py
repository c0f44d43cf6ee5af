"""Rewrites a correct program in ways that do not change what it declares and does.

Each rewrite edits the text at the positions of the parse tree. `discriminate` examines with them
whether the exam accepts answers that differ from the reference only in how they are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from lark import Token, Tree

from vox_assets.vox_syntax import declarations, parse
from vox_assets.vox_syntax.builtin import walk
from vox_assets.vox_syntax.constructs import INTERPOLATED
from vox_assets.vox_syntax.lexer import words

#: A node or a token of a parse tree.
Node = Any

_SLOTS = frozenset(
    "function ai_function endpoint_query endpoint_mutation endpoint_server mcp_tool mcp_resource "
    "test property component fragment actor loading".split()
)
"""Declarations that may change places: none of them needs another one above it."""
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "is": "is", "isnt": "isnt"} | {
    sign: sign for sign in ("==", "!=")
}


class Rewrite(NamedTuple):
    """An equivalent program and how it was made."""

    kind: str
    source: str


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def rewrites(source: str) -> Iterator[Rewrite]:
    """Yield every rewrite that changes the text; raises VoxSyntaxError for an invalid program."""
    for kind, rewrite in _REWRITES.items():
        changed = rewrite(source)
        if changed != source:
            yield Rewrite(kind, changed)


def _edited(source: str, edits: list[_Edit]) -> str:
    """Apply edits; of two that overlap, the one that starts first."""
    parts, done = [], 0
    for edit in sorted(edits):
        if edit.start >= done:
            parts += [source[done : edit.start], edit.text]
            done = edit.end
    return "".join([*parts, source[done:]])


def _text(node: Node, source: str) -> str:
    start, end = _span(node)
    return source[start:end]


def _span(node: Node) -> tuple[int, int]:
    if isinstance(node, Tree):
        return node.meta.start_pos, node.meta.end_pos
    return node.start_pos, node.end_pos


def _commented(source: str) -> str:
    lines = [f"{line} // note" if line.strip() else line for line in source.split("\n")]
    return "\n".join(["// All of it.", *lines])


def _laid_out(source: str) -> str:
    """Indent by two columns and put an empty line after each line."""
    lines = []
    for line in source.split("\n"):
        code = line.lstrip(" ")
        lines.append(" " * ((len(line) - len(code)) // 2) + code)
    return "\n\n".join(lines)


# ------------------------------------------------------------------ names and places


def _renamed(source: str) -> str:
    """Rename the local variables of each declaration that have only this meaning in it."""
    edits: list[_Edit] = []
    for node in parse(source).children:
        if isinstance(node, Tree) and node.data != "state_machine":
            edits += _local_names(node, source)
    return _edited(source, edits)


def _local_names(declaration: Tree[Token], source: str) -> Iterator[_Edit]:
    nodes = [node for node, _ in walk(declaration)]
    bound = [token for node in nodes for token in _binders(node)]
    local = {str(token) for token in bound if token != "_" and token[0].islower()}
    of_lambdas = {id(item) for node in nodes if node.data == "lambda" for item in _parameters(node)}
    for node in nodes:
        if node.data == "parameter" and id(node) not in of_lambdas:
            local -= set(map(str, node.scan_values(lambda value: isinstance(value, Token))))
        elif node.data in ("state", "derived"):
            local.discard(str(node.children[0]))
    taken = set(words(source))
    new = {name: f"{name}_here" for name in local if f"{name}_here" not in taken}
    used = (node.children[0] for node in nodes if node.data == "name")
    places = [token for token in (*bound, *used) if isinstance(token, Token) and token in new]
    yield from (_Edit(*_span(token), new[str(token)]) for token in places)
    for token in declaration.scan_values(lambda value: isinstance(value, Token)):
        if token.type == "STRING" and INTERPOLATED.search(token):
            yield _Edit(*_span(token), _renamed_holes(token, new))


def _binders(node: Tree[Token]) -> list[Token]:
    """Return the tokens by which a node binds local variables."""
    match node.data:
        case "name_pattern":
            return [child for child in node.children[:1] if isinstance(child, Token)]
        case "for" | "arrow_lambda":
            return [child for child in node.children if isinstance(child, Token)]
        case "lambda":
            firsts = (item.children[0] for item in _parameters(node))
            return [first for first in firsts if isinstance(first, Token)]
    return []


def _parameters(node: Tree[Token]) -> list[Tree[Token]]:
    trees = [child for child in node.children if isinstance(child, Tree)]
    inside = [child for child in trees if child.data == "parameters"]
    return [item for child in inside for item in child.children if isinstance(item, Tree)]


def _renamed_holes(text: str, new: Mapping[str, str]) -> str:
    def name(match: re.Match[str]) -> str:
        return new.get(match[0], match[0])

    return INTERPOLATED.sub(lambda hole: re.sub(r"(?<![\w.])[a-z_]\w*", name, hole[0]), text)


def _reordered(source: str) -> str:
    """Reverse the order of the declarations that may change places."""
    slots, cursor = [], 0
    for item in declarations(source):
        start = source.index(item.text, cursor)
        cursor = start + len(item.text)
        if item.kind in _SLOTS:
            slots.append((start, cursor, item.text))
    texts = [text for _, _, text in reversed(slots)]
    edits = [_Edit(start, end, text) for (start, end, _), text in zip(slots, texts, strict=True)]
    return _edited(source, edits)


# ------------------------------------------------------------------ other forms


def _between(node: Tree[Token], source: str) -> str:
    left, right = node.children
    return source[_span(left)[1] : _span(right)[0]].strip()


def _mirrored(source: str) -> str:
    """Exchange the operands of comparisons."""
    edits = []
    for node, _ in walk(parse(source)):
        if node.data in ("equality", "comparison"):
            left, right = (_text(child, source) for child in node.children)
            symbol = _MIRRORED[_between(node, source)]
            edits.append(_Edit(*_span(node), f"{right} {symbol} {left}"))
    return _edited(source, edits)


def _if_for_match(source: str) -> str:
    """Write a match of literals as a chain of `if`."""
    edits = []
    for node, _ in walk(parse(source)):
        if node.data != "match" or len(node.children) < 3:
            continue
        subject, *arms = node.children
        patterns: list[Node] = [arm.children[0] for arm in arms if isinstance(arm, Tree)]
        literal = all(pattern.data == "literal_pattern" for pattern in patterns[:-1])
        if literal and _is_stable(subject) and _text(patterns[-1], source) == "_":
            branches = [
                f"if {_text(subject, source)} is {_text(pattern, source)} {_arm_block(arm, source)}"
                for pattern, arm in zip(patterns[:-1], arms, strict=False)
            ]
            chain = " else ".join([*branches, _arm_block(arms[-1], source)])
            edits.append(_Edit(*_span(node), chain))
    return _edited(source, edits)


def _match_for_if(source: str) -> str:
    """Write a choice by equality with a literal as a match."""
    edits = []
    for node, shown in walk(parse(source)):
        if node.data != "if" or len(node.children) < 3 or shown:
            continue
        test, chosen, other = node.children
        if not isinstance(test, Tree) or test.data != "equality":
            continue
        left, right = test.children
        if (
            _between(test, source) in ("is", "==")
            and _is_stable(left)
            and _is_literal(right)
            and all(block.children for block in (chosen, other) if isinstance(block, Tree))
        ):
            arms = [f"{_text(right, source)} => {_text(chosen, source)}"]
            arms.append(f"_ => {_text(other, source)}")
            edits.append(
                _Edit(*_span(node), f"match {_text(left, source)} {{\n{chr(10).join(arms)}\n}}")
            )
    return _edited(source, edits)


def _named_value(source: str) -> str:
    """Give what a function returns a name first."""
    name = "result_here"
    if name in words(source):
        return source
    edits = []
    for node, _ in walk(parse(source)):
        if node.data == "return" and node.children:
            value = _text(node.children[0], source)
            edits.append(_Edit(*_span(node), f"let {name} = {value}\nreturn {name}"))
    return _edited(source, edits)


def _is_stable(node: Node) -> bool:
    """Check whether an expression may be evaluated several times: a variable or its field."""
    return getattr(node, "data", "") in ("name", "attribute") and all(
        inner.data in ("name", "attribute", "half_reserved") for inner in node.iter_subtrees()
    )


def _is_literal(node: Node) -> bool:
    if getattr(node, "data", "") != "literal":
        return False
    token = node.children[0]
    return token.type == "INT" or (token.type == "STRING" and not INTERPOLATED.search(token))


def _arm_block(arm: Node, source: str) -> str:
    """Write the result of an arm as a block."""
    if arm.data == "leaving_arm":
        return "{ return }"
    result = arm.children[1]
    text = _text(result, source)
    return text if getattr(result, "data", "") == "block_value" else f"{{ {text} }}"


_REWRITES: Mapping[str, Callable[[str], str]] = {
    "comments": _commented,
    "layout": _laid_out,
    "renamed": _renamed,
    "reordered": _reordered,
    "mirrored": _mirrored,
    "if_for_match": _if_for_match,
    "match_for_if": _match_for_if,
    "named_value": _named_value,
}
KINDS = tuple(_REWRITES)
