"""Diagnostics of refused programs, and advice about retired forms of Vox.

This module holds the wording of messages. The grammar, the lexer and `builtin` decide whether a
text is refused; advice is looked up only after a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnostic:
    """A reason why a text is refused, at a 1-based position."""

    line: int
    column: int
    message: str
    expected: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.text}"

    @property
    def text(self) -> str:
        """The message and what was expected, without the position."""
        if not self.expected:
            return self.message
        *others, last = self.expected
        return f"{self.message}; expected {', '.join(others)}{' or ' if others else ''}{last}"


class VoxSyntaxError(ValueError):
    """A text does not parse as Vox, or parses with a meaning that its author did not intend."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(str(diagnostic))
        self.diagnostic = diagnostic


_EXPRESSIONS = frozenset(
    "NAME TYPE_NAME INT FLOAT DECIMAL STRING QUOTED ( [ { _ARROW - if match for fn not true false "
    "spawn side_effect @cancellable env to http".split()
)
# Phrases that replace many alternatives, used when all distinctive alternatives are expected.
_GROUPS: tuple[tuple[str, frozenset[str], frozenset[str]], ...] = (
    (
        "a declaration",
        frozenset({"component", "actor", "routes"}),
        frozenset(
            "import extern let fn pub async type url state_machine partial component fragment "
            "routes actor workflow activity".split()
        ),
    ),
    (
        "a statement",
        frozenset({"let", "while", "return"}),
        _EXPRESSIONS | frozenset("let while loop return break continue".split()),
    ),
    ("an expression", frozenset({"INT", "(", "["}), _EXPRESSIONS),
    (
        "an operator",
        frozenset({"+", "|>"}),
        frozenset("+ - * / % < > <= >= == != is isnt and or |> . ( [ ? with _CHILDREN".split()),
    ),
    (
        "a name",
        frozenset({"NAME", "TYPE_NAME"}),
        frozenset(
            "NAME TYPE_NAME in to type http on state derived effect mount cleanup view component "
            "env dec".split()
        ),
    ),
)
_SPOKEN = {
    "NAME": "a name",
    "TYPE_NAME": "a capitalised name",
    "STRING": "a string in double quotes",
    "QUOTED": "a string",
    "INT": "a whole number",
    "FLOAT": "a number",
    "DECIMAL": "a decimal",
    "_NL": "a new line",
    "_CHILDREN": "`{`",
    "_ARROW": "`(`",
}
_MOST_EXPECTED = 6


def describe(takes: Set[str]) -> tuple[str, ...]:
    """Describe the terminals and spellings that the parser accepts in a few phrases."""
    spoken = []
    for phrase, distinctive, members in _GROUPS:
        if distinctive <= takes:
            spoken.append(phrase)
            takes -= members
    if sum(item.startswith("@") for item in takes) > 1:
        spoken.append("a decorator")
        takes = {item for item in takes if not item.startswith("@")}
    spoken.extend(sorted(_SPOKEN.get(item) or f"`{item}`" for item in takes))
    return tuple(dict.fromkeys(spoken))[:_MOST_EXPECTED]


_CONTEXT = 160
"""Characters of the line that patterns search on either side, which bounds their work."""

