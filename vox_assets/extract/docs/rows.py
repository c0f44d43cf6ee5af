"""Documentation pages as corpus rows: code from fences, prose from sections.

What a row asks and which sections are worth one belong here. Markdown is `markdown`'s business,
front matter and includes are `mdbook`'s.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, zip_longest

from vox_assets.contract.rows import Drop, Pair, ResponseMode, turns
from vox_assets.extract.docs import markdown, mdbook
from vox_assets.extract.docs.markdown import Block, Fence, Section
from vox_assets.extract.docs.mdbook import FrontMatter, Includes, Page
from vox_assets.profiles import Profile

STAGE = "extract_docs"

#: Shorter sections are folded into the one above them.
FOLD_BELOW_CHARS = 300
#: An answer shorter than this tells a model nothing that the question does not.
MIN_PROSE_CHARS = 120
#: About 1,000 tokens, what a training context leaves for an answer.
MAX_PROSE_CHARS = 4_000
#: Words that name the beginning and the end of a part of a longer section.
NAME_WORDS = 6
#: Share of a section's text that may be link text: more, and it is a signpost.
MAX_LINKED_SHARE = 0.5
#: Paragraphs before a snippet that go into its question.
CONTEXT_PARAGRAPHS = 2
MAX_CONTEXT_CHARS = 700
#: Shorter snippets are fragments of syntax.
MIN_CODE_CHARS = 15
#: Declarations of a snippet that its question names.
MAX_NAMED = 6

_NOT_WORDS = re.compile(r"\W+")
_SKIP_WORD = re.compile(r"\b(?:skip|ignore)\b")
_SKIP_MARK = re.compile(r"\bvox\s*:\s*skip\b")
_HTML_COMMENT = re.compile(r"<!--|-->")
_SIGNPOST = re.compile(
    r"related\b|see also|further reading|bibliography|(?:references?|sources?|links?|citations?)$",
    re.IGNORECASE,
)
_MARKS = re.compile(r"^(?:[-*>]|\d+\.)\s+|[*`']")
_POINTS_BACK = re.compile(r"(?:This|That|These|Those|It|They|Here|Both|Where|Then|The same)\b")
_FOOTNOTE = re.compile(r"[ \t]?\[\^[^\]\s]+\](?!:)")
_ABSENT_CODE = re.compile(
    r"\b(?:code|snippet|listing|example)s?(?: blocks?)? (?:above|below)\b"
    r"|\b(?:above|below|following) (?:code|snippet|listing|example)s?\b",
    re.IGNORECASE,
)
_BOX = re.compile(r"^(\s*(?:- |\d+\. )?)\[[ xX]\] ", re.MULTILINE)
_BRANCH = re.compile(r"\b(?:if|match|for|while|loop)\b|=>")
_NUMBERING = re.compile(r"^(?:\d+(?:\.\d+)*[.):]?|[A-Z]\.)\s+")
#: What a snippet declares: of what takes parameters the whole head, else kind and name.
_DECLARED = re.compile(
    r"^\s*(?:pub\s+|async\s+|@[\w.]+(?:\([^()\n]*\)|\s+\"[^\"\n]*\")?\s+)*"
    r"((?:fn|component|fragment|workflow|activity)\s+\w+[^{\n]*|(?:type|actor|state_machine|url)\s+\w+)",
    re.MULTILINE,
)
_COMMENT_FIELD = re.compile(r"^//\s*(@?\w+):\s*(.*)$")


@dataclass(frozen=True, slots=True)
class Reading:
    """A page taken apart, its includes resolved; one that opted out is not, and has no sections."""

    front_matter: FrontMatter
    sections: list[Section]
    #: Includes that resolve to nothing, and why.
    failures: Mapping[str, str]


@dataclass(slots=True)
class PageRows:
    """What one page gave."""

    pairs: list[Pair] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)


@dataclass(slots=True)
class _Prose:
    """A section's prose, empty once it is part of the section above; `problem` if unfit."""

    text: str
    problem: str | None = None
    #: What `text` is made of, as long as no subsection is folded into it.
    blocks: Sequence[Block] = ()


