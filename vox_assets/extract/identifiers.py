"""Lists the identifiers of a source tree: the names that an answer about it may call."""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl

from vox_assets.extract import source_tree
from vox_assets.extract.live_programs import EXAMPLES_FOLDER
from vox_assets.extract.repositories import SourceRoot
from vox_assets.extract.source_tree import UnreadableError

#: The column of the account.
NAME = "name"

_ENDINGS = (".rs", ".vox", ".vox.ui", ".md", ".markdown")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


def identifiers(roots: Iterable[SourceRoot]) -> pl.DataFrame:
    """Read all Rust files, Vox programs and pages of `roots`, tests included: a name per line.

    A file that cannot be read is passed over: the extractors account for it.
    """
    names: set[str] = set()
    for root in roots:
        folders = dict.fromkeys((*root.all_folders, EXAMPLES_FOLDER))
        present = [folder for folder in folders if (root.directory / folder).exists()]
        files = source_tree.walk_all(root.directory, present, "a folder of the source tree")
        for file in files:
            if file.refused is None and file.path.endswith(_ENDINGS):
                try:
                    names.update(_IDENTIFIER.findall(source_tree.read(file)))
                except UnreadableError:
                    continue
    return pl.DataFrame({NAME: sorted(names)}, schema={NAME: pl.String})
