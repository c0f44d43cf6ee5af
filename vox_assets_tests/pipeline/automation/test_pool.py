"""A run whose process is killed inside a step of a pool does not block later runs."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.instance.config import PoolGranularity
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES, RunOpConcurrency
from dagster._core.test_utils import freeze_time
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring.concurrency import execute_concurrency_slots_iteration

from vox_assets.pipeline.adapter import GPU_POOL
from vox_assets.pipeline.automation.instance import configuration
from vox_assets.pipeline.build import free_abandoned_slots
from vox_assets.pipeline.resources.build_lock import LOCK
from vox_assets.settings import load_settings
from vox_assets.store.files import exclusive

REPOSITORY = Path(__file__).parents[3]
#: Longer than a run that does not wait needs to start and to end.
TIMEOUT_SECONDS = 120
PROGRAM = f"""
import sys, time
from pathlib import Path
import dagster as dg

@dg.asset(pool={GPU_POOL!r})
def trained() -> None:
    Path(sys.argv[2]).touch()
    time.sleep(float(sys.argv[3]))

def job() -> dg.JobDefinition:
    defs = dg.Definitions(
        assets=[trained],
        jobs=[dg.define_asset_job("train")],
        executor=dg.in_process_executor,
    )
    return defs.resolve_job_def("train")

if __name__ == "__main__":
    with dg.DagsterInstance.from_config(sys.argv[1]) as instance:
        result = dg.execute_job(dg.reconstructable(job), instance=instance)
    sys.exit(0 if result.success else 1)
"""


def write_home(home: Path) -> Path:
    """Write the instance that `make instance` configures, and the program of a pooled run."""
    home.mkdir()
    (home / "dagster.yaml").write_text(configuration(with_postgres=False))
    (home / "train.py").write_text(PROGRAM)
    return home


def start(home: Path, started: Path, seconds: float) -> subprocess.Popen[bytes]:
    """Start a run whose only step is in the pool and sleeps."""
    arguments = [str(home), str(started), str(seconds)]
    return subprocess.Popen([sys.executable, str(home / "train.py"), *arguments], cwd=home)


@pytest.mark.parametrize("with_postgres", [False, True])
def test_every_instance_configuration_frees_the_slots_of_ended_runs(with_postgres: bool) -> None:
    config = yaml.safe_load(configuration(with_postgres))
    assert config["run_monitoring"]["enabled"]
    assert config["run_monitoring"]["free_slots_after_run_end_seconds"] > 0


def test_the_repository_has_one_instance_configuration() -> None:
    configured = {
        str(path.relative_to(REPOSITORY))
        for folder in ("deploy", "vox_assets", ".")
        for path in (REPOSITORY / folder).glob("*.yaml" if folder == "." else "**/*.yaml")
        if {"run_launcher", "run_monitoring", "concurrency"}
        & set(yaml.safe_load(path.read_text()) or ())
    }
    assert configured == {"vox_assets/pipeline/automation/dagster.yaml"}


def test_the_queue_enforces_the_pool_so_that_no_run_waits_for_it(tmp_path: Path) -> None:
    with dg.DagsterInstance.from_config(str(write_home(tmp_path / "home"))) as instance:
        pools = instance.event_log_storage.get_pool_config()
        assert pools.pool_granularity == PoolGranularity.RUN
        assert pools.default_pool_limit == 1


def test_a_run_killed_inside_a_step_of_the_pool_does_not_block_the_next_run(
    tmp_path: Path,
) -> None:
    home = write_home(tmp_path / "home")
    killed = start(home, tmp_path / "first", seconds=TIMEOUT_SECONDS)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not (tmp_path / "first").exists():
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    following = start(home, tmp_path / "second", seconds=0)
    try:
        assert following.wait(TIMEOUT_SECONDS) == 0
    finally:
        following.kill()
        following.wait()


def test_the_daemon_frees_a_slot_that_an_ended_run_left_in_the_pool(tmp_path: Path) -> None:
    with dg.DagsterInstance.from_config(str(write_home(tmp_path / "home"))) as instance:
        storage = instance.event_log_storage
        run = dg.DagsterRun(job_name="retrain", status=dg.DagsterRunStatus.STARTED)
        instance.add_run(run)
        storage.set_concurrency_slots(GPU_POOL, 1)
        assert storage.claim_concurrency_slot(GPU_POOL, run.run_id, "qlora_adapter").is_claimed
        instance.report_run_failed(run)
        seconds = instance.run_monitoring_settings["free_slots_after_run_end_seconds"]
        for later, slots in ((0, 1), (seconds + 1, 0)):
            now = datetime.now(UTC) + timedelta(seconds=later)
            with (
                WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context,
                freeze_time(now),
            ):
                list(execute_concurrency_slots_iteration(context, logging.getLogger()))
            assert storage.get_concurrency_info(GPU_POOL).active_slot_count == slots


def test_a_build_frees_the_slots_of_killed_runs_and_keeps_those_of_a_running_build(
    tmp_path: Path,
) -> None:
    home = write_home(tmp_path / "home")
    settings = load_settings({"VOX_DATA_DIR": str(tmp_path / "data")})
    # The instance of an older version, which limits steps.
    config = configuration(with_postgres=False).replace("granularity: run", "granularity: op")
    (home / "dagster.yaml").write_text(config)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        storage = instance.event_log_storage
        killed = dg.DagsterRun(job_name="rebuild", status=dg.DagsterRunStatus.STARTED)
        instance.add_run(killed)
        storage.set_concurrency_slots(GPU_POOL, 1)
        assert storage.claim_concurrency_slot(GPU_POOL, killed.run_id, "qlora_adapter").is_claimed
        with exclusive(settings.data_dir / LOCK):
            free_abandoned_slots(instance, settings)
            assert storage.get_concurrency_info(GPU_POOL).active_slot_count == 1
        free_abandoned_slots(instance, settings)
        assert storage.get_concurrency_info(GPU_POOL).active_slot_count == 0


def test_a_slot_that_a_killed_run_left_does_not_block_the_queue(tmp_path: Path) -> None:
    with dg.DagsterInstance.from_config(str(write_home(tmp_path / "home"))) as instance:
        storage = instance.event_log_storage
        storage.set_concurrency_slots(GPU_POOL, 1)
        needs_pool = RunOpConcurrency(
            root_key_counts={GPU_POOL: 1}, has_unconstrained_root_nodes=False, all_pools={GPU_POOL}
        )
        killed, retry = (
            dg.DagsterRun(
                job_name="retrain",
                status=dg.DagsterRunStatus.STARTED,
                run_op_concurrency=needs_pool,
            )
            for _ in range(2)
        )
        instance.add_run(killed)
        assert storage.claim_concurrency_slot(GPU_POOL, killed.run_id, "qlora_adapter").is_claimed

        def is_blocked() -> bool:
            counter = GlobalOpConcurrencyLimitsCounter(
                instance,
                [retry],
                instance.get_run_records(dg.RunsFilter(statuses=IN_PROGRESS_RUN_STATUSES)),
                {GPU_POOL},
                storage.get_pool_limits(),
                pool_granularity=storage.get_pool_config().pool_granularity,
            )
            return counter.is_blocked(retry)

        assert is_blocked()
        instance.report_run_failed(killed)
        assert not is_blocked()
