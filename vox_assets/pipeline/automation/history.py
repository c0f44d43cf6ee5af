"""Reads the history of builds from runs and their tags.

No other state is stored, so the history cannot contradict the runs. Content counts as built only
when the run succeeded, whoever launched it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.storage.tags import WILL_RETRY_TAG

from vox_assets.extract import NO_COMMIT

#: Run tag that marks a build. Its value is the name of the source that it covers, or EVERYTHING.
BUILD_TAG = "vox/build"
EVERYTHING = "everything"
#: The source assets. A build covers what depends on one of them, or everything.
SOURCES = ("crates", "docs")
#: Run tag with the commit of the sources.
COMMIT_TAG = "vox/commit"
#: Run tag with the name of the profile.
PROFILE_TAG = "vox/profile"

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

# The daemon looks every five seconds for runs to retry. It cannot retry a build from the command
# line, and loses a retry when it reads the run's tags before all are written. After this time, the
# sensors start the build instead.
RETRY_GRACE_SECONDS = 60.0
# A run is late when it takes this many times as long as the longest of the last successful runs of
# its job. A tree that grew or empty caches seldom double the time.
LATE_FACTOR = 2.0
RUNS_COMPARED = 10
# Shorter runs are never late: a cold start alone can double a run of a few minutes.
LEAST_LATE_SECONDS = 1800.0
# Without a successful run to compare with, the time after which run monitoring ends a run.
LATE_WITHOUT_HISTORY_SECONDS = 21_600.0
# More than the number of builds that sensors and people start for the same content.
_MAX_ATTEMPTS_READ = 100


def digest_tag(source: str) -> str:
    """Return the name of the run tag with the digest of `source` that a run builds.

    The UI does not show tags with this prefix: nobody filters by a digest.
    """
    return f".dagster/vox_{source}"


def build_tags(
    covers: str, digests: Mapping[str, str], commit: str | None, profile: str
) -> dict[str, str]:
    """Return the tags of a run that builds everything that depends on the sources in `digests`.

    `profile` is the name of the profile.
    """
    return {
        BUILD_TAG: covers,
        COMMIT_TAG: commit or NO_COMMIT,
        PROFILE_TAG: profile,
        # Retry all steps: another build may have replaced tables in the meantime.
        "dagster/retry_strategy": "ALL_STEPS",
        **{digest_tag(source): digest for source, digest in digests.items()},
    }


def last_build(instance: dg.DagsterInstance, source: str) -> dg.RunRecord | None:
    """Return the newest build that covered `source`, whether it succeeded or not.

    A failed build counts too: it may have replaced some tables, so the tables in the lake are no
    longer those of an older build.
    """
    covering = dg.RunsFilter(tags={BUILD_TAG: [source, EVERYTHING]})
    return next(iter(instance.get_run_records(covering, limit=1)), None)


def last_build_failed(instance: dg.DagsterInstance) -> bool:
    """Test whether the newest build that ended has failed, and Dagster does not retry it.

    A cancelled build does not count.
    """
    ended = dg.RunsFilter(
        tags={BUILD_TAG: [EVERYTHING, *SOURCES]},
        statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
    )
    newest = next(iter(instance.get_runs(ended, limit=1)), None)
    return (
        newest is not None
        and newest.status == dg.DagsterRunStatus.FAILURE
        and newest.tags.get(WILL_RETRY_TAG) != "true"
    )


def is_built(instance: dg.DagsterInstance, source: str, digest: str) -> bool:
    """Test whether the newest build of `source` succeeded and was started for `digest`."""
    last = last_build(instance, source)
    if last is None or last.dagster_run.status != dg.DagsterRunStatus.SUCCESS:
        return False
    return last.dagster_run.tags.get(digest_tag(source)) == digest


def being_built(instance: dg.DagsterInstance) -> dg.DagsterRun | None:
    """Return a build that is queued, running, or waiting for a retry because its process died."""
    unfinished = dg.RunsFilter(statuses=UNFINISHED)
    for run in instance.get_runs(unfinished):
        if BUILD_TAG in run.tags:
            return run
    to_retry = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], tags={WILL_RETRY_TAG: "true"})
    for record in instance.get_run_records(to_retry, limit=1):
        run, ended = record.dagster_run, record.end_time or 0.0
        in_time = time.time() - ended < RETRY_GRACE_SECONDS
        if BUILD_TAG in run.tags and run.is_complete_and_waiting_to_retry and in_time:
            return run
    return None


@dataclass(frozen=True)
class LateRun:
    """An unfinished run and its age, with the longest duration of earlier runs of its job."""

    run: dg.DagsterRun
    age: float
    #: None when no run of the job has succeeded.
    usual: float | None


def late_runs(instance: dg.DagsterInstance, now: float) -> list[LateRun]:
    """Return the runs that have not ended in twice their job's usual time, oldest first.

    The time counts from the creation of the run, so a run that only waits in the queue, for a lock
    or for a pool is late too.
    """
    late = []
    unfinished = instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED), ascending=True)
    for record in unfinished:
        age = now - record.create_timestamp.timestamp()
        if age <= LEAST_LATE_SECONDS:
            continue
        usual = _usual_seconds(instance, record.dagster_run.job_name)
        limit = LATE_WITHOUT_HISTORY_SECONDS if usual is None else LATE_FACTOR * usual
        if age > limit:
            late.append(LateRun(record.dagster_run, age, usual))
    return late


def _usual_seconds(instance: dg.DagsterInstance, job: str) -> float | None:
    """Return the longest time from creation to end of the last successful runs of a job."""
    succeeded = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS])
    records = instance.get_run_records(succeeded, limit=RUNS_COMPARED)
    return max(
        (
            record.end_time - record.create_timestamp.timestamp()
            for record in records
            if record.end_time is not None
        ),
        default=None,
    )


def attempts(instance: dg.DagsterInstance, digests: Mapping[str, str]) -> Sequence[dg.DagsterRun]:
    """Return the builds that were started for exactly this content, newest first."""
    tags = {digest_tag(source): digest for source, digest in digests.items()}
    return instance.get_runs(dg.RunsFilter(tags=tags), limit=_MAX_ATTEMPTS_READ)


def root_cause(failure: dg.DagsterEvent) -> tuple[str, str]:
    """Return the class name and the message of the error that made a step fail, on one line each.

    An error that was raised from another error is skipped. The message is empty when the error has
    none; both are empty when the event has no error.
    """
    error = failure.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    kind, _, message = " ".join(error.message.split() if error else ()).partition(": ")
    return kind, message


def blocked_by(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    """Return the blocking checks that failed in a run. The same rows would fail them again."""
    evaluations = [
        record.event_log_entry.dagster_event.asset_check_evaluation_data
        for record in instance.get_records_for_run(
            run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        ).records
        if record.event_log_entry.dagster_event is not None
    ]
    return sorted(
        item.asset_check_key.to_user_string()
        for item in evaluations
        if item.blocking and not item.passed and item.severity == dg.AssetCheckSeverity.ERROR
    )
