"""Change sensors: one run for one change of `crates/` or `docs/`, tried again when it fails."""

import dagster as dg
from pydantic import BaseModel

from vox_assets.automation.fingerprint import fingerprint
from vox_assets.automation.jobs import REBUILD_OF
from vox_assets.extract import git_commit
from vox_assets.resources.settings import Settings

# A tick reads the whole folder, in under a tenth of a second when it is in memory.
SECONDS_BETWEEN_TICKS = 30
# A second try helps against what passes by itself; a third would only repeat a real fault.
ATTEMPTS = 2
#: The tag by which Dagster knows an external asset's data version.
DATA_VERSION_TAG = "dagster/data_version"
#: Run tag that names the content which a run was started for.
TAG = "vox/{source}_digest"

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class Watch(BaseModel):
    """The sensor's cursor: what was seen last and what was built last."""

    seen: str = ""
    built: str = ""


def source_sensor(source: str, folder: str) -> dg.SensorDefinition:
    """The sensor that rebuilds what depends on `source` when `folder` changes."""
    job = REBUILD_OF[source]
    tag = TAG.format(source=source)

    @dg.sensor(
        name=f"{source}_changed",
        job=job,
        minimum_interval_seconds=SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Rebuilds what depends on `{folder}/` once a change of it has come to rest.",
    )
    def changed(
        context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
    ) -> dg.SensorResult:
        watch = Watch.model_validate_json(context.cursor) if context.cursor else Watch()
        now = fingerprint(settings.source_dir / folder)
        if now.digest == watch.built:
            return dg.SensorResult(skip_reason=f"{folder}/ is as it was built")
        if now.digest != watch.seen:
            # A checkout in progress changes from tick to tick: wait until two ticks agree.
            watch.seen = now.digest
            return dg.SensorResult(
                skip_reason=f"{folder}/ has changed: waiting for it to come to rest",
                cursor=watch.model_dump_json(),
            )
        runs = context.instance.get_runs(
            dg.RunsFilter(job_name=job.name, tags={tag: now.digest}), limit=ATTEMPTS
        )
        if any(run.status == dg.DagsterRunStatus.SUCCESS for run in runs):
            watch.built = now.digest
            return dg.SensorResult(
                skip_reason=f"{folder}/ was built from {now.files:,} files",
                cursor=watch.model_dump_json(),
            )
        if any(run.status in _UNFINISHED for run in runs):
            return dg.SensorResult(skip_reason=f"{folder}/ is being built")
        if len(runs) >= ATTEMPTS:
            return dg.SensorResult(
                skip_reason=f"{folder}/ failed {ATTEMPTS} times: mend it, or launch {job.name}"
            )
        commit = git_commit(settings.source_dir)
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    # A run key is never launched twice, so each attempt has its own.
                    run_key=f"{source}-{now.digest}-{len(runs) + 1}",
                    tags={tag: now.digest, "vox/commit": commit or "none"},
                )
            ],
            asset_events=[
                dg.AssetMaterialization(
                    asset_key=source,
                    metadata={"files": now.files, "commit": commit or "not in git"},
                    tags={DATA_VERSION_TAG: now.digest},
                )
            ],
        )

    return changed


SENSORS = [source_sensor("crates", "crates"), source_sensor("docs", "docs/src")]
