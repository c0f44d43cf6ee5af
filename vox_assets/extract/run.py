"""The two extractors of a whole tree: walk it, parse files, write rows, account for every file."""

from __future__ import annotations

import gc
import posixpath
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TypeVar

from vox_assets.compute.batches import HERE, Engine, in_order
from vox_assets.contract.rows import Drop, Pair, drops_to_frame, to_frame
from vox_assets.extract import source_tree
from vox_assets.extract.docs import markdown, mdbook
from vox_assets.extract.docs import rows as doc_rows
from vox_assets.extract.rust import crates, declarations
from vox_assets.extract.rust import items as rust_items
from vox_assets.extract.rust import rows as rust_rows
from vox_assets.extract.source_tree import (
    Extraction,
    FileAccount,
    SourceError,
    SourceFile,
    UnreadableError,
)
from vox_assets.profiles import Folders, Profile
from vox_assets.store.progress import Log, silent

RUST_FOLDER = "crates"
DOCS_FOLDER = "docs/src"

#: Size of a batch of files: some tens of milliseconds of parsing, many times the cost of sending it
#: to another machine, and small enough that one tree keeps many machines busy.
BATCH_CHARACTERS = 200_000

#: A file: its path, its text and, for a page, the files that it includes.
Source = TypeVar("Source", tuple[str, str], "tuple[str, str, Included]")
#: Files that the includes of a page name: the text of each, or the reason why it is not read.
Included = Mapping[str, str | mdbook.IncludeError]


#: Where a book may have its configuration, below a source root.
_BOOKS = ("docs/book.toml", "book.toml")


def docs_folders(root: Path, folders: Folders) -> tuple[str, ...]:
    """Return the folders of the pages below `root`: those of the profile, or `docs_folder`."""
    return (docs_folder(root),) if folders.docs is None else folders.docs


