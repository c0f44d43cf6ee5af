"""Tests that the IO manager writes a table only with its documented columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from vox_assets.contract.rows import CORPUS_TABLES, drops_to_frame
from vox_assets.pipeline.automation.history import root_cause
from vox_assets.pipeline.resources.lake_io import ASSET_SCHEMAS, LakeIOManager
from vox_assets.store.lake import Lake, TableMissingError


def materialise(name: str, frame: pl.DataFrame, folder: Path) -> dg.ExecuteInProcessResult:
    @dg.asset(name=name)
    def table() -> pl.DataFrame:
        return frame

    io_manager = LakeIOManager(Lake(str(folder)))
    return dg.materialize([table], resources={"io_manager": io_manager}, raise_on_error=False)


def empty(schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return pl.DataFrame(schema=dict(schema))


@pytest.mark.parametrize("name", sorted(ASSET_SCHEMAS))
def test_a_table_with_its_documented_columns_is_written(name: str, tmp_path: Path) -> None:
    assert materialise(name, empty(ASSET_SCHEMAS[name]), tmp_path).success
    assert Lake(str(tmp_path)).read(name).schema == pl.Schema(ASSET_SCHEMAS[name])


def test_every_corpus_table_has_documented_columns() -> None:
    assert set(ASSET_SCHEMAS) == {*CORPUS_TABLES, "row_ledger", "exam_tasks", "exam_answers"}


@pytest.mark.parametrize(
    ("name", "damage", "fault"),
    [
        (
            "raw_rust_fns",
            lambda rows: rows.with_columns(note=pl.lit("x")),
            "raw_rust_fns: column 21: expected no more columns: is note of type String",
        ),
        (
            "deduped_corpus",
            lambda rows: rows.drop("embedding"),
            "deduped_corpus: column 23: expected embedding of type List(Float32), "
            "but there are 22 columns",
        ),
        (
            "scored_corpus",
            lambda rows: rows.with_columns(pl.col("tokens").cast(pl.Int32)),
            "expected tokens of type Int64: is tokens of type Int32",
        ),
        (
            "training_mix",
            lambda rows: rows.select("weight", pl.exclude("weight")),
            "training_mix: column 1: expected pair_id of type String: is weight of type Float64",
        ),
        (
            "row_ledger",
            lambda rows: rows.rename({"lost_to": "winner"}),
            "row_ledger: column 8: expected lost_to of type String: is winner of type String",
        ),
    ],
)
def test_a_table_with_other_columns_is_refused_and_not_written(
    name: str, damage: Callable[[pl.DataFrame], pl.DataFrame], fault: str, tmp_path: Path
) -> None:
    result = materialise(name, damage(empty(ASSET_SCHEMAS[name])), tmp_path)
    [event] = result.get_step_failure_events()
    kind, message = root_cause(event)
    assert kind == "vox_assets.contract.rows.SchemaError"
    assert fault in message
    with pytest.raises(TableMissingError):
        Lake(str(tmp_path)).read(name)


def test_a_table_of_drops_with_other_columns_fails_its_asset(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    drops = drops_to_frame([]).drop("kind")

    @dg.asset
    def deduped_corpus() -> None:
        lake.write_account("deduped_corpus", "drops", drops)

    [event] = dg.materialize([deduped_corpus], raise_on_error=False).get_step_failure_events()
    assert "deduped_corpus's drops: column 6: expected kind of type String" in root_cause(event)[1]
