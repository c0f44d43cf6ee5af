"""The built-in front end: parses Vox text into a Lark tree and checks it.

This module parses, and refuses programs that parse with a meaning that their author did not
intend. ``grammar.lark`` defines the language, `lexer` the tokens, `diagnostics` the wording of
messages, and `constructs` reads the contents of a tree.

The gate is stricter than the compiler in one respect. The compiler drops characters that it does
not know and needs no separator between two statements, so it reads ``!x`` as ``x``, ``a; b`` as
``a b`` and ``await f()`` as two statements. Such text parses, but not as its author meant it. It
is refused, also in the compiler's own examples: a few contain a ``!`` or a ``;``.
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib import resources
from importlib.util import cache_from_source
from pathlib import Path

import lark
from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedToken
from lark.lexer import PatternStr

from vox_assets.store.files import atomic_file
from vox_assets.vox_syntax.diagnostics import Diagnostic, VoxSyntaxError, advice, describe
from vox_assets.vox_syntax.lexer import (
    HALF_RESERVED,
    RESERVED,
    VIEW_TAGS,
    VoxLexer,
    accepts,
    open_bracket,
)

MAX_CHARACTERS = 200_000
"""Longer texts are refused without parsing, which bounds the work; hand-written programs are far
shorter."""

_DIGEST_BYTES = hashlib.sha256().digest_size


def check(source: str, *, ui_module: bool = False) -> list[Diagnostic]:
    """Return why ``source`` is refused; an empty list when it parses as intended.

    ``ui_module`` is for ``.vox.ui`` files, which allow state and effects at the top level.
    """
    try:
        parse(source, ui_module=ui_module)
    except VoxSyntaxError as error:
        return [error.diagnostic]
    return []


def parse(source: str, *, ui_module: bool = False) -> Tree[Token]:
    """Return the tree of a program; raises VoxSyntaxError where `check` returns a diagnostic."""
    if len(source) > MAX_CHARACTERS:
        raise VoxSyntaxError(
            Diagnostic(1, 1, f"the text is longer than {MAX_CHARACTERS} characters")
        )
    try:
        tree = _parser().parse(source, start="ui_module" if ui_module else "module")
    except UnexpectedToken as error:
        raise VoxSyntaxError(_explain(source, error)) from None
    _refuse_misread(source, tree)
    return tree


@cache
def _parser() -> Lark:
    """Build the parser; its tables take a second to compute and are kept like bytecode."""
    grammar = resources.files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    made_by = f"{lark.__version__} {sys.version_info[:2]} {grammar}".encode()
    kept = Path(cache_from_source(str(Path(__file__).with_name("grammar.lark")))).with_suffix(
        ".lalr"
    )
    with suppress(OSError):
        digest, tables = (content := kept.read_bytes())[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if digest == hashlib.sha256(made_by + tables).digest():
            return Lark.load(io.BytesIO(tables))
    parser = Lark(
        grammar,
        parser="lalr",
        lexer=VoxLexer,
        start=["module", "ui_module"],
        propagate_positions=True,
    )
    if not sys.dont_write_bytecode:
        saved = io.BytesIO()
        parser.save(saved)
        tables = saved.getvalue()
        # When the folder of the package is not writable, every process computes the tables.
        with suppress(OSError), atomic_file(kept) as work:
            work.write_bytes(hashlib.sha256(made_by + tables).digest() + tables)
    return parser


def _explain(source: str, error: UnexpectedToken) -> Diagnostic:
    """Describe the token where the parser stopped, and the tokens that it expected."""
    token: Token = error.token
    if token.type == "$END":
        position = len(source.rstrip())
        line = source.count("\n", 0, position) + 1
        column = position - source.rfind("\n", 0, position)
    else:
        position, line, column = token.start_pos or 0, token.line or 1, token.column or 1
    takes = {name for name in error.state.parse_conf.states[error.state.position] if name != "$END"}
    takes = {name for name in takes if name.isupper() and accepts(error.state, name)}

    if hint := advice(source, position):
        message = hint
    elif token.type == "$END":
        message = "the program ends too early"
        if opened := open_bracket(source):
            message += f": the `{opened.text}` at {opened.line}:{opened.column} is not closed"
    elif token.type == "_NL":
        message = "the line ends too early"
    elif "NAME" in takes and (token in RESERVED or token in HALF_RESERVED):
        message = f"`{token}` is a reserved word"
    elif "NAME" not in takes and "_NL" in takes:
        message = f"`{token}` follows on the same line without a separator"
    else:
        message = f"unexpected `{token}`"
    return Diagnostic(line, column, message, describe({_spelling().get(t, t) for t in takes}))


@cache
def _spelling() -> dict[str, str]:
    """Return the spelling of each terminal that has only a single spelling."""
    return {
        terminal.name: str(terminal.pattern.value)
        for terminal in _parser().terminals
        if isinstance(terminal.pattern, PatternStr)
    }


def walk(tree: Tree[Token]) -> Iterator[tuple[Tree[Token], bool]]:
    """Yield every node in source order, and whether a view displays it.

    A view does not display the values of named arguments, such as event handlers. The explicit
    stack allows long operator chains, which would exhaust Python's own stack.
    """
    pending = [(tree, False)]
    while pending:
        node, shown = pending.pop()
        yield node, shown
        shown = node.data in _VIEWS or (shown and node.data != "named_argument")
        pending.extend(
            (child, shown) for child in reversed(node.children) if isinstance(child, Tree)
        )


_VIEWS = frozenset({"element", "view", "fragment"})
_VALUES = frozenset(
    "name literal attribute indexing group tuple list_literal object_literal lambda arrow_lambda "
    "or and not equality comparison sum product negative".split()
)
"""Nodes that only compute a value."""

_CONSTRUCTORS = frozenset({"Ok", "Error", "Some", "None"})


def _refuse_misread(source: str, tree: Tree[Token]) -> None:
    """Refuse code that parses but that the compiler reads differently from its author.

    A bare value on a line of its own has no effect, unless it is the value of its block or a view
    displays it; nearly always it is a word of another language. A call without a positional
    argument is a view element when its callee is capitalised or a view tag: `Ok()` is, and so is
    `summary()`, even where a function of that name is declared. After a lambda's parameters `to`
    starts the result type and cannot be a variable.
    """
    called: set[str] = set(_CONSTRUCTORS)
    elements: list[tuple[str, Tree[Token]]] = []
    for node, shown in walk(tree):
        children = [child for child in node.children if isinstance(child, Tree)]
        if node.data in ("variant", "function"):
            # Decorators may precede a function's name.
            name = next((str(child) for child in node.children if isinstance(child, Token)), "")
            if node.data == "variant" or name in VIEW_TAGS:
                called.add(name)
        elif node.data == "call":
            callee, arguments = children
            if callee.data == "name" and all(
                isinstance(given, Tree) and given.data == "named_argument"
                for given in arguments.children
            ):
                elements.append((str(callee.children[0]), node))
        elif node.data == "lambda":
            if re.match(r"to\b", source[children[-1].meta.start_pos :]):
                raise _misread(children[-1], "`to` after a lambda's parameters starts its result")
        elif node.data in ("block", "block_value", "component") and not shown:
            # A component has no value, so even its last bare value has no effect.
            for child in children if node.data == "component" else children[:-1]:
                if child.data in _VALUES:
                    text = source[child.meta.start_pos : child.meta.end_pos].splitlines()[0]
                    raise _misread(child, f"the value of `{text[:40]}` is not used")
    for name, node in elements:
        if name in called:
            raise _misread(node, f"`{name}(..)` without a positional argument is a view element")


def _misread(node: Tree[Token], message: str) -> VoxSyntaxError:
    return VoxSyntaxError(Diagnostic(node.meta.line, node.meta.column, message))
