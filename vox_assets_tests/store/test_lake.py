"""Tables are read back as they were written, and errors name a missing table."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from vox_assets.contract.rows import SchemaError, to_frame
from vox_assets.store.lake import Lake, TableMissingError, TableUnreadableError, forget
from vox_assets_tests.conftest import make_pair

# With so many rows, a write takes some milliseconds.
ROWS = 200_000


def test_an_account_is_replaced_even_when_its_columns_change(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.write_account("raw_rust_fns", "files", pl.DataFrame({"a": [1, 2]}))
    lake.write_account("raw_rust_fns", "files", pl.DataFrame({"b": ["x"]}))
    assert lake.read_account("raw_rust_fns", "files").to_dict(as_series=False) == {"b": ["x"]}


def test_the_error_for_a_missing_table_names_it(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    with pytest.raises(TableMissingError, match="scored_corpus is not built yet"):
        lake.read("scored_corpus")
    with pytest.raises(TableMissingError, match="scored_corpus is not built yet"):
        lake.version("scored_corpus")
    with pytest.raises(TableMissingError, match="scored_corpus is not built yet"):
        lake.scan("scored_corpus")


def test_the_error_for_a_damaged_table_is_one_line_that_names_it(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.write("adapter_eval", pl.DataFrame({"v": [1]}))
    (tmp_path / "adapter_eval" / "_delta_log" / f"{1:020}.json").write_text("junk")
    for read in (lake.read, lake.scan, lake.version):
        with pytest.raises(TableUnreadableError, match=r"^adapter_eval at .* expected a") as info:
            read("adapter_eval")
        assert "\n" not in str(info.value)
        assert "unknown>" not in str(info.value)


def test_the_error_for_a_lost_data_file_names_the_table(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.write("adapter_eval", pl.DataFrame({"v": [1]}))
    for path in (tmp_path / "adapter_eval").rglob("*.parquet"):
        path.unlink()
    with pytest.raises(TableUnreadableError, match=r"^adapter_eval at .* cannot be read"):
        lake.read("adapter_eval")


def test_a_scan_reads_selected_columns_of_the_newest_version(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    for value in (1, 2):
        lake.write("adapter_eval", pl.DataFrame({"v": [value], "text": ["x"]}))
    assert lake.scan("adapter_eval").select("v").collect().rows() == [(2,)]


def test_files_of_versions_replaced_long_ago_are_deleted(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    for value in range(3):
        lake.write("qlora_adapter", pl.DataFrame({"v": [value]}))
    uri = lake.uri("qlora_adapter")
    abandoned = tmp_path / "qlora_adapter" / "part-of-a-killed-writer.parquet"
    abandoned.write_bytes(b"half")
    os.utime(abandoned, (0, 0))

    assert forget(uri, timedelta(days=1)) == 1
    assert not abandoned.exists()
    assert lake.read("qlora_adapter", 0)["v"].to_list() == [0]

    assert forget(uri, timedelta()) == 2
    assert lake.version("qlora_adapter") == 2
    assert lake.read("qlora_adapter")["v"].to_list() == [2]
    with pytest.raises(TableMissingError, match="qlora_adapter has no version 0"):
        lake.read("qlora_adapter", 0)


@pytest.mark.slow
def test_a_writer_that_is_killed_at_any_moment_leaves_a_complete_version(tmp_path: Path) -> None:
    program = (
        "import sys, itertools, polars as pl; from vox_assets.store.lake import Lake\n"
        "for version in itertools.count():\n"
        f"    Lake({str(tmp_path)!r}).write('rows', pl.DataFrame({{'v': [version] * {ROWS}}}))\n"
        "    print(version, flush=True)"
    )
    rng = random.Random(7)
    for _ in range(20):
        writer = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.1))
        writer.kill()
        writer.communicate()
        rows = Lake(str(tmp_path)).read("rows")
        assert rows.height == ROWS
        assert rows["v"].n_unique() == 1


def test_a_write_with_another_schema_is_refused_and_keeps_the_old_table(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    rows = to_frame([make_pair("a", "b")])
    lake.write("doc_qa_pairs", rows)
    with pytest.raises(SchemaError, match="doc_qa_pairs: column 5"):
        lake.write("doc_qa_pairs", rows.drop("lane"))
    with pytest.raises(SchemaError, match="doc_qa_pairs's drops: column 2"):
        lake.write_account("doc_qa_pairs", "drops", rows)
    assert lake.version("doc_qa_pairs") == 0
    assert lake.read("doc_qa_pairs").equals(rows)
