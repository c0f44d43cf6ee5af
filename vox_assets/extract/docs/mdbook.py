"""The parts of mdBook beyond Markdown: front matter of a page and `{{#include}}` directives.

This module opens no files; `source_tree` and the caller's reader decide what may be read.
"""

from __future__ import annotations

import datetime
import posixpath
import re
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import yaml

from vox_assets.contract.rows import Reason
from vox_assets.extract.docs import eligibility

#: Kind of a drop of text whose include cannot be resolved.
INCLUDE = "include"
#: Kind of a drop of text that includes a file which opted out.
OPTED_OUT = "the included file opted out"

#: Front matter has a few lines; a longer text is a page that starts with a horizontal rule.
MAX_FRONT_MATTER_CHARS = 16_000
#: libyaml recurses on the C stack without a limit, so it parses only short front matter.
MAX_QUICK_YAML_CHARS = 2_000
#: mdBook's own limit on nested includes.
MAX_INCLUDE_DEPTH = 10
#: Without a limit, a file that includes itself several times would grow exponentially.
MAX_INCLUDES_PER_PAGE = 500
#: Anchors may contain each other, so that a file of n anchors can have n * n lines to include.
MAX_INCLUDED_CHARS_PER_PAGE = 2_000_000

#: Directives that the text of a file replaces. mdBook and its plug-ins have others, such as
#: `title` and `playground`, and prose is read without the blocks that contain them.
_INCLUDES = ("include", "rustdoc_include")

#: Size of the cache of indexed files: those of one page, which includes a file many times.
_KEPT_SOURCES = 64

_DIRECTIVE = re.compile(r"(\\?)\{\{\s*#([A-Za-z0-9_]+)\s+([^{}]+?)\s*\}\}")
_TITLE = re.compile(r"(?<!\\)\{\{\s*#title\s[^{}\n]*\}\}")
_ANCHOR = re.compile(r"ANCHOR:\s*([\w-]+)")
_ANCHOR_END = re.compile(r"ANCHOR_END:\s*([\w-]+)")
_ANY_ANCHOR = re.compile(r"ANCHOR(?:_END)?:\s*[\w-]+")


class IncludeError(Exception):
    """An include cannot be resolved; the message is the reason."""


class OptedOutError(IncludeError):
    """An include names a file that opted out; the message is the reason."""


class _OtherDirectiveError(IncludeError):
    """A directive is no include."""


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """The front matter of a page. `opted_out` is the reason why the page is excluded, or None."""

    title: str = ""
    description: str = ""
    #: ISO date.
    last_updated: str | None = None
    opted_out: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its front matter, and its Markdown, which starts at line `first_line` of the file."""

    front_matter: FrontMatter
    body: str
    first_line: int


def is_page(path: str) -> bool:
    """Return whether the file name of `path` is that of a Markdown page."""
    return path.endswith((".md", ".markdown"))


def read_page(text: str) -> Page:
    """Split a page into front matter and Markdown.

    A page without front matter is eligible. A page whose front matter does not parse is excluded,
    because the front matter may have excluded it.
    """
    opening, _, rest = text.partition("\n")
    if opening.rstrip() != "---":
        return Page(FrontMatter(), text, 1)
    closing = re.search(r"^(?:---|\.\.\.)[ \t]*$", rest[:MAX_FRONT_MATTER_CHARS], re.MULTILINE)
    if closing is None:
        return Page(FrontMatter(opted_out="its front matter never ends"), rest, 2)
    head, body = rest[: closing.start()], rest[closing.end() :].removeprefix("\n")
    return Page(_front_matter(head), body, 3 + head.count("\n"))


def opted_out(path: str, text: str) -> str | None:
    """Return why a file that a page includes is excluded, or None when it is eligible.

    A page is excluded by its front matter, and another file by the fields of its first comments.
    """
    if is_page(path) or text.partition("\n")[0].rstrip() == "---":
        return read_page(text).front_matter.opted_out
    return eligibility.opted_out(eligibility.fields_of_comments(text))


def without_titles(text: str) -> str:
    """Remove the directives that set the title of the browser's window; they show no text."""
    return _TITLE.sub("", text) if "#title" in text else text