def docs_folder(root: Path) -> str:
    """Return the folder of the pages below `root`: `src` of its book, or `DOCS_FOLDER`.

    Raises SourceError for a book.toml that cannot be read or names no folder inside `root`.
    """
    for name in _BOOKS:
        if not (root / name).is_file():
            continue
        expected = "expected `src` of the table `book` to be a folder inside the source root"
        try:
            content = tomllib.loads(source_tree.read(source_tree.file_inside(root, name)))
        except (UnreadableError, tomllib.TOMLDecodeError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise SourceError(f"{root / name}: not TOML: {reason}; {expected}") from error
        book = content.get("book", {})
        book = book if isinstance(book, dict) else {"src": None}
        src = book.get("src", "src")
        folder = posixpath.normpath(posixpath.join(posixpath.dirname(name), str(src)))
        if not isinstance(src, str) or folder.startswith(("/", "..")) or folder == ".":
            raise SourceError(f"{root / name}: `src` is {src!r}; {expected}")
        if "src" in book or (root / folder).is_dir():
            return folder
    return DOCS_FOLDER


@contextmanager
def _collector_disabled() -> Iterator[None]:
    """Disable the garbage collector: rows form no cycles, and scanning them is slow."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_collector_disabled()
def extract_rust(
    root: Path,
    profile: Profile,
    *,
    commit: str | None,
    log: Log = silent,
    engine: Engine = HERE,
) -> Extraction:
    """Extract rows from the Rust files in the folders of the profile. Raises SourceError.

    Every row records `commit`. `log` receives a line for each file that cannot be read.
    """
    folders = profile.folders.rust
    tree = source_tree.walk_all(root, folders, "a folder of Rust crates")
    accounts: dict[str, FileAccount] = {}
    manifests = list(_manifests_above(root, folders))

    def library() -> Iterator[tuple[str, str]]:
        for file in tree:
            reason = _rust_refusal(file)
            if posixpath.basename(file.path) == "Cargo.toml" and file.refused is None:
                manifests.append(_manifest(file))
            if reason is not None:
                accounts[file.path] = file.account(*reason)
                continue
            try:
                yield file.path, source_tree.read(file)
            except UnreadableError as error:
                accounts[file.path] = file.account("unreadable", str(error))
                log(f"{file.path}: {error}")

    parsed = in_order(engine.map(_parse, _batches(library())))
    files = {path: file for batch in parsed for path, file in batch}
    index = crates.CrateIndex(manifests)
    modules = crates.modules(files, index)
    by_crate: dict[str, list[tuple[rust_items.RustFile, declarations.FileContext]]] = {}
    for path, file in files.items():
        if file.left_out is None and modules[path].left_out is None:
            crate = index.of(path)
            purpose = declarations.purpose_of(file.doc) or declarations.purpose_of(
                crate.description
            )
            context = declarations.FileContext(path, modules[path].symbol, crate, purpose, commit)
            by_crate.setdefault(crate.folder, []).append((file, context))
    shared = declarations.Shared(
        {
            context.path: (context.crate.folder, context.crate.library_name, file)
            for of_crate in by_crate.values()
            for file, context in of_crate
        }
    )
    work = ((of_crate, shared.needed_by(folder)) for folder, of_crate in by_crate.items())
    written = in_order(engine.map(partial(_crate_rows, profile=profile), work))
    # A crate may contain another crate, so rows are sorted by path over all crates.
    rows = sorted(chain.from_iterable(written), key=itemgetter(0))
    pairs = [pair for _, of_file, _ in rows for pair in of_file]
    drops = [drop for _, _, dropped in rows for drop in dropped]
    reasons = {path: files[path].left_out or modules[path].left_out for path in files}
    distinct, repeats = _distinct(pairs, rust_rows.STAGE, by_answer=False)
    return _extraction(tree, distinct, [*drops, *repeats], accounts, reasons)


def _batches(files: Iterable[Source]) -> Iterator[list[Source]]:
    """Group files into batches of about `BATCH_CHARACTERS` characters of text."""
    batch: list[Source] = []
    size = 0
    for file in files:
        batch.append(file)
        size += len(file[1])
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _parse(files: Sequence[tuple[str, str]]) -> list[tuple[str, rust_items.RustFile]]:
    return [(path, rust_items.parse(text)) for path, text in files]


def _crate_rows(
    work: tuple[
        Sequence[tuple[rust_items.RustFile, declarations.FileContext]], declarations.Needed
    ],
    profile: Profile,
) -> list[tuple[str, list[Pair], list[Drop]]]:
    """Write the rows and drops of each library file of one crate."""
    files, needed = work
    parsed = {context.path: file for file, context in files}
    crate_of = {context.path: context.crate.folder for _, context in files}
    declared = declarations.index_declarations(parsed, crate_of)
    needed.add_to(declared)
    declared.add_crate(files[0][1].crate.library_name, files[0][1].crate.folder)
    return [
        (context.path, *rust_rows.pairs(file, context, declared, profile))
        for file, context in files
    ]


def _rust_refusal(file: SourceFile) -> tuple[source_tree.FileStatus, str] | None:
    if file.refused is not None:
        return file.refused
    if not file.path.endswith(".rs"):
        return ("excluded", "not Rust")
    if folder := crates.test_folder(file.path):
        return ("excluded", f"test code: {folder}")
    if file.path.endswith(".generated.rs"):
        return ("excluded", "generated: its name ends in .generated.rs")
    return None


def _manifests_above(root: Path, folders: Iterable[str]) -> Iterator[crates.Crate]:
    """Yield the packages of the folders above, such as the crate that has its code in `src`."""
    for above in {posixpath.dirname(folder) for folder in folders}:
        while True:
            path = posixpath.join(above, "Cargo.toml")
            if (root / path).is_file():
                crate = _manifest(source_tree.file_inside(root, path))
                # A workspace alone is no package.
                if crate.name:
                    yield crate
            if not above:
                break
            above = posixpath.dirname(above)


def _manifest(file: SourceFile) -> crates.Crate:
    try:
        text = source_tree.read(file)
    except UnreadableError:
        text = ""
    return crates.Crate.from_manifest(posixpath.dirname(file.path), text)


@_collector_disabled()
def extract_docs(
    root: Path,
    profile: Profile,
    *,
    commit: str | None,
    check_vox: Callable[[str], str | None],
    repository: str = "",
    log: Log = silent,
    engine: Engine = HERE,
) -> Extraction:
    """Extract rows from the pages in `docs_folders`. Raises SourceError without these folders.

    `check_vox` returns None for valid Vox, else the fault in one line. It runs on this machine even
    when an engine parses the pages elsewhere, because the compiler and its cache are here.
    Questions name the `repository` when a profile has several: each may have a page called
    Introduction.
    """
    folders = docs_folders(root, profile.folders)
    tree = source_tree.walk_all(root, folders, "the pages of an mdBook")
    accounts: dict[str, FileAccount] = {}
    reader = source_reader(root)

    def pages() -> Iterator[tuple[str, str, Included]]:
        for file in tree:
            if file.refused is not None:
                accounts[file.path] = file.account(*file.refused)
            elif not mdbook.is_page(file.path):
                accounts[file.path] = file.account("excluded", "not Markdown")
            else:
                try:
                    text = source_tree.read(file)
                    yield file.path, text, mdbook.includable(file.path, text, reader)
                except UnreadableError as error:
                    accounts[file.path] = file.account("unreadable", str(error))
                    log(f"{file.path}: {error}")

    read = in_order(engine.map(_read_pages, _batches(pages())))
    readings = {path: (title, reading) for batch in read for path, title, reading in batch}
    reasons = {path: reading.front_matter.opted_out for path, (_, reading) in readings.items()}
    eligible = {path: title for path, (title, _) in readings.items() if reasons[path] is None}
    below = {path: _folder_of(path, folders) for path in eligible}
    labels = _labels(eligible, repository, below)
    pairs: list[Pair] = []
    drops: list[Drop] = []
    for path, label in labels.items():
        rows = doc_rows.pairs(path, label, readings[path][1], profile, check_vox, below[path])
        pairs += rows.pairs
        drops += rows.drops
    dated = [pair.at_commit(commit) for pair in pairs]
    distinct, repeats = _distinct(dated, doc_rows.STAGE, by_answer=True)
    return _extraction(tree, distinct, [*drops, *repeats], accounts, reasons)


def _read_pages(
    files: Sequence[tuple[str, str, Included]],
) -> list[tuple[str, str, doc_rows.Reading]]:
    """Parse pages, and return the path, title and content of each."""
    read = []
    for path, text, included in files:
        page = mdbook.read_page(text)
        reading = doc_rows.read(page, mdbook.Includes(path, partial(_text_of, included)))
        read.append((path, _title(path, page), reading))
    return read


def _text_of(included: Included, path: str) -> str:
    """Return the text of an included file that was read before. Raises IncludeError."""
    content = included.get(path, mdbook.IncludeError("no such file"))
    if isinstance(content, mdbook.IncludeError):
        raise content
    return content


def _distinct(
    pairs: Iterable[Pair], stage: str, *, by_answer: bool
) -> tuple[list[Pair], list[Drop]]:
    """Keep the first row with each question and, with `by_answer`, the first with each answer.

    Repeated code is kept, because curation chooses among the copies. A second answer to a question
    and a copy of a page are faults of the source, so they are dropped here.
    """
    first: dict[str, Pair] = {}
    kept: list[Pair] = []
    drops: list[Drop] = []
    for pair in pairs:
        earlier = first.get(pair.prompt) or (first.get(pair.response) if by_answer else None)
        if earlier is None:
            kept.append(pair)
            first[pair.prompt] = pair
            if by_answer:
                first[pair.response] = pair
            continue
        same = "question" if pair.prompt == earlier.prompt else "answer"
        drops.append(
            Drop(
                stage=stage,
                why=f"an earlier row has the same {same}",
                source_path=pair.source_path,
                line=pair.source_start_line,
                item=pair.source_symbol,
                lost_to=earlier.pair_id,
            )
        )
    return kept, drops


def _folder_of(path: str, folders: Iterable[str]) -> str:
    """Return the folder that a page is in; the folders share no files."""
    return next((name for name in folders if path.startswith(f"{name}/")), "")


def _labels(
    titles: Mapping[str, str], repository: str, folders: Mapping[str, str]
) -> dict[str, str]:
    """Return a unique name for each page, for use in questions: its title.

    The name is the title. In parentheses follow the name of the repository, if it has one, and the
    path of the page, if several pages have its title.
    """
    shared = Counter(titles.values())
    labels = {}
    for path, title in titles.items():
        where = [repository] if repository else []
        if shared[title] > 1:
            where.append(path.removeprefix(f"{folders[path]}/"))
        labels[path] = f"{title} ({'/'.join(where)})" if where else title
    return labels


def _title(path: str, page: mdbook.Page) -> str:
    if page.front_matter.title:
        return page.front_matter.title
    return markdown.title(page.body) or posixpath.basename(path)


def source_reader(root: Path) -> Callable[[str], str]:
    """Create a reader of files by their path below `root`; it follows no link out of `root`.

    The reader caches texts. It raises mdbook.IncludeError for a file that it must not or cannot
    read.
    """
    texts: dict[str, str] = {}

    def read(path: str) -> str:
        if path not in texts:
            try:
                file = source_tree.file_inside(root, path)
                if file.refused is not None:
                    raise mdbook.IncludeError(file.refused[1])
                texts[path] = source_tree.read(file)
            except UnreadableError as error:
                raise mdbook.IncludeError(str(error)) from error
        return texts[path]

    return read


def _extraction(
    tree: Iterable[SourceFile],
    pairs: list[Pair],
    drops: list[Drop],
    accounts: dict[str, FileAccount],
    reasons: dict[str, str | None],
) -> Extraction:
    """Build the tables; `reasons` gives for each parsed file why it is excluded, or None."""
    rows_in = Counter(pair.source_path for pair in pairs)
    for file in tree:
        if file.path in accounts:
            continue
        reason = reasons[file.path]
        if reason is not None:
            accounts[file.path] = file.account("excluded", reason)
        elif rows_in[file.path]:
            accounts[file.path] = file.account("rows", None, rows_in[file.path])
        else:
            accounts[file.path] = file.account("no_rows", "it contains nothing that becomes a row")
    files = source_tree.files_to_frame([accounts[path] for path in sorted(accounts)])
    return Extraction(to_frame(pairs), files, drops_to_frame(drops))
