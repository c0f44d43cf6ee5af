"""The web server and the daemon end together, however one of them ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from vox_assets.pipeline.automation.serve import HOST, ServeError, main, refuse_taken
from vox_assets_tests.postgres import free_port

REPOSITORY = Path(__file__).parents[3]
TIMEOUT_SECONDS = 180


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configure a tree without pages and crates."""
    for folder in ("crates", "docs/src"):
        (tmp_path / "tree" / folder).mkdir(parents=True)
    monkeypatch.setenv("VOX_SOURCE_DIR", str(tmp_path / "tree"))
    monkeypatch.setenv("VOX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path / "tree"


def test_a_taken_port_is_refused_in_one_line_before_a_process_starts(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"vox-assets: PORT: {port} cannot be used on {HOST} (Address already")
    assert len(error.splitlines()) == 1
    assert not psutil.Process().children()


def test_a_number_that_is_no_port_is_refused() -> None:
    with pytest.raises(ServeError, match=r"^PORT: 70000 cannot be used"):
        refuse_taken(70000)


def test_a_missing_tree_is_refused_in_one_line(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOX_SOURCE_DIR", str(tree / "absent"))
    assert main(["--port", str(free_port())]) == 1
    assert capsys.readouterr().err.startswith("vox-assets: VOX_SOURCE_DIR: ")


class Served:
    """The processes of `make dev` and their log."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.port = free_port()
        module = "vox_assets.pipeline.automation.serve"
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, "--port", str(self.port)],
                cwd=REPOSITORY,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait("the web server", lambda: "Serving dagster-webserver on" in log.read_text())
        children = {" ".join(child.cmdline()): child for child in self.parent.children()}
        [self.web_server] = [child for line, child in children.items() if "webserver" in line]
        [self.daemon] = [child for line, child in children.items() if "dagster-daemon" in line]

    @property
    def parent(self) -> psutil.Process:
        return psutil.Process(self.process.pid)

    def wait(self, label: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{label}\n{self.log.read_text()[-3000:]}"
            time.sleep(0.5)


@pytest.fixture
def served(tree: Path, tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path / "serve.log")
    yield running
    with suppress(ProcessLookupError):
        os.killpg(running.process.pid, signal.SIGKILL)
    running.process.wait()


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
def test_the_daemon_ends_when_the_web_server_is_killed(served: Served) -> None:
    served.web_server.kill()
    assert served.process.wait(60) == 1
    assert gone(served.daemon)
    assert re.search(r"the web server has ended with exit code -9", served.log.read_text())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_both_end_when_their_parent_is_killed(served: Served) -> None:
    served.parent.kill()
    served.wait("both", lambda: gone(served.web_server) and gone(served.daemon))


@pytest.mark.slow
def test_a_second_server_of_the_same_data_is_refused(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--port", str(free_port())]) == 1
    assert "another web server and daemon use it" in capsys.readouterr().err
    served.parent.terminate()
    assert served.process.wait(60) == 0
    assert gone(served.web_server)
    assert gone(served.daemon)
