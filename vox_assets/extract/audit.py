"""Checks of the extracted tables against the source tree.

Each check is a predicate over tables and, where possible, over the source files themselves. It
shares definitions with the extractors, but never runs an extractor.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from vox_assets.contract.answers import dialogue_fault
from vox_assets.contract.verdict import Verdict
from vox_assets.extract.docs import mdbook
from vox_assets.extract.docs.prose import words_of
from vox_assets.extract.live_programs import LiveProgram
from vox_assets.extract.run import source_reader
from vox_assets.extract.rust.attributes import has_test_attribute
from vox_assets.extract.rust.crates import test_folder
from vox_assets.extract.source_tree import decode

#: Fewer words in a row, such as `fn main() to int`, occur in many files.
PHRASE_WORDS = 6

#: Shorter lines, such as a closing brace or a heading, occur in many files.
MIN_LINE_CHARS = 16

_DIRECTIVE = "{{#"

#: Faults that a check lists beside its summary; more need another look at the grammar anyway.
MAX_LISTED = 100


def files_accounted(
    roots: Mapping[str, Path], folders: Sequence[str], files: pl.DataFrame, rows: pl.DataFrame
) -> Verdict:
    """Check that `files` lists every file below `folders` once, and the file of every row.

    `roots` maps the prefix of paths in the tables to the source root.
    """
    present = {
        prefix + Path(parent, name).relative_to(root).as_posix()
        for prefix, root in roots.items()
        for folder in folders
        for parent, _, names in os.walk(root / folder)
        for name in names
    }
    accounted = files["path"].to_list()
    covered = tuple(path for path in accounted if path.endswith("/"))
    faults = [
        f"{path} is not accounted for"
        for path in sorted(present - set(accounted))
        if not path.startswith(covered)
    ]
    faults += [f"{path} is accounted for twice" for path in _repeated(accounted)]
    without_reason = files.filter((pl.col("status") != "rows") & pl.col("reason").is_null())
    faults += [f"{path} gave no rows and no reason" for path in without_reason["path"]]
    with_rows = set(files.filter(pl.col("status") == "rows")["path"])
    faults += [
        f"{path} has rows but is not accounted for"
        for path in sorted(set(rows["source_path"]) - with_rows)
    ]
    return Verdict.none_of(faults, "faults in the account of files", len(present))


def library_code_only(rows: pl.DataFrame) -> Verdict:
    """Check that no row comes from a test folder or test module or has a test attribute."""
    columns = ("pair_id", "source_path", "source_symbol", "language", "response")
    faults = [
        f"{pair_id} from {symbol} ({path})"
        for pair_id, path, symbol, language, response in rows.select(columns).iter_rows()
        if (language == "rust" and (test_folder(path) or "/target/" in path))
        or "::tests::" in symbol
        or (language == "rust" and has_test_attribute(response))
    ]
    return Verdict.none_of(faults, "rows from test code", rows.height)


def includes_replaced(rows: pl.DataFrame) -> Verdict:
    """Check that no row contains an include directive."""
    faults = [
        f"{pair_id} contains a directive"
        for pair_id, prompt, response in rows.select("pair_id", "prompt", "response").iter_rows()
        if _DIRECTIVE in prompt or _DIRECTIVE in response
    ]
    return Verdict.none_of(faults, "rows with an include directive", rows.height)


def includes_found(drops: pl.DataFrame) -> Verdict:
    """Check that no row was dropped because of an include that cannot be resolved."""
    unresolved = drops.filter(pl.col("kind") == mdbook.INCLUDE)
    faults = [
        f"{path}:{line}: {reason}"
        for path, line, reason in unresolved.select("source_path", "line", "reason").iter_rows()
    ]
    return Verdict.none_of(faults, "unresolved includes", drops.height)


def eligible_pages_only(roots: Mapping[str, Path], rows: pl.DataFrame) -> Verdict:
    """Check that no row has text of a file that opts out, is retired or has invalid front matter.

    Every page is read again by `mdbook.read_page`, so that the check is as strict as the extractor.
    The files that a page includes are judged by `mdbook.opted_out`; a phrase of such a file in a
    row of the page is a fault. `roots` as in `files_accounted`.
    """
    faults = []
    readers = {prefix: source_reader(root) for prefix, root in roots.items()}
    pages = sorted(path for path in set(rows["source_path"]) if mdbook.is_page(path))
    for path in pages:
        prefix = next(prefix for prefix in roots if path.startswith(prefix))
        below = path.removeprefix(prefix)
        text = decode((roots[prefix] / below).read_bytes())
        if (reason := mdbook.read_page(text).front_matter.opted_out) is not None:
            faults.append(f"{path}: {reason}")
        texts = {below: text}
        excluded: dict[str, str] = {}
        for name, content in mdbook.includable(below, text, readers[prefix]).items():
            if isinstance(content, str):
                is_excluded = mdbook.opted_out(name, content) is not None
                (excluded if is_excluded else texts)[name] = content
        if excluded:
            of_page = rows.filter(pl.col("source_path") == path)
            own = set().union(*map(_phrases, texts.values()))
            shown: set[str] = set()
            for answer in of_page.select("prompt", "response").rows():
                shown.update(*map(_phrases, answer))
            faults += [
                f"{path}: has text of {name}, which opted out"
                for name, content in excluded.items()
                if not shown.isdisjoint(_phrases(content) - own)
            ]
    return Verdict.none_of(faults, "pages that opted out", len(pages))


def _phrases(text: str) -> set[str]:
    """Return each run of `PHRASE_WORDS` words of a text, and its long lines of fewer words.

    Runs of words are found in a row even where rendering has changed lines and marks.
    """
    words = words_of(text).split()
    runs = (words[start : start + PHRASE_WORDS] for start in range(len(words)))
    lines = map(words_of, text.split("\n"))
    return {" ".join(run) for run in runs if len(run) == PHRASE_WORDS} | {
        line for line in lines if len(line) >= MIN_LINE_CHARS and line.count(" ") < PHRASE_WORDS
    }


def lane_purity(rows: pl.DataFrame, vox_fault: Callable[[str], str | None]) -> Verdict:
    """Check every answer with the predicate of the gate `lane_policy`, and parse Vox code."""
    faults = []
    columns = ["pair_id", "lane", "response_mode", "language", "messages", "response"]
    for pair_id, lane, mode, language, messages, response in rows.select(columns).iter_rows():
        if fault := dialogue_fault(messages, mode, lane):
            faults.append(f"{pair_id} {fault}")
        elif mode == "code_only" and language == "vox" and (refused := vox_fault(response)):
            faults.append(f"{pair_id} is not Vox: {refused}")
    return Verdict.none_of(faults, "rows that mix code and prose", rows.height)


def grammar_drift(
    programs: Mapping[str, Iterable[LiveProgram]],
    refusal: Callable[[LiveProgram], tuple[int, str, str] | None],
) -> Verdict:
    """Check that the grammar accepts every live program.

    `programs` maps the prefix of paths to the programs of a root. `refusal` returns the line of a
    program's first fault, the fault, and the sign that the grammar refuses by design, or "". A
    program that is refused only by design is counted apart.
    """
    checked = by_design = 0
    faults = []
    for prefix, of_root in programs.items():
        for program in of_root:
            checked += 1
            if (refused := refusal(program)) is None:
                continue
            line, fault, sign = refused
            if sign:
                by_design += 1
            else:
                faults.append(f"{prefix}{program.path}:{program.line(line)}: {fault}")
    verdict = Verdict.none_of(faults, "live programs that the grammar refuses", checked)
    figures = {
        **verdict.figures,
        "share": len(faults) / checked if checked else 0.0,
        "by_design": by_design,
        "refused": "\n".join(faults[:MAX_LISTED]),
    }
    return replace(verdict, figures=figures)


def _repeated(values: list[str]) -> list[str]:
    seen: set[str] = set()
    repeated: set[str] = set()
    for value in values:
        (repeated if value in seen else seen).add(value)
    return sorted(repeated)
