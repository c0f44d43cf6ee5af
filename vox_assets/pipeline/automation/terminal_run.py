"""Runs a job in this process as a run of the code location, with the UI's lists and its button.

The UI lists a run under its job, in the overview and in the timeline only when the run names the
code location. A run that a person ends, in the terminal or in the UI, counts as cancelled.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.events import RunFailureReason
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import MAX_RETRIES_TAG, RUN_FAILURE_REASON_TAG

#: Name of the code location, as in workspace.yaml and in `tool.dg` of pyproject.toml.
LOCATION = "vox_assets"
REPOSITORY = SINGLETON_REPOSITORY_NAME
#: Run tag of a run whose process is that of a command, and not one that the daemon started.
TERMINAL_TAG = "vox/terminal"
#: A person who terminates the run in the UI waits at most this long until the process notices.
SECONDS_BETWEEN_LOOKS = 2.0


def run_job(
    job: ReconstructableJob,
    instance: dg.DagsterInstance,
    tags: Mapping[str, str],
    run_config: Mapping[str, Any],
    listener: Callable[[dg.EventLogEntry], None],
) -> dg.JobExecutionResult:
    """Run a job in this process and return its result. `listener` takes each event and log line."""
    definition = job.get_definition()
    run = instance.create_run_for_job(
        definition,
        run_config=run_config,
        # The person at the terminal sees the failure, and decides on the next attempt.
        tags={**tags, TERMINAL_TAG: "true", MAX_RETRIES_TAG: "0"},
        remote_job_origin=_origin(definition.name),
        job_code_origin=job.get_python_origin(),
    )
    instance.add_event_listener(run.run_id, listener)
    with _interrupted_by_termination(instance, run.run_id):
        result = execute_run(job, run, instance)
    ended = instance.get_run_by_id(run.run_id)
    if ended is not None and is_interrupted(ended):
        instance.report_run_canceled(ended, "The command was interrupted.")
    return result


def is_cancelled(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Return whether a person ended the run."""
    run = instance.get_run_by_id(run_id)
    return run is not None and run.status == dg.DagsterRunStatus.CANCELED


def is_interrupted(run: dg.DagsterRun) -> bool:
    """Return whether an interrupt ended a run of a command, which Dagster takes for a fault."""
    reason = run.tags.get(RUN_FAILURE_REASON_TAG)
    return TERMINAL_TAG in run.tags and reason == RunFailureReason.UNEXPECTED_TERMINATION.value


def _origin(job_name: str) -> RemoteJobOrigin:
    location = RegisteredCodeLocationOrigin(location_name=LOCATION)
    repository = RemoteRepositoryOrigin(code_location_origin=location, repository_name=REPOSITORY)
    return RemoteJobOrigin(repository_origin=repository, job_name=job_name)


@contextmanager
def _interrupted_by_termination(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Interrupt this process when a person terminates the run in the UI.

    The web server cannot reach a process that it did not start, so the process asks.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            run = instance.get_run_by_id(run_id)
            if run is not None and run.status == dg.DagsterRunStatus.CANCELING:
                os.kill(os.getpid(), signal.SIGINT)
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
