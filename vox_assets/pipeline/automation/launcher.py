"""Dagster's launcher of runs as processes of this machine, which knows when one has died."""

from __future__ import annotations

import time

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus

from vox_assets.pipeline.resources.build_lock import LOCK
from vox_assets.settings import load_settings
from vox_assets.store.files import is_held

# A run holds the build lock from its first step to its last. Longer than it takes to load the
# code before and to store the last events after.
SECONDS_WITHOUT_LOCK = 60.0


class ProcessRunLauncher(dg.DefaultRunLauncher):
    """A run whose process is gone is reported, so that run monitoring fails and retries it.

    Dagster's own launcher cannot tell. After a power cut its run would stand as started, and the
    queue behind it, until the longest runtime is over.
    """

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self._without_lock: dict[str, float] = {}

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        now = time.monotonic()
        if is_held(load_settings().data_dir / LOCK):
            self._without_lock.clear()
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        since = self._without_lock.setdefault(run.run_id, now)
        if now - since < SECONDS_WITHOUT_LOCK:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "its process is gone")
