"""The command `status` shows what a deployment uses and built, shows no secret, writes nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import dagster as dg
import pytest

from vox_assets.cli import main
from vox_assets.pipeline.automation.history import COMMIT_TAG
from vox_assets.pipeline.automation.instance import prepare_home
from vox_assets.settings import VARIABLES, load_settings
from vox_assets.store.cache import BlobCache


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VOX_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def test_the_status_of_a_new_folder_is_empty_and_writes_nothing(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert list(content["settings"]) == list(VARIABLES)
    assert content["settings"]["VOX_PROFILE"] == {"value": "sample", "from": "default"}
    assert content["settings"]["VOX_DATA_DIR"] == {"value": str(data), "from": "environment"}
    assert (content["builds"], content["promoted"], content["caches"]) == ([], None, [])
    assert main(["status"]) == 0
    assert "no builds yet" in capsys.readouterr().out
    assert not data.exists()


def test_the_status_lists_the_last_builds_the_promoted_adapter_and_the_caches(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with dg.DagsterInstance.from_config(str(prepare_home(load_settings()))) as instance:
        for number in range(7):
            run = dg.DagsterRun(
                job_name="corpus",
                status=dg.DagsterRunStatus.FAILURE,
                tags={COMMIT_TAG: f"c0ffee{number}"},
            )
            instance.add_run(run)
    (data / "adapters").mkdir()
    entry = {"digest": "ab12", "at": "2026-01-01T00:00:00+00:00", "by": "command", "reason": "why"}
    (data / "adapters" / "promoted.json").write_text(json.dumps(entry))
    BlobCache(data / "cache" / "vectors.sqlite").put({"a": b"1", "b": b"2"})

    assert main(["status", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    commits = [build["commit"] for build in content["builds"]]
    assert commits == [f"c0ffee{number}" for number in (6, 5, 4, 3, 2)]
    assert {build["result"] for build in content["builds"]} == {"failure"}
    assert content["promoted"]["digest"] == "ab12"
    [cache] = content["caches"]
    assert (cache["name"], cache["entries"]) == ("vectors", 2)

    assert main(["status"]) == 0
    printed = capsys.readouterr().out
    assert "c0ffee6" in printed
    assert "ab12 since 2026-01-01T00:00:00+00:00, by command: why" in printed


def test_the_status_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "VOX_LLM_BASE_URL": "https://llm.example/v1",
        "VOX_LLM_MODEL": "some/model",
        "VOX_LLM_API_KEY": "hunter2",
        "VOX_ALERT_URLS": "json://hunter2@host.example/hunter2",
        "VOX_HEARTBEAT_URL": "https://hc.example/ping/hunter2",
        "VOX_LAKE_URL": "s3://hunter2@bucket/lake",
        "DAGSTER_POSTGRES_URL": "postgresql://me:hunter2@host/db",
    }.items():
        monkeypatch.setenv(name, value)
    for arguments in (["status"], ["status", "--json"]):
        assert main(arguments) == 0
        printed = capsys.readouterr().out
        assert "hunter2" not in printed
        assert "s3://bucket/lake" in printed
        assert "1 channel" in printed
    assert os.environ["VOX_LLM_API_KEY"] == "hunter2"
