"""Tests that a run counts as running while a build holds the lock, and as failed later."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus

from vox_assets.pipeline.automation import launcher
from vox_assets.pipeline.automation.instance import configuration
from vox_assets.pipeline.resources.build_lock import LOCK
from vox_assets.store.files import exclusive

RUN = dg.DagsterRun(job_name="rebuild", status=dg.DagsterRunStatus.STARTED)


def test_the_instance_uses_this_launcher(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(configuration(with_postgres=False))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert isinstance(instance.run_launcher, launcher.ProcessRunLauncher)
        assert instance.run_launcher.supports_check_run_worker_health
        assert instance.freshness_enabled


def test_a_run_without_the_lock_fails_only_after_a_delay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOX_DATA_DIR", str(tmp_path))
    run_launcher = launcher.ProcessRunLauncher()

    def status() -> WorkerStatus:
        return run_launcher.check_run_worker_health(RUN).status

    with exclusive(tmp_path / LOCK):
        assert status() == WorkerStatus.RUNNING
    # The run may not have started yet, or may be about to end.
    assert status() == WorkerStatus.RUNNING
    monkeypatch.setattr(launcher, "SECONDS_WITHOUT_LOCK", 0.0)
    assert status() == WorkerStatus.FAILED
    with exclusive(tmp_path / LOCK):
        assert status() == WorkerStatus.RUNNING
