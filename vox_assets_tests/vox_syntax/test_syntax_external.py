"""Checks the grammar on external files, in folders that environment variables name.

`VOX_REAL_DIR` is a checkout of the language's own repository, `VOX_SYNTAX_DIR` a folder with
``ok``, ``bad`` and ``SYNTAX.md``. `conftest.py` leaves this module out if neither is set.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from vox_assets.vox_syntax import check

REAL = os.environ.get("VOX_REAL_DIR")
SYNTAX = os.environ.get("VOX_SYNTAX_DIR")


def files(folder: str | None, pattern: str) -> list[Path]:
    return sorted(path for path in Path(folder).glob(pattern) if path.is_file()) if folder else []


def messages(path: Path) -> list[str]:
    source = path.read_text(encoding="utf-8")
    return [
        str(diagnostic) for diagnostic in check(source, ui_module=path.name.endswith(".vox.ui"))
    ]


CONTEXTS: dict[str, Callable[[str], str]] = {
    "T": lambda code: code,
    "S": lambda code: f"fn f() {{\n{code}\n}}",
    "V": lambda code: f"component C() {{\nview: column() {{\n{code}\n}}\n}}",
    "Y": lambda code: f"fn f(x: {code}) to {code} {{ }}",
}


def snippets() -> list[str]:
    """Read the code spans of the lists in SYNTAX.md, each inside the context of its list."""
    if not SYNTAX:
        return []
    programs: list[str] = []
    for section in Path(SYNTAX, "SYNTAX.md").read_text(encoding="utf-8").split("\n## "):
        context = section[:1]
        for item in re.findall(rf"^- {context} .*", section, re.M) if context in CONTEXTS else []:
            spans = re.findall(r"`([^`]*)`", item)
            # A span of one word or sign is a name and not an example, except in the list of types.
            code = [span for span in spans if context == "Y" or re.search(r"\W", span.strip("=>|"))]
            programs.extend(map(CONTEXTS[context], code))
    return programs


@pytest.mark.parametrize("path", files(SYNTAX, "ok/*"), ids=lambda path: path.name)
def test_a_good_example_is_accepted(path: Path) -> None:
    assert messages(path) == []


@pytest.mark.parametrize("path", files(SYNTAX, "bad/*"), ids=lambda path: path.name)
def test_a_bad_example_is_refused(path: Path) -> None:
    assert messages(path)


@pytest.mark.parametrize("program", snippets())
def test_a_snippet_of_the_syntax_list_is_accepted(program: str) -> None:
    assert check(program) == []


@pytest.mark.parametrize(
    "path", files(REAL, "examples/golden/**/*.vox"), ids=lambda path: path.name
)
def test_an_upstream_example_is_refused_only_for_a_dropped_character(path: Path) -> None:
    assert all("would be dropped" in message for message in messages(path))