# Each pattern is searched in the line of the error, in which ▶ marks the error.
_RETIRED: tuple[tuple[str, str], ...] = (
    # Characters that the compiler's lexer drops.
    ("▶!", "Vox has no `!`: write `not x`, or `isnt` to compare"),
    ("▶&", "Vox has no `&&`: write `and`"),
    (r"(▶\|\|(?!>)|\|▶\|)", "Vox has no `||`: write `or`, or `fn() ..` for a lambda"),
    ("▶;", "Vox has no `;`: a line end separates statements"),
    ("▶`", 'Vox has no backtick strings: write "hello {name}"'),
    (r"▶/\*|/▶\*", "Vox has no `/* */`: start every comment line with `//`"),
    (r"=\s*▶<|:\s*▶<[A-Za-z>]", "JSX is retired: write `tag(name=value) { .. }`"),
    # Declarations.
    ("▶@component", "`@component fn` is retired: write `component Name() { .. }`"),
    (
        "▶@(query|mutation|server)",
        "that decorator is retired: write `@endpoint(kind: query)`, with"
        " `mutation` or `server` as the other kinds",
    ),
    (r"▶http\b", "`http` routes are retired: write `@endpoint(kind: query) fn ..`"),
    (
        r"▶(agent|environment|env|config|message|trait|impl|class|struct|enum|theme|interface)\b",
        "no such declaration: functions, `type`, `component` and decorators take its place",
    ),
    (r"▶const\b", "Vox has no `const`: write `let name = ..` at the top level"),
    (r"▶from\b|\bimport\s+▶[{\"]", "imports name a path: write `import lib.name`"),
    (r"▶(def|func|function|async def)\b", "functions start with `fn`"),
    (r"▶uses\b|to \w.*▶uses", "`uses` goes before `to`"),
    (
        r"@mcp\.(tool|resource)[^\n]*▶",
        'write `@mcp.tool "name: text"` with a bare string, and'
        ' `@mcp.resource("uri", "text")` with both strings',
    ),
    (r"@table\s*▶$", "`@table type Name` stands on one line"),
    (r"@scheduled\s*▶", 'a schedule needs its interval: `@scheduled("15m")`'),
    (r"@endpoint[^\n]*▶", "write `@endpoint(kind: query)`, `mutation` or `server`"),
    (r"@\S.*▶@endpoint|▶@endpoint", "`@endpoint` comes before the other decorators"),
    (r"@index\s+\w+\s*▶", "an index has a name: `@index Table.by_name on (name)`"),
    (r"\btype\s+\w+\s*▶[\[<]", "a declared type has no type parameters"),
    (r"\btype\s+\w+\s*=\s*▶", "every variant starts with `|`, and there are no type aliases"),
    (r"\|\s*\w+(\((\w+\s*▶[,)\[]|▶)|\s+▶of\b)", "a variant's payload is named: `Step(size: int)`"),
    (r"^\s*\w+\s*:\s*\w[\w\[\], ]*\s▶=", "fields take no default values"),
    (r"\)\s*(to\s+[\w\[\], ]+)?\s*▶=(?!=)", "a function body is a block in braces"),
    (r"^\s*(pub |async )*fn\b[^)]*,\s*▶\)", "parameter lists take no trailing comma"),
    (r"^\s*(pub |async )*fn\b[^)]*▶$", "a parameter list stands on one line"),
    (r"\bfn\b[^{]*\)\s*▶(:|\w)", "results are written with `to`: `fn f() to int`"),
    (r"\bfn\b[^{)]*[(,]\s*\w+\s+▶\w", "a parameter's type follows a colon: `name: int`"),
    (
        r"@forall\s*\(\s*▶",
        "`@forall` takes a label, and the compiler drops anything else in its brackets",
    ),
    (r'@(test|forall)\s*▶"', 'a test\'s label stands in brackets: `@test("label")`'),
    (r"^\s*▶test\b", "a test is a function: `@test fn name() to Unit { .. }`"),
    (r'^\s*"[^"]*"\s*▶(->|=>|:)', 'a route leads `to` a component: `"/" to Home`'),
    (
        r"\b(view|effect|mount|cleanup)\s*▶\{",
        "a colon is missing: `view: ..`, `effect: { .. }`, `on mount: { .. }`",
    ),
    (r"\bcomponent\s+\w+\s*▶\{", "a component has a parameter list, even an empty one: `()`"),
    (
        r"▶:\s*$|\b(if|else|while|for|match)\b[^{]*▶:",
        "blocks are braces, not a colon and indentation",
    ),
    # Types.
    (r"\w▶<", "type arguments stand in square brackets: `list[int]`"),
    (
        r":\s*\w[\w\[\], ]*▶\?|\bto\s+\w[\w\[\], ]*▶\?",
        "there are no optional types: write `Option[int]`",
    ),
    (r"(:|\bto)\s*▶[\[({]", "types are names: `list[int]`, or a declared struct"),
    # Match.
    (r"[=(,]\s*(\w+|\([\w\s,]*\))\s*▶->", "a lambda's arrow is `=>`: write `x => ..`"),
    (r"▶->", "match arms use `=>`"),
    (r"▶if\b[^{]*=>", "match arms have no guards: test inside the arm"),
    (r"▶(true|false)\s*=>", "`true` and `false` are not patterns: use `if`"),
    (r"▶\|[^|=]*=>", "patterns have no alternatives: write one arm for each"),
    # Expressions.
    (r"\w\s*▶:=", "a variable is declared with `let`: `let x = 1`"),
    (r"\b0▶[xXbBoO]\w", "numbers are decimal"),
    (r'\b[fru]▶"', 'a string takes no prefix: "hello {name}" holds the value of `name`'),
    (r"==▶=|!=▶=", "compare with `is` or `isnt`"),
    (
        r"(?<![@.\w])[a-z]\w*\([^()]*\)\s*▶\{",
        "only view tags and components take children, and their arguments have names",
    ),
    (r"▶\|[\w\s,]*\|", "write a lambda as `fn(x) ..` or `x => ..`"),
    (r"\(\s*▶\)\s*=>", "write a lambda without parameters as `fn() ..`"),
    (r"\w\s*▶:[^)]*\)\s*=>", "only `fn(x: int) ..` takes parameter types"),
    (r"▶\.\.|\.▶\.", "there is no `..`: use `range(a, b)`"),
    (r"▶(\+\+|--)|(\+▶\+|-▶-)|(\+\+|--)\s*▶$", "there is no `++`: write `n += 1`"),
    (r"\(\s*\w+▶:|,\s*\w+▶:", "a named argument uses `=`: `f(name=1)`"),
    (r"\?▶\.", "nothing follows `?`: bind the value first"),
    (r"\?\s*▶[\w\"(]|\?.*▶:", "there is no `a ? b : c`: write `if a { b } else { c }`"),
    (r"\bis\s+▶not\b", "write `isnt`"),
    (r"\bnot\b.*▶(is|isnt|==|!=|<|>)", "`not` binds tightest: write `not (a is b)`"),
    (r"\b(if|while)\b.*▶=(?!=)", "compare with `is`"),
    (r"\bif\b.*\)\s*▶", "the body of `if` is a block in braces"),
    (
        r"▶(\|>|\.|\+|-|\*|/|%|<|>|and\b|or\b|is\b|isnt\b|==)|"
        r"(\|>|\.|\+|-|\*|/|%|<|>|\band|\bor|\bis|\bisnt|==)\s*▶$",
        "an expression goes on over a line end only inside brackets, after a comma",
    ),
    (
        r"▶(catch|elif|except|finally)\b|\belif\s+▶|▶else\b",
        "there is no such clause: use `else if`, or `match` on a Result",
    ),
    (r"\btry\s*▶\{", "there is no `try` block: use `?` or `match` on the Result"),
    (r"\b(await|ret|new|throw|del|raise|yield|var|val|const)\s+▶", "there is no such keyword"),
    (r"\w\s+▶as\b", "there is no `as` cast: call `int(x)`, `str(x)` or `float(x)`"),
    (r"\b[A-Z]\w*\s*▶\{", "a struct value is a plain object: `{ x: 1 }`"),
    (r"\blet\s+▶\{", "let takes a name, a tuple or a constructor pattern"),
    (r"\bfor\s+▶\(", "for takes one name and an optional index: `for x, i in xs`"),
)

_RETIRED_PATTERNS = tuple((re.compile(pattern), text) for pattern, text in _RETIRED)


def advice(source: str, position: int) -> str | None:
    """Return the advice for a retired form at ``position``, or None."""
    before = source[max(0, position - _CONTEXT) : position]
    line = before.rpartition("\n")[2]
    rest = source[position : position + _CONTEXT].partition("\n")[0].rstrip("\r")
    views = [f"{line}▶{rest}"]
    if not line.strip():
        # The cause of an error at the start of a line is often at the end of the line before.
        views.append(before.rstrip().rpartition("\n")[2] + "▶")
    return next(
        (text for view in views for pattern, text in _RETIRED_PATTERNS if pattern.search(view)),
        None,
    )
