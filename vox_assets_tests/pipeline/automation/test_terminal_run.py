"""Tests that a build from the command line is a run of its job, and that a person can cancel it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from vox_assets.pipeline.automation import history
from vox_assets.pipeline.automation.fingerprint import sources
from vox_assets.pipeline.automation.instance import configuration
from vox_assets.pipeline.automation.sensors import source_sensor
from vox_assets.pipeline.automation.terminal_run import LOCATION, REPOSITORY
from vox_assets.pipeline.build import build
from vox_assets.pipeline.wiring import build_defs
from vox_assets.settings import Settings, load_settings
from vox_assets_tests.postgres import free_port

PROJECT = Path(__file__).parents[3]
#: Longer than a run needs to start and to notice that it was cancelled.
TIMEOUT_SECONDS = 120
LABEL = {".dagster/repository": f"{REPOSITORY}@{LOCATION}"}
PROGRAM = """
import sys, time
from pathlib import Path
import dagster as dg
from vox_assets.pipeline.automation.history import BUILD_TAG, EVERYTHING
from vox_assets.pipeline.automation.terminal_run import run_job

@dg.asset
def trained() -> None:
    Path(sys.argv[2]).touch()
    time.sleep(600)

def job() -> dg.JobDefinition:
    defs = dg.Definitions(
        assets=[trained], jobs=[dg.define_asset_job("rebuild")], executor=dg.in_process_executor
    )
    return defs.resolve_job_def("rebuild")

if __name__ == "__main__":
    with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
        run_job(dg.reconstructable(job), instance, {BUILD_TAG: EVERYTHING}, {}, lambda event: None)
"""


@dataclass
class Built:
    """An instance with the run of a command, and the settings of the command."""

    settings: Settings
    instance: dg.DagsterInstance
    run: dg.DagsterRun


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Build a tree with one function: its table is written, and the rest of the build fails."""
    root = tmp_path_factory.mktemp("terminal")
    source = root / "tree" / "crates" / "a" / "src" / "lib.rs"
    source.parent.mkdir(parents=True)
    source.write_text("/// Doubles a value.\npub fn twice(v: u32) -> u32 {\n    v * 2\n}\n")
    pages = root / "tree" / "docs" / "src"
    pages.mkdir(parents=True)
    (pages / "index.md").write_text("# Page\n")
    environment = {
        "VOX_SOURCE_DIR": str(root / "tree"),
        "VOX_DATA_DIR": str(root / "data"),
        "VOX_PROFILE": "sample",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        settings = load_settings()
        assert build("rebuild_after_crates") == 1
        with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
            [run] = instance.get_runs()
            yield Built(settings, instance, run)


def test_the_job_lists_a_run_of_the_command_line(built: Built) -> None:
    # The filter of the pages of a job and of the list of jobs.
    listed = built.instance.get_runs(dg.RunsFilter(job_name=built.run.job_name, tags=LABEL))
    assert [run.run_id for run in listed] == [built.run.run_id]
    # The overview and the timeline leave out runs without an origin.
    origin = built.run.remote_job_origin
    assert origin is not None
    assert origin.repository_origin.get_label() == LABEL[".dagster/repository"]


def test_the_origin_is_the_code_location_of_the_workspace() -> None:
    [entry] = yaml.safe_load((PROJECT / "workspace.yaml").read_text())["load_from"]
    assert entry["python_module"]["location_name"] == LOCATION


def test_a_table_is_synced_after_a_build_from_the_command_line(built: Built) -> None:
    settings = built.settings
    for _ in range(2):
        for source in history.SOURCES:
            context = dg.build_sensor_context(
                instance=built.instance, resources={"settings": settings}, cursor=cursor(settings)
            )
            result = source_sensor(source)(context)
            assert isinstance(result, dg.SensorResult)
            # The build has reported the versions that it read.
            assert result.asset_events == []
    definitions = build_defs(resource_overrides={"settings": settings})
    resolver = CachingStaleStatusResolver(
        built.instance,
        definitions.resolve_asset_graph(),
        LoadingContextForTest(built.instance),
    )
    assert resolver.get_status(dg.AssetKey("raw_rust_fns")) == StaleStatus.FRESH


def cursor(settings: Settings) -> str:
    """Return the cursor of a sensor that has seen the current content."""
    return json.dumps({"seen": {name: item.digest for name, item in sources(settings).items()}})


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], dg.DagsterInstance]]:
    """Start a command whose run sleeps in a step; yield its process and its instance."""
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(configuration(with_postgres=False))
    (home / "train.py").write_text(PROGRAM)
    started = folder / "started"
    process = subprocess.Popen(
        [sys.executable, str(home / "train.py"), str(home), str(started)], cwd=home
    )
    try:
        wait_until(started.exists)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            yield process, instance
    finally:
        process.kill()
        process.wait()


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_build_that_is_interrupted_in_the_terminal_is_cancelled(tmp_path: Path) -> None:
    with running(tmp_path) as (process, instance):
        process.send_signal(signal.SIGINT)
        process.wait(TIMEOUT_SECONDS)
        [run] = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.CANCELED
        assert history.being_built(instance) is None


def test_a_build_of_the_terminal_that_is_terminated_in_the_ui_ends_cancelled(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as (process, instance):
        [run] = instance.get_runs()
        assert instance.run_coordinator.cancel_run(run.run_id)
        process.wait(TIMEOUT_SECONDS)
        [run] = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.CANCELED


#: What the pages ask: the job's list and the newest run beside a job's name, and the timeline.
UI_QUERY = """
query($job: RunsFilter!, $timeline: RunsFilter!) {
  job: runsFeedOrError(limit: 30, view: RUNS, filter: $job) {
    ... on RunsFeedConnection { results { id runStatus } }
  }
  newest: runsOrError(filter: $job, limit: 1) { ... on Runs { results { id } } }
  timeline: runsOrError(filter: $timeline) {
    ... on Runs {
      results { id pipelineName repositoryOrigin { repositoryName repositoryLocationName } }
    }
  }
}
"""


@pytest.mark.slow
def test_the_pages_of_a_real_web_server_list_a_run_of_the_command_line(built: Built) -> None:
    port = free_port()
    command = [sys.executable, "-m", "dagster_webserver", "--host", "127.0.0.1"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--workspace", "workspace.yaml"],
        cwd=PROJECT,
        env={**os.environ, "DAGSTER_HOME": str(built.settings.dagster_home)},
    )
    tags = [{"key": key, "value": value} for key, value in LABEL.items()]
    variables = {
        "job": {"pipelineName": built.run.job_name, "tags": tags},
        "timeline": {"statuses": ["SUCCESS", "FAILURE", "CANCELED"]},
    }
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": UI_QUERY, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        answer: dict[str, Any] = {}

        def ask() -> bool:
            assert server.poll() is None
            try:
                with urllib.request.urlopen(request) as response:
                    answer.update(json.load(response))
            except OSError:
                return False
            return True

        wait_until(ask)
    finally:
        server.terminate()
        server.wait()
    assert "errors" not in answer, answer
    data = answer["data"]
    assert [run["id"] for run in data["job"]["results"]] == [built.run.run_id]
    assert [run["id"] for run in data["newest"]["results"]] == [built.run.run_id]
    [shown] = data["timeline"]["results"]
    assert shown["pipelineName"] == built.run.job_name
    assert shown["repositoryOrigin"] == {
        "repositoryName": REPOSITORY,
        "repositoryLocationName": LOCATION,
    }
