"""Computes digests of the inputs of a build: sources and policy.

The digests depend only on files and settings. `history` reads which of them were built.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vox_assets import profiles
from vox_assets.extract import (
    DOCS_FOLDER,
    RUST_FOLDER,
    SourceRoot,
    docs_folders,
    holding,
    source_tree,
)
from vox_assets.extract.docs import mdbook
from vox_assets.profiles import DEFAULT_FOLDERS, Folders
from vox_assets.settings import Settings

#: Inputs that the sensors watch. A change of any of them starts a build.
WATCHED = ("crates", "docs", "profile")


@dataclass(frozen=True)
class Fingerprint:
    """A digest over the paths and bytes of files, and the number of these files."""

    digest: str
    files: int


def sources(settings: Settings) -> dict[str, Fingerprint]:
    """Return the fingerprint of each input in `WATCHED`, in that order.

    Raises SourceError when a source folder is missing and ProfileError when the profile does not
    load, because then nothing can be built.
    """
    roots = settings.source_roots
    policy = profiles.load(settings.profile_reference).digest
    models = f"{settings.base_model}\0{settings.embedding_model}"
    return {
        "crates": _together(roots, RUST_FOLDER, crates, settings.profile.folders),
        "docs": _together(roots, DOCS_FOLDER, docs, settings.profile.folders),
        "profile": Fingerprint(_digest([("profile", _hash(f"{policy}\0{models}".encode()))]), 1),
    }


def crates(root: Path, folders: Folders = DEFAULT_FOLDERS) -> Fingerprint:
    """Digest every file of the Rust folders that extraction reads. Raises SourceError.

    The bytes are read even when the tree is in git: git lists files that extraction refuses, and
    `git status` lets the configuration of a working tree start programs.
    The digest leaves out times, so that a fresh checkout of the same tree has the same digest.
    """
    return _of(source_tree.walk_all(root, folders.rust, "Rust sources"))


def docs(root: Path, folders: Folders = DEFAULT_FOLDERS) -> Fingerprint:
    """Digest every file of the pages' folders and the files elsewhere that the pages include."""
    read = docs_folders(root, folders)
    pages = source_tree.walk_all(root, read, "mdBook pages")
    return _of([*pages, *_included(root, pages, read)])


def _together(
    roots: Sequence[SourceRoot],
    folder: str,
    of_root: Callable[[Path, Folders], Fingerprint],
    folders: Folders,
) -> Fingerprint:
    """Combine the fingerprints of `folder` in all repositories; a nameless root keeps its own."""
    by_name = {root.name: of_root(root.directory, folders) for root in holding(roots, folder)}
    if list(by_name) == [""]:
        return by_name[""]
    digest = _digest((name, _hash(item.digest.encode())) for name, item in by_name.items())
    return Fingerprint(digest, sum(item.files for item in by_name.values()))


def _of(files: Iterable[source_tree.SourceFile]) -> Fingerprint:
    digests = [(file.path, _contents(file).digest) for file in files]
    return Fingerprint(_digest(digests), len(digests))


@dataclass(frozen=True)
class _Contents:
    """Digest of a file's bytes and, when it may include other files, its text."""

    digest: bytes
    text: str = ""


#: Contents by path, with the file's status when it was read. Three sensors in one process need the
#: same digests every half minute, so a file is read again only when its status has changed.
_contents_by_path: dict[Path, tuple[tuple[int, ...], _Contents]] = {}

#: The start of an mdBook directive. `{{` alone is frequent in Rust, whose text is not cached.
_DIRECTIVE = re.compile(rb"\{\{\s*#")

#: A file that changed less than this many nanoseconds ago may change again within one step of its
#: file system's clock (two seconds on FAT), so its contents are not cached.
_CLOCK_STEP = 2_000_000_000


def _contents(file: source_tree.SourceFile) -> _Contents:
    """Read a file, or return what was read before when its status is the same.

    A refused file is not read. Its digest covers the reason, which the account table shows.
    """
    if file.refused is not None:
        return _Contents(_hash("\0".join(file.refused).encode()))
    try:
        status = file.location.stat()
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        cached = _contents_by_path.get(file.location)
        if cached is not None and cached[0] == key:
            return cached[1]
        content = file.location.read_bytes()
    except OSError:
        # The file was deleted after the tree was listed; the next tick lists the tree again.
        return _Contents(_hash(b""))
    text = content.decode("utf-8", "replace") if _DIRECTIVE.search(content) else ""
    contents = _Contents(_hash(content), text)
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _CLOCK_STEP:
        _contents_by_path[file.location] = (key, contents)
    return contents


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _digest(parts: Iterable[tuple[str, bytes]]) -> str:
    """Combine names and the digests of their contents, in the order given."""
    digest = hashlib.blake2b(digest_size=16)
    for name, content in parts:
        encoded = name.encode("utf-8", "surrogateescape")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
        digest.update(content)
    return digest.hexdigest()


def _included(
    root: Path, pages: Iterable[source_tree.SourceFile], folders: Sequence[str]
) -> list[source_tree.SourceFile]:
    """Return the files outside the pages' folders that the pages include, sorted by path."""
    included: dict[str, source_tree.SourceFile] = {}

    def read(path: str) -> str:
        try:
            included[path] = source_tree.file_inside(root, path)
        except source_tree.UnreadableError as error:
            raise mdbook.IncludeError(str(error)) from error
        if included[path].refused is not None:
            raise mdbook.IncludeError("is not read")
        return _contents(included[path]).text

    for page in pages:
        if page.refused is None and mdbook.is_page(page.path):
            mdbook.Includes(page.path, read).expand(_contents(page).text)
    inside = tuple(f"{folder}/" for folder in folders)
    return [included[path] for path in sorted(included) if not path.startswith(inside)]
