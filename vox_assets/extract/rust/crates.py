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

#: Folders, at any depth, whose files are tests, benchmarks or the inputs of both. A library module
#: of such a name is lost: most of them support tests, and a leak costs more than a lost module.
TEST_FOLDERS = frozenset(
    {"benches", "fixtures", "test", "test-data", "test_data", "testdata", "tests"}
)

#: Tables of a manifest that list targets of tests and benchmarks. Examples are programs that people
#: wrote for users, and give rows.
TEST_TARGETS = ("test", "bench")


#: The name that Cargo gives the crate of a build script.
BUILD_SCRIPT = "build_script_build"


@dataclass(frozen=True, slots=True)
class Crate:
    """A package: its folder, name and description."""

    folder: str
    name: str
    description: str = ""
    #: The root file of each target that the manifest lists, with the target's name.
    targets: Mapping[str, str] = field(default_factory=dict)
    #: The root file of each test and benchmark target, with the table that lists it.
    test_targets: Mapping[str, str] = field(default_factory=dict)
    #: The name of the library, where it is not the package's.
    library: str = ""

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
        lib = content.get("lib")
        library = _string(lib.get("name")) if isinstance(lib, dict) else ""
        tables = (lib, *_tables(content.get("bin")), *_tables(content.get("example")))
        targets = dict(_target_roots(folder, tables))
        if build := _string(package.get("build")):
            targets.setdefault(posixpath.normpath(posixpath.join(folder, build)), BUILD_SCRIPT)
        test_targets = {
            root: kind
            for kind in TEST_TARGETS
            for root, _ in _target_roots(folder, _tables(content.get(kind)))
        }
        return cls(
            folder=folder,
            name=name if isinstance(name, str) and name else posixpath.basename(folder),
            description=description if isinstance(description, str) else "",
            targets=targets,
            test_targets=test_targets,
            library=library,
        )

    def root_name(self, path: str) -> str | None:
        """Return the name of the target whose root file is `path`, or None for other files."""
        if path in self.targets:
            return self.targets[path] or self.name
        match path.removeprefix(f"{self.folder}/").removesuffix(".rs").split("/"):
            case ["src", "lib"]:
                return self.library_name
            case ["src", "main"]:
                return self.name
            case ["build"]:
                return BUILD_SCRIPT
            case ["src", "bin", target] | ["src", "bin", target, "main"]:
                return target
            case ["examples", target] | ["examples", target, "main"]:
                return target
        return None

    @property
    def library_name(self) -> str:
        """The name that paths to the crate's items start with."""
        return self.library or self.name


def _target_roots(folder: str, tables: Iterable[object]) -> Iterator[tuple[str, str]]:
    """Yield the root file and the name, which may be empty, of each target with a path."""
    for table in tables:
        if isinstance(table, dict) and (path := _string(table.get("path"))):
            yield posixpath.normpath(posixpath.join(folder, path)), _string(table.get("name"))


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


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
        folder = path
        while folder:
            folder = posixpath.dirname(folder)
            if folder in self._by_folder:
                return self._by_folder[folder]
        parts = path.split("/")
        folder = "/".join(parts[: min(2, len(parts) - 1)])
        return self._by_folder.setdefault(folder, Crate(folder, posixpath.basename(folder)))


def test_folder(path: str) -> str | None:
    """Return the folder that makes a path test code, or None."""
    folders = path.split("/")[:-1]
    return next((f"{name}/ folder" for name in folders if name in TEST_FOLDERS), None)


def modules(files: Mapping[str, RustFile], crates: CrateIndex) -> dict[str, Module]:
    """Determine the module of every file from the `mod` declarations below the crate roots.

    A file that only declarations under `cfg(test)` or test targets reach is test code, and so are
    the files that it declares. A file that no declaration reaches has the module that its path
    suggests, and is test code when its name says so or when it is in the folder of a test target.
    """
    roots = {
        path: _symbol(name)
        for path in sorted(files)
        if (name := crates.of(path).root_name(path)) is not None
    }
    targets = {
        path: _symbol(posixpath.basename(path).removesuffix(".rs"))
        for path in sorted(files)
        if path in crates.of(path).test_targets and path not in roots
    }
    all_roots = roots.keys() | targets.keys()
    library, test_only = _reach(files, roots, all_roots)
    tests, _ = _reach(files, test_only, all_roots, follow_tests=True)
    of_targets, _ = _reach(files, targets, all_roots, follow_tests=True)
    module_of = {path: Module(symbol) for path, symbol in library.items()}
    for path, symbol in tests.items():
        module_of.setdefault(path, Module(symbol, "test code: only #[cfg(test)] pulls it in"))
    for path, symbol in of_targets.items():
        module_of.setdefault(path, Module(symbol, "test code: only a test target contains it"))
    beside = {posixpath.dirname(path) for path in targets} - {
        posixpath.dirname(path) for path in library
    }
    for path in files:
        if path not in module_of:
            reason = _test_by_name(path) or _test_by_folder(path, beside)
            module_of[path] = Module(_guess(path, crates.of(path)), reason)
    return module_of


def _test_by_name(path: str) -> str | None:
    stem = posixpath.basename(path).removesuffix(".rs")
    is_test = stem in ("test", "tests") or stem.endswith(("_test", "_tests"))
    return "test code: no module pulls it in, and its name says test" if is_test else None


def _test_by_folder(path: str, test_folders: Collection[str]) -> str | None:
    folder = posixpath.dirname(path)
    while folder:
        if folder in test_folders:
            return "test code: no module pulls it in, and it is in the folder of a test target"
        folder = posixpath.dirname(folder)
    return None


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
    return "::".join([_symbol(crate.library_name), *map(_symbol, parts)])


def _symbol(name: str) -> str:
    """Return a package or file name as it is written in a Rust path."""
    return name.replace("-", "_")
