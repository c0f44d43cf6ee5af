"""Runs one job from the command line and prints its tables, checks and output folders."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import dagster as dg
import polars as pl

from vox_assets.contract.rows import CORPUS_TABLES
from vox_assets.exam.results import shares
from vox_assets.extract import NO_COMMIT, SourceError, commits
from vox_assets.pipeline.automation import fingerprint, history, source_versions
from vox_assets.pipeline.automation.instance import opened, prepare_home
from vox_assets.pipeline.automation.terminal_run import is_cancelled, run_job
from vox_assets.pipeline.resources.build_lock import LOCK
from vox_assets.pipeline.stages import StageLines, announcement, ending
from vox_assets.profiles import ProfileError
from vox_assets.publish.exam_report import ladder_lines
from vox_assets.settings import Settings, load_settings
from vox_assets.store.files import is_held
from vox_assets.store.lake import Lake, TableMissingError
from vox_assets.store.program import program
from vox_assets.terminal import Console, alone, hanging, table

#: Runs that `vox-assets status` lists: a day of builds.
SHOWN_BUILDS = 5
#: Exit code of a build that a person ended, as of every other command.
CANCELLED = 130


def build(job_name: str, as_json: bool = False) -> int:
    """Run a job of the code location in this process, on the instance of `Settings.dagster_home`.

    Returns 0 when the run succeeded, CANCELLED when a person ended it, and 1 otherwise, so a failed
    blocking check returns 1.
    """
    settings = load_settings()
    tags = _tags(settings, job_name)
    prepare_home(settings)
    started = time.monotonic()
    # `execute_in_process` would keep every table in memory until the run ends.
    job = dg.build_reconstructable_job(__name__, "named_job", (job_name,))
    with opened(settings) as instance:
        free_abandoned_slots(instance, settings)
        report_sources(instance, settings)
        layer = job.get_definition().asset_layer
        assets = [key.to_user_string() for key in layer.selected_asset_keys]
        with alone() as stream:
            console = Console(stream)
            for line in announcement(
                settings, job_name, len(assets), len(layer.asset_graph.asset_check_keys), instance
            ):
                console.line(line)
            stages = StageLines(console, assets)
            result = run_job(
                job,
                instance,
                tags,
                # Dagster logs every event at debug level; info has one line per stage.
                run_config={"loggers": {"console": {"config": {"log_level": "INFO"}}}},
                listener=stages,
            )
            stages.end()
        content = {
            "run": result.run_id,
            "success": result.success,
            "seconds": round(time.monotonic() - started, 1),
            "failures": _failures(result),
            **outcome(settings, _checks(result)),
        }
        _report_failures(settings, content)
        if as_json:
            print(json.dumps(content, indent=1))
        else:
            lines = summary(content)
            lines += ending(settings, job_name, result.success, content["seconds"])
            print("\n".join(lines))
        if is_cancelled(instance, result.run_id):
            print(
                "CANCELLED: the sensors build this content again only after a change of it",
                file=sys.stderr,
            )
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


def _report_failures(settings: Settings, content: dict[str, Any]) -> None:
    for failure in content["failures"]:
        lines = hanging(f"FAILED {failure['step']}: ", failure["reason"], indent=4)
        print("\n".join(lines), file=sys.stderr)
    # What the steps and the training program printed; Dagster shows it beside the run.
    printed = settings.dagster_home / "storage" / content["run"] / "compute_logs"
    if content["failures"] and printed.is_dir():
        print(f"The output of the steps is in {printed}", file=sys.stderr)


def _failures(result: dg.JobExecutionResult) -> list[dict[str, str]]:
    failures = []
    for event in result.get_step_failure_events():
        kind, message = history.root_cause(event)
        # Give the class name only when the error has no message.
        failures.append({"step": event.step_key or "", "reason": message or kind or "no message"})
    return failures


def last_builds(settings: Settings) -> list[dict[str, Any]]:
    """Return the newest runs of the configured instance, the newest first.

    Raises InstanceError when its storage cannot be used.
    """
    with opened(settings) as instance:
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


def outcome(settings: Settings, checks: list[dg.AssetCheckEvaluation]) -> dict[str, Any]:
    """Return the tables, the results of the checks and the output folders."""
    lake = Lake(settings.lake_uri)
    tables: list[dict[str, Any]] = []
    for asset in TABLES:
        try:
            table, version = lake.scan(asset), lake.version(asset)
        except TableMissingError:
            tables.append({"asset": asset, "version": None, "rows": None, "lanes": {}})
            continue
        height, lanes = table.select(pl.len()).collect().item(), {}
        if "lane" in table.collect_schema():
            lanes = dict(table.group_by("lane").len().sort("lane").collect().rows())
        tables.append({"asset": asset, "version": version, "rows": height, "lanes": lanes})
    return {
        "tables": tables,
        "checks": [
            {
                "check": check.asset_check_key.to_user_string(),
                "verdict": "passed" if check.passed else check.severity.value.lower(),
                "summary": check.description or "",
            }
            for check in sorted(
                checks, key=lambda c: (c.passed, c.asset_check_key.to_user_string())
            )
        ],
        "exam": _exam(lake),
        "outputs": {
            "tables": settings.lake_uri,
            "adapters": str(settings.adapters_dir),
            "exports": str(settings.exports_dir),
            "reports": str(settings.reports_dir),
        },
    }


def _exam(lake: Lake) -> list[dict[str, Any]]:
    """Return the share of answers on each rung, per arm; empty without answers."""
    try:
        answers = lake.read("exam_answers")
    except TableMissingError:
        return []
    return shares(answers).to_dicts() if answers.height else []


def summary(content: dict[str, Any]) -> list[str]:
    """Return the lines of an outcome for a terminal."""
    rows = [
        [item["asset"], "-", "-", "not built"]
        if item["version"] is None
        else [
            item["asset"],
            str(item["version"]),
            f"{item['rows']:,}",
            ", ".join(f"{lane} {count:,}" for lane, count in item["lanes"].items()),
        ]
        for item in content["tables"]
    ]
    checks = [[item["check"], item["verdict"], item["summary"]] for item in content["checks"]]
    return [
        "",
        *table(["asset", "version", "rows", "lanes"], rows, {1, 2}),
        "",
        *([*table(["check", "verdict", "summary"], checks), ""] if checks else []),
        *([*ladder_lines(pl.DataFrame(content["exam"])), ""] if content["exam"] else []),
        *(f"{name:<10}{place}" for name, place in content["outputs"].items()),
    ]


TABLES = (
    *CORPUS_TABLES,
    "row_ledger",
    "exam_tasks",
    "qlora_adapter",
    "exam_answers",
    "adapter_eval",
)


def _checks(result: dg.JobExecutionResult) -> list[dg.AssetCheckEvaluation]:
    return [
        event.asset_check_evaluation_data
        for event in result.all_events
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ]
