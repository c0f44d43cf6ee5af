"""A source tree as both extractors see it: which files there are, and what each one says.

Walking, refusing, decoding and the account of every file belong here. What a file means (Rust,
Markdown) does not.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

#: People do not write files this long; what is longer is data, and would cost seconds to parse.
MAX_SOURCE_BYTES = 2_000_000

#: Rows of a repository whose git does not answer in this time have no commit.
GIT_TIMEOUT_SECONDS = 10

#: Shown in place of a commit for a folder that git does not track.
NO_COMMIT = "not in git"

FileStatus = Literal["rows", "no_rows", "excluded", "unreadable"]

#: The account of a tree: every file once, in the order of its path.
FILES_SCHEMA: dict[str, pl.DataType] = {
    "path": pl.String(),
    "bytes": pl.Int64(),
    "status": pl.String(),
    "reason": pl.String(),
    "rows": pl.Int64(),
}


class SourceError(ValueError):
    """A source root that lacks what an extractor reads; the message names the folder."""


class UnreadableError(Exception):
    """A file that holds no text we can use; the message is the reason."""


@dataclass(frozen=True, slots=True)
class FileAccount:
    """Outcome of one file. `reason` is null only where the file gave rows."""

    path: str
    bytes: int
    status: FileStatus
    reason: str | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Extraction:
    """Result of one extractor on a tree; every frame is in source order.

    `rows` has `rows.SCHEMA`, `files` has `FILES_SCHEMA`, `drops` has `rows.DROP_SCHEMA`.
    """

    rows: pl.DataFrame
    files: pl.DataFrame
    drops: pl.DataFrame


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file below the source root. `refused` says why it is not read; null means read it."""

    path: str
    location: Path
    bytes: int
    refused: tuple[FileStatus, str] | None = None

    def account(self, status: FileStatus, reason: str | None, rows: int = 0) -> FileAccount:
        return FileAccount(self.path, self.bytes, status, reason, rows)


def walk(root: Path, folder: str, purpose: str) -> list[SourceFile]:
    """Every file below `root/folder`, sorted by path, refused ones included.

    A symbolic link is followed only to a place that is inside `root` and outside `root/folder`:
    what it points to inside the folder is read where it lies, and nothing outside `root` is read.
    Raises SourceError when the folder is missing; `purpose` says what was expected there.
    """
    top = root / folder
    if not top.is_dir():
        raise SourceError(f"{top}: no such folder; expected {purpose}")
    real_root, real_top = root.resolve(), top.resolve()
    if not real_top.is_relative_to(real_root):
        raise SourceError(f"{top}: leads out of the source root; expected {purpose} inside it")
    return sorted(_scan(real_root, real_top, folder), key=lambda file: file.path)


def _scan(real_root: Path, real_top: Path, folder: str) -> Iterator[SourceFile]:
    # A linked folder is entered once, so that links which lead to each other end.
    entered = {real_top}
    pending: list[tuple[Path, str, tuple[FileStatus, str] | None]] = [(real_top, folder, None)]
    while pending:
        directory, name, refused = pending.pop()
        try:
            with os.scandir(directory) as entries:
                # A folder that two links name is read by way of the first of them.
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield SourceFile(f"{name}/", directory, 0, ("unreadable", _why(error)))
            continue
        built = _is_build_output({entry.name for entry in found})
        for entry in found:
            location, path = Path(entry.path), f"{name}/{_printable(entry.name)}"
            verdict = refused or built or _by_name(entry.name)
            if entry.is_symlink():
                target, problem = _link_target(location, real_root, real_top)
                if target is None or (target.is_dir() and target in entered):
                    reason = problem or "a link to a folder that is read already"
                    yield SourceFile(path, location, 0, ("excluded", reason))
                    continue
                location = target
                if location.is_dir():
                    entered.add(location)
            if location.is_dir():
                if entry.name == "target" and any(e.name == "Cargo.toml" for e in found):
                    verdict = verdict or ("excluded", "build output")
                pending.append((location, path, verdict))
            else:
                yield regular_file(path, location, verdict)


def regular_file(
    path: str, location: Path, refused: tuple[FileStatus, str] | None = None
) -> SourceFile:
    """The file at `location`, refused unless it is an ordinary file of a sensible size."""
    try:
        status = location.stat()
    except OSError as error:
        return SourceFile(path, location, 0, ("unreadable", _why(error)))
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would wait for a writer for ever.
        refused = ("excluded", "not a regular file")
    elif refused is None and status.st_size > MAX_SOURCE_BYTES:
        refused = ("excluded", f"larger than {MAX_SOURCE_BYTES:,} bytes")
    return SourceFile(path, location, status.st_size, refused)


def file_inside(root: Path, path: str) -> SourceFile:
    """Return the file at `path` below `root`, where no link leads out of `root`.

    Raises UnreadableError for a path that leads to no file or out of `root`.
    """
    real_root = root.resolve()
    try:
        location = (real_root / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise UnreadableError("no such file") from error
    if not location.is_relative_to(real_root):
        raise UnreadableError("leads out of the source root")
    return regular_file(path, location)


def _by_name(name: str) -> tuple[FileStatus, str] | None:
    if name.startswith("."):
        return ("excluded", "hidden")
    if name == "node_modules":
        return ("excluded", "installed packages")
    return None


def _is_build_output(names: set[str]) -> tuple[FileStatus, str] | None:
    # Cargo marks its target folder with this tag, wherever the folder was put.
    return ("excluded", "build output") if "CACHEDIR.TAG" in names else None


def _link_target(link: Path, real_root: Path, real_top: Path) -> tuple[Path | None, str]:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return None, "a link that leads nowhere"
    if not target.is_relative_to(real_root):
        return None, "a link out of the source root"
    if target.is_relative_to(real_top):
        return None, "a link to what is read where it lies"
    if real_top.is_relative_to(target):
        return None, "a link to a folder that holds it"
    return target, ""


def _printable(name: str) -> str:
    """A file name as text: bytes that are not UTF-8 are written as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def read(file: SourceFile) -> str:
    """The text of `file`: UTF-8 without its byte order mark, lines ended by `\\n`.

    No line is added or lost, so line numbers are those of the file. Raises UnreadableError.
    """
    try:
        data = file.location.read_bytes()
    except OSError as error:
        raise UnreadableError(_why(error)) from error
    return decode(data)


def decode(data: bytes) -> str:
    """Bytes as text, as `read` has it. Raises UnreadableError."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = data[error.start]
        raise UnreadableError(f"not UTF-8: byte 0x{byte:02x} at offset {error.start}") from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def git_commit(root: Path) -> str | None:
    """The commit that `root` is checked out at; null where git does not track it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    # The second name fails for a folder that is only inside another repository.
    command = ["git", "-C", str(root), "rev-parse", "HEAD", "HEAD:./"]
    try:
        answer = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.split("\n", 1)[0]


def files_to_frame(accounts: list[FileAccount]) -> pl.DataFrame:
    """Accounts as a frame with `FILES_SCHEMA`, in the order given."""
    rows = [[getattr(account, name) for name in FILES_SCHEMA] for account in accounts]
    return pl.DataFrame(rows, schema=FILES_SCHEMA, orient="row")
