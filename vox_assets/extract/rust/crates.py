"""Crates of a workspace: manifests, crate roots and the tree of `mod` declarations.

This module determines the module path of each file, and whether only tests include the file.
"""

from __future__ import annotations

import posixpath
import tomllib
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vox_assets.extract.rust.items import RustFile

#: Folders of a crate whose files are tests or benchmarks, with the reason shown for them.
TEST_FOLDERS = {"tests": "tests/ folder", "benches": "benches/ folder"}


@dataclass(frozen=True, slots=True)
class Crate:
    """A package: its folder, name and description."""

    folder: str
    name: str
    description: str = ""
    #: The root file of each target that the manifest lists, with the target's name.
    targets: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_manifest(cls, folder: str, manifest: str) -> Crate:
        """Read a Cargo.toml; the folder's name replaces a missing or invalid name."""
        try:
            content: dict[str, Any] = tomllib.loads(manifest)
        except (tomllib.TOMLDecodeError, RecursionError):
            content = {}
        package = content.get("package")
        package = package if isinstance(package, dict) else {}
        name, description = package.get("name"), package.get("description")
        targets: dict[str, str] = {}
        for table in (content.get("lib"), *_tables(content.get("bin"))):
            if isinstance(table, dict) and isinstance(path := table.get("path"), str):
                root = posixpath.normpath(f"{folder}/{path}")
                target = table.get("name")
                targets.setdefault(root, target if isinstance(target, str) else "")
        return cls(
            folder=folder,
            name=name if isinstance(name, str) and name else posixpath.basename(folder),
            description=description if isinstance(description, str) else "",
            targets=targets,
        )

    def root_name(self, path: str) -> str | None:
        """Return the name of the target whose root file is `path`, or None for other files."""
        if path in self.targets:
            return self.targets[path] or self.name
        match path.removeprefix(f"{self.folder}/").removesuffix(".rs").split("/"):
            case ["src", "lib" | "main"]:
                return self.name
            case ["build"]:
                return "build_script_build"
            case ["src", "bin", target] | ["src", "bin", target, "main"]:
                return target
            case ["examples", target] | ["examples", target, "main"]:
                return target
        return None


def _tables(value: object) -> list[object]:
    return value if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class Module:
    """The module that a file defines; `symbol` is its path, which starts with the crate's name."""

    symbol: str
    #: The reason why it is not library code, or None.
    left_out: str | None = None


class CrateIndex:
    """Finds the crate of a path: the nearest folder above it that has a manifest."""

    def __init__(self, crates: Iterable[Crate]) -> None:
        self._by_folder = {crate.folder: crate for crate in crates}

    def of(self, path: str) -> Crate:
        """Return the crate of a file; without a manifest, it is the folder below `crates/`."""
        folder = posixpath.dirname(path)
        while folder:
            if folder in self._by_folder:
                return self._by_folder[folder]
            folder = posixpath.dirname(folder)
        parts = path.split("/")
        folder = "/".join(parts[: min(2, len(parts) - 1)])
        return self._by_folder.setdefault(folder, Crate(folder, posixpath.basename(folder)))


def test_folder(path: str) -> str | None:
    """Return the folder that makes a path test code, or None."""
    folders = path.split("/")[:-1]
    return next((TEST_FOLDERS[name] for name in folders if name in TEST_FOLDERS), None)


def modules(files: Mapping[str, RustFile], crates: CrateIndex) -> dict[str, Module]:
    """Determine the module of every file from the `mod` declarations below the crate roots.

    A file that only declarations under `cfg(test)` reach is test code, and so are the files that it
    declares. A file that no declaration reaches has the module that its path suggests, and is test
    code when its name says so.
    """
    roots = {
        path: _symbol(name)
        for path in sorted(files)
        if (name := crates.of(path).root_name(path)) is not None
    }
    library, test_only = _reach(files, roots, roots.keys())
    tests, _ = _reach(files, test_only, roots.keys(), follow_tests=True)
    module_of = {path: Module(symbol) for path, symbol in library.items()}
    for path, symbol in tests.items():
        module_of.setdefault(path, Module(symbol, "test code: only #[cfg(test)] pulls it in"))
    for path in files:
        if path not in module_of:
            stem = posixpath.basename(path).removesuffix(".rs")
            is_test = stem in ("test", "tests") or stem.endswith(("_test", "_tests"))
            reason = "test code: no module pulls it in, and its name says test"
            module_of[path] = Module(_guess(path, crates.of(path)), reason if is_test else None)
    return module_of


def _reach(
    files: Mapping[str, RustFile],
    start: Mapping[str, str],
    roots: Collection[str],
    follow_tests: bool = False,
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the files that `mod` declarations reach from `start`, and the test files on the way.

    The search is breadth first, so that a file that several modules declare has its shortest path.
    """
    reached = dict(start)
    test_only: dict[str, str] = {}
    queue = deque(start)
    while queue:
        path = queue.popleft()
        for child, symbol, test in _children(path, files, reached[path], path in roots):
            if test and not follow_tests:
                test_only.setdefault(child, symbol)
            elif child not in reached:
                reached[child] = symbol
                queue.append(child)
    return reached, test_only


def _children(
    path: str, files: Mapping[str, RustFile], symbol: str, is_root: bool
) -> Iterator[tuple[str, str, bool]]:
    """Return the files that `path` declares: path, module path and whether under `cfg(test)`."""
    folder, file_name = posixpath.split(path)
    owns_folder = is_root or file_name == "mod.rs"
    below = folder if owns_folder else posixpath.join(folder, file_name.removesuffix(".rs"))
    for declared in files[path].declarations:
        child = "::".join((symbol, *declared.modules, declared.name))
        if declared.path is not None:
            base = posixpath.join(below, *declared.modules) if declared.modules else folder
            candidates = [posixpath.normpath(posixpath.join(base, declared.path))]
        else:
            base = posixpath.join(below, *declared.modules, declared.name)
            candidates = [f"{base}.rs", f"{base}/mod.rs"]
        for candidate in candidates:
            if candidate in files:
                yield candidate, child, declared.test
                break


def _guess(path: str, crate: Crate) -> str:
    parts = path.removeprefix(f"{crate.folder}/").removesuffix(".rs").split("/")
    if parts[0] == "src":
        parts = parts[1:]
    if parts[-1:] == ["mod"]:
        parts = parts[:-1]
    return "::".join([_symbol(crate.name), *map(_symbol, parts)])


def _symbol(name: str) -> str:
    """Return a package or file name as it is written in a Rust path."""
    return name.replace("-", "_")
