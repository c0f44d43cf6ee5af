"""Markdown as sections, blocks and fences, built from the tokens of markdown-it.

The parsing of documentation pages and of doc comments belongs here. `mdbook` resolves includes, and
`rows` decides which parts become rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import zip_longest

from markdown_it import MarkdownIt
from markdown_it.token import Token

from vox_assets.extract.docs import footnotes
from vox_assets.extract.docs.lead_ins import without_lead_in

#: Longer paragraphs are data; parsing their emphasis and links can take quadratic time.
MAX_INLINE_CHARS = 20_000

#: Number of paragraphs before a piece of code that are kept with it.
MAX_BEFORE = 4

#: Size of the cache of short texts: a doc comment is read for each use of its item, and copies of a
#: crate repeat it.
_KEPT_TEXTS = 4096

#: The first line of an alert of GitHub, without the mark of its quote.
ALERT = re.compile(r"\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]", re.IGNORECASE)

# Inline marks are parsed on demand: most of a page's text never becomes a row.
_BLOCKS = footnotes.without_notes(MarkdownIt("commonmark").enable("table").disable("inline"))
_INLINE = footnotes.without_references(MarkdownIt("commonmark").enable("strikethrough"))

_TICKS = re.compile(r"`+")

_LINE_BREAK = re.compile(r"\r\n?")
#: Text whose only inline marks are simple code spans, so that rendering does not change it.
_PLAIN = re.compile(r"(?:[^\r\0\\`~*_\[<&]++|`(?! )[^`\n\r\0]++(?<! )`(?!`))*+")
#: A soft line break: fewer than two blanks before it.
_SOFT_BREAK = re.compile(r" ?\n[ \t]*")
#: A position where an indented line may start code: not after a line of a paragraph, which the
#: indented line would continue.
_MAY_BE_CODE = re.compile(
    r"(?:\A|(?:\A|\n)[ \t]*(?:[-#=*_+>:\d].*)?\n)(?: {4}| {0,3}\t)[ \t]*\S|\]:|[<|]"
)
#: A plain first-level heading at the top of a page.
_FIRST_HEADING = re.compile(r"(?:[ \t]*\n)* {0,3}#[ \t]+([^\n\r\0\\`~*_\[<&#]+)(?:\n|\Z)")


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced or indented piece of code. Lines are 1-based and include the fence itself."""

    info: str
    content: str
    start_line: int
    end_line: int
    #: The paragraphs of its section directly before it, the nearest last.
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
    #: Number of characters of `text` that were link text, and of list items with a checkbox.
    linked: int = 0
    boxes: int = 0
    #: Whether code was removed from it.
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
    """Split a page into sections in order; text before the first heading has level 0.

    `first_line` is the number of the first line of `text` in its file. `expand` replaces the
    includes of code and of paragraphs. Any text is accepted.
    """
    lines = _LINE_BREAK.sub("\n", text)
    environment: dict[str, object] = {}
    tokens = _BLOCKS.parse(lines, environment)
    last_line = first_line + lines.rstrip("\n").count("\n")
    split = [Section(0, (), first_line, last_line)]
    path: list[tuple[int, str]] = []
    for block in _top_level(_included(tokens, expand, environment)):
        opening = block[0]
        start = _lines(opening, first_line)[0]
        if opening.type == "heading_open":
            level = int(opening.tag[1])
            title = " ".join(_Renderer(environment).inline(block[1].content).split())
            path = [*(step for step in path if step[0] < level), (level, title)]
            split[-1].end_line = max(split[-1].start_line, start - 1)
            split.append(Section(level, tuple(step[1] for step in path), start, last_line))
            continue
        section = split[-1]
        before = [b.text for b in section.blocks[-2 * MAX_BEFORE :] if b.kind != "code"]
        renderer = _Renderer(environment, before)
        rendered = renderer.block(block, first_line)
        section.fences += renderer.fences
        if rendered is not None:
            section.blocks.append(rendered)
    return split


def title(text: str) -> str:
    """Return the text of a page's first first-level heading, or an empty text without one."""
    # Most pages start with it, and parsing a page for its title alone would double the work.
    if (match := _FIRST_HEADING.match(text)) and (words := match.group(1).split()):
        return " ".join(words)
    return next((section.path[0] for section in sections(text) if section.level == 1), "")


