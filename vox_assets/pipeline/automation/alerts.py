"""Sensors that send alerts about failures, repeated failures, overdue assets and recoveries.

Each channel has its own sensor, with the channel's state in the cursor. When a channel does not
accept a message, only the tick of its sensor fails. The cursor then stays, so that the next message
that the channel accepts contains everything since.
"""

import builtins
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState
from pydantic import BaseModel

from vox_assets.contract.rows import CORPUS_TABLES
from vox_assets.curate.secrets import findings
from vox_assets.pipeline.adapter import adapter_eval, qlora_adapter
from vox_assets.pipeline.automation.alert_text import (
    FRESHNESS,
    LATE,
    Kind,
    Message,
    Problem,
    Stopped,
    shortened,
)
from vox_assets.pipeline.automation.history import COMMIT_TAG, late_runs, root_cause
from vox_assets.pipeline.corpus import training_mix
from vox_assets.pipeline.resources.notifier import Notifier
from vox_assets.pipeline.sources import raw_rust_fns
from vox_assets.settings import Settings

SECONDS_BETWEEN_TICKS = 30
# A repeated failure is counted, and reported again by the next nightly run, whose time varies.
REMIND_AFTER = timedelta(hours=20)
# Every tick sees again what is overdue or hangs, so these reminders come once a day.
REMIND_OF_STATE_AFTER = timedelta(days=1)
# After a power cut, run monitoring needs two minutes to notice that a run's process has died. Until
# then the run has the age of a late one, though nothing hangs. A longer pause between two ticks
# means that the daemon was down.
SECONDS_AWAKE = 300.0
# Enough to read the runs of a month without ticks within minutes.
RUNS_PER_TICK = 50
# Runs that end at the same moment may become visible out of order.
_OVERLAP_SECONDS = 5.0
# More runs than end within the overlap.
_READ_KEPT = 100
#: Assets with a freshness policy.
FRESH = (training_mix.key, qlora_adapter.key)

# The order in which a message lists assets that were not built; all others come later.
_BUILD_ORDER = (
    *CORPUS_TABLES,
    *(key.to_user_string() for key in (qlora_adapter.key, adapter_eval.key)),
)

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_EVENTS = {
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
}
#: Errors whose message may be sent: errors of the operating system name files and contain no rows.
_SYSTEM_ERRORS = frozenset(
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, OSError)
)


@dataclass(frozen=True)
class Failure:
    """The kind, severity and details of a failed check, step, job, run or freshness policy."""

    kind: Kind
    severity: str
    detail: str
    #: The run to link to, when the failure was not found by reading an ended run.
    run_id: str = ""


@dataclass(frozen=True)
class Outcome:
    """Outcome of one run: subjects that failed, subjects that passed, and the commit.

    A subject is a check, a step, a job, a late run or a freshness policy, such as
    "step training_mix".
    """

    failed: Mapping[str, Failure]
    passed: frozenset[str]
    commit: str
    #: The run, when it ended before it built all of its assets.
    stopped: Stopped | None = None


class ChannelState(BaseModel):
    """A channel's cursor: the runs that were read, and the failures that have not recovered."""

    #: Update time of the last run that was read.
    until: float
    #: Time of the last tick, and of the first tick after the last pause of the daemon.
    ticked_at: float = 0.0
    awake_since: float = 0.0
    #: Runs that were read and may be listed again, because a tag was added to them later.
    read: list[str] = []
    #: Open problems by subject.
    open: dict[str, Problem] = {}


