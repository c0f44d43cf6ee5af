"""Reads the tables that commands take, and tries their output files before the work.

`-` is standard input or standard output.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vox_assets.cli.command import log
from vox_assets.cli.ids import UsageError
from vox_assets.curate.forms import Reading, read_rows
from vox_assets.curate.tables import Table, check_ending, parse_table, read_table

#: The argument for standard input and standard output.
STANDARD = Path("-")
#: The name of standard input in messages.
STANDARD_INPUT = Path("<stdin>")
IN_HELP = (
    "table in JSON lines, a JSON array, CSV, TSV or Parquet, compressed with gzip or not; - reads "
    "JSON or Parquet from standard input"
)
OUT_HELP = "file to write, .jsonl or .parquet; - writes JSON lines to standard output"


def read(path: Path, needed: Sequence[str] = ()) -> tuple[Table, Reading]:
    """Read the rows of a table, and log what was repaired or passed over."""
    if path == STANDARD:
        table = parse_table(STANDARD_INPUT, sys.stdin.buffer.read())
    else:
        table = read_table(path)
    reading = read_rows(table, needed)
    for note in reading.notes:
        log(note)
    return table, reading


def check_out(path: Path) -> None:
    """Refuse a table that cannot be written, before the work. Raises UsageError or TableError."""
    if path != STANDARD:
        check_ending(path)
        check_writable(path)


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before the work. Raises UsageError."""
    folder = path.absolute().parent
    try:
        if path.is_dir():
            raise UsageError(f"{path}: is a folder: expected a file")
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{path}: {folder} is a file: expected a folder")
        if not folder.exists():
            raise UsageError(f"{path}: {folder} does not exist: expected a folder that exists")
        # The file is replaced as a whole, which the mode of an existing file would not prevent.
        if path.exists() and not os.access(path, os.W_OK):
            raise UsageError(f"{path}: may not be written: expected a file that may be replaced")
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}: expected a file in a folder to write to"
        ) from error


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Yield the file to write: `path`, or a file whose content then goes to standard output."""
    if path != STANDARD:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "out.jsonl"
        yield work
        with work.open("rb") as content:
            shutil.copyfileobj(content, sys.stdout.buffer)


def print_result(path: Path, result: str) -> None:
    """Print what a table holds; to standard error where the table is on standard output."""
    if path == STANDARD:
        log(result)
    else:
        print(f"{path}: {result}")


def log_replaced(table: Table, added: Iterable[str]) -> None:
    """Log which columns of a table get other values."""
    replaced = [name for name in added if name in table.columns and name != "pair_id"]
    if replaced:
        log(f"replaced columns of {table.path}: {', '.join(replaced)}")


def log_secrets(kinds: Sequence[str]) -> None:
    """Log how many rows hold secrets, by the kind of secret."""
    if kinds:
        counts = ", ".join(f"{kind} ({n:,})" for kind, n in sorted(Counter(kinds).items()))
        log(f"{len(kinds):,} rows hold a secret and are refused by score: {counts}")
