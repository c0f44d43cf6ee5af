"""Adds commands to the parser, each with a summary, examples and the meaning of its exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vox_assets.terminal import hanging

#: Exit codes that every command has besides 0 and 1.
WRONG_ARGUMENTS, CANCELLED, BROKEN_PIPE = 2, 130, 141
_COMMON_CODES = {
    WRONG_ARGUMENTS: "the arguments are wrong",
    CANCELLED: "cancelled with Ctrl-C",
    BROKEN_PIPE: "the reader of standard output has ended",
}


class Commands:
    """The commands of a parser."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        self,
        name: str,
        run: Callable[[argparse.Namespace], int],
        summary: str,
        *,
        examples: Sequence[str],
        codes: Mapping[int, str],
    ) -> argparse.ArgumentParser:
        """Add a command and return its parser. `codes` gives the meaning of the exit codes 0 and 1.

        `run` does the work and returns the exit code.
        """
        sub = self._commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog="\n".join(
                [
                    "examples:",
                    *(f"  vox-assets {example}" for example in examples),
                    "",
                    "exit codes:",
                    *(
                        line
                        for code, text in {**codes, **_COMMON_CODES}.items()
                        for line in hanging(f"  {code:<4} ", text)
                    ),
                ]
            ),
            formatter_class=_Layout,
        )
        sub.set_defaults(run=run)
        return sub


class _Layout(argparse.HelpFormatter):
    """Wraps the description and keeps the lines of the examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return text
        return super()._fill_text(text, width, indent)


def add_project(parser: argparse.ArgumentParser) -> None:
    """Add the argument SOURCE, which may be left out in the root folder of the project."""
    parser.add_argument(
        "source",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="SOURCE",
        help="root folder of the project (the default is this folder)",
    )


def add_profile(parser: argparse.ArgumentParser) -> None:
    """Add the option --profile of a command that reads a source tree."""
    parser.add_argument(
        "--profile",
        metavar="NAME",
        help="name of a bundled profile, or path of a YAML file (the default is VOX_PROFILE, else "
        "sample for the bundled workspace and vox for every other SOURCE)",
    )


def log(line: str) -> None:
    """Print a line about the work to standard error; standard output has the result."""
    print(line, file=sys.stderr)