def run_outcome(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Outcome:
    """Read which checks and steps of a finished run failed, crashed or passed."""
    events = [
        record.event_log_entry.dagster_event
        for record in instance.get_records_for_run(run.run_id, of_type=_EVENTS).records
        if record.event_log_entry.dagster_event is not None
    ]
    failed: dict[str, Failure] = {}
    passed = set()
    # Planned checks by step key. A check that crashed has a failed step and no evaluation.
    checks: dict[str, str] = {}
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
            key = event.asset_check_planned_data.asset_check_key
            checks[_step_key(key)] = f"check {key.to_user_string()}"
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            subject = f"check {evaluation.asset_check_key.to_user_string()}"
            if evaluation.passed:
                passed.add(subject)
            else:
                severity = evaluation.severity.value
                kind: Kind = "failed" if severity == "ERROR" else "warned"
                failed[subject] = Failure(kind, severity, _check_summary(evaluation))
    for event in events:
        step = event.step_key or ""
        subject = checks.get(step, f"step {step}")
        if event.event_type == dg.DagsterEventType.STEP_SUCCESS and step not in checks:
            passed.add(subject)
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE and subject not in failed:
            crashed = step in checks
            prefix = "no result: " if crashed else ""
            kind = "crashed" if crashed else "failed"
            failed[subject] = Failure(kind, "ERROR", prefix + _error_message(event))
    job = f"job {run.job_name}"
    if run.status == dg.DagsterRunStatus.SUCCESS:
        passed.add(job)
    elif not failed:
        detail = "ended outside of all steps, as a run does whose process is killed"
        failed[job] = Failure("crashed", "ERROR", detail)
    return Outcome(
        failed,
        frozenset(passed - set(failed)),
        _commit(instance, run, events),
        _stopped(run, events),
    )


def _stopped(run: dg.DagsterRun, events: list[dg.DagsterEvent]) -> Stopped | None:
    """Return the assets that a failed run has not built; None when it has built all."""
    if run.status == dg.DagsterRunStatus.SUCCESS:
        return None
    planned, built = (
        {
            event.asset_key.to_user_string()
            for event in events
            if event.event_type == kind and event.asset_key is not None
        }
        for kind in (
            dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
            dg.DagsterEventType.ASSET_MATERIALIZATION,
        )
    )
    last = len(_BUILD_ORDER)
    order = {name: position for position, name in enumerate(_BUILD_ORDER)}
    unbuilt = sorted(planned - built, key=lambda name: (order.get(name, last), name))
    return Stopped(run.run_id, run.job_name, tuple(unbuilt)) if unbuilt else None


def _step_key(key: dg.AssetCheckKey) -> str:
    return f"{'__'.join(key.asset_key.path)}_{key.name}"


def _check_summary(evaluation: dg.AssetCheckEvaluation) -> str:
    """Return the check's summary without its examples, because an example may quote a row."""
    summary = evaluation.description or "no description"
    return _redact(summary.partition(": ")[0] if "faults" in evaluation.metadata else summary)


def _error_message(event: dg.DagsterEvent) -> str:
    """Return the message of a step's error; of errors from other libraries, only the class name."""
    kind, message = root_cause(event)
    if not kind:
        return "no message"
    ours = kind.startswith(("vox_assets.", "dagster."))
    if (ours or kind in _SYSTEM_ERRORS) and message:
        return _redact(message)
    return f"{kind.rpartition('.')[2]}; the run's page has the message"


def _redact(text: str) -> str:
    """Shorten a text for a message; replace it entirely when it contains a secret."""
    kinds = findings(text)
    return f"withheld because it contains {', '.join(kinds)}" if kinds else shortened(text)


def _commit(instance: dg.DagsterInstance, run: dg.DagsterRun, events: list[dg.DagsterEvent]) -> str:
    """Return the commit of the run's tag, else of the sources that the run or the last one read."""
    if COMMIT_TAG in run.tags:
        return run.tags[COMMIT_TAG]
    metadata = [
        event.step_materialization_data.materialization.metadata
        for event in events
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION
    ]
    read_commits = [str(item["commit"].value) for item in metadata if "commit" in item]
    return read_commits[0] if read_commits else _commit_of_tables(instance)


def _commit_of_tables(instance: dg.DagsterInstance) -> str:
    """Return the commit of the sources from which the current tables were made."""
    latest = instance.get_latest_materialization_event(raw_rust_fns.key)
    event = latest.asset_materialization if latest is not None else None
    return (
        str(event.metadata["commit"].value) if event and "commit" in event.metadata else "unknown"
    )


def apply_outcome(
    state: ChannelState, message: Message, run_id: str, outcome: Outcome, now: float
) -> None:
    """Update the open problems with an outcome, and add what is new to the message."""
    for subject in sorted(outcome.passed & set(state.open)):
        recovered = state.open.pop(subject)
        message.forget(subject)
        ended_in = {"run_id": run_id or recovered.run_id}
        message.recovered.append((subject, recovered.model_copy(update=ended_in)))
    for subject, failure in outcome.failed.items():
        problem = state.open.get(subject)
        if problem is None or (problem.severity == "WARN" and failure.severity == "ERROR"):
            problem = Problem(
                severity=failure.severity,
                kind=failure.kind,
                detail=failure.detail,
                commit=outcome.commit,
                run_id=run_id or failure.run_id,
                told_at=now,
            )
            state.open[subject] = problem
            message.add(message.new, subject, problem, outcome.stopped)
            continue
        if run_id:
            problem.times += 1
        problem.severity, problem.detail = failure.severity, failure.detail
        problem.kind = failure.kind
        problem.run_id = run_id or failure.run_id
        remind_after = REMIND_AFTER if run_id else REMIND_OF_STATE_AFTER
        if now - problem.told_at >= remind_after.total_seconds():
            problem.told_at = now
            message.add(message.repeated, subject, problem, outcome.stopped)


def freshness_outcome(instance: dg.DagsterInstance) -> Outcome:
    """Return violated and met freshness policies in the form of a run's outcome."""
    failed = {}
    passed = set()
    for key, record in instance.get_freshness_state_records(FRESH).items():
        subject = f"{FRESHNESS}{key.to_user_string()}"
        # The UI shows the half day of warning before it; a message for each would be noise.
        if record.freshness_state == FreshnessState.FAIL:
            failed[subject] = Failure("overdue", "ERROR", _age(instance, key))
        elif record.freshness_state == FreshnessState.PASS:
            passed.add(subject)
    return Outcome(failed, frozenset(passed), _commit_of_tables(instance))


def late_outcome(instance: dg.DagsterInstance, open_subjects: Iterable[str], now: float) -> Outcome:
    """Return the runs that take longer than usual in the form of a run's outcome.

    Of several late runs of one job, the oldest is reported: the others wait for it.
    """
    late = late_runs(instance, now)
    failed = {}
    for item in reversed(late):
        run = item.run
        waits = run.status in (dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED)
        since = "has not started after" if waits else "has not ended after"
        earlier = (
            "no earlier run of the job succeeded"
            if item.usual is None
            else f"earlier runs ended within {_minutes(item.usual)}"
        )
        detail = f"{since} {_minutes(item.age)}; {earlier}"
        failed[f"{LATE}job {run.job_name}"] = Failure("hung", "WARN", detail, run.run_id)
    ended = {subject for subject in open_subjects if subject.startswith(LATE)} - set(failed)
    commit = late[0].run.tags.get(COMMIT_TAG, "unknown") if late else "unknown"
    return Outcome(failed, frozenset(ended), commit)


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes:,} minute{'s' * (minutes != 1)}" if minutes else "less than a minute"


