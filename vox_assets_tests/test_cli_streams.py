"""The commands read standard input, write standard output, and try their output first."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from vox_assets.cli import _parser, main
from vox_assets.terminal import COLUMNS

SAMPLE = Path("data/sample_workspace").resolve()
ROW = {"prompt": "Why does it wait?", "response": "It waits until the disk has written the page."}


pytestmark = pytest.mark.usefixtures("own_data_dir")


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_dedup_reads_standard_input_and_writes_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(monkeypatch, f"{json.dumps(ROW)}\n{json.dumps(ROW)}\n")
    assert main(["dedup", "-", "-"]) == 0
    printed = capsys.readouterr()
    [row] = map(json.loads, printed.out.splitlines())
    assert row["response"] == ROW["response"]
    assert "1 of 2 rows survive" in printed.err


def test_extract_writes_only_rows_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", "docs", str(SAMPLE), "-"]) == 0
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert len({row["pair_id"] for row in rows}) > 100
    assert f"{len(rows):,} rows from" in printed.err


def test_a_fault_in_standard_input_has_a_line_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(monkeypatch, f"{json.dumps(ROW)}\n{{broken\n")
    assert main(["score", "-", "-"]) == 1
    assert capsys.readouterr().err.startswith("vox-assets: <stdin>:2:2: is no JSON: ")


def test_check_vox_reads_a_program_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(monkeypatch, "fn f() to int {\n    return !x\n}\n")
    assert main(["check-vox", "-"]) == 1
    assert capsys.readouterr().out.startswith("<stdin>:2:12: ")


@pytest.mark.parametrize("command", ["dedup", "score", "extract", "calibrate"])
@pytest.mark.parametrize(
    ("out", "fault"),
    [
        ("absent/out.jsonl", "absent does not exist: expected a folder that exists"),
        ("file/out.jsonl", "file is a file: expected a folder"),
        ("folder.jsonl", "is a folder: expected a file"),
    ],
)
def test_the_output_is_tried_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, out: str, fault: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "folder.json").mkdir()
    path = str(tmp_path / out)
    # The input does not exist either, so the fault of the output is found first.
    arguments = {
        "extract": ["extract", "rust", str(SAMPLE), path],
        "calibrate": ["calibrate", "v9", "absent.jsonl", "--out", path.replace("jsonl", "json")],
    }.get(command, [command, str(tmp_path / "absent.jsonl"), path])
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert fault in error
    assert len(error.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_that_may_not_be_replaced_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("kept")
    out.chmod(0o444)
    assert main(["dedup", str(tmp_path / "absent.jsonl"), str(out)]) == 1
    assert "may not be written" in capsys.readouterr().err
    assert out.read_text() == "kept"


def run(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = f"{sys.executable} -m vox_assets.cli"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace("vox-assets", program)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_reader_that_ends_early_ends_the_command_without_a_traceback(tmp_path: Path) -> None:
    done = run(f"vox-assets extract docs {SAMPLE} - | head -c 10 >/dev/null", tmp_path)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_full_disk_behind_standard_output_is_one_line(tmp_path: Path) -> None:
    done = run("vox-assets cache > /dev/full", tmp_path)
    assert done.returncode == 1
    assert done.stderr == "vox-assets: standard output: No space left on device\n"


def commands() -> dict[str, argparse.ArgumentParser]:
    actions = _parser()._actions
    [choices] = [action.choices for action in actions if isinstance(action.choices, dict)]
    return choices


def test_the_help_of_every_command_has_examples_exit_codes_and_every_argument() -> None:
    assert len(commands()) > 10
    for name, parser in commands().items():
        shown = parser.format_help()
        examples = shown.partition("examples:\n")[2].partition("\n\n")[0].splitlines()
        assert examples, name
        assert all(line.startswith(f"  vox-assets {name}") for line in examples)
        assert re.search(r"exit codes:\n  0    \S.*(\n {7}.*)*\n  1    \S", shown), name
        assert all(len(line) <= COLUMNS for line in shown.splitlines()), name
        for action in parser._actions:
            assert action.help, f"{name}: {action.dest}"


def test_the_examples_of_the_help_have_valid_arguments() -> None:
    for name, parser in commands().items():
        for example in re.findall(r"^  vox-assets (\S.*)$", parser.format_help(), re.MULTILINE):
            words = shlex.split(re.split(r" [<>] ", example)[0])
            assert words[0] == name
            parser.parse_args(words[1:])
