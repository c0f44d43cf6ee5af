"""Programs of a source tree that should parse today: live fences and golden programs.

These are the programs that the language's maintainers publish, whether or not they become rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vox_assets.extract import source_tree
from vox_assets.extract.docs import mdbook
from vox_assets.extract.docs import rows as doc_rows
from vox_assets.extract.run import DOCS_FOLDER, source_reader
from vox_assets.extract.source_tree import UnreadableError

EXAMPLES_FOLDER = "examples"

#: Golden programs: the project's own tests compile them.
_GOLDEN = re.compile(rf"{EXAMPLES_FOLDER}/golden[^/]*/(?:[^/]+/)*[^/]+\.vox(?:\.ui)?")

_UI_MODULE = ".vox.ui"


@dataclass(frozen=True, slots=True)
class LiveProgram:
    """A program of the source tree."""

    path: str
    #: Line of the file that holds the first line of `text`; for text that a fence includes, the
    #: line of the fence.
    first_line: int
    text: str
    #: Whether lines of `text` are lines of the file.
    in_place: bool = True

    @property
    def is_ui_module(self) -> bool:
        return self.path.endswith(_UI_MODULE)

    def line(self, of_text: int) -> int:
        """Return the line of the file for a 1-based line of the text."""
        return self.first_line + of_text - 1 if self.in_place else self.first_line


def live_programs(root: Path, language: str) -> Iterator[LiveProgram]:
    """Yield the live fences of eligible pages and the golden programs below `root`, by path.

    A file that cannot be read is passed over: the extractors account for it.
    """
    yield from _fences(root, language)
    yield from golden_programs(root)


def golden_programs(root: Path) -> Iterator[LiveProgram]:
    """Yield the golden programs below `root`, by path, without files that cannot be read."""
    for path, text in _texts(root, EXAMPLES_FOLDER):
        if _GOLDEN.fullmatch(path):
            yield LiveProgram(path, 1, text)


def _fences(root: Path, language: str) -> Iterator[LiveProgram]:
    reader = source_reader(root)
    for path, text in _texts(root, DOCS_FOLDER):
        if not mdbook.is_page(path):
            continue
        reading = doc_rows.read(mdbook.read_page(text), mdbook.Includes(path, reader))
        lines = text.split("\n")
        for fence in doc_rows.live_fences(reading, language):
            shown = fence.content.rstrip("\n").split("\n")
            in_page = lines[fence.start_line : fence.start_line + len(shown)]
            # A list indents its fences.
            in_place = [line.strip() for line in in_page] == [line.strip() for line in shown]
            yield LiveProgram(path, fence.start_line + in_place, fence.content, in_place)


def _texts(root: Path, folder: str) -> Iterator[tuple[str, str]]:
    if not (root / folder).is_dir():
        return
    for file in source_tree.walk(root, folder, "a folder of the source tree"):
        if file.refused is None and file.path.endswith((".md", ".markdown", ".vox", _UI_MODULE)):
            try:
                yield file.path, source_tree.read(file)
            except UnreadableError:
                continue
