"""The grammar's tables are kept beside the bytecode, and trusted only whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vox_assets.vox_syntax import builtin


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that tables are kept in; no parser is in memory."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    builtin._parser.cache_clear()
    yield tmp_path
    builtin._parser.cache_clear()


def _verdicts() -> list[list[str]]:
    builtin._parser.cache_clear()
    programs = ["fn a() to int { return 1 }", "fn a( {", "let x = 1; let y = 2"]
    return [[str(fault) for fault in builtin.check(program)] for program in programs]


def test_kept_tables_judge_like_new_ones_and_damaged_ones_are_not_used(kept: Path) -> None:
    computed = _verdicts()
    assert [bool(faults) for faults in computed] == [False, True, True]
    (tables,) = kept.rglob("*.lalr")
    written = tables.stat().st_mtime_ns
    assert _verdicts() == computed
    assert tables.stat().st_mtime_ns == written
    half = tables.read_bytes()[: tables.stat().st_size // 2]
    tables.write_bytes(half)
    assert _verdicts() == computed
    assert tables.stat().st_size > len(half)


def test_nothing_is_written_where_python_writes_no_bytecode(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert not _verdicts()[0]
    assert not list(kept.rglob("*.lalr"))
