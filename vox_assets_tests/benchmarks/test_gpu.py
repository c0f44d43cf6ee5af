"""The script for the first GPU reports every part, also one that fails, hangs or is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gpu
import pytest

#: Starts a child that ignores the request to end, prints its number, and waits.
HANG = (
    "import signal, subprocess, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "child = subprocess.Popen(['sleep', '600']); signal.signal(signal.SIGTERM, signal.SIG_DFL); "
    "print(child.pid, flush=True); time.sleep(600)"
)
#: Runs a part that ends and one that hangs.
TWO_PARTS = """
import sys
from pathlib import Path
import gpu
ends, hangs = (gpu.Part(n, 60, (sys.executable, "-c", p)) for n, p in zip("ab", sys.argv[2:]))
gpu.run_all([ends, hangs], Path(sys.argv[1]), "a card")
"""


def python(name: str, program: str, limit: float = 60) -> gpu.Part:
    return gpu.Part(name, limit, (sys.executable, "-c", program))


def ends(pid: int) -> bool:
    """Wait for the end of a process that was killed; its parent may never notice."""
    stat = Path(f"/proc/{pid}/stat")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not stat.exists() or stat.read_text().rpartition(") ")[2][0] == "Z":
            return True
        time.sleep(0.01)
    return False


def test_a_part_that_hangs_fails_or_is_killed_is_reported_and_the_others_run(
    tmp_path: Path,
) -> None:
    parts = [
        python("hangs", HANG, limit=1),
        python("fails", "import sys; print('no kernel image'); sys.exit(3)"),
        python("killed", "import os; os.kill(os.getpid(), 9)"),
        python("tests", "print('2 failed, 41 passed, 1 skipped in 3.2s')"),
    ]
    assert gpu.run_all(parts, tmp_path, "a card") == 1
    assert ends(int((tmp_path / "hangs.log").read_text()))
    written = json.loads((tmp_path / "gpu.json").read_text())
    assert {part["name"]: part["outcome"] for part in written["parts"]} == {
        "hangs": "took more than 1 s",
        "fails": "exit code 3",
        "killed": "killed by SIGKILL",
        "tests": "ended",
    }
    assert written["parts"][1]["end_of_log"] == ["no kernel image"]
    page = (tmp_path / "gpu.md").read_text()
    assert "# Training on a card" in page and "| fails | " in page
    assert "| ended, 2 failed, 41 passed, 1 skipped |" in page


def test_an_interrupted_run_ends_its_part_and_leaves_the_report_of_the_others(
    tmp_path: Path,
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", TWO_PARTS, str(tmp_path), "", HANG],
        env={**os.environ, "PYTHONPATH": "benchmarks"},
        stderr=subprocess.DEVNULL,
    )
    log = tmp_path / "b.log"
    while not (log.exists() and log.read_text().endswith("\n")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    assert ends(int(log.read_text()))
    assert [part["name"] for part in json.loads((tmp_path / "gpu.json").read_text())["parts"]] == [
        "a"
    ]
    assert "| a | " in (tmp_path / "gpu.md").read_text()


@pytest.mark.slow
def test_without_a_gpu_the_script_ends_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        ["benchmarks/gpu.sh", str(tmp_path / "out")],
        env={**os.environ, "PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == gpu.EXIT_NO_GPU
    [line] = done.stderr.splitlines()
    assert "finds no GPU" in line and "make bench-train" in line
    assert not (tmp_path / "out").exists()


def test_the_limits_of_all_parts_are_less_than_ten_minutes(tmp_path: Path) -> None:
    parts = gpu.all_parts(tmp_path)
    assert sum(part.limit + gpu.GRACE for part in parts) < 620
    assert sum(part.limit for part in parts) < 600
    for part in parts:
        for word in part.command:
            assert not word.endswith(".py") or Path(word).exists()


@pytest.mark.slow
def test_a_comparison_with_trl_is_in_both_reports(tmp_path: Path) -> None:
    part = gpu.bench(tmp_path, "tiny")
    slow = gpu.Part(part.name, 900, part.command, part.environment, part.figures)
    assert gpu.run_all([slow], tmp_path, "a CPU") == 0
    [written] = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    runs = written["figures"]["runs"]
    assert runs["ours"][0]["answer_tokens"] == runs["trl"][0]["answer_tokens"] > 0
    page = (tmp_path / "gpu.md").read_text()
    assert "| tiny | ours | " in page and "| tiny | trl | " in page
