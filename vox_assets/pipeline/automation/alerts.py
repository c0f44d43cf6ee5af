"""Sensors that send alerts about failures, repeated failures, overdue assets and recoveries.

Each channel has its own sensor, with the channel's state in the cursor. When a channel does not
accept a message, only the tick of its sensor fails. The cursor then stays, so that the next message
that the channel accepts contains everything since.
"""

import builtins
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState
from pydantic import BaseModel

from vox_assets.curate.secrets import findings
from vox_assets.extract import NO_COMMIT
from vox_assets.pipeline.adapter import qlora_adapter
from vox_assets.pipeline.automation.history import COMMIT_TAG, late_runs, root_cause
from vox_assets.pipeline.corpus import training_mix
from vox_assets.pipeline.resources.notifier import Notifier, Tone
from vox_assets.pipeline.sources import raw_rust_fns
from vox_assets.settings import Settings

SECONDS_BETWEEN_TICKS = 30
# A repeated failure is counted, and reported again once a day.
REMIND_AFTER = timedelta(days=1)
# Maximum number of lines in one message; the UI has the others.
MAX_LINES = 20
# Maximum length of a failure's detail.
DETAIL_CHARACTERS = 200
# Enough to read the runs of a month without ticks within minutes.
RUNS_PER_TICK = 50
# Runs that end at the same moment may become visible out of order.
_OVERLAP_SECONDS = 5.0
# More runs than end within the overlap.
_READ_KEPT = 100
#: Assets with a freshness policy.
FRESH = (training_mix.key, qlora_adapter.key)

