"""The lake works on an object store: an S3 server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import dagster as dg
import polars as pl
import pytest
from deltalake import DeltaTable

from vox_assets.contract.rows import SCHEMA, Drop, drops_to_frame, to_frame
from vox_assets.pipeline.resources.build_lock import lake_io_manager
from vox_assets.settings import load_settings
from vox_assets.store.lake import Lake, TableMissingError
from vox_assets_tests.conftest import make_pair
from vox_assets_tests.postgres import free_port


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield a URL in an empty bucket; the server's address and keys are only in the environment."""
    import boto3
    from moto.server import ThreadedMotoServer

    port = free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "word",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="vox")
    yield "s3://vox/lake"
    server.stop()


def test_tables_and_accounts_are_written_replaced_and_read_back(store: str) -> None:
    lake = Lake(store)
    rows = to_frame([make_pair("a", "b"), make_pair("c", "d")])
    drops = drops_to_frame([Drop("training_mix", "token budget")])
    lake.write("training_mix", rows)
    lake.write("training_mix", rows.with_columns(score=pl.lit(7.5)))
    lake.write_account("training_mix", "drops", drops)
    assert lake.read("training_mix").columns == [*SCHEMA, "score"]
    assert lake.version("training_mix") == 1
    assert lake.read_account("training_mix", "drops").height == 1
    assert DeltaTable(lake.uri("training_mix"), version=0).to_pyarrow_table().num_rows == 2


def test_the_error_for_a_missing_table_names_it(store: str) -> None:
    lake = Lake(store)
    with pytest.raises(TableMissingError, match="scored_corpus is not built yet"):
        lake.read("scored_corpus")
    with pytest.raises(TableMissingError, match="scored_corpus is not built yet"):
        lake.version("scored_corpus")


def test_assets_exchange_tables_through_the_store(
    store: str, tmp_path: pytest.TempPathFactory
) -> None:
    settings = load_settings({"VOX_LAKE_URL": store, "VOX_DATA_DIR": str(tmp_path)})

    @dg.asset
    def raw_rust_fns() -> pl.DataFrame:
        return to_frame([make_pair(name, "fn f() {}") for name in "abc"])

    @dg.asset
    def doc_qa_pairs(raw_rust_fns: pl.DataFrame) -> pl.DataFrame:
        return raw_rust_fns.head(2)

    result = dg.materialize(
        [raw_rust_fns, doc_qa_pairs],
        resources={"io_manager": lake_io_manager(settings, lambda _: nullcontext())},
    )
    assert result.success
    assert Lake(store).read("doc_qa_pairs")["prompt"].to_list() == ["a", "b"]
