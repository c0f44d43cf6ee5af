"""Alerts: what failed, what still fails, what is overdue, and what holds again.

One sensor for each channel, with the state of that channel in its cursor. A dead
channel fails its own sensor's tick, where it can be seen, and nothing else; the cursor stays, so
that everything since then is gathered in the message that gets through at last.
"""

import builtins
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState
from pydantic import BaseModel

from vox_assets.curate.secrets import findings
from vox_assets.extract import NO_COMMIT
from vox_assets.pipeline.adapter import qlora_adapter
from vox_assets.pipeline.automation.history import COMMIT_TAG, root_cause
from vox_assets.pipeline.corpus import training_mix
from vox_assets.pipeline.resources.notifier import Notifier, Tone
from vox_assets.pipeline.sources import raw_rust_fns
from vox_assets.settings import Settings

SECONDS_BETWEEN_TICKS = 30
# A failure that repeats is counted, and reported again once a day.
REMIND_AFTER = timedelta(days=1)
# Lines in one message; the UI has the rest.
NAMED = 20
# A line of a message, cut before it becomes a page.
DETAIL_CHARACTERS = 200
# Enough to catch up with a month of outage in minutes.
RUNS_PER_TICK = 50
# Runs that end at the same moment may become visible out of order.
_OVERLAP_SECONDS = 5.0
# More runs than end within the overlap.
_READ_KEPT = 100
#: Assets with a freshness policy.
FRESH = (training_mix.key, qlora_adapter.key)

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_EVENTS = {
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
}
#: Errors whose words are safe to repeat: the operating system's speak of files and never of rows.
_SYSTEM_ERRORS = frozenset(
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, OSError)
)


@dataclass(frozen=True)
class Failure:
    """Something that went wrong, and by how much."""

    severity: str
    detail: str


@dataclass(frozen=True)
class Outcome:
    """Outcome of one run: subjects that failed, subjects that passed, and the commit."""

    failed: Mapping[str, Failure]
    held: frozenset[str]
    commit: str


class Problem(BaseModel):
    """A failure that this channel knows of and that has not gone away."""

    severity: str
    detail: str
    commit: str
    run_id: str = ""
    times: int = 1
    told_at: float


class ChannelState(BaseModel):
    """A channel's cursor: up to where runs were read, and what the channel knows."""

    until: float
    #: Runs that were read and may be listed again, because a tag was added to them later.
    read: list[str] = []
    open: dict[str, Problem] = {}


@dataclass
class Message:
    """News of one tick."""

    new: list[tuple[str, Problem]] = field(default_factory=list)
    again: list[tuple[str, Problem]] = field(default_factory=list)
    recovered: list[tuple[str, Problem]] = field(default_factory=list)

    @property
    def tone(self) -> Tone:
        severities = {problem.severity for _, problem in [*self.new, *self.again]}
        if "ERROR" in severities:
            return "failure"
        return "warning" if severities else "success"

    def title(self) -> str:
        counts = {
            "failed": len(self.new),
            "still failing": len(self.again),
            "recovered": len(self.recovered),
        }
        said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        return f"vox-assets: {said}"

    def body(self, ui_url: str) -> str:
        lines = [f"{p.severity} {what}: {p.detail}{_where(p, ui_url)}" for what, p in self.new]
        lines += [
            f"STILL {p.severity} {what}, {p.times} times by now: {p.detail}{_where(p, ui_url)}"
            for what, p in self.again
        ]
        lines += [
            f"RECOVERED {what}; failures {_since(p)}: {p.times}{_link(p, ui_url)}"
            for what, p in self.recovered
        ]
        if len(lines) > NAMED:
            lines = [*lines[:NAMED], f"and {len(lines) - NAMED} more: {ui_url}/runs"]
        return "\n".join(lines)

    def __bool__(self) -> bool:
        return bool(self.new or self.again or self.recovered)


