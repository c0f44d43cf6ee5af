"""Digests of a build's inputs: sources, policy and program.

Pure functions of files and settings. What has been built from them is `history`'s business.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vox_assets import profiles
from vox_assets.extract import DOCS_FOLDER, RUST_FOLDER, SourceRoot, holding, source_tree
from vox_assets.extract.docs import mdbook
from vox_assets.settings import Settings

#: What is watched all day. A change of one of them is reason enough to build.
WATCHED = ("crates", "docs", "profile")


@dataclass(frozen=True)
class Fingerprint:
    """Digest over the paths and bytes of `files` files."""

    digest: str
    files: int


def sources(settings: Settings) -> dict[str, Fingerprint]:
    """Fingerprints of what `WATCHED` names, in its order.

    Raises SourceError when a source folder is missing and ProfileError when the profile does not
    load: in both cases nothing could be built.
    """
    roots = settings.source_roots
    policy = profiles.load(settings.profile_reference).digest
    models = f"{settings.base_model}\0{settings.embedding_model}"
    return {
        "crates": _together(roots, RUST_FOLDER, crates),
        "docs": _together(roots, DOCS_FOLDER, docs),
        "profile": Fingerprint(_digest([("profile", _hash(f"{policy}\0{models}".encode()))]), 1),
    }


def crates(root: Path) -> Fingerprint:
    """Every file below `crates/` that extraction reads. Raises SourceError.

    The bytes are read whether or not the tree is in git: git leaves out what `.gitignore` names
    and extraction does not, and asking it about a working tree lets that tree's own configuration
    start programs. Times are no part of the digest, so a fresh checkout of the same tree has the
    same digest.
    """
    return _of(source_tree.walk(root, "crates", "Rust sources"))


def docs(root: Path) -> Fingerprint:
    """Every file below `docs/src/`, and the files elsewhere that its pages include."""
    pages = source_tree.walk(root, "docs/src", "mdBook pages")
    return _of([*pages, *_included(root, pages)])


def _together(
    roots: Sequence[SourceRoot], folder: str, look: Callable[[Path], Fingerprint]
) -> Fingerprint:
    """One fingerprint of `folder` in all repositories; of a root without a name, its own."""
    found = {root.name: look(root.directory) for root in holding(roots, folder)}
    if list(found) == [""]:
        return found[""]
    digest = _digest((name, _hash(item.digest.encode())) for name, item in found.items())
    return Fingerprint(digest, sum(item.files for item in found.values()))


def _of(files: Iterable[source_tree.SourceFile]) -> Fingerprint:
    digests = [(file.path, _contents(file).digest) for file in files]
    return Fingerprint(_digest(digests), len(digests))


@dataclass(frozen=True)
class _Contents:
    """Digest of a file's bytes, remembered between ticks."""

    digest: bytes
    has_directive: bool


#: Contents by path, with the file's status when it was read. Three sensors read the same files
#: every half minute: a file whose status has not changed is not read again.
_remembered: dict[Path, tuple[tuple[int, ...], _Contents]] = {}

#: A file that changed less than this many nanoseconds ago may change again within one step of its
#: file system's clock (two seconds on FAT), so its contents are not remembered.
_CLOCK_STEP = 2_000_000_000


def _contents(file: source_tree.SourceFile) -> _Contents:
    """The contents of a file; of a refused file, its reason, which decides its account."""
    if file.refused is not None:
        return _Contents(_hash("\0".join(file.refused).encode()), False)
    try:
        status = file.location.stat()
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = _remembered.get(file.location)
        if known is not None and known[0] == key:
            return known[1]
        content = file.location.read_bytes()
    except OSError:
        # The file vanished while the tree was walked: the next tick sees the tree as it is then.
        return _Contents(_hash(b""), False)
    contents = _Contents(_hash(content), b"{{" in content)
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _CLOCK_STEP:
        _remembered[file.location] = (key, contents)
    return contents


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _digest(parts: Iterable[tuple[str, bytes]]) -> str:
    """Digest of names and of their contents' digests, in the order given."""
    digest = hashlib.blake2b(digest_size=16)
    for name, content in parts:
        encoded = name.encode("utf-8", "surrogateescape")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
        digest.update(content)
    return digest.hexdigest()


def _included(root: Path, pages: Iterable[source_tree.SourceFile]) -> list[source_tree.SourceFile]:
    """Files outside the pages' folder that their includes lead to, sorted by path."""
    real_root = root.resolve()
    found: dict[str, source_tree.SourceFile] = {}

    def read(path: str) -> str:
        try:
            location = (real_root / path).resolve(strict=True)
            if not location.is_relative_to(real_root):
                raise mdbook.IncludeError("leads out of the source root")
            found[path] = source_tree.regular_file(path, location)
            if found[path].refused is not None:
                raise mdbook.IncludeError("is not read")
            return source_tree.read(found[path])
        except (OSError, RuntimeError, ValueError, source_tree.UnreadableError) as error:
            raise mdbook.IncludeError("no such file") from error

    for page in pages:
        if page.refused is not None or not page.path.endswith(".md"):
            continue
        if _contents(page).has_directive:
            try:
                text = page.location.read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            mdbook.Includes(page.path, read).expand(text)
    return [found[path] for path in sorted(found) if not path.startswith("docs/src/")]
