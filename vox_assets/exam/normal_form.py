"""Writes Vox code in a normal form: one text for programs that differ only in how they are written.

Besides layout, comments and the names of local variables, the normal form ignores the choice
between forms that compute the same by construction: `len(x)` and `x.length()`, `"{a}!"` and
`a + "!"`, `a > b` and `b < a`, a final `return`, an early return and its `else`, a match of
literals and a chain of `if`, a variable that is used once and its value. It computes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

from lark import Token, Tree

from vox_assets.exam.code_tree import Code, Part, read_block, read_value, shown

#: Early returns that become nested `else` blocks; those before them stay as they are.
_MAX_FOLDED = 20
#: Nodes in a value that replaces its variable; a chain of variables would grow without an end.
_MAX_INLINED = 40

_MIRRORED = {">": "<", ">=": "<="}
_NEGATED = {"==": "!=", "!=": "==", "<": ">=", "<=": ">"}


def expression(node: Tree[Token] | Token, source: str) -> str:
    """Return the normal form of an expression of `source`."""
    return shown(_simplified(read_value(node, source)))


def body(node: Tree[Token], source: str) -> str:
    """Return the normal form of the body of a function: its last value is what it returns."""
    return shown(_finished(_simplified(read_block(node, source))))


def statements(node: Tree[Token], source: str) -> list[str]:
    """Return the normal form of each statement of a body."""
    block = _finished(_simplified(read_block(node, source)))
    return [shown(part) for part in block.parts if isinstance(part, Code)]


_REPEATING = frozenset({"lambda", "while", "loop", "for"})


def _simplified(code: Code) -> Code:
    return _Simplifier(code).simple(code)


class _Simplifier:
    """Rewrites code from the inside out; values replace variables that are used once."""

    def __init__(self, code: Code) -> None:
        self.used: Counter[int] = Counter()
        #: Variables that change, or that are used in another loop or lambda than they are bound.
        self.kept: set[int] = set()
        self.values: dict[int, Code] = {}
        repeated_by: dict[int, int] = {}
        repeating = count(1)
        # Each node with the number of the innermost loop or lambda around it.
        pending: list[tuple[Code, int]] = [(code, 0)]
        while pending:
            node, around = pending.pop()
            if node.kind == "local":
                number = node.parts[0]
                assert isinstance(number, int)
                self.used[number] += 1
                if repeated_by.setdefault(number, around) != around:
                    self.kept.add(number)
            elif node.kind == "assignment":
                self.kept.update(_locals(node.parts[0]))
            inner = next(repeating) if node.kind in _REPEATING else around
            pending.extend((part, inner) for part in node.parts if isinstance(part, Code))

    def simple(self, code: Code) -> Code:
        if code.kind == "local" and code.parts[0] in self.values:
            return self.values[code.parts[0]]
        if code.kind == "block":
            return self._block(code)
        parts = tuple(self.simple(part) if isinstance(part, Code) else part for part in code.parts)
        rewrite = _REWRITES.get(code.kind)
        return rewrite(Code(code.kind, parts)) if rewrite else Code(code.kind, parts)

    def _block(self, code: Code) -> Code:
        kept = []
        for statement in code.parts:
            assert isinstance(statement, Code)
            read = self.simple(statement)
            if read.kind == "let":
                pattern, value = read.parts
                assert isinstance(pattern, Code) and isinstance(value, Code)
                number = pattern.parts[0] if pattern.kind == "local" else None
                # Bound once and used once.
                if (
                    isinstance(number, int)
                    and self.used[number] == 2
                    and number not in self.kept
                    and _size(value) <= _MAX_INLINED
                ):
                    self.values[number] = value
                    continue
            kept.append(read)
        return Code("block", tuple(kept))


def _nodes(code: Part) -> Iterator[Code]:
    pending = [code]
    while pending:
        node = pending.pop()
        if isinstance(node, Code):
            yield node
            pending.extend(node.parts)


def _locals(code: Part) -> set[int]:
    numbers = (node.parts[0] for node in _nodes(code) if node.kind == "local")
    return {number for number in numbers if isinstance(number, int)}


def _size(code: Code) -> int:
    return sum(1 for _ in _nodes(code))


def _negated(code: Code) -> Code:
    if code.kind == "not":
        (inner,) = code.parts
        assert isinstance(inner, Code)
        return inner
    if code.kind == "operator" and code.parts[0] in _NEGATED:
        symbol, left, right = code.parts
        return _operator(Code("operator", (_NEGATED[str(symbol)], left, right)))
    return Code("not", (code,))


def _not(code: Code) -> Code:
    (inner,) = code.parts
    assert isinstance(inner, Code)
    return _negated(inner)


def _operator(code: Code) -> Code:
    symbol, left, right = code.parts
    assert isinstance(left, Code) and isinstance(right, Code)
    if symbol in _MIRRORED:
        return Code("operator", (_MIRRORED[str(symbol)], right, left))
    if symbol in ("==", "!=", "*"):
        return Code("operator", (symbol, *sorted((left, right), key=shown)))
    if symbol == "+" and "text" in (left.kind, right.kind):
        return _text(Code("text", (*_added(left), *_added(right))))
    return code


def _added(code: Code) -> tuple[Part, ...]:
    """Return the parts that a sum of texts joins."""
    if code.kind == "text":
        return code.parts
    if code.kind == "operator" and code.parts[0] == "+":
        return tuple(
            part for item in code.parts[1:] if isinstance(item, Code) for part in _added(item)
        )
    return (code,)


def _text(code: Code) -> Code:
    """Join texts next to each other; an interpolated value needs no `str`."""
    joined: list[Part] = []
    for part in code.parts:
        inner = part
        if isinstance(part, Code) and part.kind == "call" and len(part.parts) == 2:
            inner = part.parts[1] if part.parts[0] == Code("name", ("str",)) else part
        pieces = inner.parts if isinstance(inner, Code) and inner.kind == "text" else (inner,)
        for piece in pieces:
            if isinstance(piece, str) and joined and isinstance(joined[-1], str):
                joined[-1] += piece
            else:
                joined.append(piece)
    return Code("text", tuple(joined))


def _call(code: Code) -> Code:
    callee, *given = code.parts
    assert isinstance(callee, Code)
    if callee.kind == "attribute" and callee.parts[1] == "length" and not given:
        return Code("call", (Code("name", ("len",)), callee.parts[0]))
    return code


def _logic(code: Code) -> Code:
    parts: list[Code] = []
    for part in code.parts:
        assert isinstance(part, Code)
        if part.kind == code.kind:
            parts.extend(item for item in part.parts if isinstance(item, Code))
        else:
            parts.append(part)
    return Code(code.kind, tuple(sorted(parts, key=shown)))


def _if(code: Code) -> Code:
    """Flatten an `if` that is all of an `else` block, and prefer a condition without `not`."""
    *branches, last = code.parts
    assert isinstance(last, Code)
    if last.kind == "block" and len(last.parts) == 1:
        (inner,) = last.parts
        if isinstance(inner, Code) and inner.kind == "if":
            return Code("if", (*branches, *inner.parts))
    if last.kind == "block" and len(branches) == 1 and isinstance(branches[0], Code):
        condition, chosen = branches[0].parts
        assert isinstance(condition, Code)
        if condition.kind == "not" or (
            condition.kind == "operator" and condition.parts[0] in ("!=", "<=")
        ):
            return Code("if", (Code("branch", (_negated(condition), last)), chosen))
    return code


def _match(code: Code) -> Code:
    """Rewrite a match of literals as a chain of `if`, and sort arms that exclude one another."""
    subject, *arms = code.parts
    patterns = [arm.parts[0] for arm in arms if isinstance(arm, Code)]
    kinds = [pattern.kind for pattern in patterns if isinstance(pattern, Code)]
    if len(kinds) > 1 and set(kinds[:-1]) <= {"literal", "text"}:
        if patterns[-1] == Code("name", ("_",)):
            branches = [
                Code(
                    "branch",
                    (_operator(Code("operator", ("==", subject, *arm.parts[:1]))), arm.parts[1]),
                )
                for arm in arms[:-1]
                if isinstance(arm, Code)
            ]
            last = arms[-1]
            assert isinstance(last, Code)
            return _if(Code("if", (*branches, *last.parts[1:])))
        return code
    heads = [_head(pattern) for pattern in patterns]
    if all(heads) and len(set(heads)) == len(heads):
        ordered = sorted(zip(heads, arms, strict=True), key=lambda item: item[0])
        return Code("match", (subject, *(arm for _, arm in ordered)))
    return code


def _head(pattern: Part) -> str:
    """Return the variant that a pattern takes apart completely, or ""."""
    if not isinstance(pattern, Code):
        return ""
    if pattern.kind == "name" and pattern.parts != ("_",):
        return str(pattern.parts[0])
    if pattern.kind == "call":
        callee, *inner = pattern.parts
        whole = all(part == Code("name", ("_",)) or _is_local(part) for part in inner)
        return str(callee.parts[0]) if whole and isinstance(callee, Code) else ""
    return ""


def _is_local(part: Part) -> bool:
    return isinstance(part, Code) and part.kind == "local"


def _lambda(code: Code) -> Code:
    *names, inner = code.parts
    assert isinstance(inner, Code)
    return Code("lambda", (*names, _finished(inner)))


_REWRITES: dict[str, Callable[[Code], Code]] = {
    "not": _not,
    "operator": _operator,
    "text": _text,
    "call": _call,
    "and": _logic,
    "or": _logic,
    "if": _if,
    "match": _match,
    "lambda": _lambda,
}


def _finished(block: Code) -> Code:
    """Rewrite the block of a function so that its last value is what it returns."""
    statements = [part for part in block.parts if isinstance(part, Code)]
    rest: list[Code] = []
    folded = 0
    for index, statement in enumerate(reversed(statements)):
        if index == 0:
            rest = _last(statement)
        elif folded < _MAX_FOLDED and _leaves_early(statement):
            folded += 1
            branches = [
                Code("branch", (part.parts[0], _finished(_block_of(part.parts[1]))))
                for part in statement.parts
                if isinstance(part, Code)
            ]
            rest = [_if(Code("if", (*branches, Code("block", tuple(rest)))))]
        else:
            rest.insert(0, statement)
    return Code("block", tuple(rest))


def _block_of(part: Part) -> Code:
    assert isinstance(part, Code)
    return part


def _leaves_early(code: Code) -> bool:
    """Check whether code is an `if` without `else` all of whose branches return."""
    return code.kind == "if" and all(
        isinstance(part, Code) and part.kind == "branch" and _leaves(_block_of(part.parts[1]))
        for part in code.parts
    )


def _leaves(block: Code) -> bool:
    if not block.parts:
        return False
    last = _block_of(block.parts[-1])
    if last.kind == "if":
        blocks = [_block_of(part) for part in last.parts]
        return blocks[-1].kind == "block" and all(
            _leaves(part if part.kind == "block" else _block_of(part.parts[1])) for part in blocks
        )
    return last.kind == "return"


def _last(code: Code) -> list[Code]:
    """Return what a statement at the end of a function leaves there."""
    if code.kind == "return":
        return [part for part in code.parts if isinstance(part, Code)]
    if code.kind in ("if", "match"):
        parts: list[Part] = []
        for part in code.parts:
            if isinstance(part, Code) and part.kind in ("branch", "arm"):
                parts.append(Code(part.kind, (part.parts[0], _finished(_block_of(part.parts[1])))))
            elif isinstance(part, Code) and part.kind == "block":
                parts.append(_finished(part))
            else:
                parts.append(part)
        return [_REWRITES[code.kind](Code(code.kind, tuple(parts)))]
    return [code]
