"""Tables are read back as they were written, and a missing one is named."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from vox_assets.engine.lake import Lake, TableMissingError


def test_an_account_is_replaced_even_when_its_columns_change(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.write_account("raw_rust_fns", "drops", pl.DataFrame({"a": [1, 2]}))
    lake.write_account("raw_rust_fns", "drops", pl.DataFrame({"b": ["x"]}))
    assert lake.read_account("raw_rust_fns", "drops").to_dict(as_series=False) == {"b": ["x"]}


def test_a_table_that_no_build_wrote_is_named(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    with pytest.raises(TableMissingError, match="scored_corpus is not built yet"):
        lake.read("scored_corpus")
    with pytest.raises(TableMissingError, match="scored_corpus is not built yet"):
        lake.version("scored_corpus")
