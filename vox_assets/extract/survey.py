"""Looks at a source tree that has no profile yet: where its Rust and its pages are, and of what.

A survey reads manifests, the names of files and the fences of pages, and guesses nothing more.
"""

from __future__ import annotations

import os
import posixpath
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vox_assets.extract import source_tree
from vox_assets.extract.docs import markdown, mdbook
from vox_assets.extract.rust.crates import TEST_FOLDERS
from vox_assets.extract.source_tree import SourceError, UnreadableError

#: Folders of documentation, by their name.
_DOCS = re.compile(
    r"(?:\w*[-_]?docs?|documentation|book|guide|manual|handbook|tutorials?|website)", re.IGNORECASE
)
#: Folders that are not looked into: builds, packages, and inputs of tests.
_PASSED_OVER = TEST_FOLDERS | {"target", "node_modules", "vendor", "third_party", "fuzz"}
#: Levels of folders below the root that are looked into.
_DEPTH = 5
#: Languages of fences that are data, terminals or other text: they are nobody's code to learn.
NOT_CODE = frozenset(
    """bash bat batch cmd console css csv diff docker dockerfile dot env fish html http ini json
    json5 jsonc latex log make makefile markdown md mermaid none output patch plain plaintext
    powershell properties ps1 regex sh shell shell-session shellsession svg terminal text toml tree
    txt xml yaml yml zsh""".split()
)
#: Fences that make a language that of the pages; where none has as many, it is Rust.
_LEAST_FENCES = 5
_DEFAULT_LANGUAGE = "rust"


@dataclass(frozen=True)
class Survey:
    """What a source tree looks like."""

    #: The name of the package or the folder, as the README spells it.
    project: str
    #: SPDX expression of the root's manifest; empty where it has none.
    license: str
    rust: tuple[str, ...]
    docs: tuple[str, ...]
    #: Number of pages, and fences by language, the most frequent first.
    pages: int
    fences: dict[str, int]
    packages: int

    @property
    def language(self) -> str:
        """The language of code that the pages show most."""
        shown = (
            name
            for name, count in self.fences.items()
            if name not in NOT_CODE and count >= _LEAST_FENCES
        )
        return next(shown, _DEFAULT_LANGUAGE)


def survey(root: Path) -> Survey:
    """Look at the tree below `root`. Raises SourceError where nothing can be read as a source."""
    if not root.is_dir():
        raise SourceError(f"{root}: no such folder; expected the root of a project")
    folders = dict(_folders(root))
    manifests, books = (
        {name: _toml(root, name, file) for name, files in folders.items() if file in files}
        for file in ("Cargo.toml", "book.toml")
    )
    packages = _packages(manifests)
    rust = tuple(_rust_folders(folders, packages))
    docs = tuple(_docs_folders(folders, books))
    if not rust and not docs:
        raise SourceError(
            f"{root}: neither a Cargo.toml with Rust code nor Markdown: expected a Rust crate or "
            f"workspace, an mdBook, a folder such as docs, or a README.md"
        )
    pages, fences = _fences(root, docs)
    top = manifests.get("", {})
    shared = _table(_table(top, "workspace"), "package")
    names = [_table(top, "package").get("name"), root.resolve().name]
    licences = (_table(top, "package").get("license"), shared.get("license"))
    return Survey(
        project=_spelt(root, docs, [name for name in names if isinstance(name, str) and name]),
        license=next((text for text in licences if isinstance(text, str)), ""),
        rust=rust,
        docs=docs,
        pages=pages,
        fences=dict(fences.most_common()),
        packages=len(packages),
    )


