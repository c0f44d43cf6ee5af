"""The parser tables are cached beside the bytecode, and damaged tables are not used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vox_assets.vox_syntax import builtin


@pytest.fixture
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of the cached tables, and remove the parser from memory."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    builtin._parser.cache_clear()
    yield tmp_path
    builtin._parser.cache_clear()


def _verdicts() -> list[list[str]]:
    builtin._parser.cache_clear()
    programs = ["fn a() to int { return 1 }", "fn a( {", "let x = 1; let y = 2"]
    return [[str(diagnostic) for diagnostic in builtin.check(program)] for program in programs]


def test_cached_tables_give_the_same_verdicts_and_damaged_tables_are_replaced(
    cache_dir: Path,
) -> None:
    computed = _verdicts()
    assert [bool(messages) for messages in computed] == [False, True, True]
    (tables,) = cache_dir.rglob("*.lalr")
    written = tables.stat().st_mtime_ns
    assert _verdicts() == computed
    assert tables.stat().st_mtime_ns == written
    half = tables.read_bytes()[: tables.stat().st_size // 2]
    tables.write_bytes(half)
    assert _verdicts() == computed
    assert tables.stat().st_size > len(half)


def test_no_table_is_written_if_python_writes_no_bytecode(
    cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert not _verdicts()[0]
    assert not list(cache_dir.rglob("*.lalr"))
