"""A source tree into corpus rows: Rust items and documentation pages.

`extract_rust` and `extract_docs` are the way in. They read files and nothing else; the parsers
below them are pure functions of a path and its text.
"""

from __future__ import annotations

from vox_assets.extract.run import extract_docs, extract_rust, source_reader
from vox_assets.extract.source_tree import (
    FILES_SCHEMA,
    Extraction,
    FileAccount,
    SourceError,
    git_commit,
)

__all__ = [
    "FILES_SCHEMA",
    "Extraction",
    "FileAccount",
    "SourceError",
    "extract_docs",
    "extract_rust",
    "git_commit",
    "source_reader",
]
