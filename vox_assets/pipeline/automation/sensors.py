"""Change sensors: one run for each change of a source, with a second attempt when it fails.

Dagster's own means for this are observable source assets with `AutomationCondition`. They do not
do three things that these sensors do: wait for a quiet period, so that a checkout in progress
starts nothing; start one run for a change of several sources; and try a change twice. A condition
asks once for a change and does not ask again when its run fails or never starts.
"""

from collections.abc import Sequence

import dagster as dg
from pydantic import BaseModel

from vox_assets.extract import NO_COMMIT, SourceError, commits
from vox_assets.pipeline.automation import fingerprint, history
from vox_assets.pipeline.automation.jobs import REBUILD_OF, rebuild
from vox_assets.profiles import ProfileError
from vox_assets.settings import Settings
from vox_assets.store.program import program

# The quiet period: a change is built when two ticks, this far apart, see the same content.
SECONDS_BETWEEN_TICKS = 30
# A second attempt helps against temporary faults; a third would only repeat a lasting one.
ATTEMPTS = 2
#: The tag by which Dagster knows an external asset's data version.
DATA_VERSION_TAG = "dagster/data_version"


class Watch(BaseModel):
    """A sensor's cursor: the digests of the last tick, and the data version last reported.

    What has been built is not stored here. It is read from the runs, so it moves on success only.
    """

    seen: dict[str, str] = {}
    reported: str = ""


def source_sensor(source: str) -> dg.SensorDefinition:
    """Create the sensor that rebuilds what depends on `source`, one of `fingerprint.WATCHED`.

    A commit that changes several sources is one change and gives one run: the sensor of the first
    source that changed requests a build of everything, and the others request nothing.
    """
    jobs = [rebuild, REBUILD_OF[source]] if source in REBUILD_OF else [rebuild]

    @dg.sensor(
        name=f"{source}_changed",
        jobs=jobs,
        minimum_interval_seconds=SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Rebuilds what depends on the {source} when two ticks see the same change.",
    )
    def changed(
        context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
    ) -> dg.SensorResult:
        watch = Watch.model_validate_json(context.cursor) if context.cursor else Watch()
        try:
            now = fingerprint.sources(settings)
        except (SourceError, ProfileError) as error:
            return dg.SensorResult(skip_reason=str(error))
        digests = {name: source_now.digest for name, source_now in now.items()}
        commit = commits(settings.source_roots)
        events = []
        requests = []
        if digests != watch.seen:
            # A checkout in progress changes from tick to tick.
            watch.seen = digests
            reason = "waiting until two ticks see the same content"
        else:
            if source in REBUILD_OF and digests[source] != watch.reported:
                events = [_observed(source, now[source], commit)]
                watch.reported = digests[source]
            request, reason = _build(context.instance, source, digests, commit)
            requests = [request] if request else []
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else reason,
            asset_events=events,
            cursor=watch.model_dump_json(),
        )

    return changed


def _build(
    instance: dg.DagsterInstance, source: str, digests: dict[str, str], commit: str | None
) -> tuple[dg.RunRequest | None, str]:
    """Return the run that `source` needs, or None and the reason why it needs none."""
    changed = [
        name for name, digest in digests.items() if not history.is_built(instance, name, digest)
    ]
    if source not in changed:
        return None, f"{source} as it was built"
    if source != changed[0]:
        return None, f"left to {changed[0]}_changed, which builds everything"
    under_way = history.being_built(instance)
    if under_way is not None:
        return None, f"run {under_way.run_id[:8]} is building"
    alone = len(changed) == 1 and source in REBUILD_OF
    job = REBUILD_OF[source] if alone else rebuild
    wanted = {name: digests[name] for name in changed}
    tried = history.attempts(instance, wanted)
    given_up = _given_up(instance, source, tried)
    if given_up is not None:
        return None, f"{given_up}: fix {' or '.join(changed)}, or launch {job.name}"
    return (
        dg.RunRequest(
            # A run key is never launched twice, so each attempt has its own.
            run_key="-".join([*wanted.values(), str(len(tried) + 1)]),
            job_name=job.name,
            tags=history.build_tags(
                source if alone else history.EVERYTHING,
                wanted if alone else {**digests, "program": program()},
                commit,
            ),
        ),
        "",
    )


def _given_up(
    instance: dg.DagsterInstance, source: str, tried: Sequence[dg.DagsterRun]
) -> str | None:
    """Return why this content is not built again after the builds in `tried`, newest first."""
    last = history.last_build(instance, source)
    if not tried or last is None or last.dagster_run.run_id != tried[0].run_id:
        # Another content was built since, so an earlier failure of this one no longer counts.
        return None
    refused = history.blocked_by(instance, tried[0])
    if refused:
        return f"refused by {', '.join(refused)}"
    failed = all(run.status != dg.DagsterRunStatus.SUCCESS for run in tried[:ATTEMPTS])
    return f"failed {ATTEMPTS} times" if failed and len(tried) >= ATTEMPTS else None


def _observed(
    source: str, current: fingerprint.Fingerprint, commit: str | None
) -> dg.AssetMaterialization:
    """Report the data version of an external asset."""
    return dg.AssetMaterialization(
        asset_key=source,
        metadata={"files": current.files, "commit": commit or NO_COMMIT},
        tags={DATA_VERSION_TAG: current.digest},
    )


SENSORS = [source_sensor(source) for source in fingerprint.WATCHED]
