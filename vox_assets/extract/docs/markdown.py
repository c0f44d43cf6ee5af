"""Markdown as sections, blocks and fences, read off markdown-it tokens.

How a page is taken apart belongs here, for documentation pages and doc comments alike. mdBook's
includes are `mdbook`'s, and which parts become rows is `doc_pairs`'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import zip_longest

from markdown_it import MarkdownIt
from markdown_it.token import Token

#: Longer paragraphs are data; reading their emphasis and links can take quadratic time.
MAX_INLINE_CHARS = 20_000

#: Paragraphs that a piece of code knows before it.
MAX_BEFORE = 4

#: Short texts that are remembered: a doc comment is asked for by each that uses its item, and
#: copies of a crate repeat it.
_KEPT_TEXTS = 4096

# Inline marks are read on demand: most of a page's text never becomes a row.
_BLOCKS = MarkdownIt("commonmark").enable("table").disable("inline")
_INLINE = MarkdownIt("commonmark").enable("strikethrough")

_LINE_BREAK = re.compile(r"\r\n?")
#: Text whose only inline marks are simple code spans: it reads as it is written.
_PLAIN = re.compile(r"(?:[^\r\0\\`~*_\[<&]++|`(?! )[^`\n\r\0]++(?<! )`(?!`))*+")
#: A line break that is none: less than two blanks before it.
_SOFT_BREAK = re.compile(r" ?\n[ \t]*")
#: Where an indented line may begin code: not below a line of a paragraph, which it would continue.
_MAY_BE_CODE = re.compile(
    r"(?:\A|(?:\A|\n)[ \t]*(?:[-#=*_+>:\d].*)?\n)(?: {4}| {0,3}\t)[ \t]*\S|\]:|[<|]"
)
#: A plain first-level heading before anything else of a page.
_FIRST_HEADING = re.compile(r"(?:[ \t]*\n)* {0,3}#[ \t]+([^\n\r\0\\`~*_\[<&#]+)(?:\n|\Z)")


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced or indented piece of code. Lines are 1-based and take in the fence itself."""

    info: str
    content: str
    start_line: int
    end_line: int
    #: The paragraphs of its section right before it, nearest last.
    before: tuple[str, ...] = ()

    @property
    def language(self) -> str:
        """First word of the info string: `vox` for `vox,ignore`, `vox {.x}` and `{.vox}`."""
        words = [word for word in re.split(r"[\s,{}:]+", self.info) if word]
        return words[0].removeprefix(".").lower() if words else ""


@dataclass(frozen=True, slots=True)
class Block:
    """A top-level block of a section: its text as plain Markdown, without links and HTML."""

    #: `paragraph`, `list`, `table`, `quote` or `code`.
    kind: str
    text: str
    start_line: int
    end_line: int
    #: Characters of `text` that were link text, and list items that are boxes to tick.
    linked: int = 0
    boxes: int = 0
    #: Whether code was taken out of it.
    holds_code: bool = False


@dataclass(slots=True)
class Section:
    """A heading and the text below it, up to the next heading of any level."""

    level: int
    path: tuple[str, ...]
    start_line: int
    end_line: int
    blocks: list[Block] = field(default_factory=list)
    fences: list[Fence] = field(default_factory=list)


def sections(text: str, first_line: int = 1, expand: Callable[[str], str] = str) -> list[Section]:
    """The sections of a page in order; what precedes the first heading is one of level 0.

    `first_line` is the number of the first line of `text` in its file. `expand` replaces the
    includes of code and of paragraphs. Total for any text.
    """
    lines = _LINE_BREAK.sub("\n", text)
    environment: dict[str, object] = {}
    tokens = _BLOCKS.parse(lines, environment)
    last_line = first_line + lines.rstrip("\n").count("\n")
    found = [Section(0, (), first_line, last_line)]
    path: list[tuple[int, str]] = []
    for block in _included(_top_level(tokens), expand, environment):
        opening = block[0]
        start = _lines(opening, first_line)[0]
        if opening.type == "heading_open":
            level = int(opening.tag[1])
            title = " ".join(_Renderer(environment).inline(block[1].content).split())
            path = [*(step for step in path if step[0] < level), (level, title)]
            found[-1].end_line = max(found[-1].start_line, start - 1)
            found.append(Section(level, tuple(step[1] for step in path), start, last_line))
            continue
        section = found[-1]
        before = [b.text for b in section.blocks[-2 * MAX_BEFORE :] if b.kind != "code"]
        renderer = _Renderer(environment, before)
        rendered = renderer.block(block, first_line)
        section.fences += renderer.fences
        if rendered is not None:
            section.blocks.append(rendered)
    return found


def title(text: str) -> str:
    """The words of a page's first first-level heading; empty when it has none."""
    # Most pages open with it, and taking a page apart for its title would double all work.
    if (match := _FIRST_HEADING.match(text)) and (words := match.group(1).split()):
        return " ".join(words)
    return next((section.path[0] for section in sections(text) if section.level == 1), "")


@lru_cache(maxsize=_KEPT_TEXTS)
def split_code(text: str) -> tuple[str, tuple[Fence, ...]]:
    """A short text as its prose and its code; lines of the code count from 1."""
    if "```" not in text and "~~~" not in text and "\n    " not in text:
        return text, ()
    lines = text.split("\n")
    fences = []
    may_hold_code = "```" in text or "~~~" in text or _MAY_BE_CODE.search(text)
    for token in _BLOCKS.parse(text) if may_hold_code else ():
        if token.type in ("fence", "code_block") and token.map:
            start, end = token.map
            fences.append(Fence(token.info.strip(), token.content, start + 1, end))
            lines[start:end] = [""] * (end - start)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n"), tuple(fences)


