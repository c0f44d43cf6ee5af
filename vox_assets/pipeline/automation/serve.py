"""Runs the web server and the daemon of a deployment on one machine, as `make dev` does.

Both end together, so that no daemon builds unseen. `dg dev` goes on with the daemon alone when the
port is taken, and leaves both processes behind when it is killed.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from vox_assets.extract import SourceError
from vox_assets.pipeline.automation.instance import prepare_home
from vox_assets.settings import SettingsError, load_settings
from vox_assets.store.files import LockHeldError, exclusive

HOST = "127.0.0.1"
#: Held below the Dagster home, because two daemons would start every build twice.
LOCK = "serve.lock"
_WORKSPACE = "workspace.yaml"
_SECONDS_BETWEEN_LOOKS = 0.5
#: Time for a process to end by itself. The daemon finishes the tick of a sensor first.
_SECONDS_TO_END = 30.0
#: Option of prctl(2): the signal that a process gets when its parent ends, even when killed.
_SIGNAL_OF_PARENT = 1


class ServeError(Exception):
    """The web server and the daemon cannot be started; the message is one line."""


def serve(port: int) -> int:
    """Run both processes until one ends or a person ends this one, and return the exit code.

    Raises SettingsError, SourceError and ServeError before a process is started.
    """
    settings = load_settings()
    settings.source_roots  # noqa: B018  # refuses a missing source tree
    home = prepare_home(settings)
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(home / LOCK, wait=False))
        except LockHeldError as error:
            raise ServeError(
                f"{home}: another web server and daemon use it: expected one of them for each "
                f"VOX_DATA_DIR"
            ) from error
        refuse_taken(port)
        environment = {**os.environ, "DAGSTER_HOME": str(home)}
        workspace = ["--workspace", _WORKSPACE]
        commands = {
            "web server": ["dagster-webserver", "--host", HOST, "--port", str(port), *workspace],
            "daemon": ["dagster-daemon", "run", *workspace],
        }
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        started: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name, command in commands.items():
                started[name] = _start(command, environment)
            print(f"UI on http://{HOST}:{port}; Ctrl-C ends it and the daemon", flush=True)
            return _wait(started)
        except KeyboardInterrupt:
            return 0
        finally:
            _end(started.values())


def refuse_taken(port: int) -> None:
    """Raise ServeError when another program listens on a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise ServeError(
                f"PORT: {port} cannot be used on {HOST} "
                f"({getattr(error, 'strerror', None) or error}): expected a free port, such as "
                f"make dev PORT=3001"
            ) from error


def _start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).with_name(command[0])
    return subprocess.Popen(
        [str(program), *command[1:]], env=dict(environment), preexec_fn=_end_with_parent
    )


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SIGNAL_OF_PARENT, signal.SIGTERM)


def _wait(started: Mapping[str, subprocess.Popen[bytes]]) -> int:
    while True:
        for name, process in started.items():
            if process.poll() is not None:
                print(
                    f"vox-assets: the {name} has ended with exit code {process.returncode}, so "
                    f"everything ends: see its log above",
                    file=sys.stderr,
                )
                return 1
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _end(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + _SECONDS_TO_END
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m vox_assets.pipeline.automation.serve")
    parser.add_argument("--port", type=int, default=3000, help="port of the web server")
    try:
        return serve(parser.parse_args(arguments).port)
    except (SettingsError, SourceError, ServeError) as error:
        print(f"vox-assets: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