def _age(instance: dg.DagsterInstance, key: dg.AssetKey) -> str:
    latest = instance.get_latest_materialization_event(key)
    if latest is None:
        return "never built"
    days = (time.time() - latest.timestamp) / timedelta(days=1).total_seconds()
    built = datetime.fromtimestamp(latest.timestamp, UTC).date().isoformat()
    return f"built {days:.1f} days ago, on {built}"


def alert_sensors(urls: tuple[str, ...]) -> list[dg.SensorDefinition]:
    """Create one sensor per channel; without channels, one whose ticks report that."""
    return [alert_sensor(channel) for channel in range(1, max(1, len(urls)) + 1)]


def alert_sensor(channel: int) -> dg.SensorDefinition:
    """Create the sensor that sends alerts to channel number `channel` of VOX_ALERT_URLS."""

    @dg.sensor(
        name=f"alert_channel_{channel}",
        minimum_interval_seconds=SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reports failures, overdue assets and recoveries to one channel. "
        "Its tick fails while the channel does not accept messages.",
    )
    def alert(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        notifier: dg.ResourceParam[Notifier],
    ) -> dg.SensorResult:
        now = time.time()
        if not notifier.urls:
            return dg.SensorResult(skip_reason="no alerts are sent: VOX_ALERT_URLS is not set")
        if not context.cursor:
            first = ChannelState(until=now, ticked_at=now).model_dump_json()
            return dg.SensorResult(skip_reason="alerts start at the next tick", cursor=first)
        state = ChannelState.model_validate_json(context.cursor)
        message = Message()
        for record in _ended_runs(context.instance, state):
            run = record.dagster_run
            if run.tags.get("dagster/will_retry") != "true":
                outcome = run_outcome(context.instance, run)
                apply_outcome(state, message, run.run_id, outcome, now)
            state.until = record.update_timestamp.timestamp()
            state.read = [*state.read, run.run_id][-_READ_KEPT:]
        apply_outcome(state, message, "", freshness_outcome(context.instance), now)
        if now - state.ticked_at > SECONDS_AWAKE:
            state.awake_since = now
        state.ticked_at = now
        if now - state.awake_since >= SECONDS_AWAKE:
            late = late_outcome(context.instance, state.open, now)
            apply_outcome(state, message, "", late, now)
        title = message.title(socket.gethostname(), settings.profile.name)
        if message:
            notifier.send(channel, title, message.body(settings.ui_url), message.tone)
        return dg.SensorResult(
            skip_reason=f"sent: {title}" if message else "nothing to report",
            cursor=state.model_dump_json(),
        )

    return alert


def _ended_runs(instance: dg.DagsterInstance, state: ChannelState) -> list[dg.RunRecord]:
    since = datetime.fromtimestamp(state.until - _OVERLAP_SECONDS, UTC)
    records = instance.get_run_records(
        dg.RunsFilter(statuses=_ENDED, updated_after=since),
        limit=RUNS_PER_TICK + len(state.read),
        order_by="update_timestamp",
        ascending=True,
    )
    unread = [record for record in records if record.dagster_run.run_id not in state.read]
    return unread[:RUNS_PER_TICK]
