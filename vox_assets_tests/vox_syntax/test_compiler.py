"""The compiler gives verdicts, and a faulty compiler neither stops nor corrupts a run."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from vox_assets.store.cache import BlobCache
from vox_assets.vox_syntax import compiler
from vox_assets.vox_syntax.compiler import Compiler
from vox_assets_tests.vox_syntax.vox_on_disk import check_count, install


@pytest.fixture
def vox(tmp_path: Path) -> Path:
    return install(tmp_path)


def front_end(vox: Path, verdicts: Path | None = None) -> Compiler:
    return Compiler(vox, os.defpath, BlobCache(verdicts) if verdicts else None)


def test_a_program_is_accepted_or_refused_with_the_first_error(vox: Path) -> None:
    verdicts = front_end(vox).check(["fn good() {}", "fn refuse() {}", "fn fine() {}"])
    assert verdicts == [None, "2:5: Undefined variable: fish", None]


def test_the_name_is_the_version_that_the_compiler_prints(vox: Path) -> None:
    assert front_end(vox).name == "vox 9.8.7+build.65 (abcdef0)"


def test_a_user_interface_module_is_judged_by_the_grammar(vox: Path) -> None:
    modules = ["state n: int = 0", "state refuse: int = 0", "state n: int"]
    said: list[str] = []
    accepted, also_accepted, fault = front_end(vox).check(modules, ui_module=True, log=said.append)
    assert (accepted, also_accepted) == (None, None)
    assert fault is not None
    assert len(said) == 1
    assert "does not know UI modules: the built-in grammar" in said[0]
    assert check_count(vox) == 0, "the compiler reads every file as an ordinary program"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("crash", "killed by SIGSEGV"),
        ("panic", "exit code 101: thread 'main' panicked at parser.rs:7: index out of bounds"),
        ("silent", "exit code 1: it printed nothing"),
        ("garbage", "exit code 1: "),
        ("huge", "printed more than 1,048,576 bytes"),
        ("forge", "says ok=True and exits with 1"),
        ("unexplained", "refuses the program without an error"),
    ],
)
def test_a_failure_of_the_compiler_costs_only_the_verdict_on_that_program(
    vox: Path, source: str, reason: str
) -> None:
    before, fault, after = front_end(vox).check(["good", source, "fine"])
    assert (before, after) == (None, None)
    assert fault is not None
    assert fault.startswith(f"no verdict: {reason}")
    assert "\n" not in fault


def test_a_compiler_that_hangs_is_killed_with_its_child_processes(
    vox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "PROGRAM_SECONDS", 1.0)
    assert front_end(vox).check(["hang"]) == ["no verdict: timed out after 1 s"]
    child = Path("/proc", vox.with_name("left_behind").read_text().strip(), "stat")
    for _ in range(100):
        # Gone, or a zombie that its new parent has not reaped yet.
        if not child.exists() or child.read_text().rpartition(") ")[2].startswith("Z"):
            return
        time.sleep(0.05)
    pytest.fail("the child process of the compiler is still running")


def test_a_batch_that_takes_too_long_leaves_the_rest_without_a_verdict(
    vox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "BATCH_SECONDS", 0.0)
    assert front_end(vox).check(["good"]) == ["no verdict: its batch took longer than 0 s"]
    assert check_count(vox) == 0


def test_a_compiler_that_never_answers_runs_for_one_batch_only(
    vox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "BATCH", 2)
    verdicts = front_end(vox).check([f"silent {number}" for number in range(5)])
    assert check_count(vox) == 2
    assert all(fault and fault.startswith("no verdict: ") for fault in verdicts)


def test_a_compiler_that_does_not_start_gives_no_verdict(tmp_path: Path) -> None:
    executable = tmp_path / "vox"
    executable.write_bytes(b"\x7fELF and nothing more")
    executable.chmod(0o755)
    broken = front_end(executable, tmp_path / "verdicts.sqlite")
    assert broken.name == "vox of unknown version"
    assert broken.check(["good"]) == ["no verdict: the compiler does not start: Exec format error"]
    executable.unlink()
    assert front_end(executable).check(["good"])[0] == (
        "no verdict: the compiler does not start: No such file or directory"
    )


def test_verdicts_are_cached_by_program_and_compiler(vox: Path, tmp_path: Path) -> None:
    store = tmp_path / "cache" / "verdicts.sqlite"
    sources = ["good", "refuse", "good"]
    first = front_end(vox, store).check(sources)
    assert check_count(vox) == 2
    assert front_end(vox, store).check(sources) == first
    assert check_count(vox) == 2
    # Another build of the same version may give other verdicts.
    vox.write_text(vox.read_text() + "# rebuilt\n")
    assert front_end(vox, store).check(sources) == first
    assert check_count(vox) == 4


def test_a_missing_verdict_is_not_cached(vox: Path, tmp_path: Path) -> None:
    for _ in range(2):
        front_end(vox, tmp_path / "verdicts.sqlite").check(["panic"])
    assert check_count(vox) == 2


@pytest.mark.parametrize("source", ["a && b", "if !x {}", "let a = 1;", "`a`", 'let s = "open'])
def test_characters_that_the_compiler_drops_are_refused_without_running_it(
    vox: Path, source: str
) -> None:
    (fault,) = front_end(vox).check([source])
    assert fault is not None
    assert fault.startswith("1:")
    assert check_count(vox) == 0


def test_the_compiler_sees_no_key_of_the_deployment_and_no_file_but_the_program(
    vox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOX_LLM_API_KEY", "hunter2")
    (fault,) = front_end(vox).check(["environment"])
    assert fault is not None
    names = set(fault.partition(": ")[2].split()) - {"PWD", "OLDPWD", "SHLVL", "_"}
    assert names == {"HOME", "LC_ALL", "NO_COLOR", "PATH", "RUST_LOG", "TMPDIR", "program.vox"}
