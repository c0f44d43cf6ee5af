"""Schedules the nightly rebuild."""

import time
from datetime import UTC, datetime

import dagster as dg

from vox_assets.extract import SourceError, commits
from vox_assets.pipeline.automation import fingerprint, history
from vox_assets.pipeline.automation.jobs import rebuild
from vox_assets.profiles import ProfileError
from vox_assets.settings import Settings
from vox_assets.store.program import program

# Between the last merge of a day and the first of the next, in the time zone of the settings.
NIGHTLY = "0 2 * * *"
# Everything is built once a week, even when nothing changed. It proves that builds still work; the
# freshness policies allow one day more than this.
REBUILD_ANYWAY_AFTER_DAYS = 7
_SECONDS_IN_A_DAY = 86_400


def nightly_schedule(timezone: str) -> dg.ScheduleDefinition:
    """Create the schedule that builds everything at 02:00, unless nothing has changed."""

    @dg.schedule(
        name="nightly",
        job=rebuild,
        cron_schedule=NIGHTLY,
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Builds everything every night. Skipped when nothing has changed.",
    )
    def nightly(
        context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[Settings]
    ) -> dg.RunRequest | dg.SkipReason:
        try:
            fingerprints = fingerprint.sources(settings)
        except (SourceError, ProfileError):
            # The run fails with this error, so that an alert is sent.
            return dg.RunRequest()
        digests = {name: entry.digest for name, entry in fingerprints.items()}
        digests["program"] = program()
        unchanged = _unchanged_since(context.instance, digests)
        if unchanged is not None:
            return unchanged
        commit = commits(settings.source_roots)
        return dg.RunRequest(
            tags=history.build_tags(history.EVERYTHING, digests, commit, settings.profile.name)
        )

    return nightly


def _unchanged_since(instance: dg.DagsterInstance, digests: dict[str, str]) -> dg.SkipReason | None:
    """Return the reason to skip the build, or None when it is needed."""
    if not all(history.is_built(instance, name, digest) for name, digest in digests.items()):
        return None
    ended = {
        record.dagster_run.run_id: record.end_time or 0.0
        for record in (history.last_build(instance, name) for name in digests)
        if record is not None
    }
    run_id, when = max(ended.items(), key=lambda item: item[1])
    if time.time() - when >= REBUILD_ANYWAY_AFTER_DAYS * _SECONDS_IN_A_DAY:
        return None
    date = datetime.fromtimestamp(when, UTC).isoformat(" ", "minutes")
    return dg.SkipReason(f"nothing has changed since run {run_id[:8]}, which ended at {date}")
