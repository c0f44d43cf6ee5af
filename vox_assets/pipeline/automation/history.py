"""History of builds, read from runs and their tags.

Nothing is kept beside the runs, so that it cannot claim more than they did: a build counts only
when its run succeeded, whoever launched it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import dagster as dg

from vox_assets.extract import NO_COMMIT

#: Run tag with the sources that a build covers: one by name, or everything.
BUILD_TAG = "vox/build"
EVERYTHING = "everything"
#: Run tag with the commit of the sources.
COMMIT_TAG = "vox/commit"

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

# The daemon looks every five seconds for runs to start again. What it cannot start (a build from
# the command line) or loses (it reads the run's tags before they are all written) is the sensors'
# to build after this.
SECONDS_UNTIL_STARTED_AGAIN = 60.0
# More builds of one content than any sensor or person starts.
_BUILDS_OF_ONE_CONTENT = 100


def digest_tag(source: str) -> str:
    """Run tag that names the content of `source` which a run was started for."""
    return f"vox/{source}"


def build_tags(covers: str, digests: Mapping[str, str], commit: str | None) -> dict[str, str]:
    """Tags of a run that builds what depends on the sources in `digests`."""
    return {
        BUILD_TAG: covers,
        COMMIT_TAG: commit or NO_COMMIT,
        # Tried again from the start: another build may have replaced tables in the meantime.
        "dagster/retry_strategy": "ALL_STEPS",
        **{digest_tag(source): digest for source, digest in digests.items()},
    }


def last_build(instance: dg.DagsterInstance, source: str) -> dg.RunRecord | None:
    """The newest build that covered `source`, whatever became of it.

    The newest and not the newest good one: a build that failed may have replaced some tables, so
    what an older build made is no longer what is there.
    """
    covering = dg.RunsFilter(tags={BUILD_TAG: [source, EVERYTHING]})
    return next(iter(instance.get_run_records(covering, limit=1)), None)


def is_built(instance: dg.DagsterInstance, source: str, digest: str) -> bool:
    """Whether the tables were built from this content of `source`."""
    last = last_build(instance, source)
    if last is None or last.dagster_run.status != dg.DagsterRunStatus.SUCCESS:
        return False
    return last.dagster_run.tags.get(digest_tag(source)) == digest


def being_built(instance: dg.DagsterInstance) -> dg.DagsterRun | None:
    """A build that is queued, under way, or about to be started again because its process died."""
    under_way = dg.RunsFilter(statuses=UNFINISHED)
    for run in instance.get_runs(under_way):
        if BUILD_TAG in run.tags:
            return run
    died = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.FAILURE], tags={"dagster/will_retry": "true"}
    )
    for record in instance.get_run_records(died, limit=1):
        run, ended = record.dagster_run, record.end_time or 0.0
        waits = time.time() - ended < SECONDS_UNTIL_STARTED_AGAIN
        if BUILD_TAG in run.tags and run.is_complete_and_waiting_to_retry and waits:
            return run
    return None


def attempts(instance: dg.DagsterInstance, digests: Mapping[str, str]) -> Sequence[dg.DagsterRun]:
    """Builds of exactly this content, newest first."""
    tags = {digest_tag(source): digest for source, digest in digests.items()}
    return instance.get_runs(dg.RunsFilter(tags=tags), limit=_BUILDS_OF_ONE_CONTENT)


def root_cause(failure: dg.DagsterEvent) -> tuple[str, str]:
    """Return the class name and the message of the error that made a step fail, on one line each.

    Errors that were raised from another one are skipped. The message is empty when the error has
    none; both are empty when the event has no error.
    """
    error = failure.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    kind, _, message = " ".join(error.message.split() if error else ()).partition(": ")
    return kind, message


def blocked_by(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    """Blocking checks that failed in a run: the same rows would fail them again."""
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
