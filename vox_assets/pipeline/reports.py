"""Gives reports their origin (date, build, checks) and a link that opens from the UI."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager

from vox_assets.extract import NO_COMMIT, commits
from vox_assets.pipeline.metadata import RUN_ID_SHOWN, moment
from vox_assets.publish.pages import CheckLine, Origin, Page
from vox_assets.settings import Settings
from vox_assets.store.files import write_text

_EVALUATED = {
    AssetCheckExecutionRecordStatus.SUCCEEDED,
    AssetCheckExecutionRecordStatus.FAILED,
}


def origin(
    context: dg.AssetExecutionContext,
    settings: Settings,
    checks: Sequence[dg.AssetCheckKey] = (),
    warnings: Sequence[str] = (),
) -> Origin:
    """Return the origin of a report that this run writes, with the last results of `checks`."""
    run = context.run
    facts = {
        "written": moment(time.time()),
        "build": f"run {run.run_id} of job {run.job_name}",
        "source commit": commits(settings.source_roots) or NO_COMMIT,
        "profile": f"{settings.profile.name} ({settings.profile.digest})",
    }
    lines = [_last_result(context.instance, key, run.run_id) for key in checks]
    return Origin(facts, lines, warnings)


def publish(
    context: dg.AssetExecutionContext, settings: Settings, path: Path, page: Page
) -> dict[str, dg.MetadataValue]:
    """Write a report to `path`, and return its path and a link as metadata.

    A browser does not open a link to a file from the UI. The web server serves the folder with the
    output of a run, so a copy is there too, and `old_builds` deletes it with the run.
    """
    html = page.html()
    write_text(path, html)
    metadata: dict[str, dg.MetadataValue] = {"report_file": dg.MetadataValue.path(str(path))}
    logs = context.instance.compute_log_manager
    if isinstance(logs, LocalComputeLogManager):
        key = (context.run.run_id, "reports", path.stem)
        write_text(Path(logs.get_captured_local_path(key, "html")), html)
        url = f"{settings.ui_url}/logs/{'/'.join(key)}/html"
        metadata = {"report": dg.MetadataValue.url(url), **metadata}
    return metadata


def _last_result(instance: dg.DagsterInstance, key: dg.AssetCheckKey, run_id: str) -> CheckLine:
    name = key.to_user_string()
    [*records] = instance.event_log_storage.get_asset_check_execution_history(
        key, limit=1, status=_EVALUATED
    )
    evaluation = records[0].evaluation if records else None
    if evaluation is None:
        return CheckLine(name, "not evaluated", "", "")
    this_build = records[0].run_id == run_id
    build = "this" if this_build else f"run {records[0].run_id[:RUN_ID_SHOWN]}"
    summary = evaluation.description or ""
    if evaluation.passed:
        outcome = "passed"
    elif summary.startswith("undecided"):
        outcome = "undecided"
    else:
        outcome = "failed" if evaluation.severity == dg.AssetCheckSeverity.ERROR else "warns"
    return CheckLine(name, outcome, summary, build)