def _where(problem: Problem, ui_url: str) -> str:
    return f"; {_since(problem)}{_link(problem, ui_url)}"


def _since(problem: Problem) -> str:
    if problem.commit == NO_COMMIT:
        return "in a tree that is not in git"
    return f"since commit {problem.commit}"


def _link(problem: Problem, ui_url: str) -> str:
    return f"; {ui_url}/runs/{problem.run_id}" if problem.run_id else f"; {ui_url}/assets"


def outcome(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Outcome:
    """Read a finished run: checks that failed or crashed, steps that raised, and what held."""
    events = [
        record.event_log_entry.dagster_event
        for record in instance.get_records_for_run(run.run_id, of_type=_EVENTS).records
        if record.event_log_entry.dagster_event is not None
    ]
    failed: dict[str, Failure] = {}
    held = set()
    # A check that crashed was planned, failed as a step and came to no verdict.
    checks: dict[str, str] = {}
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
            key = event.asset_check_planned_data.asset_check_key
            checks[_step_of(key)] = f"check {key.to_user_string()}"
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            subject = f"check {evaluation.asset_check_key.to_user_string()}"
            if evaluation.passed:
                held.add(subject)
            else:
                failed[subject] = Failure(evaluation.severity.value, _how_far(evaluation))
    for event in events:
        step = event.step_key or ""
        subject = checks.get(step, f"step {step}")
        if event.event_type == dg.DagsterEventType.STEP_SUCCESS and step not in checks:
            held.add(subject)
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE and subject not in failed:
            crashed = "crashed before it came to a verdict: " if step in checks else ""
            failed[subject] = Failure("ERROR", crashed + _error_message(event))
    job = f"job {run.job_name}"
    if run.status == dg.DagsterRunStatus.SUCCESS:
        held.add(job)
    elif not failed:
        failed[job] = Failure("ERROR", "failed outside every step")
    return Outcome(failed, frozenset(held - set(failed)), _commit(instance, run, events))


def _step_of(key: dg.AssetCheckKey) -> str:
    return f"{'__'.join(key.asset_key.path)}_{key.name}"


def _how_far(evaluation: dg.AssetCheckEvaluation) -> str:
    """The verdict's own figures; its examples, which may quote a row, are left to the UI."""
    said = evaluation.description or "no description"
    return _safe(said.partition(": ")[0] if "faults" in evaluation.metadata else said)


def _error_message(event: dg.DagsterEvent) -> str:
    """Message of a step's error if it is ours or the operating system's; else only its class."""
    kind, message = root_cause(event)
    if not kind:
        return "no message"
    ours = kind.startswith(("vox_assets.", "dagster."))
    if (ours or kind in _SYSTEM_ERRORS) and message:
        return _safe(message)
    return f"{kind.rpartition('.')[2][:DETAIL_CHARACTERS]}; its words are on the run's page"


def _safe(text: str) -> str:
    kinds = findings(text)
    return f"withheld, for it holds {', '.join(kinds)}" if kinds else text[:DETAIL_CHARACTERS]


def _commit(instance: dg.DagsterInstance, run: dg.DagsterRun, events: list[dg.DagsterEvent]) -> str:
    """The commit that a run was started for, else the one that its sources were read at."""
    if COMMIT_TAG in run.tags:
        return run.tags[COMMIT_TAG]
    read = [
        event.step_materialization_data.materialization.metadata
        for event in events
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION
    ]
    known = [str(item["commit"].value) for item in read if "commit" in item]
    return known[0] if known else _commit_read_last(instance)


def _commit_read_last(instance: dg.DagsterInstance) -> str:
    """The commit of the sources that the tables are made of."""
    latest = instance.get_latest_materialization_event(raw_rust_fns.key)
    made = latest.asset_materialization if latest is not None else None
    return str(made.metadata["commit"].value) if made and "commit" in made.metadata else "unknown"


def learn(state: ChannelState, message: Message, run_id: str, seen: Outcome, now: float) -> None:
    """Take a run's outcome into what is known, and into the message where it is news."""
    for subject in seen.held & set(state.open):
        problem = state.open.pop(subject)
        message.new = [item for item in message.new if item[0] != subject]
        message.again = [item for item in message.again if item[0] != subject]
        message.recovered.append((subject, problem.model_copy(update={"run_id": run_id})))
    for subject, failure in seen.failed.items():
        known = state.open.get(subject)
        if known is None or (known.severity == "WARN" and failure.severity == "ERROR"):
            problem = Problem(
                severity=failure.severity,
                detail=failure.detail,
                commit=seen.commit,
                run_id=run_id,
                told_at=now,
            )
            state.open[subject] = problem
            message.new.append((subject, problem))
            continue
        if run_id:
            known.times += 1
        known.severity, known.detail, known.run_id = failure.severity, failure.detail, run_id
        if now - known.told_at >= REMIND_AFTER.total_seconds():
            known.told_at = now
            message.again.append((subject, known))


def overdue(instance: dg.DagsterInstance) -> Outcome:
    """Violated freshness policies, in the form of a run's outcome."""
    failed = {}
    held = set()
    for key, record in instance.get_freshness_state_records(FRESH).items():
        subject = f"freshness {key.to_user_string()}"
        if record.freshness_state in (FreshnessState.FAIL, FreshnessState.WARN):
            severity = "ERROR" if record.freshness_state == FreshnessState.FAIL else "WARN"
            failed[subject] = Failure(severity, _age(instance, key))
        elif record.freshness_state == FreshnessState.PASS:
            held.add(subject)
    return Outcome(failed, frozenset(held), _commit_read_last(instance))


def _age(instance: dg.DagsterInstance, key: dg.AssetKey) -> str:
    latest = instance.get_latest_materialization_event(key)
    if latest is None:
        return "overdue: never built"
    days = (time.time() - latest.timestamp) / timedelta(days=1).total_seconds()
    built = datetime.fromtimestamp(latest.timestamp, UTC).date().isoformat()
    return f"overdue: built {days:.1f} days ago, on {built}"


def alert_sensors(urls: tuple[str, ...]) -> list[dg.SensorDefinition]:
    """One sensor for each channel; without channels one that says so at every tick."""
    return [alert_sensor(channel) for channel in range(1, max(1, len(urls)) + 1)]


def alert_sensor(channel: int) -> dg.SensorDefinition:
    """The sensor that keeps the channel at place `channel` of VOX_ALERT_URLS informed."""

    @dg.sensor(
        name=f"alert_channel_{channel}",
        minimum_interval_seconds=SECONDS_BETWEEN_TICKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells one channel what failed, what is overdue and what holds again. "
        "Its tick fails while the channel is dead.",
    )
    def alert(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        notifier: dg.ResourceParam[Notifier],
    ) -> dg.SensorResult:
        now = time.time()
        if not notifier.urls:
            return dg.SensorResult(skip_reason="no alert is sent: VOX_ALERT_URLS is not set")
        if not context.cursor:
            first = ChannelState(until=now).model_dump_json()
            return dg.SensorResult(skip_reason="alerts from now on", cursor=first)
        state = ChannelState.model_validate_json(context.cursor)
        message = Message()
        for record in _ended_runs(context.instance, state):
            run = record.dagster_run
            if run.tags.get("dagster/will_retry") != "true":
                learn(state, message, run.run_id, outcome(context.instance, run), now)
            state.until = record.update_timestamp.timestamp()
            state.read = [*state.read, run.run_id][-_READ_KEPT:]
        learn(state, message, "", overdue(context.instance), now)
        if message:
            notifier.send(channel, message.title(), message.body(settings.ui_url), message.tone)
        return dg.SensorResult(
            skip_reason=f"sent: {message.title()}" if message else "no news",
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