#: Start of the subject of a run that takes longer than usual; the name of the job follows.
_LATE = "late run of job "

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_EVENTS = {
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_SUCCESS,
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
    """The severity and the details of a failed check, step, job or freshness policy."""

    severity: str
    detail: str
    #: The run to link to, when the failure was not found by reading an ended run.
    run_id: str = ""


@dataclass(frozen=True)
class Outcome:
    """Outcome of one run: subjects that failed, subjects that passed, and the commit.

    A subject is a check, a step, a job or a freshness policy, such as "step training_mix".
    """

    failed: Mapping[str, Failure]
    passed: frozenset[str]
    commit: str


class Problem(BaseModel):
    """A failure that was reported to the channel and has not recovered."""

    severity: str
    detail: str
    commit: str
    run_id: str = ""
    #: Number of runs in which the subject failed.
    times: int = 1
    #: Time of the last report to the channel.
    told_at: float


class ChannelState(BaseModel):
    """A channel's cursor: the runs that were read, and the failures that have not recovered."""

    #: Update time of the last run that was read.
    until: float
    #: Runs that were read and may be listed again, because a tag was added to them later.
    read: list[str] = []
    #: Open problems by subject.
    open: dict[str, Problem] = {}


@dataclass
class Message:
    """The message of one tick: new failures, repeated failures and recoveries."""

    new: list[tuple[str, Problem]] = field(default_factory=list)
    repeated: list[tuple[str, Problem]] = field(default_factory=list)
    recovered: list[tuple[str, Problem]] = field(default_factory=list)

    @property
    def tone(self) -> Tone:
        severities = {problem.severity for _, problem in [*self.new, *self.repeated]}
        if "ERROR" in severities:
            return "failure"
        return "warning" if severities else "success"

    def title(self) -> str:
        counts = {
            "failed": len(self.new),
            "still failing": len(self.repeated),
            "recovered": len(self.recovered),
        }
        summary = ", ".join(f"{count} {label}" for label, count in counts.items() if count)
        return f"vox-assets: {summary}"

    def body(self, ui_url: str) -> str:
        lines = [
            f"{p.severity} {subject}: {p.detail}; {_since(p)}{_link(p, ui_url)}"
            for subject, p in self.new
        ]
        lines += [
            f"STILL {p.severity} {subject}, failed {p.times} times: "
            f"{p.detail}; {_since(p)}{_link(p, ui_url)}"
            for subject, p in self.repeated
        ]
        lines += [
            f"RECOVERED {subject}; failures {_since(p)}: {p.times}{_link(p, ui_url)}"
            for subject, p in self.recovered
        ]
        if len(lines) > MAX_LINES:
            lines = [*lines[:MAX_LINES], f"and {len(lines) - MAX_LINES} more: {ui_url}/runs"]
        return "\n".join(lines)

    def __bool__(self) -> bool:
        return bool(self.new or self.repeated or self.recovered)


def _since(problem: Problem) -> str:
    if problem.commit == NO_COMMIT:
        return "in a tree that is not in git"
    return f"since commit {problem.commit}"


def _link(problem: Problem, ui_url: str) -> str:
    return f"; {ui_url}/runs/{problem.run_id}" if problem.run_id else f"; {ui_url}/assets"


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
                failed[subject] = Failure(evaluation.severity.value, _check_summary(evaluation))
    for event in events:
        step = event.step_key or ""
        subject = checks.get(step, f"step {step}")
        if event.event_type == dg.DagsterEventType.STEP_SUCCESS and step not in checks:
            passed.add(subject)
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE and subject not in failed:
            prefix = "crashed before it returned a result: " if step in checks else ""
            failed[subject] = Failure("ERROR", prefix + _error_message(event))
    job = f"job {run.job_name}"
    if run.status == dg.DagsterRunStatus.SUCCESS:
        passed.add(job)
    elif not failed:
        failed[job] = Failure("ERROR", "failed outside of all steps")
    return Outcome(failed, frozenset(passed - set(failed)), _commit(instance, run, events))


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
    return f"{kind.rpartition('.')[2][:DETAIL_CHARACTERS]}; the run's page has the message"


def _redact(text: str) -> str:
    """Shorten a text for a message; replace it entirely when it contains a secret."""
    kinds = findings(text)
    return f"withheld because it contains {', '.join(kinds)}" if kinds else text[:DETAIL_CHARACTERS]


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
    for subject in outcome.passed & set(state.open):
        recovered = state.open.pop(subject)
        message.new = [item for item in message.new if item[0] != subject]
        message.repeated = [item for item in message.repeated if item[0] != subject]
        message.recovered.append((subject, recovered.model_copy(update={"run_id": run_id})))
    for subject, failure in outcome.failed.items():
        problem = state.open.get(subject)
        if problem is None or (problem.severity == "WARN" and failure.severity == "ERROR"):
            problem = Problem(
                severity=failure.severity,
                detail=failure.detail,
                commit=outcome.commit,
                run_id=run_id or failure.run_id,
                told_at=now,
            )
            state.open[subject] = problem
            message.new.append((subject, problem))
            continue
        if run_id:
            problem.times += 1
        problem.severity, problem.detail = failure.severity, failure.detail
        problem.run_id = run_id or failure.run_id
        if now - problem.told_at >= REMIND_AFTER.total_seconds():
            problem.told_at = now
            message.repeated.append((subject, problem))


def freshness_outcome(instance: dg.DagsterInstance) -> Outcome:
    """Return violated and met freshness policies in the form of a run's outcome."""
    failed = {}
    passed = set()
    for key, record in instance.get_freshness_state_records(FRESH).items():
        subject = f"freshness {key.to_user_string()}"
        if record.freshness_state in (FreshnessState.FAIL, FreshnessState.WARN):
            severity = "ERROR" if record.freshness_state == FreshnessState.FAIL else "WARN"
            failed[subject] = Failure(severity, _age(instance, key))
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
        earlier = (
            "no earlier run of the job succeeded"
            if item.usual is None
            else f"earlier runs ended within {_minutes(item.usual)}"
        )
        detail = f"is {run.status.value} for {_minutes(item.age)}; {earlier}"
        failed[f"{_LATE}{run.job_name}"] = Failure("WARN", detail, run.run_id)
    ended = {subject for subject in open_subjects if subject.startswith(_LATE)} - set(failed)
    commit = late[0].run.tags.get(COMMIT_TAG, "unknown") if late else "unknown"
    return Outcome(failed, frozenset(ended), commit)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:,.0f} minutes"


def _age(instance: dg.DagsterInstance, key: dg.AssetKey) -> str:
    latest = instance.get_latest_materialization_event(key)
    if latest is None:
        return "overdue: never built"
    days = (time.time() - latest.timestamp) / timedelta(days=1).total_seconds()
    built = datetime.fromtimestamp(latest.timestamp, UTC).date().isoformat()
    return f"overdue: built {days:.1f} days ago, on {built}"


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
            first = ChannelState(until=now).model_dump_json()
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
        late = late_outcome(context.instance, state.open, now)
        apply_outcome(state, message, "", late, now)
        if message:
            notifier.send(channel, message.title(), message.body(settings.ui_url), message.tone)
        return dg.SensorResult(
            skip_reason=f"sent: {message.title()}" if message else "nothing to report",
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