def read(page: Page, includes: Includes) -> Reading:
    """The sections of one page."""
    if page.front_matter.opted_out is not None:
        return Reading(page.front_matter, [], {})
    sections = markdown.sections(page.body, page.first_line, includes.expand)
    return Reading(page.front_matter, sections, includes.failures)


def pairs(
    path: str,
    label: str,
    reading: Reading,
    profile: Profile,
    check_vox: Callable[[str], str | None],
) -> PageRows:
    """The rows of one eligible page in source order, and what of it gave none.

    `label` is the page's name in questions, unique among all pages.
    """
    heading = _page_heading(reading.sections, reading.front_matter.title)
    writer = _Writer(path, label, reading, heading, profile, check_vox)
    prose = _fold(reading.sections)
    for section, text in zip(reading.sections, prose, strict=True):
        writer.prose(section, text)
        for fence in section.fences:
            writer.code(section, fence)
    return writer.rows


def _fold(sections: Sequence[Section]) -> list[_Prose]:
    """Give every section its prose; where all subsections of one are short, they go into it.

    All or none: an answer with some of the subsections would pass for the whole.
    """
    prose = [_own_prose(section) for section in sections]
    children: dict[int, list[int]] = {}
    for index, parent in enumerate(_parents(sections)):
        if parent is not None:
            children.setdefault(parent, []).append(index)
    # From the end, so that a subsection has its own subsections before it is judged.
    for parent in reversed(children):
        below = [index for index in children[parent] if prose[index].text]
        parts = [f"**{sections[index].path[-1]}**\n\n{prose[index].text}" for index in below]
        short = all(
            len(prose[index].text) < FOLD_BELOW_CHARS and prose[index].problem is None
            for index in below
        )
        together = "\n\n".join([prose[parent].text, *parts]).strip()
        if below and short and len(together) <= MAX_PROSE_CHARS:
            prose[parent].text = together
            for index in below:
                prose[index].text = ""
    return prose


def _parents(sections: Sequence[Section]) -> list[int | None]:
    parents: list[int | None] = []
    open_sections: list[int] = []
    for index, section in enumerate(sections):
        while open_sections and sections[open_sections[-1]].level >= section.level:
            open_sections.pop()
        # What precedes the first heading is above no section.
        parents.append(open_sections[-1] if open_sections else None)
        if section.level:
            open_sections.append(index)
    return parents


def _own_prose(section: Section) -> _Prose:
    kept = []
    after_code = False
    for block, following in zip_longest(section.blocks, section.blocks[1:]):
        # What a last line announces stands below another heading, or nowhere.
        leads_in = block.text.endswith(":") and (following is None or following.holds_code)
        # `This starts the server.` under a command says nothing without it.
        points_back = after_code and _POINTS_BACK.match(block.text)
        after_code = block.holds_code or bool(points_back)
        if not (block.holds_code or leads_in or points_back):
            text = _FOOTNOTE.sub("", block.text)
            kept.append(block if text == block.text else replace(block, text=text))
    text = "\n\n".join(block.text for block in kept)
    code = sum(len(fence.content) for fence in section.fences)
    problem = None
    if text and code > len(text):
        problem = "needs its code"
    elif text and sum(block.linked for block in kept) > MAX_LINKED_SHARE * len(text):
        problem = "mostly links"
    elif sum(block.boxes for block in kept) > 1:
        problem = "a list of work to do"
    elif section.path and _SIGNPOST.match(_NUMBERING.sub("", section.path[-1])):
        problem = "a list of references"
    return _Prose(text, problem, kept)


@dataclass(frozen=True, slots=True)
class _Part:
    """A run of a long section's blocks: an answer that a question can name by its two ends."""

    text: str
    lines: tuple[int, int]
    ends: str


@dataclass(frozen=True, slots=True)
class _Unit:
    """What a part holds in one piece; `cut` is the long block that it was cut out of."""

    text: str
    lines: tuple[int, int]
    cut: Block | None = None


