"""Defines the code location of the simulated month, and starts its runs.

Jobs, sensors, schedule, resources, lock and graph, with the names of its checks, are those of the
pipeline. Only the bodies of the assets and checks are others: each asset writes which sources it
was built from, and fails as the simulation asks.
"""

import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._core.execution.api import execute_run
from dagster._core.launcher.base import LaunchRunContext

from vox_assets.pipeline.automation import fingerprint
from vox_assets.pipeline.automation.launcher import ProcessRunLauncher
from vox_assets.pipeline.wiring import build_defs
from vox_assets.settings import Settings, load_settings
from vox_assets.store.files import write_text

#: Folder below VOX_DATA_DIR with one record per asset.
RECORDS = "simulated"
#: A run that takes longer than this in real time is stuck, or was left waiting.
_REAL_SECONDS = 120.0


@dataclass(frozen=True)
class Fault:
    """What happens in a run when it reaches an asset or a check."""

    at: str
    does: Literal["dies", "raises", "fails", "warns", "waits"]


#: Faults of the next runs, first to last. A fault applies to one run.
faults: list[Fault | None] = []
#: Fault of every run until it is reset.
lasting_fault: list[Fault] = []
#: Processes of runs that wait or are stuck, by run id.
waiting: dict[str, int] = {}
_current: list[Fault] = []


def record_path(settings: Settings, asset: str) -> Path:
    return settings.data_dir / RECORDS / f"{asset}.json"


def read_record(settings: Settings, asset: str) -> dict[str, list[str]]:
    """Return the digests of the sources that an asset was built from; empty if it was not built."""
    path = record_path(settings, asset)
    return json.loads(path.read_text()) if path.exists() else {}


def _happens(at: str, *kinds: str) -> bool:
    return any(fault.at == at and fault.does in kinds for fault in _current)


def _act(settings: Settings, asset: str) -> None:
    """Do what the simulation planned for this asset."""
    if _happens(asset, "dies"):
        os.kill(os.getpid(), signal.SIGKILL)
    if _happens(asset, "raises"):
        raise OSError(28, "No space left on device")
    if _happens(asset, "waits"):
        reached(settings).touch()
        time.sleep(_REAL_SECONDS)


def reached(settings: Settings) -> Path:
    """Return the file that a waiting run creates."""
    return settings.data_dir / "waits"


def _quick(real: dg.AssetsDefinition, settings: Settings) -> dg.AssetsDefinition:
    """Return an asset with the place in the graph of a real one."""
    [spec] = real.specs
    name = spec.key.to_user_string()
    upstream = [dep.asset_key.to_user_string() for dep in spec.deps]

    @dg.asset(
        name=name,
        deps=[dep.asset_key for dep in spec.deps],
        code_version=spec.code_version,
        freshness_policy=spec.freshness_policy,
        partitions_def=spec.partitions_def,
        pool=real.op.pool,
    )
    def table() -> None:
        _act(settings, name)
        digests: dict[str, set[str]] = {}
        if "crates" in upstream:
            digests["crates"] = {fingerprint.crates(settings.source_dir).digest}
        if "docs" in upstream:
            digests["docs"] = {fingerprint.docs(settings.source_dir).digest}
        for dependency in upstream:
            for source, read in read_record(settings, dependency).items():
                digests.setdefault(source, set()).update(read)
        content = {source: sorted(read) for source, read in digests.items()}
        write_text(record_path(settings, name), json.dumps(content))

    return table


def _quick_check(spec: dg.AssetCheckSpec) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=spec.asset_key, name=spec.name, blocking=spec.blocking)
    def check() -> dg.AssetCheckResult:
        warns = _happens(spec.name, "warns")
        return dg.AssetCheckResult(
            passed=not _happens(spec.name, "fails", "warns"),
            severity=dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR,
            description="3 of 9 rows",
        )

    return check


@dg.definitions
def defs() -> dg.Definitions:
    """Return the pipeline's definitions with quick assets. Raises SettingsError as they do."""
    settings = load_settings()
    real = build_defs()
    assets = [
        _quick(item, settings) if isinstance(item, dg.AssetsDefinition) else item
        for item in real.assets or ()
    ]
    checks = [spec for item in real.asset_checks or () for spec in item.check_specs]
    return dg.Definitions(
        assets=assets,
        asset_checks=[_quick_check(spec) for spec in checks],
        jobs=real.jobs,
        schedules=real.schedules,
        sensors=real.sensors,
        resources=real.resources,
        executor=dg.in_process_executor,
    )


class ForkingLauncher(ProcessRunLauncher):
    """Runs each run in a process of its own, which can be killed like any other.

    The process is a copy of this one, because the start of a new one would take most of the time of
    the simulation. The detection of dead processes is that of the pipeline's launcher.
    """

    def launch_run(self, context: LaunchRunContext) -> None:
        settings = load_settings()
        run = context.dagster_run
        fault = faults.pop(0) if faults else None
        _current[:] = [*lasting_fault, *([fault] if fault else [])]
        waits = any(item.does == "waits" for item in _current)
        process = os.fork()
        if process == 0:
            _run_and_exit(run.run_id)
        deadline = time.monotonic() + _REAL_SECONDS
        while time.monotonic() < deadline:
            if waits and reached(settings).exists():
                reached(settings).unlink()
                break
            if os.waitpid(process, os.WNOHANG)[0]:
                return
            time.sleep(0.02)
        # It waits as planned, or is stuck.
        waiting[run.run_id] = process

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or run_id not in waiting:
            return False
        self._instance.report_run_canceling(run)
        process = waiting.pop(run_id)
        os.kill(process, signal.SIGINT)
        os.waitpid(process, 0)
        return True


def kill_waiting() -> Sequence[str]:
    """Kill the processes of all waiting runs, as a power cut does; return the runs."""
    killed = list(waiting)
    for process in waiting.values():
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    waiting.clear()
    return killed


def _run_and_exit(run_id: str) -> None:
    """Execute a run in a new process and end it without the clean-up of the simulation."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    code = 1
    try:
        with dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as instance:
            run = instance.get_run_by_id(run_id)
            assert run is not None
            repository = ReconstructableRepository.for_module(__name__, "defs", str(Path.cwd()))
            job = ReconstructableJob(repository=repository, job_name=run.job_name)
            execute_run(job, run, instance)
        code = 0
    finally:
        os._exit(code)
