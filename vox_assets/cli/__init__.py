"""The `vox-assets` command: runs single stages on tables in files, and operates a deployment.

Arguments, files and exit codes belong here, one module for each command or group of commands; the
work itself belongs to each stage's package. Each module has a function `add` for the parser.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import vox_assets


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 only when it succeeded."""
    from vox_assets.cli.command import BROKEN_PIPE, CANCELLED

    try:
        # Names of files may have bytes that are no text in the encoding of the terminal.
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return _run(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        print("vox-assets: cancelled", file=sys.stderr)
        return CANCELLED
    except BrokenPipeError:
        _discard_output()
        return BROKEN_PIPE
    except OSError as error:
        # Only the flush above: a disk that is full, for example.
        _discard_output()
        print(f"vox-assets: standard output: {error.strerror}", file=sys.stderr)
        return 1


def _run(arguments: Sequence[str] | None) -> int:
    from vox_assets import extras
    from vox_assets.cli.ids import UsageError
    from vox_assets.compute.models import ModelError
    from vox_assets.compute.ray_data import ClusterError
    from vox_assets.curate.tables import TableError
    from vox_assets.extract import SourceError
    from vox_assets.pipeline.automation.instance import InstanceError
    from vox_assets.settings import SettingsError
    from vox_assets.store.lake import TableMissingError, TableUnreadableError
    from vox_assets.vox_syntax.other_languages import FrontEndError

    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (
        UsageError,
        TableError,
        SettingsError,
        TableMissingError,
        TableUnreadableError,
        ModelError,
        SourceError,
        ClusterError,
        InstanceError,
        FrontEndError,
        extras.MissingExtraError,
    ) as error:
        print(f"vox-assets: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        # A setting can need more than its command, as an endpoint does.
        missing = extras.explain(error)
        if missing is None:
            raise
        print(f"vox-assets: {missing}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        raise
    except OSError as error:
        # Folders that cannot be read or written; a fault of the network has no file name.
        if error.filename is None:
            raise
        print(
            f"vox-assets: {error.filename}: {error.strerror}: expected a place that can be read "
            f"and written (VOX_DATA_DIR names the folder of the caches and the adapters)",
            file=sys.stderr,
        )
        return 1


def _discard_output() -> None:
    """Send what is left in the buffer of standard output nowhere, or Python reports it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _ShowVersion(argparse.Action):
    """Print the version and exit. Package metadata is read here, so that `--help` stays quick."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print(f"vox-assets {vox_assets.__version__}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    from vox_assets.cli import (
        adapters,
        ask,
        calibrate,
        check_vox,
        dedup,
        doctor,
        exam,
        explain,
        extract,
        init,
        operation,
        score,
        status,
    )
    from vox_assets.cli.command import Commands

    parser = argparse.ArgumentParser(
        prog="vox-assets",
        description="Run stages of the pipeline on files, and operate a deployment. "
        "`vox-assets COMMAND --help` shows the arguments, examples and exit codes of a command.",
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version and exit")
    commands = Commands(parser)
    for module in (
        init,
        doctor,
        extract,
        check_vox,
        dedup,
        score,
        explain,
        adapters,
        ask,
        exam,
        status,
        operation,
        calibrate,
    ):
        module.add(commands)
    return parser
