"""Runs a program that checks code, in a process that may hang or crash.

The process leads its own process group, which is killed when its time is over or its output too
long. It works in a folder of its own, which is also its home. It inherits only the search path from
the environment, so no key of this deployment reaches it.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

MAX_OUTPUT = 1 << 20
"""Bytes read from one process: a hundred times what twenty diagnostics take."""

_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "NO_COLOR": "1",
    # The compiler writes its log to the same stream as the verdict.
    "RUST_LOG": "off",
}


class NoVerdictError(Exception):
    """A process gave no verdict on its program; the message is a short reason."""


def run_confined(
    command: Sequence[str], search_path: str, folder: Path, seconds: float
) -> tuple[int, str]:
    """Run a command in `folder`: exit code and output, errors included.

    Raises NoVerdictError when it does not start or must be stopped.
    """
    deadline = time.monotonic() + seconds
    environment = {**_ENVIRONMENT, "PATH": search_path}
    environment |= dict.fromkeys(("HOME", "TMPDIR"), str(folder))
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise NoVerdictError(f"the compiler does not start: {error.strerror}") from error
    with process:
        assert process.stdout is not None
        try:
            output = _read(process.stdout, deadline)
            code = process.wait(max(0.0, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise NoVerdictError(f"timed out after {seconds:.3g} s") from None
        finally:
            # This also ends processes that the compiler started and left behind.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return code, output.decode("utf-8", "replace")


def _read(stream: IO[bytes], deadline: float) -> bytes:
    """Read up to the end of the stream.

    Raises TimeoutError at the deadline, and NoVerdictError past `MAX_OUTPUT` bytes.
    """
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            if not (part := os.read(stream.fileno(), MAX_OUTPUT)):
                return output
            output += part
            if len(output) > MAX_OUTPUT:
                raise NoVerdictError(f"printed more than {MAX_OUTPUT:,} bytes")
    raise TimeoutError
