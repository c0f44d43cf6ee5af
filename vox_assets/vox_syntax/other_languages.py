"""Front ends of other languages than Vox: a tree-sitter grammar, a program, or none.

A profile selects one of them by `frontend`.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import tree_sitter

from vox_assets.store.cache import BlobCache, content_key
from vox_assets.store.progress import Log, progress, silent
from vox_assets.vox_syntax.confined import NoVerdictError, run_confined

#: Time for one check: an interpreter starts in a fraction of a second.
PROGRAM_SECONDS = 20.0
#: Characters of a message that a reason quotes.
MAX_MESSAGE = 400


class FrontEndError(RuntimeError):
    """Raised for a front end that cannot be used; the message is one line."""


class Unchecked:
    """Accepts every program, where nothing here checks the language."""

    name = "no front end"

    def check(
        self, sources: Sequence[str], *, ui_module: bool = False, log: Log = silent
    ) -> list[str | None]:
        return [None] * len(sources)


@dataclass(frozen=True)
class TreeSitter:
    """A grammar of an installed package: checks syntax only."""

    module: str

    @property
    def name(self) -> str:
        distribution = self.module.replace("_", "-")
        return f"{distribution} {version(distribution)}"

    def check(
        self, sources: Sequence[str], *, ui_module: bool = False, log: Log = silent
    ) -> list[str | None]:
        parser = tree_sitter.Parser(self._language)
        return [_first_error(parser.parse(source.encode()).root_node) for source in sources]

    @cached_property
    def _language(self) -> tree_sitter.Language:
        try:
            return tree_sitter.Language(importlib.import_module(self.module).language())
        except ModuleNotFoundError as error:
            raise FrontEndError(
                f"frontend: {self.module} is not installed: type "
                f"pip install {self.module.replace('_', '-')}"
            ) from error
        except AttributeError as error:
            raise FrontEndError(
                f"frontend: {self.module} has no function `language`: expected a package with one "
                f"tree-sitter grammar"
            ) from error


def _first_error(root: tree_sitter.Node) -> str | None:
    if not root.has_error:
        return None
    pending = [root]
    while pending:
        node = pending.pop()
        if node.is_error or node.is_missing:
            line, column = node.start_point
            what = f"expected {node.type}" if node.is_missing else "does not parse"
            return f"{line + 1}:{column + 1}: {what}"
        pending.extend(child for child in reversed(node.children) if child.has_error)
    return "does not parse"


@dataclass(frozen=True)
class Program:
    """A program that reads a file and accepts it with exit code 0.

    Verdicts are cached by the bytes of the program, its arguments and the code.
    """

    command: tuple[str, ...]
    extension: str
    search_path: str
    verdicts: BlobCache

    @property
    def name(self) -> str:
        return " ".join(self.command)

    @cached_property
    def _path(self) -> Path:
        found = shutil.which(self.command[0], path=self.search_path)
        if found is None:
            raise FrontEndError(
                f"frontend: {self.command[0]} was not found on the path: expected a program that "
                f"checks a file"
            )
        return Path(found).absolute()

    @cached_property
    def _fingerprint(self) -> str:
        with self._path.open("rb") as file:
            return f"{self.name} {hashlib.file_digest(file, 'sha256').hexdigest()}"

    def check(
        self, sources: Sequence[str], *, ui_module: bool = False, log: Log = silent
    ) -> list[str | None]:
        keys = {source: content_key(self._fingerprint, source) for source in sources}
        known = self.verdicts.get(keys.values())
        faults = {source: json.loads(known[key]) for source, key in keys.items() if key in known}
        pending = [source for source in keys if source not in faults]
        with progress(self.name, len(pending), "programs", log) as done:
            for source in pending:
                try:
                    faults[source] = self._run(source)
                    self.verdicts.put({keys[source]: json.dumps(faults[source]).encode()})
                except NoVerdictError as error:
                    faults[source] = f"no verdict: {error}"
                done(1)
        return [faults[source] for source in sources]

    def _run(self, source: str) -> str | None:
        with TemporaryDirectory(prefix="vox-assets-check-", ignore_cleanup_errors=True) as folder:
            file = Path(folder, f"program{self.extension}")
            file.write_bytes(source.encode("utf-8", "surrogatepass"))
            command = [str(self._path), *self.command[1:], file.name]
            code, output = run_confined(command, self.search_path, Path(folder), PROGRAM_SECONDS)
        if code < 0:
            raise NoVerdictError(f"killed by signal {-code}")
        said = " ".join(output.split())[:MAX_MESSAGE]
        return None if code == 0 else said or f"exit code {code}"
