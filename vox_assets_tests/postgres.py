"""Starts a real PostgreSQL server for a test, if the machine has the binaries."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

#: The folder where Debian installs the programs of each version, outside PATH.
DEBIAN = Path("/usr/lib/postgresql")


def binaries() -> Path | None:
    """Return the folder of `initdb` and `pg_ctl`, or None if no server is installed."""
    initdb = shutil.which("initdb")
    folders = [Path(initdb).resolve().parent] if initdb else []
    folders += sorted(DEBIAN.glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def postgres() -> Iterator[str]:
    """Yield the URL of an empty database on a new server; skip the test without PostgreSQL."""
    folder = binaries()
    if folder is None:
        pytest.skip("no PostgreSQL server on this machine: apt-get install postgresql")
    # The server refuses to run as root; Debian's package creates this user.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        shutil.chown(root, user)

        def run(*command: str) -> None:
            subprocess.run(
                [str(folder / command[0]), *command[1:]], user=user, check=True, cwd=root
            )

        run("initdb", "--auth=trust", f"--username={user}", "-D", f"{root}/db", "--no-sync")
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {root} -c fsync=off"
        run("pg_ctl", "-D", f"{root}/db", "-o", options, "-l", f"{root}/log", "-w", "start")
        try:
            yield f"postgresql+psycopg2://{user}@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", f"{root}/db", "-m", "immediate", "-w", "stop")
