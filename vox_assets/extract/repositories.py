"""Extraction from several repositories into one set of tables.

`run` extracts from one root. A profile without repositories has one root without a name, and its
tables are returned as `run` makes them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from vox_assets.compute.batches import HERE, Engine
from vox_assets.extract.docs import mdbook
from vox_assets.extract.run import (
    DOCS_FOLDER,
    RUST_FOLDER,
    docs_folders,
    extract_docs,
    extract_rust,
    source_reader,
)
from vox_assets.extract.source_tree import NO_COMMIT, Extraction, SourceError, git_commit
from vox_assets.profiles import DEFAULT_FOLDERS, Folders, Profile


@dataclass(frozen=True)
class SourceRoot:
    """A source root and the name of its repository, empty for the only root."""

    name: str
    directory: Path
    folders: Folders = DEFAULT_FOLDERS

    @property
    def prefix(self) -> str:
        """The prefix of the paths in its rows."""
        return f"{self.name}/" if self.name else ""

    @property
    def docs_folders(self) -> tuple[str, ...]:
        """The folders of its pages."""
        return docs_folders(self.directory, self.folders)

    @property
    def all_folders(self) -> tuple[str, ...]:
        """The folders that extraction reads."""
        return (*self.folders.rust, *self.docs_folders)


def source_roots(profile: Profile, source_dir: Path) -> tuple[SourceRoot, ...]:
    """Return the roots that `profile` names, in its order, or `source_dir` if it names none.

    Raises SourceError for a root that is missing, has neither folder, or overlaps another root.
    """
    if not profile.repositories:
        return (SourceRoot("", source_dir, profile.folders),)
    roots: list[SourceRoot] = []
    for repository in profile.repositories:
        # Unlike Path.resolve, this does not fail on links that lead to each other.
        directory = Path(os.path.realpath(source_dir / repository.root))
        field = f"profile {profile.name!r}: repositories: root of {repository.name!r}"
        root = SourceRoot(repository.name, directory, profile.folders)
        if not any((directory / folder).exists() for folder in root.all_folders):
            raise SourceError(
                f"{field}: {directory} holds neither {RUST_FOLDER}/ nor {DOCS_FOLDER}/: expected a "
                f"directory with one of them, absolute or relative to VOX_SOURCE_DIR"
            )
        for other in roots:
            if _overlap(directory, other) or _overlap(other.directory, root):
                raise SourceError(
                    f"{field}: {directory} is read as a part of {other.name!r} already: expected "
                    f"roots that share no files"
                )
        roots.append(root)
    return tuple(roots)


def _overlap(inner: Path, outer: SourceRoot) -> bool:
    folders = [outer.directory / folder for folder in outer.all_folders]
    return inner == outer.directory or any(inner.is_relative_to(folder) for folder in folders)


def holding(roots: Sequence[SourceRoot], folder: str) -> list[SourceRoot]:
    """Return the roots that have `folder`, or all roots if none has it: reading them fails.

    `RUST_FOLDER` and `DOCS_FOLDER` mean the folders of the profile, or of the book.
    """

    def has_folder(root: SourceRoot) -> bool:
        names = root.docs_folders if folder == DOCS_FOLDER else root.folders.rust
        return any((root.directory / name).exists() for name in names)

    return list(filter(has_folder, roots)) or list(roots)


def commits(roots: Sequence[SourceRoot]) -> str | None:
    """Return the commits of the roots in one line, or None when git tracks none of them."""
    commit_of = [(root.name, git_commit(root.directory)) for root in roots]
    if not any(commit for _, commit in commit_of):
        return None
    return ", ".join(f"{name} {commit or NO_COMMIT}".strip() for name, commit in commit_of)


def extract_rust_of(
    roots: Sequence[SourceRoot],
    profile: Profile,
    log: Callable[[str], None],
    engine: Engine = HERE,
) -> Extraction:
    """Run `extract_rust` on every root that has Rust, and join the tables."""

    def extract(root: SourceRoot, policy: Profile) -> Extraction:
        commit = git_commit(root.directory)
        return extract_rust(root.directory, policy, commit=commit, log=log, engine=engine)

    return _together(roots, RUST_FOLDER, profile, extract, {"prompt": "question"})


def extract_docs_of(
    roots: Sequence[SourceRoot],
    profile: Profile,
    check_vox: Callable[[str], str | None],
    log: Callable[[str], None],
    engine: Engine = HERE,
) -> Extraction:
    """Run `extract_docs` on every root that has pages, and join the tables."""

    def extract(root: SourceRoot, policy: Profile) -> Extraction:
        return extract_docs(
            root.directory,
            policy,
            commit=git_commit(root.directory),
            check_vox=check_vox,
            repository=root.name,
            log=log,
            engine=engine,
        )

    unique_columns = {"prompt": "question", "response": "answer"}
    return _together(roots, DOCS_FOLDER, profile, extract, unique_columns)


def _together(
    roots: Sequence[SourceRoot],
    folder: str,
    profile: Profile,
    extract: Callable[[SourceRoot, Profile], Extraction],
    unique_columns: Mapping[str, str],
) -> Extraction:
    """Join the extractions of the roots; paths and categories start with the repository's name.

    A row that repeats a text of an earlier repository in a column of `unique_columns` becomes a
    drop that names the earlier row. Within one tree `run` does the same: a question with two
    answers and a copied page are faults. The mapping gives each column's name in the reason.
    """
    if [root.name for root in roots] == [""]:
        return extract(roots[0], profile)
    parts = [
        _prefixed(extract(root, profile.within(root.name)), root.prefix)
        for root in holding(roots, folder)
    ]
    rows = pl.concat([part.rows for part in parts])
    drops = [part.drops for part in parts]
    for column, same in unique_columns.items():
        first = pl.col(column).is_first_distinct()
        marked = rows.with_columns(pl.col("pair_id").first().over(column).alias("lost_to"))
        drops.append(
            marked.filter(~first).select(
                pl.lit(None, pl.String).alias("pair_id"),
                "source_path",
                pl.col("source_start_line").alias("line"),
                pl.col("source_symbol").alias("item"),
                pl.lit("repositories").alias("stage"),
                pl.lit(f"an earlier repository has the same {same}").alias("kind"),
                pl.lit("").alias("detail"),
                pl.lit(f"an earlier repository has the same {same}").alias("reason"),
                "lost_to",
                pl.lit(None, pl.Float64).alias("similarity"),
            )
        )
        rows = rows.filter(first)
    return Extraction(
        rows,
        pl.concat([part.files for part in parts]),
        pl.concat(drops),
    )


def _prefixed(extraction: Extraction, prefix: str) -> Extraction:
    def before(column: str) -> pl.Expr:
        return (pl.lit(prefix) + pl.col(column)).alias(column)

    return Extraction(
        extraction.rows.with_columns(before("source_path"), before("category")),
        extraction.files.with_columns(before("path")),
        extraction.drops.with_columns(before("source_path")),
    )


def reader_of(roots: Sequence[SourceRoot]) -> Callable[[str], str]:
    """Create a reader of files by the `source_path` of rows; it follows no link out of a root.

    The reader raises mdbook.IncludeError for a file that it must not or cannot read.
    """
    readers: Mapping[str, Callable[[str], str]] = {
        root.name: source_reader(root.directory) for root in roots
    }
    if list(readers) == [""]:
        return readers[""]

    def read(path: str) -> str:
        name, _, below = path.partition("/")
        if name not in readers:
            raise mdbook.IncludeError("in none of the repositories")
        return readers[name](below)

    return read
