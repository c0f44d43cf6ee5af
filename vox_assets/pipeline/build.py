"""Runs one job from the command line and prints its tables, checks and output folders."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from vox_assets.contract.rows import CORPUS_TABLES
from vox_assets.extract import NO_COMMIT, SourceError, commits
from vox_assets.pipeline.automation import fingerprint, history, source_versions
from vox_assets.pipeline.automation.instance import prepare_home
from vox_assets.pipeline.automation.terminal_run import is_cancelled, run_job
from vox_assets.pipeline.resources.build_lock import LOCK
from vox_assets.profiles import ProfileError
from vox_assets.settings import Settings, load_settings
from vox_assets.store.files import is_held
from vox_assets.store.lake import Lake, TableMissingError
from vox_assets.store.program import program

#: Runs that `vox-assets status` lists: a day of builds.
SHOWN_BUILDS = 5
#: Exit code of a build that a person ended, as of every other command.
CANCELLED = 130


def build(job_name: str) -> int:
    """Run a job of the code location in this process, on the instance of `Settings.dagster_home`.

    Returns 0 when the run succeeded, CANCELLED when a person ended it, and 1 otherwise, so a failed
    blocking check returns 1.
    """
    settings = load_settings()
    tags = _tags(settings, job_name)
    home = prepare_home(settings)
    # `execute_in_process` would keep every table in memory until the run ends.
    job = dg.build_reconstructable_job(__name__, "named_job", (job_name,))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        free_abandoned_slots(instance, settings)
        report_sources(instance, settings)
        result = run_job(
            job,
            instance,
            tags,
            # Dagster logs every event at debug level; info has one line per stage.
            run_config={"loggers": {"console": {"config": {"log_level": "INFO"}}}},
        )
        checks = _checks(result)
        for line in summary(settings, checks):
            print(line)
        for event in result.get_step_failure_events():
            kind, message = history.root_cause(event)
            # Print the class name only when the error has no message.
            print(f"FAILED {event.step_key}: {message or kind or 'no message'}", file=sys.stderr)
        if is_cancelled(instance, result.run_id):
            print("CANCELLED: the sensors build this content again only after a change of it")
            return CANCELLED
    return 0 if result.success else 1


def report_sources(instance: dg.DagsterInstance, settings: Settings) -> None:
    """Report the versions of the sources that a build is about to read."""
    try:
        fingerprints = fingerprint.sources(settings)
    except (SourceError, ProfileError):
        # The run fails with this error, which names the fault.
        return
    commit = commits(settings.source_roots)
    for event in source_versions.new_versions(instance, fingerprints, commit):
        instance.report_runless_asset_event(event)


def last_builds(home: Path) -> list[dict[str, Any]]:
    """Return the newest runs of the instance in `home`, the newest first."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return [
            {
                "run": record.dagster_run.run_id,
                "job": record.dagster_run.job_name,
                "result": record.dagster_run.status.value.lower(),
                "started": record.start_time,
                "ended": record.end_time,
                "commit": record.dagster_run.tags.get(history.COMMIT_TAG),
            }
            for record in instance.get_run_records(limit=SHOWN_BUILDS)
        ]


def free_abandoned_slots(instance: dg.DagsterInstance, settings: Settings) -> None:
    """Free the pool slots that killed runs left, which no daemon may be there to free.

    An instance that an older dagster.yaml configures limits steps instead of runs, and there a run
    would wait for such a slot for ever. A run takes slots only while it holds the build lock, so
    without a holder every slot was left behind.
    """
    storage = instance.event_log_storage
    if is_held(settings.data_dir / LOCK) or not storage.supports_global_concurrency_limits:
        return
    for run_id in storage.get_concurrency_run_ids():
        storage.free_concurrency_slots_for_run(run_id)
        print(f"freed the pool slots of run {run_id}, whose process has ended", file=sys.stderr)


def named_job(name: str) -> dg.JobDefinition:
    """Return the job of the code location with this name."""
    from vox_assets.pipeline.wiring import build_defs

    return build_defs().resolve_job_def(name)


def _tags(settings: Settings, job_name: str) -> dict[str, str]:
    """Return the run tags by which the sensors and the schedule recognise a build."""
    commit = commits(settings.source_roots)
    if job_name != "rebuild":
        return {
            history.COMMIT_TAG: commit or NO_COMMIT,
            history.PROFILE_TAG: settings.profile.name,
        }
    digests = {name: item.digest for name, item in fingerprint.sources(settings).items()}
    digests["program"] = program()
    return history.build_tags(history.EVERYTHING, digests, commit, settings.profile.name)


def summary(settings: Settings, checks: list[dg.AssetCheckEvaluation]) -> list[str]:
    """Return lines that list the tables, the results of the checks and the output folders."""
    lake = Lake(settings.lake_uri)
    lines = ["", f"{'asset':<18}{'version':>8}{'rows':>9}  lanes"]
    for asset in TABLES:
        try:
            table, version = lake.scan(asset), lake.version(asset)
        except TableMissingError:
            lines.append(f"{asset:<18}{'-':>8}{'-':>9}  not built")
            continue
        height, lanes = table.select(pl.len()).collect().item(), ""
        if "lane" in table.collect_schema():
            counts = table.group_by("lane").len().sort("lane").collect().rows()
            lanes = ", ".join(f"{lane} {count:,}" for lane, count in counts)
        lines.append(f"{asset:<18}{version:>8}{height:>9,}  {lanes}")
    lines += ["", f"{'check':<48}{'verdict':<9}"]
    for check in sorted(checks, key=lambda c: (c.passed, c.asset_check_key.to_user_string())):
        verdict = "passed" if check.passed else check.severity.value.lower()
        name = check.asset_check_key.to_user_string()
        lines.append(f"{name:<48}{verdict:<9}{check.description or ''}")
    lines += [
        "",
        f"tables    {settings.lake_uri}",
        f"adapters  {settings.adapters_dir}",
        f"exports   {settings.exports_dir}",
        f"reports   {settings.reports_dir / 'corpus.html'}, adapter.html",
        "UI        make dev, then http://127.0.0.1:3000",
    ]
    return lines


TABLES = (
    *CORPUS_TABLES,
    "row_ledger",
    "qlora_adapter",
    "adapter_eval",
)


def _checks(result: dg.JobExecutionResult) -> list[dg.AssetCheckEvaluation]:
    return [
        event.asset_check_evaluation_data
        for event in result.all_events
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