@lru_cache(maxsize=_KEPT_TEXTS)
def split_code(text: str) -> tuple[str, tuple[Fence, ...]]:
    """Split a short text into its prose and its code; lines of the code count from 1."""
    has_notes = "[^" in text
    if "```" not in text and "~~~" not in text and "\n    " not in text and not has_notes:
        return text, ()
    lines = text.split("\n")
    fences = []
    may_hold_code = has_notes or "```" in text or "~~~" in text or _MAY_BE_CODE.search(text)
    removed_to = 0
    for token in _BLOCKS.parse(text) if may_hold_code else ():
        if token.type in ("fence", "code_block", footnotes.NOTE) and token.map:
            start, end = token.map
            if token.type != footnotes.NOTE:
                fences.append(Fence(token.info.strip(), token.content, start + 1, end))
                _remove_lead_in(lines, removed_to, start)
            lines[start:end] = [""] * (end - start)
            removed_to = end
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n"), tuple(fences)


def _remove_lead_in(lines: list[str], first: int, code: int) -> None:
    """Remove the end of the paragraph that introduces code at line `code`, if it does."""
    end = code
    while end > first and not lines[end - 1].strip():
        end -= 1
    start = end
    while start > first and lines[start - 1].strip():
        start -= 1
    paragraph = "\n".join(lines[start:end])
    if paragraph and not paragraph.lstrip().startswith("#"):
        kept = without_lead_in(paragraph, before_code=True)
        rest = kept.split("\n") if kept else []
        lines[start:end] = [*rest, *[""] * (end - start - len(rest))]


def _top_level(tokens: Iterable[Token]) -> list[list[Token]]:
    blocks: list[list[Token]] = []
    for token in tokens:
        if token.level == 0 and token.nesting >= 0:
            blocks.append([token])
        else:
            blocks[-1].append(token)
    return blocks


def _included(
    tokens: Iterable[Token], expand: Callable[[str], str], environment: dict[str, object]
) -> Iterator[Token]:
    """Expand the includes in tokens.

    A paragraph that an include changes is parsed again like a page. Its blocks have the line of the
    include.
    """
    opening: Token | None = None
    is_replaced = False
    for token in tokens:
        if token.type == "paragraph_open":
            opening = token
            continue
        if opening is None:
            if "{{" in token.content:
                token.content = expand(token.content)
            if not is_replaced:
                yield token
            is_replaced = False
            continue
        original = token.content
        token.content = expand(original) if "{{" in original else original
        inner = [] if token.content == original else _BLOCKS.parse(token.content, environment)
        # A single paragraph keeps the properties of its place, such as a tight list.
        is_replaced = bool(inner) and [part.type for part in inner] != _PARAGRAPH
        if is_replaced or not token.content.strip():
            is_replaced = True
            for part in inner:
                part.map = opening.map
                part.level += opening.level
                yield part
        else:
            yield opening
            yield token
        opening = None


def _lines(token: Token, first_line: int) -> tuple[int, int]:
    start, end = token.map or (0, 1)
    return first_line + start, first_line + max(start, end - 1)


class _Renderer:
    """Renders one top-level block as self-contained Markdown."""

    def __init__(self, environment: dict[str, object], before: Sequence[str] = ()) -> None:
        self.environment = environment
        self.before = list(before)
        self.fences: list[Fence] = []
        self.linked = 0
        self.boxes = 0

    def block(self, tokens: Sequence[Token], first_line: int) -> Block | None:
        """Render the block, or return None for a rule, HTML or a definition of links."""
        kind = _KINDS.get(tokens[0].type)
        if kind is None:
            return None
        start, end = _lines(tokens[0], first_line)
        text = self._table(tokens) if kind == "table" else self._flow(tokens, first_line)
        if not text and not self.fences:
            return None
        return Block(kind, text, start, end, self.linked, self.boxes, bool(self.fences))

    def inline(self, content: str) -> str:
        """Render inline Markdown: links and images become their text, and HTML is removed."""
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
                # A line that starts in bold is a label, and stays on its own line.
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
                longest = max(map(len, _TICKS.findall(token.content)), default=0)
                ticks = "`" * (longest + 1)
                pad = " " if longest else ""
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
        """Render paragraphs, lists and quotes; open containers give the prefix of each line."""
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
                    in_quote = bool(stack) and stack[-1].kind == "quote"
                    text = self.inline(_with_alert(token.content) if in_quote else token.content)
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


def _with_alert(content: str) -> str:
    """Turn the mark of an alert at the start of a quote, `[!NOTE]`, into a word."""
    if content.startswith("[!") and (mark := ALERT.match(content)):
        kind, rest = mark.group(1).capitalize(), content[mark.end() :].lstrip()
        return f"**{kind}:** {rest}" if rest else f"**{kind}**"
    return content


@dataclass(slots=True)
class _Container:
    """An open list or quote while a block is rendered."""

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
        """Return the prefix of the next line: an item's marker once, then white space."""
        if self.kind == "quote":
            return "> "
        marker, self.marker = self.marker, ""
        return marker or " " * self.width


_PARAGRAPH = ["paragraph_open", "inline", "paragraph_close"]

_KINDS = {
    "paragraph_open": "paragraph",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "blockquote_open": "quote",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
}
