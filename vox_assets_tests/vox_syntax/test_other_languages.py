"""Front ends of other languages: a tree-sitter grammar, a program with an exit code, or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vox_assets.store.cache import BlobCache
from vox_assets.vox_syntax.other_languages import FrontEndError, Program, TreeSitter, Unchecked

#: Accepts files that contain `good`, prints the others, and counts its runs.
CHECKER = """#!/bin/sh
echo run >> {log}
grep -q good "$1" && exit 0
echo "line 1: not good in $1"
exit 3
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def program(tmp_path: Path, log: Path) -> Program:
    script = tmp_path / "checker"
    script.write_text(CHECKER.format(log=log))
    script.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    return Program(("checker",), ".nu", path, BlobCache(tmp_path / "verdicts.sqlite"))


def test_a_grammar_names_the_place_of_the_first_error() -> None:
    front_end = TreeSitter("tree_sitter_rust")
    assert front_end.name.startswith("tree-sitter-rust ")
    assert front_end.check(["fn a() {}", "let a = 1;\nlet = ;", "fn a() { let x = 1 }"]) == [
        None,
        "2:1: does not parse",
        "1:19: expected ;",
    ]


def test_a_grammar_that_is_not_installed_names_the_command_to_type() -> None:
    with pytest.raises(FrontEndError, match=r"type pip install tree-sitter-sea$"):
        TreeSitter("tree_sitter_sea").check(["a"])


def test_the_exit_code_of_a_program_accepts_or_refuses(program: Program) -> None:
    verdicts = program.check(["good", "bad", "good"])
    assert verdicts == [None, "line 1: not good in program.nu", None]


def test_a_verdict_is_computed_once_for_each_version_of_a_program(
    program: Program, log: Path, tmp_path: Path
) -> None:
    program.check(["good", "bad"])
    assert program.check(["bad", "good"])[1] is None
    assert log.read_text().count("run") == 2
    with (tmp_path / "checker").open("a") as script:
        script.write("# another version\n")
    Program(program.command, ".nu", program.search_path, program.verdicts).check(["good"])
    assert log.read_text().count("run") == 3


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    absent = Program(("nowhere",), ".nu", str(tmp_path), BlobCache(tmp_path / "v.sqlite"))
    with pytest.raises(FrontEndError, match="frontend: nowhere was not found on the path"):
        absent.check(["a"])


def test_without_a_front_end_everything_passes() -> None:
    assert Unchecked().check(["a", "}"]) == [None, None]
