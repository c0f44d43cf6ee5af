"""Sensors that request one run for each change of a source, and a second when the first fails.

Dagster's own mechanism is observable source assets with `AutomationCondition`. It lacks three
things that these sensors do: wait for a quiet period, so that a checkout in progress starts
nothing; start one run for a change of several sources; and retry. A condition requests a change
once, and not again when its run fails or never starts.
"""

from collections.abc import Sequence

import dagster as dg
from pydantic import BaseModel

from vox_assets.extract import SourceError, commits
from vox_assets.pipeline.automation import fingerprint, history
from vox_assets.pipeline.automation.jobs import REBUILD_OF, rebuild
from vox_assets.pipeline.automation.source_versions import new_versions
from vox_assets.profiles import ProfileError
from vox_assets.settings import Settings
from vox_assets.store.program import program

# The quiet period. A change is built when two consecutive ticks see the same content.
SECONDS_BETWEEN_TICKS = 30
# A second attempt helps against temporary faults; a third would only repeat a permanent fault.
ATTEMPTS = 2


class Watch(BaseModel):
    """A sensor's cursor: the digests of the last tick.

    The cursor does not record what was built; `history` reads that from the runs.
    """

    seen: dict[str, str] = {}


def source_sensor(source: str) -> dg.SensorDefinition:
    """Create the sensor for `source`, one of `fingerprint.WATCHED`.

    A commit that changes several sources is one change and gives one run: the sensor of the first
    source that changed requests a build of everything, and the others request nothing.
    """
    jobs = [rebuild, REBUILD_OF[source]] if source in REBUILD_OF else [rebuild]

    @dg.sensor(
        name=f"{source}_changed",
        jobs=jobs,
        minimum_interval_seconds=SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Rebuilds the dependents of the {source} when two ticks see the same change.",
    )
    def changed(
        context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
    ) -> dg.SensorResult:
        watch = Watch.model_validate_json(context.cursor) if context.cursor else Watch()
        try:
            fingerprints = fingerprint.sources(settings)
        except (SourceError, ProfileError) as error:
            return dg.SensorResult(skip_reason=str(error))
        digests = {name: item.digest for name, item in fingerprints.items()}
        commit = commits(settings.source_roots)
        events: list[dg.AssetMaterialization] = []
        requests = []
        if digests != watch.seen:
            # A checkout in progress changes from tick to tick.
            watch.seen = digests
            reason = "waiting until two ticks see the same content"
        else:
            events = new_versions(context.instance, {source: fingerprints[source]}, commit)
            request, reason = _build(
                context.instance, source, digests, commit, settings.profile.name
            )
            requests = [request] if request else []
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else reason,
            asset_events=events,
            cursor=watch.model_dump_json(),
        )

    return changed


def _build(
    instance: dg.DagsterInstance,
    source: str,
    digests: dict[str, str],
    commit: str | None,
    profile: str,
) -> tuple[dg.RunRequest | None, str]:
    """Return the run that `source` needs, or None and the reason why it needs none."""
    changed = [
        name for name, digest in digests.items() if not history.is_built(instance, name, digest)
    ]
    if source not in changed:
        return None, f"no change in {source} since the last build"
    if source != changed[0]:
        return None, f"{changed[0]}_changed requests a build of everything"
    running = history.being_built(instance)
    if running is not None:
        return None, f"run {running.run_id[:8]} is building"
    only_one = len(changed) == 1 and source in REBUILD_OF
    job = REBUILD_OF[source] if only_one else rebuild
    changed_digests = {name: digests[name] for name in changed}
    attempts = history.attempts(instance, changed_digests)
    give_up_reason = _give_up_reason(instance, source, attempts)
    if give_up_reason is not None:
        return None, f"{give_up_reason}: change {' or '.join(changed)}, or launch {job.name}"
    return (
        dg.RunRequest(
            # Dagster launches a run key only once, so each attempt has its own.
            run_key="-".join([*changed_digests.values(), str(len(attempts) + 1)]),
            job_name=job.name,
            tags=history.build_tags(
                source if only_one else history.EVERYTHING,
                changed_digests if only_one else {**digests, "program": program()},
                commit,
                profile,
            ),
        ),
        "",
    )


def _give_up_reason(
    instance: dg.DagsterInstance, source: str, attempts: Sequence[dg.DagsterRun]
) -> str | None:
    """Return why no further attempt is made after `attempts` (newest first), or None."""
    last = history.last_build(instance, source)
    if not attempts or last is None or last.dagster_run.run_id != attempts[0].run_id:
        # Other content was built since, so earlier failures of this content no longer count.
        return None
    newest = attempts[0]
    if newest.status == dg.DagsterRunStatus.CANCELED:
        # A person decided against this build. The nightly schedule is the next to start one.
        return f"run {newest.run_id[:8]} was cancelled"
    blocking_checks = history.blocked_by(instance, newest)
    if blocking_checks:
        return f"blocked by {', '.join(blocking_checks)}"
    finished = [run for run in attempts if run.status != dg.DagsterRunStatus.CANCELED][:ATTEMPTS]
    failed = all(run.status != dg.DagsterRunStatus.SUCCESS for run in finished)
    return f"failed {ATTEMPTS} times" if failed and len(finished) == ATTEMPTS else None


SENSORS = [source_sensor(source) for source in fingerprint.WATCHED]
