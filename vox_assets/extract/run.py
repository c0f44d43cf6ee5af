"""The two extractors over a whole tree: walk, parse, write rows, account for every file."""

from __future__ import annotations

import gc
import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vox_assets.extract import crates, doc_pairs, markdown, mdbook, rust, rust_pairs, source_tree
from vox_assets.extract.source_tree import Extraction, FileAccount, SourceFile, UnreadableError
from vox_assets.profiles import Profile
from vox_assets.rows import Drop, Pair, drops_to_frame, to_frame

RUST_FOLDER = "crates"
DOCS_FOLDER = "docs/src"


def _silent(message: str) -> None:
    del message


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """No search for cycles, of which items and rows have none, among millions of live objects."""
    was_at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_at_work:
            gc.enable()


@_collector_at_rest()
def extract_rust(
    root: Path,
    profile: Profile,
    *,
    commit: str | None,
    log: Callable[[str], None] = _silent,
) -> Extraction:
    """Rows from the Rust below `root/crates`; raises SourceError when there is no such folder.

    `commit` is recorded as it is given; `log` gets one line for each file that cannot be read.
    """
    tree = source_tree.walk(root, RUST_FOLDER, "a folder of Rust crates")
    accounts: dict[str, FileAccount] = {}
    manifests: list[crates.Crate] = []
    files: dict[str, rust.RustFile] = {}
    for file in tree:
        reason = _rust_refusal(file)
        if posixpath.basename(file.path) == "Cargo.toml" and file.refused is None:
            manifests.append(_manifest(file))
        if reason is not None:
            accounts[file.path] = file.account(*reason)
            continue
        try:
            files[file.path] = rust.parse(source_tree.read(file))
        except UnreadableError as error:
            accounts[file.path] = file.account("unreadable", str(error))
            log(f"{file.path}: {error}")
    index = crates.CrateIndex(manifests)
    modules = crates.modules(files, index)
    library = {
        path: parsed
        for path, parsed in files.items()
        if parsed.left_out is None and modules[path].left_out is None
    }
    crate_of = {path: index.of(path).folder for path in library}
    declared = rust_pairs.index_declarations(library, crate_of)
    pairs: list[Pair] = []
    drops: list[Drop] = []
    for path, parsed in library.items():
        crate = index.of(path)
        purpose = rust_pairs.purpose_of(parsed.doc) or rust_pairs.purpose_of(crate.description)
        place = rust_pairs.Place(path, modules[path].symbol, crate, purpose, commit)
        new_pairs, new_drops = rust_pairs.pairs(parsed, place, declared, profile)
        pairs += new_pairs
        drops += new_drops
    reasons = {path: files[path].left_out or modules[path].left_out for path in files}
    distinct, repeats = _distinct(pairs, rust_pairs.STAGE, by_answer=False)
    return _extraction(tree, distinct, [*drops, *repeats], accounts, reasons)


def _rust_refusal(file: SourceFile) -> tuple[source_tree.FileStatus, str] | None:
    if file.refused is not None:
        return file.refused
    if not file.path.endswith(".rs"):
        return ("excluded", "not Rust")
    if folder := crates.test_folder(file.path):
        return ("excluded", f"test code: {folder}")
    if file.path.endswith(".generated.rs"):
        return ("excluded", "generated: its name says so")
    return None


def _manifest(file: SourceFile) -> crates.Crate:
    try:
        text = source_tree.read(file)
    except UnreadableError:
        text = ""
    return crates.Crate.from_manifest(posixpath.dirname(file.path), text)


