"""Digest this package's files, to detect another version on another machine or at another time."""

from __future__ import annotations

from pathlib import Path

import vox_assets
from vox_assets.store.cache import content_key
from vox_assets.store.files import file_sha256


def program() -> str:
    """Digest the names and contents of this package's files."""
    folder = Path(vox_assets.__file__).parent
    files = sorted(path for path in folder.rglob("*") if path.suffix not in ("", ".pyc"))
    return content_key(
        *(part for path in files for part in (str(path.relative_to(folder)), file_sha256(path)))
    )
