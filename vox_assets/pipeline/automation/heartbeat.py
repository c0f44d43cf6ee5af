"""Pings a heartbeat receiver, which reports when the pings stop or one of them signals a failure.

Alerts are sent by sensors, so nothing in this program can report that the daemon has stopped or
that the code location does not load. A receiver elsewhere can: it misses the pings. The protocol is
that of Healthchecks: a GET of the URL for success, of URL/start and of URL/fail, with the run as
`rid`.
"""

import http.client
import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal

import dagster as dg

from vox_assets.pipeline.automation import history
from vox_assets.pipeline.automation.terminal_run import TERMINAL_TAG
from vox_assets.settings import Settings

Signal = Literal["start", "success", "fail"]

# Twice a minute adds nothing: a receiver waits for several minutes before it reports.
SECONDS_BETWEEN_TICKS = 60
# A build waits this long, twice, for a receiver that does not answer.
TIMEOUT_SECONDS = 5.0

_ENDS = {
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_SKIPPED,
    dg.DagsterEventType.STEP_FAILURE,
}
_CANCELLED = (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)

_log = logging.getLogger(__name__)


class HeartbeatError(RuntimeError):
    """Raised when the receiver does not accept a ping. Does not contain the URL, which is a key."""


@dataclass(frozen=True)
class Heartbeat:
    """A receiver of pings."""

    url: str

    def ping(self, signal: Signal, run_id: str = "") -> None:
        """Send one ping. Raises HeartbeatError."""
        path = "" if signal == "success" else f"/{signal}"
        query = f"?rid={run_id}" if run_id else ""
        try:
            with urllib.request.urlopen(f"{self.url}{path}{query}", timeout=TIMEOUT_SECONDS):
                return
        except urllib.error.HTTPError as error:
            reason = f"status {error.code}"
        except urllib.error.URLError as error:
            reason = getattr(error.reason, "strerror", None) or type(error.reason).__name__
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = type(error).__name__
        raise HeartbeatError(f"VOX_HEARTBEAT_URL did not accept the {signal} ping: {reason}")


def pings_of(
    settings: Settings,
) -> Callable[[dg.InitResourceContext], AbstractContextManager[None]]:
    """Return the context manager that pings the start and the end of the build around it."""

    @contextmanager
    def pings(context: dg.InitResourceContext) -> Iterator[None]:
        run, instance = context.run, context.instance
        is_build = run is not None and bool({history.BUILD_TAG, TERMINAL_TAG} & set(run.tags))
        if settings.heartbeat_url is None or run is None or instance is None or not is_build:
            yield
            return
        heartbeat = Heartbeat(settings.heartbeat_url)
        _try(heartbeat, "start", run.run_id)
        yield
        signal = _end_of(instance, run)
        if signal is not None:
            _try(heartbeat, signal, run.run_id)

    return pings


def _end_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Signal | None:
    """Return how a run ends, from its steps; None when it is interrupted.

    Dagster closes the resources of a run after its last step and before it stores the result.
    """
    events = [
        record.event_log_entry.dagster_event
        for record in instance.get_records_for_run(run.run_id, of_type=_ENDS).records
        if record.event_log_entry.dagster_event is not None
    ]
    errors = [event.step_failure_data.error for event in events if event.is_step_failure]
    interrupted = any(
        error is not None and error.cls_name == dg.DagsterExecutionInterruptedError.__name__
        for error in errors
    )
    current = instance.get_run_by_id(run.run_id)
    plan_id = run.execution_plan_snapshot_id
    if interrupted or plan_id is None or current is None or current.status in _CANCELLED:
        return None
    if errors:
        return "fail"
    plan = instance.get_execution_plan_snapshot(plan_id)
    return "success" if len(events) == len(plan.step_keys_to_execute) else None


def _try(heartbeat: Heartbeat, signal: Signal, run_id: str) -> None:
    """Send a ping. A receiver that is down never fails a build."""
    try:
        heartbeat.ping(signal, run_id)
    except HeartbeatError as error:
        _log.warning("%s", error)


@dg.sensor(
    name="heartbeat",
    minimum_interval_seconds=SECONDS_BETWEEN_TICKS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Pings VOX_HEARTBEAT_URL, or its /fail while the last build has failed. The "
    "receiver reports when the pings stop: the daemon has ended, or the code location does not "
    "load.",
)
def heartbeat(
    context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
) -> dg.SkipReason:
    if settings.heartbeat_url is None:
        return dg.SkipReason("no heartbeat is sent: VOX_HEARTBEAT_URL is not set")
    # Without this, the receiver would report a failed build as recovered within a minute.
    signal: Signal = "fail" if history.last_build_failed(context.instance) else "success"
    Heartbeat(settings.heartbeat_url).ping(signal)
    return dg.SkipReason(f"sent: {signal}")
