"""A write is visible completely or not at all, and a lock has one holder at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vox_assets.store.files import (
    LockHeldError,
    atomic_directory,
    atomic_file,
    exclusive,
    is_held,
    write_text,
)


def test_a_failed_write_keeps_the_old_content_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    write_text(target, "old")

    def write_and_interrupt() -> None:
        with atomic_file(target) as work:
            work.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_interrupt()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_directory_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "export"
    for name in ("old.txt", "new.txt"):
        with atomic_directory(target) as work:
            (work / name).write_text(name)
    assert [path.name for path in target.iterdir()] == ["new.txt"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_partly_written_directory_never_appears(tmp_path: Path) -> None:
    target = tmp_path / "export"

    def write_and_fail() -> None:
        with atomic_directory(target) as work:
            (work / "part.txt").write_text("x")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_and_fail()
    assert list(tmp_path.iterdir()) == []


def test_a_second_holder_waits_or_is_refused_and_a_killed_holder_leaves_no_lock(
    tmp_path: Path,
) -> None:
    lock = tmp_path / "build.lock"
    program = (
        "import sys, time, pathlib, vox_assets.store.files as files\n"
        "with files.exclusive(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(lock)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert is_held(lock)
    with (
        pytest.raises(LockHeldError, match=r"build\.lock is held by another process$"),
        exclusive(lock, wait=False),
    ):
        pass
    lines: list[str] = []

    def kill_holder(line: str) -> None:
        lines.append(line)
        holder.kill()

    with exclusive(lock, kill_holder):
        assert len(lines) == 1
    assert not is_held(lock)
    holder.wait()
    holder.stdout.close()
