"""Files of a source tree, for both extractors: walk, refuse, decode and account for them.

The meaning of a file (Rust, Markdown) does not belong here. Rules of `.gitignore` are applied to
every file as git applies them to files that it does not track; git itself may be missing.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from vox_assets.extract.ignore_rules import IgnoreRules

IGNORE_FILE = ".gitignore"

#: Longer files are data and not written by people; parsing one would take seconds.
MAX_SOURCE_BYTES = 2_000_000

#: Rows of a repository whose git does not answer in this time have no commit.
GIT_TIMEOUT_SECONDS = 10

#: Shown instead of a commit for a folder that git does not track.
NO_COMMIT = "not in git"

FileStatus = Literal["rows", "no_rows", "excluded", "unreadable"]

#: Columns of the account of a tree, which lists every file once, sorted by path.
FILES_SCHEMA: dict[str, pl.DataType] = {
    "path": pl.String(),
    "bytes": pl.Int64(),
    "status": pl.String(),
    "reason": pl.String(),
    "rows": pl.Int64(),
}


class SourceError(ValueError):
    """A source root lacks a folder that an extractor reads; the message names the folder."""


class UnreadableError(Exception):
    """A file cannot be read as text; the message is the reason."""


@dataclass(frozen=True, slots=True)
class FileAccount:
    """The outcome of one file. `reason` is None only for a file that gave rows."""

    path: str
    bytes: int
    status: FileStatus
    reason: str | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Extraction:
    """The result of one extractor on a tree; every frame is in source order.

    `rows` has `rows.SCHEMA`, `files` has `FILES_SCHEMA`, `drops` has `rows.DROP_SCHEMA`.
    """

    rows: pl.DataFrame
    files: pl.DataFrame
    drops: pl.DataFrame


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file below the source root. `refused` is the reason why it is not read, or None."""

    path: str
    location: Path
    bytes: int
    refused: tuple[FileStatus, str] | None = None

    def account(self, status: FileStatus, reason: str | None, rows: int = 0) -> FileAccount:
        return FileAccount(self.path, self.bytes, status, reason, rows)


def walk_all(root: Path, folders: Iterable[str], purpose: str) -> list[SourceFile]:
    """List every file of several folders, as `walk` does. A folder may also be a single file."""
    files: list[SourceFile] = []
    for folder in folders:
        top = root / folder
        if top.is_file() and top.resolve().is_relative_to(root.resolve()):
            files.append(regular_file(folder, top.resolve()))
        else:
            files += walk(root, folder, purpose)
    return sorted(files, key=lambda file: file.path)


def walk(root: Path, folder: str, purpose: str) -> list[SourceFile]:
    """List every file below `root/folder`, refused files included, sorted by path.

    A symbolic link is followed only to a target inside `root` and outside `root/folder`: a target
    inside the folder is listed under its own path, and a target outside `root` is never read.
    Raises SourceError when the folder is missing; `purpose` describes the folder in the message.
    """
    top = root / folder
    if not top.is_dir():
        raise SourceError(f"{top}: no such folder; expected {purpose}")
    real_root, real_top = root.resolve(), top.resolve()
    if not real_top.is_relative_to(real_root):
        raise SourceError(f"{top}: leads out of the source root; expected {purpose} inside it")
    above: tuple[_Ignore, ...] = ()
    parts = folder.split("/")
    for depth in range(len(parts)):
        name = "/".join(parts[:depth])
        above = _with_ignore(above, root / name, name)
    files = _scan(real_root, real_top, folder, above)
    return sorted(files, key=lambda file: file.path)


@dataclass(frozen=True, slots=True)
class _Ignore:
    """The rules of the file `.gitignore` in `folder`, which is empty for the root."""

    folder: str
    rules: IgnoreRules

    def verdict(self, path: str, is_folder: bool) -> bool | None:
        """Return whether the rules exclude a path, or None when no rule is about it."""
        return self.rules.verdict(path.removeprefix(f"{self.folder}/"), is_folder)


def _with_ignore(above: tuple[_Ignore, ...], directory: Path, name: str) -> tuple[_Ignore, ...]:
    """Add the rules of a directory, if it has some, to those of the directories above it."""
    file = directory / IGNORE_FILE
    # Git does not follow a link in the place of the file either.
    if file.is_symlink() or not file.is_file():
        return above
    try:
        rules = read(regular_file(f"{name}/{IGNORE_FILE}", file))
    except UnreadableError:
        return above
    return (*above, _Ignore(name, IgnoreRules.parse(rules)))