def without_hidden_lines(code: str) -> str:
    """Remove the lines of a Rust example that rustdoc and mdBook hide: those after `# `."""
    shown: list[str] = []
    for line in code.rstrip("\n").split("\n"):
        stripped = line.lstrip()
        if stripped == "#" or stripped.startswith("# "):
            continue
        shown.append(line.replace("##", "#", 1) if stripped.startswith("##") else line)
    return "\n".join(shown).strip("\n")


def _front_matter(head: str) -> FrontMatter:
    try:
        content = _load(head)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        detail = " ".join(str(error).split())[:120]
        return FrontMatter(opted_out=f"its front matter is not YAML: {detail}")
    if content is None:
        return FrontMatter()
    if not isinstance(content, dict):
        return FrontMatter(opted_out="its front matter is not a mapping")
    return FrontMatter(
        title=_text(content.get("title")),
        description=_text(content.get("description")),
        last_updated=_date(content.get("last_updated")),
        opted_out=eligibility.opted_out(content),
    )


def _text(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _date(value: object) -> str | None:
    try:
        return datetime.date.fromisoformat(str(value)[:10]).isoformat()
    except ValueError:
        return None


def _load(head: str) -> object:
    """Parse front matter as YAML: by libyaml in a tenth of the time, else by Python."""
    if len(head) <= MAX_QUICK_YAML_CHARS:
        with suppress(yaml.YAMLError, ValueError):
            return yaml.load(head, Loader=_QuickLoader)
    return yaml.load(head, Loader=_StrictLoader)


class _KeysOnce:
    """A mixin of YAML loaders that refuses a repeated key, because its value is ambiguous."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.YAMLError(f"{min(map(str, twice))} is given twice")
        return super().construct_mapping(node, deep)  # type: ignore[misc]


class _StrictLoader(_KeysOnce, yaml.SafeLoader):
    """PyYAML's safe loader without repeated keys."""


class _QuickLoader(_KeysOnce, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same loader by libyaml, where PyYAML was built with it."""


@dataclass(slots=True)
class Includes:
    """Resolves the includes of one page.

    `read` returns the text of a path below the source root, and raises IncludeError for a file that
    it must not or cannot read. A directive that does not resolve stays in the text, and `failures`
    has its reason.
    """

    page: str
    read: Callable[[str], str]
    failures: dict[str, Reason] = field(default_factory=dict)
    _left: int = MAX_INCLUDES_PER_PAGE
    _room: int = MAX_INCLUDED_CHARS_PER_PAGE

    def expand(self, text: str) -> str:
        """Replace every include in `text` by the text that it names."""
        return self._expand(text, posixpath.dirname(self.page), 0) if "{{" in text else text

    def _expand(self, text: str, folder: str, depth: int) -> str:
        def replacement(match: re.Match[str]) -> str:
            escaped, name, argument = match.groups()
            if escaped:
                return match.group()
            try:
                return self._included(name, argument, folder, depth)
            except _OtherDirectiveError:
                return match.group()
            except OptedOutError as error:
                self.failures[match.group()] = Reason(OPTED_OUT, str(error))
                return match.group()
            except IncludeError as error:
                self.failures[match.group()] = Reason(INCLUDE, f"{argument.strip()!r}: {error}")
                return match.group()

        return _DIRECTIVE.sub(replacement, text)

    def _included(self, name: str, argument: str, folder: str, depth: int) -> str:
        if name not in _INCLUDES:
            raise _OtherDirectiveError(name)
        if depth >= MAX_INCLUDE_DEPTH or self._left <= 0 or self._room <= 0:
            raise IncludeError("includes nest too deep or are too many")
        self._left -= 1
        path, selector = _target(argument, folder)
        text = self.read(path)
        if (reason := opted_out(path, text)) is not None:
            raise OptedOutError(reason)
        content = select(_body(path, text), selector)
        self._room -= len(content)
        return self._expand(without_titles(content), posixpath.dirname(path), depth + 1)


def _body(path: str, text: str) -> str:
    """Return the text of an included file, with blank lines in place of a page's front matter."""
    if not is_page(path):
        return text
    page = read_page(text)
    return "\n" * (page.first_line - 1) + page.body


def _target(argument: str, folder: str) -> tuple[str, str]:
    """Return the path that an include in a file of `folder` names, and its selector of lines."""
    target, _, selector = argument.partition(":")
    path = posixpath.normpath(posixpath.join(folder, target.strip()))
    if target.startswith("/") or path == ".." or path.startswith("../"):
        raise IncludeError("leads out of the source root")
    return path, selector.strip()


def why(text: str, failures: Mapping[str, Reason]) -> Reason | str | None:
    """Return why `text` still contains a directive after `expand`, or None if it contains none."""
    for directive, reason in failures.items():
        if directive in text:
            return reason
    return "holds a template directive" if "{{#" in text else None


def includable(page: str, text: str, read: Callable[[str], str]) -> dict[str, str | IncludeError]:
    """Read all files that a page includes, directly or through other files.

    Returns the text of each path, or the error that `read` raised, so that `Includes` can expand
    the page without access to files.
    """
    included: dict[str, str | IncludeError] = {}
    pending = [(page, text)]
    while pending:
        parent, content = pending.pop()
        for _, _, argument in _DIRECTIVE.findall(content):
            try:
                path, _ = _target(argument, posixpath.dirname(parent))
            except IncludeError:
                continue
            if path in included:
                continue
            try:
                included[path] = text_of_path = read(path)
                pending.append((path, text_of_path))
            except IncludeError as error:
                included[path] = error
    return included


def select(text: str, selector: str) -> str:
    """Select the lines that an include's `selector` names, without anchor comments.

    `""` is the whole file, `3` a line, `3:` `:9` `3:9` a range (1-based, inclusive), and any other
    text an anchor. Raises IncludeError when no line is selected.
    """
    source = _source(text)
    first, separator, last = (part.strip() for part in selector.partition(":"))
    if not selector:
        chosen = source.lines
    elif first.isdecimal() or (not first and separator):
        start = max(1, int(first)) if first else 1
        if last and not last.isdecimal():
            raise IncludeError(f"no such lines as {selector}")
        end = int(last) if last else len(source.lines) if separator else start
        chosen = source.lines[start - 1 : end]
    elif first in source.anchors:
        chosen = source.lines[slice(*source.anchors[first])]
    else:
        raise IncludeError(f"no anchor {first}")
    shown = [line for line in chosen if not _ANY_ANCHOR.search(line)]
    if not any(line.strip() for line in shown):
        raise IncludeError(f"no lines at {selector or 'all'}")
    return "\n".join(shown).strip("\n")


@dataclass(frozen=True, slots=True)
class _Source:
    """The lines of an included file, and the first and last line of each anchor in it."""

    lines: list[str]
    anchors: Mapping[str, tuple[int, int]]


@lru_cache(maxsize=_KEPT_SOURCES)
def _source(text: str) -> _Source:
    """Index the anchors of a file once, because a page may include each of them."""
    lines = text.split("\n")
    anchors: dict[str, tuple[int, int]] = {}
    open_anchors: dict[str, int] = {}
    for index, line in enumerate(lines):
        if "ANCHOR" not in line:
            continue
        if (end := _ANCHOR_END.search(line)) and end.group(1) in open_anchors:
            anchors.setdefault(end.group(1), (open_anchors.pop(end.group(1)), index))
        if start := _ANCHOR.search(line):
            open_anchors.setdefault(start.group(1), index + 1)
    for name, first in open_anchors.items():
        anchors.setdefault(name, (first, len(lines)))
    return _Source(lines, anchors)