def _parts(blocks: Sequence[Block]) -> list[_Part]:
    """A long section in answers of a good length, cut between blocks, items and table rows."""
    units = list(_units(blocks))
    room = MAX_PROSE_CHARS - max(len(_table_head(unit.cut)) for unit in units)
    runs: list[list[_Unit]] = [[]]
    size = 0
    for unit in units:
        if runs[-1] and size + len(unit.text) > room:
            runs.append([])
            size = 0
        runs[-1].append(unit)
        size += len(unit.text) + len("\n\n")
    return [_part(run) for run in runs]


def _units(blocks: Sequence[Block]) -> Iterator[_Unit]:
    groups: list[list[Block]] = []
    for block in blocks:
        # A list or table belongs to the paragraph that introduces it.
        if groups and block.kind != "paragraph" and groups[-1][-1].kind == "paragraph":
            groups[-1].append(block)
        else:
            groups.append([block])
    for group in groups:
        text = "\n\n".join(block.text for block in group)
        if len(text) <= MAX_PROSE_CHARS:
            yield _Unit(text, (group[0].start_line, group[-1].end_line))
            continue
        for block in group:
            body = block.text.removeprefix(_table_head(block))
            items = [
                item.rstrip() for item in re.split(r"^(?=\S)", body, flags=re.MULTILINE) if item
            ]
            for index, item in enumerate(items, start=block.start_line + 2):
                # A row is a line; how many lines of the page an item takes is not known here.
                is_row = block.kind == "table"
                lines = (index, index) if is_row else (block.start_line, block.end_line)
                yield _Unit(item, lines, block)


def _part(run: Sequence[_Unit]) -> _Part:
    pieces = []
    for _, group in groupby(run, key=lambda unit: id(unit.cut or unit)):
        same = list(group)
        pieces.append(_table_head(same[0].cut) + "\n".join(unit.text for unit in same))
    first, last = _name(run[0].text), _name(run[-1].text, at_end=True)
    ends = f"from '{first}' to '{last}'" if first != last else f"at '{first}'"
    return _Part("\n\n".join(pieces), (run[0].lines[0], run[-1].lines[1]), ends)


def _table_head(block: Block | None) -> str:
    """The two lines that every part of a table repeats; empty where it is no table."""
    if block is None or block.kind != "table":
        return ""
    return "".join(block.text.splitlines(keepends=True)[:2])


def _name(text: str, at_end: bool = False) -> str:
    """A unit's first words; of a table the first cell of its first, or at the end its last, row."""
    lines = text.split("\n")
    line = lines[0]
    if line.startswith("| "):
        first_row = 2 if len(lines) > 2 and lines[1].startswith("| ---") else 0
        line = lines[-1 if at_end else first_row][2:].split(" | ")[0]
    return " ".join(_MARKS.sub("", line).split()[:NAME_WORDS]).rstrip(" .,:;—-")