def _spelt(root: Path, docs: Iterable[str], names: list[str]) -> str:
    """Return the heading of the README where it is one of the names, else the first name."""
    for path in docs:
        if path.lower() == "readme.md":
            try:
                page = mdbook.read_page(source_tree.read(source_tree.file_inside(root, path)))
            except UnreadableError:
                break
            heading = markdown.title(page.body) or ""
            if any(_letters(heading) == _letters(name) for name in names):
                return heading
    return names[0] if names else "project"


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def _folders(root: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield the folders below `root` that are looked into, each with the names of its files."""
    for directory, below, files in os.walk(root):
        name = Path(directory).relative_to(root).as_posix().removeprefix(".")
        deep = name.count("/") + 1 >= _DEPTH
        below[:] = sorted(
            entry
            for entry in below
            if not deep and not entry.startswith(".") and entry not in _PASSED_OVER
        )
        yield name, set(files)


def _toml(root: Path, folder: str, name: str) -> dict[str, Any]:
    """Read a file of settings; one that cannot be read says nothing."""
    try:
        file = source_tree.file_inside(root, posixpath.join(folder, name))
        return tomllib.loads(source_tree.read(file))
    except (UnreadableError, tomllib.TOMLDecodeError, RecursionError):
        return {}


def _table(content: dict[str, Any], name: str) -> dict[str, Any]:
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def _packages(manifests: dict[str, dict[str, Any]]) -> list[str]:
    """Return the folders of the packages: the members of the root's workspace, if it has one."""
    packages = [name for name, content in manifests.items() if "package" in content]
    workspace = _table(manifests.get("", {}), "workspace")
    listed = workspace.get("members")
    members = listed if isinstance(listed, list) else []
    if not members:
        return [""] if "" in packages else packages
    patterns = [posixpath.normpath(str(member)) for member in members]
    chosen = [
        name
        for name in packages
        if not name or any(Path("/", name).match(f"/{pattern}") for pattern in patterns)
    ]
    return chosen or packages


def _rust_folders(folders: dict[str, set[str]], packages: Iterable[str]) -> list[str]:
    """Return the folders of the packages, as the folder above where several are side by side."""
    packages = list(packages)
    above = Counter(posixpath.dirname(name) for name in packages if "/" in name)
    chosen = {
        posixpath.dirname(name) if "/" in name and above[posixpath.dirname(name)] > 1 else name
        for name in packages
        if name
    }
    if "" in packages:
        chosen |= {name for name in ("src", "examples") if name in folders}
    return _topmost(chosen)


def _docs_folders(folders: dict[str, set[str]], books: dict[str, dict[str, Any]]) -> list[str]:
    """Return the pages of the books, the folders that are named like documentation, the README."""
    chosen = set()
    for folder, content in books.items():
        src = _table(content, "book").get("src", "src")
        path = posixpath.normpath(posixpath.join(folder, src)) if isinstance(src, str) else ""
        if path in folders:
            chosen.add(path)
    with_pages = [name for name, files in folders.items() if any(map(mdbook.is_page, files))]
    for name in with_pages:
        parts = name.split("/")
        for depth, part in enumerate(parts):
            folder = "/".join(parts[: depth + 1])
            if _DOCS.fullmatch(part) and not any(
                f"{book}/".startswith(f"{folder}/") or f"{folder}/".startswith(f"{book}/")
                for book in (*books, *chosen)
                if book
            ):
                chosen.add(folder)
                break
    readme = next((name for name in sorted(folders[""]) if name.lower() == "readme.md"), None)
    return [*([readme] if readme else []), *_topmost(chosen)]


def _topmost(names: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for name in sorted(names):
        if not any(name.startswith(f"{other}/") for other in kept):
            kept.append(name)
    return kept


def _fences(root: Path, docs: Iterable[str]) -> tuple[int, Counter[str]]:
    """Count the pages and, by language, their fences."""
    count = 0
    fences: Counter[str] = Counter()
    for file in source_tree.walk_all(root, docs, "pages"):
        if file.refused is not None or not mdbook.is_page(file.path):
            continue
        try:
            page = mdbook.read_page(source_tree.read(file))
        except UnreadableError:
            continue
        count += 1
        for section in markdown.sections(page.body):
            fences.update(fence.language for fence in section.fences if fence.language)
    return count, fences
