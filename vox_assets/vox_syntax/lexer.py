"""Lexer: splits text into terminals, guided by what the parser accepts next.

This module decides how characters form tokens, which words are names, and which line ends are
separators. Keywords and punctuation come from the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from lark import Token
from lark.lexer import Lexer, PatternStr
from lark.parsers.lalr_analysis import Shift

from vox_assets.vox_syntax.diagnostics import Diagnostic, VoxSyntaxError, advice

MAX_NESTING = 100
"""Largest nesting depth of brackets, so that walking the tree needs no deep stack."""

RESERVED = frozenset(
    "fn let async mut if else while loop break continue match when fetching empty for return dec "
    "import extern actor workflow activity side_effect spawn pub with agent migrate and or not is "
    "isnt true false fragment".split()
)
"""Reserved words, which are never names."""

HALF_RESERVED = frozenset(
    "in to type http on state derived effect mount cleanup view component env".split()
)
"""Words that may name parameters, fields, methods and functions, but not variables."""

VIEW_TAGS = frozenset(
    "stack column row wrap text heading link image button panel card list list_item overlay toast "
    "drawer modal route_outlet input label textarea select option form fieldset legend table thead "
    "tbody tfoot tr th td caption audio video source track canvas svg img span br hr i b em strong "
    "small code pre kbd abbr cite blockquote q head meta title script style noscript main section "
    "article aside header footer nav details summary dialog figure figcaption iframe embed object "
    "param g defs path circle rect ellipse line polyline polygon tspan use symbol marker mask "
    "pattern stop filter radial_gradient linear_gradient clip_path foreign_object "
    "fe_gaussian_blur".split()
)
"""Lower-case callees whose call may be followed by a block of children."""

_LARGEST_INT = 2**63 - 1

_LEXEME = re.compile(
    r"""
    (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<blank>[ \t]+|(?://|\#)[^\r\n]*)
  | (?P<fixed>=>|==|!=|<=|>=|\+=|-=|\*=|/=|->|\|>|\.\.|[-+*/%<>=|.,:?()\[\]{}])
  | (?P<newline>\r?\n)
  | (?P<STRING>"(?:[^"\\\r\n]|\\[^\r\n])*+")
  | (?P<QUOTED>'(?:[^'\\\r\n]|\\[^\r\n])*+')
  | (?P<number>[0-9]+(?:\.[0-9]+)?(?:dec)?)
  | (?P<decorator>@[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?)
    """,
    re.VERBOSE,
)
_ARROW_PARAMETERS = re.compile(
    r"\([ \t]*[a-z_]\w*[ \t]*(?:,[ \t]*[a-z_]\w*[ \t]*)*\)[ \t]*=>", re.ASCII
)
_OPENERS = frozenset("([{")
_CLOSERS = frozenset(")]}")
_JOINING = frozenset({"else", "|", "style", "raw_css"})
"""Tokens that continue the construct of the previous line: `if`, variants, a component."""
_MEMBERS = frozenset({"state", "derived", "effect", "on", "view"})


def accepts(parser_state: Any, terminal: str) -> bool:
    """Check whether the parser accepts ``terminal`` next.

    The table entry of the current state alone may accept too much, because LALR merges contexts.
    Therefore the reductions of the entry are applied to a copy of the stack.
    """
    states = parser_state.parse_conf.states
    stack = parser_state.state_stack
    if terminal not in states[stack[-1]]:
        return False
    stack = list(stack)
    while True:
        action, target = states[stack[-1]].get(terminal, (None, None))
        if action is None or action is Shift:
            return action is Shift
        if terminal == "$END" and target.origin.name.startswith("$root"):
            return True
        if target.expansion:
            del stack[-len(target.expansion) :]
        stack.append(states[stack[-1]][target.origin.name][1])


class _Lexeme(NamedTuple):
    group: str
    text: str
    start: int
    line: int
    column: int

    def token(self, terminal: str) -> Token:
        end = self.start + len(self.text)
        after = self.column + len(self.text)
        return Token(terminal, self.text, self.start, self.line, self.column, self.line, after, end)

    def error(self, message: str) -> VoxSyntaxError:
        return VoxSyntaxError(Diagnostic(self.line, self.column, message))


def _lexemes(source: str) -> Iterator[_Lexeme]:
    """Split the text into lexemes, without blanks and comments."""
    line, line_start, position = 1, 0, 0
    while position < len(source):
        match = _LEXEME.match(source, position)
        column = position - line_start + 1
        if match is None:
            character = source[position]
            raise _Lexeme("", character, position, line, column).error(
                _unreadable(source, position)
            )
        group = match.lastgroup or ""
        if group != "blank":
            yield _Lexeme(group, match.group(), position, line, column)
        position = match.end()
        if group == "newline":
            line, line_start = line + 1, position


def words(source: str) -> list[str]:
    """Return the lexemes of a text without blanks, comments and line ends.

    Raises VoxSyntaxError at the first character that starts no lexeme.
    """
    return [lexeme.text for lexeme in _lexemes(source) if lexeme.group != "newline"]


def refuse_dropped(source: str) -> None:
    """Raise `VoxSyntaxError` at the first text that the compiler's lexer drops silently."""
    for lexeme in _lexemes(source):
        if lexeme.group == "number" and lexeme.text.isdigit() and _is_too_large(lexeme.text):
            raise lexeme.error("the number does not fit 64 bits")


def _is_too_large(digits: str) -> bool:
    # Python refuses to convert thousands of digits.
    significant = digits.lstrip("0")
    return len(significant) > len(str(_LARGEST_INT)) or int(significant or "0") > _LARGEST_INT


def blank_unreadable(source: str, signs: Container[str]) -> tuple[str, frozenset[int]]:
    """Replace those of `signs` that start no token by blanks, and return the lines that held one.

    Signs in strings and comments stay.
    """
    parts: list[str] = []
    lines: set[int] = set()
    line, position = 1, 0
    while position < len(source):
        match = _LEXEME.match(source, position)
        text = match.group() if match else source[position]
        if match is None and text in signs:
            text = " "
            lines.add(line)
        line += text == "\n" or text == "\r\n"
        parts.append(text)
        position += len(text)
    return "".join(parts), frozenset(lines)


def open_bracket(source: str) -> _Lexeme | None:
    """Return the innermost bracket that is open at the end of a text without lexical errors."""
    opened: list[_Lexeme] = []
    for lexeme in _lexemes(source):
        if lexeme.text in _OPENERS:
            opened.append(lexeme)
        elif lexeme.text in _CLOSERS and opened:
            opened.pop()
    return opened[-1] if opened else None


def _unreadable(source: str, position: int) -> str:
    """Explain a character that starts no token."""
    character = source[position]
    if character in "\"'":
        return "the string is not closed on its line"
    shown = character if character.isprintable() else f"U+{ord(character):04X}"
    message = f"`{shown}` is not part of Vox and would be dropped without a word"
    hint = advice(source, position)
    return f"{message}: {hint}" if hint else message


@dataclass(slots=True)
class _Bracket:
    """An open bracket, with the state that the lexer needs until the bracket closes."""

    callee: str = ""
    """The bare name before a parenthesis."""
    keeps_newlines: bool = False
    """Whether line ends next to these braces are separators as well."""
    is_children: bool = False
    parts: int = 0
    in_part: bool = False
    names: int = 0

    def is_view_call(self) -> bool:
        """Check whether the call takes children: a known tag with named arguments only."""
        is_tag = self.callee in VIEW_TAGS or self.callee[:1].isupper()
        return is_tag and self.parts == self.names


class _Context:
    """State of the lexer: open brackets and the last tokens."""

    def __init__(self) -> None:
        self.brackets = [_Bracket(keeps_newlines=True)]
        self.last, self.earlier = Token("", ""), Token("", "")
        self.after_view_call = False

    @property
    def bracket(self) -> _Bracket:
        return self.brackets[-1]

    def swallows_newline_before(self, text: str) -> bool:
        """Check whether a line end here starts the text or is just inside a brace."""
        beside_brace = self.last == "{" or text == "}"
        return not self.last or (beside_brace and not self.bracket.keeps_newlines)

    def may_end_before(self, text: str) -> bool:
        """Check whether the code before may be complete although no line end follows it."""
        return (
            self.last == "}"
            # The rest of the line of a `return` is its value.
            or (text in _MEMBERS and self.last != "return")
            or (self.after_view_call and self.bracket.is_children)
        )

    def take(self, token: Token) -> None:
        """Update the state with a token."""
        bracket = self.bracket
        self.after_view_call = False
        if token == ",":
            bracket.in_part = False
        elif token not in _CLOSERS:
            bracket.parts += not bracket.in_part
            bracket.in_part = True
            bracket.names += token == "="
        if token in _OPENERS:
            is_callee = self.last.type in ("NAME", "TYPE_NAME") and self.earlier != "."
            self.brackets.append(
                _Bracket(
                    callee=self.last if is_callee else "",
                    keeps_newlines=self.last.type == "AS",
                    is_children=token.type == "_CHILDREN",
                )
            )
        elif token in _CLOSERS and len(self.brackets) > 1:
            closed = self.brackets.pop()
            self.after_view_call = token == ")" and closed.is_view_call()
        self.earlier, self.last = self.last, token


class VoxLexer(Lexer):
    """The lexer that Lark calls; it reads the parser's state before every token."""

    __future_interface__ = 2

    def __init__(self, lexer_conf: Any) -> None:
        self._terminals = {
            str(terminal.pattern.value): str(terminal.name)
            for terminal in lexer_conf.terminals
            if isinstance(terminal.pattern, PatternStr)
        }

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Token]:
        """Yield the tokens of the whole text."""
        source: str = lexer_state.text.text
        context = _Context()
        newline: _Lexeme | None = None
        for lexeme in _lexemes(source):
            text = lexeme.text
            if lexeme.group == "newline":
                newline = newline or lexeme
                continue
            if text == "{" and context.after_view_call and accepts(parser_state, "_CHILDREN"):
                token = lexeme.token("_CHILDREN")
            else:
                if newline:
                    joins = text in _JOINING and accepts(parser_state, self._terminals[text])
                    if not joins and not context.swallows_newline_before(text):
                        yield newline.token("_NL")
                elif context.may_end_before(text):
                    terminal = self._terminal(lexeme, source, parser_state)
                    if not accepts(parser_state, terminal) and accepts(parser_state, "_NL"):
                        yield lexeme._replace(text="").token("_NL")
                # Classify the lexeme now: a separator that was yielded changes what is accepted.
                token = lexeme.token(self._terminal(lexeme, source, parser_state))
            newline = None

            if not token.type:
                raise lexeme.error(
                    advice(source, lexeme.start) or f"there is no {lexeme.group} `{text}`"
                )
            if token.type == "INT" and _is_too_large(text):
                raise lexeme.error("the number does not fit 64 bits")
            context.take(token)
            if len(context.brackets) - 1 > MAX_NESTING:
                raise lexeme.error(f"brackets nest deeper than {MAX_NESTING}")
            yield token

    def _terminal(self, lexeme: _Lexeme, source: str, parser_state: Any) -> str:
        """Return the terminal of a lexeme, or "" for an unknown decorator."""
        text = lexeme.text
        match lexeme.group:
            case "word" if text in RESERVED or text in HALF_RESERVED or text == "_":
                return self._terminals.get(text, "RESERVED")
            case "word":
                keyword = self._terminals.get(text)
                if keyword is not None and accepts(parser_state, keyword):
                    return keyword
                return "TYPE_NAME" if text[0].isupper() else "NAME"
            case "fixed" if text == "(" and _ARROW_PARAMETERS.match(source, lexeme.start):
                return "_ARROW" if accepts(parser_state, "_ARROW") else "LPAR"
            case "number":
                return "DECIMAL" if text.endswith("dec") else "FLOAT" if "." in text else "INT"
            case "fixed" | "decorator":
                return self._terminals.get(text, "")
            case terminal:
                return terminal