class _Writer:
    def __init__(
        self,
        path: str,
        label: str,
        reading: Reading,
        heading: str | None,
        profile: Profile,
        check_vox: Callable[[str], str | None],
    ) -> None:
        self.path = path
        self.label = label
        self.page_heading = heading
        self.front_matter = reading.front_matter
        self.failures = reading.failures
        self.profile = profile
        self.check_vox = check_vox
        self.language = profile.language
        self.rows = PageRows()
        self.asked: set[str] = set()

    def prose(self, section: Section, prose: _Prose) -> None:
        text = prose.text
        if not text:
            return
        if prose.problem:
            self._drop(section, section.start_line, prose.problem)
        elif len(text) > MAX_PROSE_CHARS:
            for part in _parts(prose.blocks):
                self._answer(section, part.text, part.lines, part.ends)
        else:
            self._answer(section, text, (section.start_line, section.end_line))

    def _answer(self, section: Section, text: str, lines: tuple[int, int], ends: str = "") -> None:
        if problem := self._prose_problem(text):
            self._drop(section, lines[0], problem)
            return
        trail = self._trail(section)
        if ends:
            trail = (*trail[:-1], f"{trail[-1]}, {ends}" if trail else ends)
        self._add(
            section,
            _prose_question(self.language.capitalize(), self.label, trail, text),
            text,
            "prose_only",
            "docs_qa",
            lines,
            min(10, 1 + len(text) // 600 + text.count("`") // 20),
        )

    def _prose_problem(self, text: str) -> str | None:
        if (reason := mdbook.why(text, self.failures)) is not None:
            return reason
        if len(text) < MIN_PROSE_CHARS:
            return "too short to answer a question"
        if len(text) > MAX_PROSE_CHARS:
            return f"longer than {MAX_PROSE_CHARS:,} characters"
        if "```" in text or "~~~" in text:
            return "holds the marks of a fence"
        if _ABSENT_CODE.search(text):
            return "speaks of code that is not in it"
        if _HTML_COMMENT.search(text):
            return "holds an HTML comment"
        if "\ufffd" in text or "\0" in text:
            return "holds characters that are no text"
        return None

    def code(self, section: Section, fence: Fence) -> None:
        if fence.language != self.language:
            language = fence.language or "untagged"
            self._drop(section, fence.start_line, f"code that is not {self.language}: {language}")
            return
        code, fields = _without_header(fence.content)
        if problem := self._code_problem(fence, code, fields):
            self._drop(section, fence.start_line, problem)
            return
        declared = [f"`{head.strip()}`" for head in _DECLARED.findall(code)][:MAX_NAMED]
        context = fields.get("@training_prompt") or _context(fence) or self._summary()
        question = _code_question(
            self.language.capitalize(), self.label, self._trail(section), context, declared
        )
        branches = len(_BRANCH.findall(code))
        self._add(
            section,
            question,
            code,
            "code_only",
            "docs_code",
            (fence.start_line, fence.end_line),
            min(10, 1 + min(5, code.count("\n") // 6) + min(4, branches // 2)),
        )

    def _code_problem(self, fence: Fence, code: str, fields: dict[str, str]) -> str | None:
        if _is_skipped(fence):
            return "vox:skip"
        if (reason := mdbook.why(fence.content, self.failures)) is not None:
            return reason
        if fields.get("training_eligible", "true").lower() == "false":
            return "the included file opted out: training_eligible: false"
        if len(code) < MIN_CODE_CHARS:
            return "a snippet too short to teach anything"
        if (message := self.check_vox(code)) is not None:
            return f"not today's {self.language}: {' '.join(message.split())}"
        return None

    def _summary(self) -> str:
        return self.front_matter.description

    def _trail(self, section: Section) -> tuple[str, ...]:
        """The heading path below the page's own heading."""
        path = section.path
        return path[1:] if path and path[0] == self.page_heading else path

    def _add(
        self,
        section: Section,
        question: str,
        response: str,
        mode: ResponseMode,
        family: str,
        lines: tuple[int, int],
        difficulty: int,
    ) -> None:
        if "{{#" in question:
            self._drop(section, lines[0], "its question would hold a template directive")
            return
        if question in self.asked:
            self._drop(section, lines[0], "the page asks the same under this heading already")
            return
        self.asked.add(question)
        self.rows.pairs.append(
            Pair(
                messages=turns(question, response),
                lane=self.profile.lane_for("docs", mode, self.path),
                response_mode=mode,
                task_family=family,
                language=self.language if mode == "code_only" else "markdown",
                origin="human",
                category=_kind(self.path),
                difficulty=difficulty,
                source_kind="docs",
                source_path=self.path,
                source_start_line=lines[0],
                source_end_line=lines[1],
                source_symbol=" > ".join(section.path) or self.label,
                source_date=self.front_matter.last_updated,
                documented=True,
            )
        )

    def _drop(self, section: Section, line: int, reason: str) -> None:
        item = " > ".join(section.path) or self.label
        self.rows.drops.append(Drop(STAGE, reason, self.path, line, item))


def _page_heading(sections: Sequence[Section], title: str) -> str | None:
    """The heading that names the page: its only first-level one, or one that says its title."""
    top = [section.path[0] for section in sections if section.level == 1]
    if len(top) == 1:
        return top[0]
    return next((heading for heading in top if _words(heading) == _words(title)), None)


def _words(text: str) -> str:
    return _NOT_WORDS.sub(" ", text).strip().casefold()


def _kind(path: str) -> str:
    """The section of the site that a page is in: its folder below `docs/src`."""
    parts = path.split("/")
    return parts[2] if len(parts) > 3 else "overview"


def _is_skipped(fence: Fence) -> bool:
    return bool(_SKIP_WORD.search(fence.info) or _SKIP_MARK.search(fence.content))


def _without_header(code: str) -> tuple[str, dict[str, str]]:
    """Code without the comment header that example files open with, and the header's fields."""
    lines = code.strip("\n").split("\n")
    fields: dict[str, str] = {}
    index = 0
    in_header = False
    while index < len(lines):
        line = lines[index].strip()
        if line == "// ---" and (in_header or not fields):
            in_header = not in_header
        elif match := _COMMENT_FIELD.match(line):
            name, value = match.groups()
            if not in_header and not name.startswith("@"):
                break
            fields[name] = value.strip()
        elif line or not fields:
            break
        index += 1
    return "\n".join(line.rstrip() for line in lines[index:]).strip("\n"), fields


def _context(fence: Fence) -> str:
    """The paragraphs that lead to a snippet, as many as fit."""
    chosen: list[str] = []
    room = MAX_CONTEXT_CHARS
    for paragraph in reversed(fence.before[-CONTEXT_PARAGRAPHS:]):
        if not paragraph or len(paragraph) > room or "```" in paragraph:
            break
        chosen.insert(0, paragraph)
        room -= len(paragraph)
    return _BOX.sub(r"\1", "\n\n".join(chosen))


def _prose_question(project: str, label: str, trail: tuple[str, ...], text: str) -> str:
    """A question that names the page and the heading path, in one of several forms."""
    key = label + text
    if not trail:
        return _choose(
            key,
            f'What is "{label}" in the {project} documentation about?',
            f'Give the introduction to "{label}" from the {project} documentation.',
            f'How does the {project} documentation page "{label}" begin?',
            f'Introduce a reader to "{label}", as the {project} documentation does.',
        )
    heading = " > ".join(trail)
    topic = _NUMBERING.sub("", trail[-1])
    if topic.endswith("?"):
        return f'{topic} ({project} documentation, "{label}", under "{heading}")'
    if text.startswith("1. "):
        return _choose(
            key,
            f'Which points does the {project} page "{label}" list under "{heading}", in order?',
            f'Go through "{heading}" point by point, as "{label}" in the {project} documentation '
            "does.",
        )
    if text.startswith("| "):
        return _choose(
            key,
            f'What does the table under "{heading}" on the {project} page "{label}" say?',
            f'Tabulate "{heading}" as in "{label}" of the {project} documentation.',
        )
    return _choose(
        key,
        f'What does the {project} documentation say about "{heading}" on the page "{label}"?',
        f'Explain "{heading}" as the {project} page "{label}" does.',
        f'I am reading "{label}" in the {project} documentation. What is there to know about '
        f'"{heading}"?',
        f'According to "{label}" ({project} documentation), what matters about "{heading}"?',
        f'Tell me about "{heading}". The {project} page "{label}" covers it.',
    )


def _code_question(
    project: str, label: str, trail: tuple[str, ...], context: str, declared: list[str]
) -> str:
    heading = " > ".join(trail) or label
    names = f" Declare {', '.join(declared)}." if declared else ""
    about = f"\n\n{context}" if context else ""
    return _choose(
        label + heading + context + names,
        f'Write {project} code for "{heading}", as on the page "{label}".{names}{about}',
        f'Show "{heading}" from "{label}" in {project}.{names}{about}',
        f'Give the {project} program that the page "{label}" describes under "{heading}".'
        f"{names}{about}",
    )


def _choose(key: str, *forms: str) -> str:
    return forms[zlib.crc32(key.encode("utf-8", "surrogatepass")) % len(forms)]