def _top_level(tokens: Sequence[Token]) -> list[list[Token]]:
    blocks: list[list[Token]] = []
    for token in tokens:
        if token.level == 0 and token.nesting >= 0:
            blocks.append([token])
        else:
            blocks[-1].append(token)
    return blocks


def _included(
    blocks: Iterable[list[Token]], expand: Callable[[str], str], environment: dict[str, object]
) -> Iterator[list[Token]]:
    """The blocks with their includes expanded; those of an included page are on its line."""
    for block in blocks:
        opening = block[0]
        for token in block:
            if "{{" in token.content:
                token.content = expand(token.content)
        if opening.type == "paragraph_open" and "\n\n" in block[1].content:
            # The paragraph has become a page: take it apart like one.
            for inner in _top_level(_BLOCKS.parse(block[1].content, environment)):
                for token in inner:
                    token.map = opening.map
                yield inner
        else:
            yield block


def _lines(token: Token, first_line: int) -> tuple[int, int]:
    start, end = token.map or (0, 1)
    return first_line + start, first_line + max(start, end - 1)


class _Renderer:
    """Writes one top-level block back as self-contained Markdown."""

    def __init__(self, environment: dict[str, object], before: Sequence[str] = ()) -> None:
        self.environment = environment
        self.before = list(before)
        self.fences: list[Fence] = []
        self.linked = 0
        self.boxes = 0

    def block(self, tokens: Sequence[Token], first_line: int) -> Block | None:
        """The block, or null where it says nothing (a rule, HTML, a definition of links)."""
        kind = _KINDS.get(tokens[0].type)
        if kind is None:
            return None
        start, end = _lines(tokens[0], first_line)
        text = self._table(tokens) if kind == "table" else self._flow(tokens, first_line)
        if not text and not self.fences:
            return None
        return Block(kind, text, start, end, self.linked, self.boxes, bool(self.fences))

    def inline(self, content: str) -> str:
        """Inline Markdown with links and images as their words, and without HTML."""
        if len(content) > MAX_INLINE_CHARS:
            return ""
        if _PLAIN.fullmatch(content) and "  \n" not in content:
            return _SOFT_BREAK.sub(" ", content).strip()
        pieces: list[str] = []
        inside_link = 0
        spans = _INLINE.parseInline(content, self.environment)[0].children or ()
        tokens = [token for token in spans if token.type != "text" or token.content]
        for token, following in zip_longest(tokens, tokens[1:]):
            piece = self._span(token)
            if piece == " " and following is not None and following.type == "strong_open":
                # A line that starts in bold is a label of its own.
                piece = "\n"
            inside_link += (token.type == "link_open") - (token.type == "link_close")
            self.linked += len(piece) if inside_link else 0
            pieces.append(piece)
        return "".join(pieces).strip()

    @staticmethod
    def _span(token: Token) -> str:
        match token.type:
            case "text":
                return token.content
            case "code_inline":
                ticks = "``" if "`" in token.content else "`"
                pad = " " if len(ticks) == 2 else ""
                return f"{ticks}{pad}{token.content}{pad}{ticks}"
            case "softbreak":
                return " "
            case "hardbreak":
                return "\n"
            case "em_open" | "em_close" | "strong_open" | "strong_close" | "s_open" | "s_close":
                return token.markup
            case "image":
                return "".join(child.content for child in token.children or ())
            case _:
                return ""

    def _table(self, tokens: Sequence[Token]) -> str:
        rows: list[list[str]] = []
        for token in tokens:
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                cell = self.inline(token.content)
                rows[-1].append(cell.replace("\n", " ").replace("|", "\\|"))
        if len(rows) < 2:
            return ""
        rows.insert(1, ["---"] * len(rows[0]))
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    def _flow(self, tokens: Sequence[Token], first_line: int) -> str:
        """Paragraphs, lists and quotes; an open container says what its lines start with."""
        out: list[str] = []
        stack: list[_Container] = []
        loose = False
        for token in tokens:
            match token.type:
                case "bullet_list_open":
                    stack.append(_Container("list", bullet=True))
                case "ordered_list_open":
                    number = int(token.attrGet("start") or 1)
                    stack.append(_Container("list", number=number))
                case "blockquote_open":
                    stack.append(_Container("quote"))
                case "bullet_list_close" | "ordered_list_close" | "blockquote_close":
                    stack.pop()
                case "list_item_open":
                    stack[-1].begin_item()
                case "paragraph_open" | "heading_open":
                    loose = not token.hidden
                case "inline":
                    text = self.inline(token.content)
                    self.before.append(text)
                    self.boxes += text.startswith(("[ ]", "[x]", "[X]"))
                    if text:
                        starts_item = any(container.marker for container in stack)
                        if out and loose and not starts_item:
                            out.append("")
                        out += ["".join(c.prefix() for c in stack) + x for x in text.split("\n")]
                case "fence" | "code_block":
                    start, end = _lines(token, first_line)
                    before = tuple(self.before[-MAX_BEFORE:])
                    fence = Fence(token.info.strip(), token.content, start, end, before)
                    self.fences.append(fence)
        return "\n".join(line.rstrip() for line in out)


@dataclass(slots=True)
class _Container:
    """An open list or quote while a block is written."""

    kind: str
    bullet: bool = False
    number: int = 1
    marker: str = ""
    width: int = 0

    def begin_item(self) -> None:
        self.marker = "- " if self.bullet else f"{self.number}. "
        self.width = len(self.marker)
        self.number += 1

    def prefix(self) -> str:
        """Prefix of the next line: an item's marker once, then white space."""
        if self.kind == "quote":
            return "> "
        marker, self.marker = self.marker, ""
        return marker or " " * self.width


_KINDS = {
    "paragraph_open": "paragraph",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "blockquote_open": "quote",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
}
