"""Extraction of corpus rows from a source tree: Rust items and documentation pages.

`extract_rust` and `extract_docs` are the entry points, and the only functions that read files. The
parsers below them are pure functions of a path and its text.
"""

from __future__ import annotations

from vox_assets.extract.repositories import (
    SourceRoot,
    commits,
    extract_docs_of,
    extract_rust_of,
    holding,
    reader_of,
    source_roots,
)
from vox_assets.extract.run import (
    DOCS_FOLDER,
    RUST_FOLDER,
    docs_folders,
    extract_docs,
    extract_rust,
    source_reader,
)
from vox_assets.extract.source_tree import (
    FILES_SCHEMA,
    NO_COMMIT,
    Extraction,
    FileAccount,
    SourceError,
    git_commit,
)

__all__ = [
    "DOCS_FOLDER",
    "FILES_SCHEMA",
    "NO_COMMIT",
    "RUST_FOLDER",
    "Extraction",
    "FileAccount",
    "SourceError",
    "SourceRoot",
    "commits",
    "docs_folders",
    "extract_docs",
    "extract_docs_of",
    "extract_rust",
    "extract_rust_of",
    "git_commit",
    "holding",
    "reader_of",
    "source_reader",
    "source_roots",
]
