"""Launches runs as processes of this machine and detects runs whose process died."""

from __future__ import annotations

import time

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus

from vox_assets.pipeline.automation.terminal_run import TERMINAL_TAG
from vox_assets.pipeline.resources.build_lock import LOCK
from vox_assets.settings import load_settings
from vox_assets.store.files import is_held

# A run holds the build lock from its first step to its last. This is longer than a run needs to
# load its code before, and to store its last events after.
SECONDS_WITHOUT_LOCK = 60.0


class ProcessRunLauncher(dg.DefaultRunLauncher):
    """Reports a run whose process has ended, so that run monitoring fails and retries it.

    Dagster's default launcher cannot check this. After a power cut, the run would count as started
    and block the queue until `max_runtime_seconds` is over.
    """

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self._without_lock: dict[str, float] = {}

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def terminate(self, run_id: str) -> bool:
        """Terminate a run. A run of a command watches its own status and ends its process."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or TERMINAL_TAG not in run.tags:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        self._instance.report_run_canceling(run)
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        now = time.monotonic()
        if is_held(load_settings().data_dir / LOCK):
            self._without_lock.clear()
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        since = self._without_lock.setdefault(run.run_id, now)
        if now - since < SECONDS_WITHOUT_LOCK:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the process of the run has ended")