def _ignored(
    ignores: tuple[_Ignore, ...], path: str, *, is_folder: bool
) -> tuple[FileStatus, str] | None:
    """Return the verdict of the nearest rules about a path."""
    for ignore in reversed(ignores):
        is_ignored = ignore.verdict(path, is_folder)
        if is_ignored is not None:
            where = f"{ignore.folder}/{IGNORE_FILE}".removeprefix("/")
            return ("excluded", f"ignored by {where}") if is_ignored else None
    return None


def _scan(
    real_root: Path, real_top: Path, folder: str, above: tuple[_Ignore, ...]
) -> Iterator[SourceFile]:
    # Each linked folder is entered once, so that a cycle of links ends.
    entered = {real_top}
    pending: list[tuple[Path, str, tuple[FileStatus, str] | None, tuple[_Ignore, ...]]] = [
        (real_top, folder, None, above)
    ]
    while pending:
        directory, name, refused, ignores = pending.pop()
        try:
            with os.scandir(directory) as entries:
                # Sorted, because a folder with two links is read through the first link.
                entries_here = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield SourceFile(f"{name}/", directory, 0, ("unreadable", _why(error)))
            continue
        if refused is None:
            ignores = _with_ignore(ignores, directory, name)
        names = {entry.name for entry in entries_here}
        built, has_manifest = _is_build_output(names), "Cargo.toml" in names
        for entry in entries_here:
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
                if entry.name == "target" and has_manifest:
                    verdict = verdict or ("excluded", "build output")
                verdict = verdict or _ignored(ignores, path, is_folder=True)
                pending.append((location, path, verdict, ignores))
            else:
                yield regular_file(
                    path, location, verdict or _ignored(ignores, path, is_folder=False)
                )


def regular_file(
    path: str, location: Path, refused: tuple[FileStatus, str] | None = None
) -> SourceFile:
    """Describe the file at `location`; refuse special files and files that are too large."""
    try:
        status = location.stat()
    except OSError as error:
        return SourceFile(path, location, 0, ("unreadable", _why(error)))
    if not stat.S_ISREG(status.st_mode):
        # Opening a pipe would block until a writer appears.
        refused = ("excluded", "not a regular file")
    elif refused is None and status.st_size > MAX_SOURCE_BYTES:
        refused = ("excluded", f"larger than {MAX_SOURCE_BYTES:,} bytes")
    return SourceFile(path, location, status.st_size, refused)


def file_inside(root: Path, path: str) -> SourceFile:
    """Return the file at `path` below `root`.

    Raises UnreadableError if there is no such file, or if the path or a link leads out of `root`.
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
    # Cargo puts this file into its target folder, whatever the folder is called.
    return ("excluded", "build output") if "CACHEDIR.TAG" in names else None


def _link_target(link: Path, real_root: Path, real_top: Path) -> tuple[Path | None, str]:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return None, "a broken link"
    if not target.is_relative_to(real_root):
        return None, "a link out of the source root"
    if target.is_relative_to(real_top):
        return None, "a link to files that are listed under their own path"
    if real_top.is_relative_to(target):
        return None, "a link to a folder that contains it"
    return target, ""


def _printable(name: str) -> str:
    """Return a file name as text; bytes that are not UTF-8 become escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _why(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def read(file: SourceFile) -> str:
    """Read the text of `file`: UTF-8 without byte order mark, with `\\n` at the end of lines.

    Line numbers in the text are those of the file. Raises UnreadableError.
    """
    try:
        data = file.location.read_bytes()
    except OSError as error:
        raise UnreadableError(_why(error)) from error
    return decode(data)


def decode(data: bytes) -> str:
    """Decode bytes to the text that `read` returns. Raises UnreadableError."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = data[error.start]
        raise UnreadableError(f"not UTF-8: byte 0x{byte:02x} at offset {error.start}") from error
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def git_commit(root: Path) -> str | None:
    """Return the commit that `root` is checked out at, or None when git does not track it."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    # The second argument fails for an untracked folder inside another repository.
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
    """Build a frame with `FILES_SCHEMA` from accounts, in the order given."""
    rows = [[getattr(account, name) for name in FILES_SCHEMA] for account in accounts]
    return pl.DataFrame(rows, schema=FILES_SCHEMA, orient="row")
