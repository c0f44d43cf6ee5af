"""Corpus rows from documentation pages: code from fences, prose from sections.

The selection of sections and fences and the rows made from them belong here. `markdown` parses
Markdown, and `mdbook` front matter and includes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vox_assets.contract.rows import Drop, Pair, Reason, ResponseMode, turns
from vox_assets.extract.docs import eligibility, markdown, mdbook
from vox_assets.extract.docs.lead_ins import as_statement
from vox_assets.extract.docs.markdown import Fence, Section
from vox_assets.extract.docs.mdbook import FrontMatter, Includes, Page
from vox_assets.extract.docs.prose import (
    ABSENT_CODE,
    BRANCH,
    CHECKBOX,
    MAX_PROSE_CHARS,
    Prose,
    first_words,
    fold,
    parts_of,
    words_of,
)
from vox_assets.extract.docs.questions import DECLARED, MAX_NAMED, code_question, prose_question
from vox_assets.profiles import Profile

STAGE = "extract_docs"

#: A shorter answer adds no information to its question.
MIN_PROSE_CHARS = 120

#: Number of paragraphs before a snippet that its question quotes.
CONTEXT_PARAGRAPHS = 2

MAX_CONTEXT_CHARS = 700

#: Shorter snippets are fragments of syntax.
MIN_CODE_CHARS = 15

#: Words of an info string that say that the code is no program, or a wrong one.
_SKIP_WORD = re.compile(r"\b(?:skip|ignore|compile_fail|should_panic)\b")

_SKIP_MARK = re.compile(r"\bvox\s*:\s*skip\b")

#: Headings that say nothing about the code below them.
_EXAMPLE = re.compile(r"(?:code |usage )?examples?:?|usage|sample code", re.IGNORECASE)

_COMMENT_FIELD = re.compile(r"^//\s*(@?\w+):\s*(.*)$")


@dataclass(frozen=True, slots=True)
class Reading:
    """A parsed page with its includes resolved; an excluded page has no sections."""

    front_matter: FrontMatter
    sections: list[Section]
    #: Includes that cannot be resolved, with the reason.
    failures: Mapping[str, Reason]


@dataclass(slots=True)
class PageRows:
    """Rows and drops of one page."""

    pairs: list[Pair] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)


def read(page: Page, includes: Includes) -> Reading:
    """Parse a page into sections; an excluded page has none."""
    if page.front_matter.opted_out is not None:
        return Reading(page.front_matter, [], {})
    body = mdbook.without_titles(page.body)
    sections = markdown.sections(body, page.first_line, includes.expand)
    return Reading(page.front_matter, sections, includes.failures)


def live_fences(reading: Reading, language: str) -> Iterator[Fence]:
    """Yield the fences of `language` that are not skipped and whose includes resolve."""
    for section in reading.sections:
        for fence in section.fences:
            if fence.language != language or _is_skipped(fence):
                continue
            if mdbook.why(fence.content, reading.failures) is None:
                yield fence


def pairs(
    path: str,
    label: str,
    reading: Reading,
    profile: Profile,
    check_vox: Callable[[str], str | None],
    folder: str = "docs/src",
) -> PageRows:
    """Write the rows of one eligible page in source order, and the drops of its other parts.

    `label` is the page's name in questions, unique among all pages. `folder` contains all pages.
    """
    heading = _page_heading(reading.sections, reading.front_matter.title)
    category = _category(path.removeprefix(f"{folder}/"))
    writer = _Writer(path, label, category, reading, heading, profile, check_vox)
    prose = fold(reading.sections, reading.failures)
    for section, text in zip(reading.sections, prose, strict=True):
        writer.prose(section, text)
        for fence in section.fences:
            writer.code(section, fence)
    return writer.rows


class _Writer:
    def __init__(
        self,
        path: str,
        label: str,
        category: str,
        reading: Reading,
        heading: str | None,
        profile: Profile,
        check_vox: Callable[[str], str | None],
    ) -> None:
        self.path = path
        self.label = label
        self.category = category
        self.page_heading = heading
        self.front_matter = reading.front_matter
        self.failures = reading.failures
        self.profile = profile
        self.check_vox = check_vox
        self.language = profile.language
        self.code_family = "docs_code_unchecked" if profile.frontend == "none" else "docs_code"
        #: The first lines of the sections with the same heading path.
        self.same_path: dict[tuple[str, ...], list[int]] = {}
        for section in reading.sections:
            lines = self.same_path.setdefault(_path_key(section.path), [])
            lines.append(section.start_line)
        #: The first paragraph of each section by its heading path.
        self.first_paragraphs = {
            section.path: block.text
            for section in reading.sections
            for block in reversed(section.blocks)
            if block.kind == "paragraph"
        }
        self.rows = PageRows()
        self.asked: set[str] = set()
        self.answered: set[tuple[str, ...]] = set()

    def prose(self, section: Section, prose: Prose) -> None:
        for line, reason in prose.removed:
            self._drop(section, line, reason)
        text = prose.text
        if not text:
            return
        if prose.problem:
            self._drop(section, section.start_line, prose.problem)
        elif len(text) > MAX_PROSE_CHARS:
            for part in parts_of(prose.blocks):
                self._answer(section, part.text, part.lines, part.ends)
        else:
            self._answer(section, text, (section.start_line, section.end_line))

    def _answer(self, section: Section, text: str, lines: tuple[int, int], ends: str = "") -> None:
        if problem := self._prose_problem(text):
            self._drop(section, lines[0], problem)
            return
        trail = self._trail(section, text)
        if ends:
            trail = (*trail[:-1], f"{trail[-1]}, {ends}" if trail else ends)
        self._add(
            section,
            prose_question(self.profile.project_name, self.label, trail, text),
            text,
            "prose_only",
            "docs_qa",
            lines,
            min(10, 1 + len(text) // 600 + text.count("`") // 20),
        )

    def _prose_problem(self, text: str) -> Reason | str | None:
        if (reason := mdbook.why(text, self.failures)) is not None:
            return reason
        if len(text) < MIN_PROSE_CHARS:
            return "too short to answer a question"
        if len(text) > MAX_PROSE_CHARS:
            return f"longer than {MAX_PROSE_CHARS:,} characters"
        if "```" in text or "~~~" in text:
            return "holds the marks of a fence"
        if ABSENT_CODE.search(text):
            return "speaks of code that is not in it"
        if "\ufffd" in text or "\0" in text:
            return "holds characters that are no text"
        return None

    def code(self, section: Section, fence: Fence) -> None:
        if fence.language != self.language:
            language = fence.language or "untagged"
            reason = Reason(f"code that is not {self.language}", language)
            self._drop(section, fence.start_line, reason)
            return
        content = fence.content
        if self.language == "rust":
            content = mdbook.without_hidden_lines(content)
        code, fields = _without_header(content)
        if problem := self._code_problem(fence, code, fields):
            self._drop(section, fence.start_line, problem)
            return
        declared = [f"`{head.strip()}`" for head in DECLARED.findall(code)][:MAX_NAMED]
        described = (
            fields.get("@training_prompt")
            or _context(fence)
            or self._subject(section)
            or self._summary()
        )
        context = as_statement(described)
        trail = self._trail(section, context)
        names = self.profile.language_name, self.profile.project_name
        question = code_question(*names, self.label, trail, context, declared)
        branches = len(BRANCH.findall(code))
        self._add(
            section,
            question,
            code,
            "code_only",
            self.code_family,
            (fence.start_line, fence.end_line),
            min(10, 1 + min(5, code.count("\n") // 6) + min(4, branches // 2)),
        )

    def _code_problem(self, fence: Fence, code: str, fields: dict[str, str]) -> Reason | str | None:
        if _is_skipped(fence):
            return "vox:skip" if self.language == "vox" else "marked as no program, or a wrong one"
        if (reason := mdbook.why(fence.content, self.failures)) is not None:
            return reason
        if (opted_out := eligibility.opted_out(fields)) is not None:
            return Reason(mdbook.OPTED_OUT, opted_out)
        if len(code) < MIN_CODE_CHARS:
            return "a snippet too short to teach anything"
        if (message := self._fault(code)) is not None:
            return Reason(f"not today's {self.language}", " ".join(message.split()))
        return None

    def _fault(self, code: str) -> str | None:
        message = self.check_vox(code)
        if message is not None and self.language == "rust":
            # rustdoc and mdBook run statements as the body of `main`.
            return self.check_vox(f"fn main() {{\n{code}\n}}") and message
        return message

    def _subject(self, section: Section) -> str:
        """Return the first paragraph of the section that an `Example` without words is of."""
        if not section.path or not _EXAMPLE.fullmatch(section.path[-1]):
            return ""
        above = self.first_paragraphs.get(section.path[:-1], "")
        return above if len(above) <= MAX_CONTEXT_CHARS else ""

    def _summary(self) -> str:
        return self.front_matter.description

    def _trail(self, section: Section, text: str) -> tuple[str, ...]:
        """Return the heading path below the page's own heading.

        Where several sections have this path, it is whole and its end tells which section is meant:
        by number, and by the first words of `text`.
        """
        path = section.path
        same = self.same_path[_path_key(path)]
        if path and len(same) > 1:
            number = same.index(section.start_line) + 1 if section.start_line in same else 1
            begins = first_words(text)
            starts = f", which begins with '{begins}'" if begins else ""
            return (*path[:-1], f"{path[-1]} ({number} of {len(same)}{starts})")
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
        # The same answer under the same headings is one question in two wordings.
        answered = (*_path_key(section.path), response)
        if question in self.asked or answered in self.answered:
            self._drop(section, lines[0], "the page asks the same under this heading already")
            return
        self.asked.add(question)
        self.answered.add(answered)
        self.rows.pairs.append(
            Pair(
                messages=turns(question, response),
                lane=self.profile.lane_for("docs", mode, self.path),
                response_mode=mode,
                task_family=family,
                language=self.language if mode == "code_only" else "markdown",
                origin="human",
                category=self.category,
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

    def _drop(self, section: Section, line: int, reason: Reason | str) -> None:
        item = " > ".join(section.path) or self.label
        self.rows.drops.append(Drop(STAGE, reason, self.path, line, item))


def _page_heading(sections: Sequence[Section], title: str) -> str | None:
    """Return the heading that names the page: the only first-level one, or the title."""
    top = [section.path[0] for section in sections if section.level == 1]
    if len(top) == 1:
        return top[0]
    return next((heading for heading in top if words_of(heading) == words_of(title)), None)


def _path_key(path: Sequence[str]) -> tuple[str, ...]:
    """Return a heading path as people compare it: without case and marks."""
    return tuple(words_of(heading) or heading for heading in path)


def _category(path: str) -> str:
    """Return the category of a page: the first folder of its path below the pages' folder."""
    folder, separator, _ = path.partition("/")
    return folder if separator else "overview"


def _is_skipped(fence: Fence) -> bool:
    return bool(_SKIP_WORD.search(fence.info) or _SKIP_MARK.search(fence.content))


def _without_header(code: str) -> tuple[str, dict[str, str]]:
    """Split code into the code without the header comment of example files and its fields."""
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
    """Return the paragraphs directly before a snippet, as many as fit into a question."""
    chosen: list[str] = []
    room = MAX_CONTEXT_CHARS
    for paragraph in reversed(fence.before[-CONTEXT_PARAGRAPHS:]):
        if not paragraph or len(paragraph) > room or "```" in paragraph:
            break
        chosen.insert(0, paragraph)
        room -= len(paragraph)
    return CHECKBOX.sub(r"\1", "\n\n".join(chosen))
