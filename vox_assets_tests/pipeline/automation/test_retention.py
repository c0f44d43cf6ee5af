"""Tests that old builds are deleted, except those that made the current tables."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
import pytest

from vox_assets.pipeline.automation import history, retention
from vox_assets.pipeline.automation.retention import delete_old_builds

LONG_AFTER = retention.KEEP.total_seconds() + 60


def run(instance: dg.DagsterInstance, *assets: str, by_hand: bool = False) -> str:
    """Run a build that materialises `assets`; return its id."""

    def asset(name: str) -> dg.AssetsDefinition:
        @dg.asset(name=name)
        def table() -> None:
            print("a line of the step's log")

        return table

    tags = (
        {}
        if by_hand
        else history.build_tags(history.EVERYTHING, {"crates": "c0ffee"}, None, "sample")
    )
    return dg.materialize([asset(name) for name in assets], instance=instance, tags=tags).run_id


def events(instance: dg.DagsterInstance, run_id: str) -> int:
    return len(instance.get_records_for_run(run_id).records)


def logs(instance: dg.DagsterInstance, run_id: str) -> list[Path]:
    return [
        path for path in Path(instance.storage_directory(), run_id).rglob("*") if path.is_file()
    ]


def test_an_old_build_is_deleted_with_its_events_and_logs(instance: dg.DagsterInstance) -> None:
    old, new = run(instance, "crates_table"), run(instance, "crates_table")
    assert events(instance, old)
    assert logs(instance, old)
    assert delete_old_builds(instance, time.time()) == 0
    assert delete_old_builds(instance, time.time() + LONG_AFTER) == 1
    assert [remaining.run_id for remaining in instance.get_runs()] == [new]
    assert events(instance, old) == 0
    assert logs(instance, old) == []


def test_the_run_that_last_materialised_an_asset_is_kept_at_any_age(
    instance: dg.DagsterInstance,
) -> None:
    full_build = run(instance, "crates_table", "adapter")
    partial_build = run(instance, "crates_table")
    assert delete_old_builds(instance, time.time() + LONG_AFTER) == 0
    latest = instance.get_latest_materialization_event(dg.AssetKey("adapter"))
    assert latest is not None
    assert latest.run_id == full_build
    last = history.last_build(instance, "crates")
    assert last is not None
    assert last.dagster_run.run_id == partial_build


def test_a_run_that_a_person_launched_is_kept(instance: dg.DagsterInstance) -> None:
    manual = run(instance, "crates_table", by_hand=True)
    run(instance, "crates_table")
    assert delete_old_builds(instance, time.time() + LONG_AFTER) == 0
    assert instance.has_run(manual)


def test_a_running_build_is_not_deleted(instance: dg.DagsterInstance) -> None:
    tags = history.build_tags(history.EVERYTHING, {}, None, "sample")
    instance.add_run(
        dg.DagsterRun(job_name="rebuild", status=dg.DagsterRunStatus.STARTED, tags=tags)
    )
    assert delete_old_builds(instance, time.time() + LONG_AFTER) == 0


def test_a_tick_deletes_a_limited_number_of_builds_oldest_first(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BUILDS_PER_TICK", 2)
    run_ids = [run(instance, "crates_table") for _ in range(4)]
    assert delete_old_builds(instance, time.time() + LONG_AFTER) == 2
    assert [instance.has_run(run_id) for run_id in run_ids] == [False, False, True, True]
    assert delete_old_builds(instance, time.time() + LONG_AFTER) == 1
    assert delete_old_builds(instance, time.time() + LONG_AFTER) == 0
