"""What a source folder holds, as one digest: the data version of `crates` and `docs`."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

#: Folders whose content no asset reads: builds and checkouts write there all the time.
IGNORED_FOLDERS = frozenset({"target", "node_modules", ".git"})


@dataclass(frozen=True)
class Fingerprint:
    """Digest over the paths and bytes of `files` files."""

    digest: str
    files: int


def fingerprint(folder: Path) -> Fingerprint:
    """Fingerprint every file below `folder`, in the order of the paths.

    Content counts and times do not, so that a fresh checkout of the same tree is the same. Links
    are not followed. A file that vanishes or cannot be read counts as empty: the next tick sees
    it as it is then.
    """
    digest = hashlib.blake2b(digest_size=16)
    files = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in IGNORED_FOLDERS)
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_symlink():
                continue
            try:
                content = path.read_bytes()
            except OSError:
                content = b""
            files += 1
            relative = os.path.relpath(path, folder).encode("utf-8", "surrogateescape")
            digest.update(len(relative).to_bytes(4, "big") + relative)
            digest.update(hashlib.blake2b(content, digest_size=16).digest())
    return Fingerprint(digest.hexdigest(), files)
