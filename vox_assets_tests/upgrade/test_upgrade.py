"""What an earlier version wrote can be read, is replaced by a build, or is refused by name.

No version is tagged yet. `tables/` has four rows of each table that commit 641b482^ built from a
part of the bundled workspace, and their drops: without `kind` and `detail`, and `scored_corpus`
without `drop_kind`, `drop_detail` and others. The vectors are shortened.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from deltalake import write_deltalake

from vox_assets.cli import main
from vox_assets.contract.rows import DROP_SCHEMA
from vox_assets.pipeline.resources.lake_io import LakeIOManager
from vox_assets.store.lake import Lake

TABLES = Path(__file__).parent / "tables"
LEDGER = pl.read_parquet(TABLES / "row_ledger.parquet")


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Write the tables of the earlier version below VOX_DATA_DIR."""
    for name in ("VOX_LAKE_URL", "VOX_PROFILE", "VOX_SOURCE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VOX_DATA_DIR", str(tmp_path))
    lake = Lake(str(tmp_path / "lake"))
    for path in sorted(TABLES.glob("*.parquet")):
        asset, _, account = path.stem.partition(".")
        uri = lake.account_uri(asset, account) if account else lake.uri(asset)
        write_deltalake(uri, pl.read_parquet(path).to_arrow())
    return lake


@pytest.mark.parametrize("stage", ["deduped_corpus", "scored_corpus", "training_mix"])
def test_explain_tells_why_an_earlier_build_dropped_a_row(
    lake: Lake, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    [dropped] = LEDGER.filter(fate="dropped", stage=stage).iter_rows(named=True)
    assert main(["explain", dropped["pair_id"]]) == 0
    assert f"{stage}: " in capsys.readouterr().out.splitlines()[-1]


def test_the_next_build_replaces_the_columns_and_keeps_the_earlier_version(lake: Lake) -> None:
    drops = pl.DataFrame(schema=DROP_SCHEMA)
    lake.write_account("deduped_corpus", "drops", drops)
    assert lake.read_account("deduped_corpus", "drops").columns == list(DROP_SCHEMA)
    rows = lake.read("raw_rust_fns")
    lake.write("raw_rust_fns", rows.head(1))
    assert lake.version("raw_rust_fns") == 1
    assert lake.read("raw_rust_fns", 0).equals(rows)


@pytest.mark.parametrize("scanned", [True, False])
def test_one_asset_alone_refuses_tables_of_an_earlier_version_by_name(
    lake: Lake, scanned: bool
) -> None:
    context = dg.build_input_context(
        asset_key=dg.AssetKey("scored_corpus"),
        dagster_type=dg.PythonObjectDagsterType(pl.LazyFrame if scanned else pl.DataFrame),
    )
    with pytest.raises(dg.Failure) as refused:
        LakeIOManager(lake).load_input(context)
    assert refused.value.description == (
        f"scored_corpus at {lake.uri('scored_corpus')} has no column unknown_words: an earlier "
        "version wrote it: build everything again, such as with make corpus"
    )
