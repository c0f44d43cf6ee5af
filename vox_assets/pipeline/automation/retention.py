"""Deletes old builds with their events and logs.

Dagster purges ticks by the `retention` of dagster.yaml, and keeps runs and events for ever. Only
builds gather by themselves; what a person launched stays until a person deletes it.
"""

import time
from datetime import UTC, datetime, timedelta

import dagster as dg

from vox_assets.pipeline.automation.history import BUILD_TAG

# As long as the ticks of the schedule: three months of row counts and verdicts.
KEEP = timedelta(days=90)
SECONDS_BETWEEN_TICKS = 3600
# A tick may take sixty seconds, and one build is deleted in far less than one; a month of them is
# worked off within a day.
BUILDS_PER_TICK = 30


@dg.sensor(
    name="old_builds",
    minimum_interval_seconds=SECONDS_BETWEEN_TICKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=f"Deletes builds that ended more than {KEEP.days} days ago, with their events and "
    "logs, but for those that made what stands. Tables and adapters are not touched.",
)
def old_builds(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    forgotten = forget_builds(context.instance, time.time())
    return dg.SkipReason(f"deleted {forgotten} builds of more than {KEEP.days} days ago")


def forget_builds(instance: dg.DagsterInstance, now: float) -> int:
    """Delete the oldest builds that ended more than KEEP before `now`; how many there were.

    A run stays that is the latest to have materialised some asset, however long ago that was: what
    stands keeps its history.
    """
    old = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.SUCCESS,
            dg.DagsterRunStatus.FAILURE,
            dg.DagsterRunStatus.CANCELED,
        ],
        updated_before=datetime.fromtimestamp(now, UTC) - KEEP,
    )
    current = _latest_runs(instance)
    forgotten = 0
    for run in instance.get_runs(old, ascending=True):
        if BUILD_TAG not in run.tags or run.run_id in current:
            continue
        instance.compute_log_manager.delete_logs(prefix=[run.run_id])
        instance.delete_run(run.run_id)
        forgotten += 1
        if forgotten == BUILDS_PER_TICK:
            break
    return forgotten


def _latest_runs(instance: dg.DagsterInstance) -> set[str]:
    """Ids of the runs that materialised some asset last."""
    records = instance.get_asset_records(instance.get_asset_keys())
    latest = (record.asset_entry.last_materialization_record for record in records)
    return {record.event_log_entry.run_id for record in latest if record is not None}
