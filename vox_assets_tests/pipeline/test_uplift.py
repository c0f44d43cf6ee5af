"""Tests that an endpoint adds rows and metadata to `synthetic_pairs` and that no key is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from vox_assets.contract.rows import SOURCE_TABLES
from vox_assets.pipeline.wiring import build_defs
from vox_assets.settings import Settings, load_settings
from vox_assets.store.lake import Lake
from vox_assets_tests.pipeline.conftest import write_profile
from vox_assets_tests.scripted_server import Act, Server, says, serve

KEY = "vk-5d2f90c7a1e84b36"
FEW_QUESTIONS = {
    "synthesis": {"programs": 30, "dialogues": 4, "repairs": 4},
    "uplift": {
        "questions": 6,
        "budget": {"requests": 6, "tokens": 1_000_000, "concurrency": 2},
    },
}


def script(_number: int, body: dict[str, Any]) -> Act:
    """Answer a question about Rust with a new function, and any other with useless text."""
    if "kind: rust" not in body["messages"][-1]["content"]:
        return says("I am sorry, but I am a small model.")
    turn = {
        "instruction": "Write a function that says whether both lamps on the pier burn tonight.",
        "answer": "fn both_burn(left: bool, right: bool) -> bool {\n    left && right\n}",
    }
    return says(json.dumps({"turns": [turn] * (2 if "two to four" in str(body) else 1)}))


@dataclass
class Built:
    """One build with a scripted endpoint that several tests share."""

    settings: Settings
    server: Server
    result: dg.ExecuteInProcessResult

    @property
    def metadata(self) -> dict[str, Any]:
        """Return the metadata of `synthetic_pairs`."""
        (event,) = self.result.asset_materializations_for_node("synthetic_pairs")
        return {name: entry.value for name, entry in event.metadata.items()}


def build_sources(settings: Settings, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    defs = build_defs(resource_overrides={"settings": settings})
    keys = [dg.AssetKey(name) for name in SOURCE_TABLES]
    job = defs.resolve_job_def("corpus")
    return job.execute_in_process(instance=instance, asset_selection=keys)


@pytest.fixture(scope="module")
def built(small_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("uplifted")
    with serve(script) as server, dg.instance_for_test(temp_dir=str(folder)) as instance:
        settings = load_settings(
            {
                "VOX_SOURCE_DIR": str(small_tree),
                "VOX_DATA_DIR": str(folder / "data"),
                "VOX_PROFILE": write_profile(folder / "few.yaml", **FEW_QUESTIONS),
                "VOX_LLM_BASE_URL": server.url,
                "VOX_LLM_MODEL": "scripted",
                "VOX_LLM_API_KEY": KEY,
            }
        )
        yield Built(settings, server, build_sources(settings, instance))


def test_a_row_that_the_model_wrote_is_stored_and_names_its_parent(built: Built) -> None:
    assert built.result.success
    lake = Lake(built.settings.lake_uri)
    (row,) = lake.read("synthetic_pairs").filter(origin="model").iter_rows(named=True)
    assert row["parents"][0] in set(lake.read("raw_rust_fns")["pair_id"])
    assert "both_burn" in row["response"]


def test_the_metadata_counts_requests_tokens_and_reasons_for_drops(built: Built) -> None:
    metadata = built.metadata
    assert metadata["uplift/rows"] == 1
    assert metadata["uplift/requests"] == built.server.requests == 6
    assert metadata["uplift/tokens"] == 600
    counts = {
        record.data["reason"]: record.data["rows"]
        for record in metadata["uplift/drop_reasons"].records
    }
    assert counts["the answer is not JSON"] == 4
    assert sum(counts.values()) == 5


def test_a_build_stores_the_key_in_no_file(built: Built) -> None:
    root = built.settings.data_dir.parent
    files = [path for path in root.rglob("*") if path.is_file()]
    assert any(path.name == "endpoint.sqlite" for path in files)
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    lake = Lake(built.settings.lake_uri)
    tables = [lake.read(name) for name in SOURCE_TABLES]
    assert KEY not in "".join(table.write_json() for table in tables)
    assert KEY not in str(built.result.all_events)


def test_a_second_build_sends_no_request_and_a_build_without_endpoint_keeps_the_other_rows(
    built: Built,
) -> None:
    lake = Lake(built.settings.lake_uri)
    first = lake.read("synthetic_pairs")
    with dg.instance_for_test() as instance:
        assert build_sources(built.settings, instance).success
        assert built.server.requests == 6
        assert lake.read("synthetic_pairs").equals(first)
        without_endpoint = replace(built.settings, language_model=None)
        result = build_sources(without_endpoint, instance)
    (event,) = result.asset_materializations_for_node("synthetic_pairs")
    assert not any(name.startswith("uplift") for name in event.metadata)
    assert lake.read("synthetic_pairs").equals(first.filter(origin="synthetic"))