@_collector_at_rest()
def extract_docs(
    root: Path,
    profile: Profile,
    *,
    commit: str | None,
    check_vox: Callable[[str], str | None],
    log: Callable[[str], None] = _silent,
) -> Extraction:
    """Rows from the Markdown below `root/docs/src`; raises SourceError when there is none.

    `check_vox` returns null for good Vox, else one line that says what is wrong with it.
    """
    tree = source_tree.walk(root, DOCS_FOLDER, "the pages of an mdBook")
    accounts: dict[str, FileAccount] = {}
    pages: dict[str, mdbook.Page] = {}
    for file in tree:
        if file.refused is not None:
            accounts[file.path] = file.account(*file.refused)
        elif not file.path.endswith((".md", ".markdown")):
            accounts[file.path] = file.account("excluded", "not Markdown")
        else:
            try:
                pages[file.path] = mdbook.read_page(source_tree.read(file))
            except UnreadableError as error:
                accounts[file.path] = file.account("unreadable", str(error))
                log(f"{file.path}: {error}")
    reasons = {path: page.front_matter.opted_out for path, page in pages.items()}
    labels = _labels({path: page for path, page in pages.items() if reasons[path] is None})
    reader = source_reader(root)
    pairs: list[Pair] = []
    drops: list[Drop] = []
    for path, label in labels.items():
        includes = mdbook.Includes(path, reader)
        rows = doc_pairs.pairs(path, label, pages[path], includes, profile, check_vox)
        pairs += rows.pairs
        drops += rows.drops
    found = [pair.at_commit(commit) for pair in pairs]
    distinct, repeats = _distinct(found, doc_pairs.STAGE, by_answer=True)
    return _extraction(tree, distinct, [*drops, *repeats], accounts, reasons)


def _distinct(
    pairs: Iterable[Pair], stage: str, *, by_answer: bool
) -> tuple[list[Pair], list[Drop]]:
    """Keep the first row of each question and, where asked, of each answer.

    Code that repeats is left to curation, which weighs who keeps it; the same question with two
    answers, or a page that copies another, is wrong from the start.
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
                reason=f"an earlier row has the same {same}",
                source_path=pair.source_path,
                line=pair.source_start_line,
                item=pair.source_symbol,
                lost_to=earlier.pair_id,
            )
        )
    return kept, drops


def _labels(pages: dict[str, mdbook.Page]) -> dict[str, str]:
    """What questions call each page: its title; where two pages share one, with its path."""
    titles = {path: _title(path, page) for path, page in pages.items()}
    shared = Counter(titles.values())
    return {
        path: title if shared[title] == 1 else f"{title} ({path.removeprefix(DOCS_FOLDER + '/')})"
        for path, title in titles.items()
    }


def _title(path: str, page: mdbook.Page) -> str:
    if page.front_matter.title:
        return page.front_matter.title
    return markdown.title(page.body) or posixpath.basename(path)


def source_reader(root: Path) -> Callable[[str], str]:
    """A reader of files by their path below `root`, which it never leaves by any link.

    It raises mdbook.IncludeError for whatever may not or cannot be read.
    """
    real_root = root.resolve()
    known: dict[str, str] = {}

    def read(path: str) -> str:
        if path not in known:
            try:
                location = (real_root / path).resolve(strict=True)
            except (OSError, RuntimeError, ValueError) as error:
                raise mdbook.IncludeError("no such file") from error
            if not location.is_relative_to(real_root):
                raise mdbook.IncludeError("leads out of the source root")
            file = source_tree.regular_file(path, location)
            if file.refused is not None:
                raise mdbook.IncludeError(file.refused[1])
            try:
                known[path] = source_tree.read(file)
            except UnreadableError as error:
                raise mdbook.IncludeError(str(error)) from error
        return known[path]

    return read


def _extraction(
    tree: Iterable[SourceFile],
    pairs: list[Pair],
    drops: list[Drop],
    accounts: dict[str, FileAccount],
    reasons: dict[str, str | None],
) -> Extraction:
    """Tables of what was found; `reasons` says of each parsed file why it was left out, if so."""
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
            accounts[file.path] = file.account("no_rows", "nothing in it is worth a row")
    files = source_tree.files_to_frame([accounts[path] for path in sorted(accounts)])
    return Extraction(to_frame(pairs), files, drops_to_frame(drops))
