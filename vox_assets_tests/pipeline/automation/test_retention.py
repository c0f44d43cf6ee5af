"""Builds of long ago go with their events and logs; what made the tables that stand stays."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
import pytest

from vox_assets.pipeline.automation import history, retention
from vox_assets.pipeline.automation.retention import forget_builds

LONG_AFTER = retention.KEEP.total_seconds() + 60


def run(instance: dg.DagsterInstance, *assets: str, by_hand: bool = False) -> str:
    """A real run that materialises `assets`; its id."""

    def made(name: str) -> dg.AssetsDefinition:
        @dg.asset(name=name)
        def table() -> None:
            print("into the log of the step")

        return table

    tags = {} if by_hand else history.build_tags(history.EVERYTHING, {"crates": "c0ffee"}, None)
    return dg.materialize([made(name) for name in assets], instance=instance, tags=tags).run_id


def events(instance: dg.DagsterInstance, run_id: str) -> int:
    return len(instance.get_records_for_run(run_id).records)


def logs(instance: dg.DagsterInstance, run_id: str) -> list[Path]:
    return [
        path for path in Path(instance.storage_directory(), run_id).rglob("*") if path.is_file()
    ]


def test_a_build_of_long_ago_goes_with_its_events_and_logs(instance: dg.DagsterInstance) -> None:
    old, new = run(instance, "crates_table"), run(instance, "crates_table")
    assert events(instance, old)
    assert logs(instance, old)
    assert forget_builds(instance, time.time()) == 0
    assert forget_builds(instance, time.time() + LONG_AFTER) == 1
    assert [one.run_id for one in instance.get_runs()] == [new]
    assert events(instance, old) == 0
    assert logs(instance, old) == []


def test_what_stands_keeps_its_history_however_old(instance: dg.DagsterInstance) -> None:
    whole = run(instance, "crates_table", "adapter")
    part = run(instance, "crates_table")
    assert forget_builds(instance, time.time() + LONG_AFTER) == 0
    latest = instance.get_latest_materialization_event(dg.AssetKey("adapter"))
    assert latest is not None
    assert latest.run_id == whole
    last = history.last_build(instance, "crates")
    assert last is not None
    assert last.dagster_run.run_id == part


def test_what_a_person_launched_is_left_to_that_person(instance: dg.DagsterInstance) -> None:
    mine = run(instance, "crates_table", by_hand=True)
    run(instance, "crates_table")
    assert forget_builds(instance, time.time() + LONG_AFTER) == 0
    assert instance.has_run(mine)


def test_a_build_that_goes_on_is_not_deleted(instance: dg.DagsterInstance) -> None:
    tags = history.build_tags(history.EVERYTHING, {}, None)
    instance.add_run(
        dg.DagsterRun(job_name="rebuild", status=dg.DagsterRunStatus.STARTED, tags=tags)
    )
    assert forget_builds(instance, time.time() + LONG_AFTER) == 0


def test_a_tick_deletes_a_bounded_number_the_oldest_first(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BUILDS_PER_TICK", 2)
    runs = [run(instance, "crates_table") for _ in range(4)]
    assert forget_builds(instance, time.time() + LONG_AFTER) == 2
    assert [instance.has_run(one) for one in runs] == [False, False, True, True]
    assert forget_builds(instance, time.time() + LONG_AFTER) == 1
    assert forget_builds(instance, time.time() + LONG_AFTER) == 0
