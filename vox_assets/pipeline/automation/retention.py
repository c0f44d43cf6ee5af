"""Deletes old builds with their events and logs.

Dagster purges ticks by the `retention` of dagster.yaml, but never purges runs and events. Only
runs with the tag of a build accumulate by themselves and are deleted here. Runs that a person
launched stay until a person deletes them.
"""

import time
from datetime import UTC, datetime, timedelta

import dagster as dg

from vox_assets.pipeline.automation.history import BUILD_TAG

# Three months of row counts and check results, as long as the ticks of the schedule are kept.
KEEP = timedelta(days=90)
SECONDS_BETWEEN_TICKS = 3600
# A tick may take sixty seconds, and deleting one build takes far less than one. At one tick per
# hour, a backlog of a month is deleted within a day.
BUILDS_PER_TICK = 30


@dg.sensor(
    name="old_builds",
    minimum_interval_seconds=SECONDS_BETWEEN_TICKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=f"Deletes builds that ended more than {KEEP.days} days ago, with their events and "
    "logs. Keeps each run that last materialised an asset. Deletes no tables and no adapters.",
)
def old_builds(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    deleted = delete_old_builds(context.instance, time.time())
    return dg.SkipReason(f"deleted {deleted} builds that ended more than {KEEP.days} days ago")


def delete_old_builds(instance: dg.DagsterInstance, now: float) -> int:
    """Delete the oldest builds that ended more than KEEP before `now` and return their number.

    A run that last materialised an asset is kept regardless of its age, so that the current tables
    and adapters keep their history.
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
    deleted = 0
    for run in instance.get_runs(old, ascending=True):
        if BUILD_TAG not in run.tags or run.run_id in current:
            continue
        instance.compute_log_manager.delete_logs(prefix=[run.run_id])
        instance.delete_run(run.run_id)
        deleted += 1
        if deleted == BUILDS_PER_TICK:
            break
    return deleted


def _latest_runs(instance: dg.DagsterInstance) -> set[str]:
    """Return the ids of the runs that last materialised an asset."""
    records = instance.get_asset_records(instance.get_asset_keys())
    latest = (record.asset_entry.last_materialization_record for record in records)
    return {record.event_log_entry.run_id for record in latest if record is not None}
