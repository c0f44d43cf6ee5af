"""Write files atomically, hash files, and lock files between processes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_READ_BYTES = 1 << 20


def file_sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file, which is read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _default_mode(is_directory: bool) -> int:
    """Return the mode that `open` or `mkdir` would set; temporary files are created private."""
    mask = os.umask(0)
    os.umask(mask)
    return (0o777 if is_directory else 0o666) & ~mask


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yield a path to write, which replaces `target` if the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Keep the suffix, because some writers derive the format from it.
    handle, name = tempfile.mkstemp(
        prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent
    )
    os.close(handle)
    work = Path(name)
    try:
        yield work
        with work.open("rb") as stream:
            # Write to disk before the rename: a power failure must not leave an empty file.
            os.fsync(stream.fileno())
        work.chmod(_default_mode(is_directory=False))
        work.replace(target)
    finally:
        work.unlink(missing_ok=True)


def write_text(target: Path, content: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_file(target) as work:
        work.write_text(content, encoding="utf-8")


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Yield a folder to fill, which replaces `target` if the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield work
        work.chmod(_default_mode(is_directory=True))
        if target.exists():
            # A rename cannot replace a directory with content: move the old directory away first.
            retired = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
            target.replace(retired / target.name)
            work.replace(target)
            shutil.rmtree(retired)
        else:
            work.replace(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


class LockHeldError(Exception):
    """Raised if another process holds the lock."""


@contextmanager
def exclusive(
    lock: Path, log: Callable[[str], None] | None = None, wait: bool = True
) -> Iterator[None]:
    """Hold `lock` during the block. The system frees it when the process ends, even if killed.

    Logs one line before it waits for another process. Without `wait`, raises LockHeldError instead
    of waiting.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with _opened(lock) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if not wait:
                raise LockHeldError(f"{lock} is held by another process") from error
            if log is not None:
                log(f"waiting for the build that holds {lock}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_held(lock: Path) -> bool:
    """Return whether a process currently holds `lock` through `exclusive`."""
    if not lock.exists():
        return False
    with _opened(lock) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def _opened(lock: Path) -> Iterator[int]:
    # Read-only: a lock must not prevent its disk from being unmounted or write-protected.
    handle = os.open(lock, os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        yield handle
    finally:
        os.close(handle)
