"""The command `check-vox`: the faults of Vox files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vox_assets.cli.command import Commands, log
from vox_assets.cli.tables import STANDARD, STANDARD_INPUT
from vox_assets.settings import find_compiler, search_path


def add(commands: Commands) -> None:
    """Add the command."""
    check = commands.add(
        "check-vox",
        _check_vox,
        "check Vox files with the compiler or the built-in grammar",
        examples=["check-vox app.vox", "check-vox examples/*.vox", "check-vox - < app.vox"],
        codes={
            0: "every file is valid",
            1: "a file has a fault, or cannot be read",
        },
    )
    check.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="Vox file, or a UI module where the name ends in .vox.ui; - reads a program from "
        "standard input",
    )


def _source(path: Path) -> str:
    content = sys.stdin.buffer.read() if path == STANDARD else path.read_bytes()
    return content.decode("utf-8")


def _check_vox(options: argparse.Namespace) -> int:
    from vox_assets.pipeline.resources.frontend import compiler_or_grammar

    front_end = compiler_or_grammar(find_compiler(), search_path())
    faults: dict[Path, str | None] = {}
    sources: dict[Path, str] = {}
    for path in options.files:
        try:
            sources[path] = _source(path)
        except OSError as error:
            faults[path] = f" cannot be read: {error.strerror}"
        except UnicodeDecodeError as error:
            faults[path] = f" cannot be read as text in UTF-8: {error.reason}"
    for ui_module in (False, True):
        paths = [path for path in sources if path.name.endswith(".vox.ui") is ui_module]
        verdicts = front_end.check([sources[path] for path in paths], ui_module=ui_module, log=log)
        faults.update(zip(paths, verdicts, strict=True))
    failed = [path for path in options.files if faults[path] is not None]
    for path in failed:
        print(f"{STANDARD_INPUT if path == STANDARD else path}:{faults[path]}")
    good = len(options.files) - len(failed)
    log(f"{good} of {len(options.files)} files are valid, checked with {front_end.name}")
    return 1 if failed else 0
