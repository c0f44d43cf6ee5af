"""A real server on loopback: `transformers serve` with a model behind it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Limit for the start of the server: a busy machine loads even a small model slowly.
START_SECONDS = 180


@contextmanager
def serve_model(model: Path, log: Path) -> Iterator[str]:
    """Serve the model of a folder until the block ends; yield the base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [
        str(Path(sys.executable).parent / "transformers"),
        *("serve", str(model)),
        *("--host", "127.0.0.1", "--port", port, "--default-seed", "1"),
    ]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=output, stderr=output
        )
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while not _healthy(address):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield f"{address}/v1"
    finally:
        server.terminate()
        server.wait()


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False
