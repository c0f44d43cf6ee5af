"""Simulates a month of unattended operation with faults, and compares the alerts with those due.

The clock is moved; the rest is real: the daemon's own iterations (sensors, schedule, queue, run
monitoring, retries, freshness) on an instance with the shipped configuration, runs in processes
that are killed and interrupted, and a receiver of alerts and heartbeats on loopback. Between events
the daemon makes a round every four hours, and after an event every half minute until it is quiet.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
import unittest.mock
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import dagster as dg
import simulated_location
import sqlalchemy
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.freshness import FreshnessDaemon
from dagster._daemon.monitoring import (
    execute_concurrency_slots_iteration,
    execute_run_monitoring_iteration,
)
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import ScheduleIterationTimes, launch_scheduled_runs
from simulated_location import Fault, faults, lasting_fault

from vox_assets.pipeline.automation import history
from vox_assets.pipeline.automation.fingerprint import sources
from vox_assets.pipeline.automation.instance import configuration
from vox_assets.pipeline.automation.terminal_run import LOCATION
from vox_assets.pipeline.resources.build_lock import LOCK
from vox_assets.settings import load_settings
from vox_assets.store.files import is_held
from vox_assets_tests.receiver import Receiver, receiving

DAYS = 30
HOUR = 3600.0
#: Seconds between two rounds of the daemon after an event, as between two ticks of the sensors.
BUSY_SECONDS = 31.0
IDLE_SECONDS = 4 * HOUR
#: Rounds without a run after which the daemon is quiet: more than the wait for a lost retry needs.
QUIET_ROUNDS = 3
#: Rounds after which a run that has not ended counts as stuck.
MAX_ROUNDS = 60
#: A receiver reports a check as down after this long without a ping: period and grace time.
HEARTBEAT_SECONDS = 4.5 * HOUR

_log = logging.getLogger("simulated_month")


class Clock:
    """The time of the simulation: real time with an offset that only grows."""

    def __init__(self) -> None:
        self._time, self._monotonic, self._time_ns = time.time, time.monotonic, time.time_ns
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.start = (midnight + timedelta(days=1)).timestamp()
        self.offset = self.start - self._time()

    def now(self) -> float:
        return self._time() + self.offset

    def move_to(self, when: float) -> None:
        self.offset += max(0.0, when - self.now())

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Replace the clocks that the daemon, the runs and the sensors read."""
        replaced: dict[str, Callable[[], object]] = {
            "time.time": self.now,
            "time.time_ns": lambda: self._time_ns() + int(self.offset * 1e9),
            "time.monotonic": lambda: self._monotonic() + self.offset,
            "dagster._time._mockable_get_current_datetime": lambda: datetime.fromtimestamp(
                self.now(), UTC
            ),
        }
        with ExitStack() as stack:
            for name, clock in replaced.items():
                stack.enter_context(unittest.mock.patch(name, clock))
            yield


class StuckError(RuntimeError):
    """A run neither ends nor is ended."""


def _message(tick: InstigatorTick) -> str:
    return tick.error.message.strip() if tick.error else "no error"


def open_workspace(instance: dg.DagsterInstance) -> WorkspaceProcessContext:
    """Load the code location in this process."""
    target = LoadableTargetOrigin(
        executable_path=sys.executable,
        module_name="simulated_location",
        working_directory=str(Path(__file__).parent),
        attribute="defs",
    )
    origin = InProcessCodeLocationOrigin(target, location_name=LOCATION)
    return WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)).__enter__()


@dataclass
class Month:
    """A deployment with its clock, its daemon and what its receiver got."""

    clock: Clock
    root: Path
    instance: dg.DagsterInstance
    receiver: Receiver
    context: WorkspaceProcessContext
    edits: int = 0
    rounds: int = 0
    #: Ticks that failed although the receiver answered.
    failed_ticks: list[str] = field(default_factory=list)
    #: Times at which the receiver had got a ping.
    pinged: list[float] = field(default_factory=list)
    #: Time from a change to the end of the build that contains it, for changes without a fault.
    waits: list[float] = field(default_factory=list)
    times: dict[str, ScheduleIterationTimes] = field(default_factory=dict)
    queue: QueuedRunCoordinatorDaemon = field(
        default_factory=lambda: QueuedRunCoordinatorDaemon(interval_seconds=5)
    )
    retries: EventLogConsumerDaemon = field(default_factory=EventLogConsumerDaemon)
    freshness: FreshnessDaemon = field(default_factory=FreshnessDaemon)

    def day(self, day: float, hour: float = 0.0) -> float:
        """Return the time of an hour of a day, the first of which is 1."""
        return self.clock.start + (day - 1) * 24 * HOUR + hour * HOUR

    def round(self) -> None:
        """Let each part of the daemon do its work once."""
        began = self.clock.now()
        now = datetime.fromtimestamp(began, UTC)
        pings = len(self.receiver.pings)
        for part in (
            execute_sensor_iteration(self.context, _log, None, None),
            launch_scheduled_runs(self.context, _log, now, self.times),
            self.queue.run_iteration(self.context),
            execute_run_monitoring_iteration(self.context, _log),
            self.retries.run_iteration(self.context),
            execute_concurrency_slots_iteration(self.context, _log),
            self.freshness.run_iteration(self.context),
        ):
            for _ in part:
                pass
        self.rounds += 1
        if self.receiver.alive:
            self.failed_ticks += self._failed_ticks(began)
        if len(self.receiver.pings) > pings:
            self.pinged.append(self.clock.now())

    def _failed_ticks(self, since: float) -> list[str]:
        ticks = [
            tick
            for state in self.instance.all_instigator_state()
            for tick in self.instance.get_ticks(
                state.instigator_origin_id,
                state.selector_id,
                after=since,
                statuses=[TickStatus.FAILURE],
            )
        ]
        return [f"a tick of {tick.instigator_name} failed: {_message(tick)}" for tick in ticks]

    def settle(self) -> None:
        """Make rounds until no run has been there for some rounds. Raises StuckError."""
        quiet = 0
        for _ in range(MAX_ROUNDS):
            runs = self.run_count()
            self.clock.move_to(self.clock.now() + BUSY_SECONDS)
            self.round()
            quiet = quiet + 1 if self.run_count() == runs and not self.unfinished() else 0
            if quiet == QUIET_ROUNDS:
                return
        runs_left = [f"{run.job_name} {run.status.value}" for run in self.unfinished()]
        raise StuckError(f"stuck after {MAX_ROUNDS} rounds: {', '.join(runs_left)}")

    def run_count(self) -> int:
        return self.instance.get_runs_count()

    def unfinished(self) -> list[dg.DagsterRun]:
        return list(self.instance.get_runs(dg.RunsFilter(statuses=history.UNFINISHED)))

    def wait_until(self, when: float) -> None:
        """Make rounds at long intervals until a time."""
        while self.clock.now() + IDLE_SECONDS < when:
            runs = self.run_count()
            self.clock.move_to(self.clock.now() + IDLE_SECONDS)
            self.round()
            if self.run_count() != runs:
                self.settle()
        self.clock.move_to(when)

    def edit(self, *names: str) -> None:
        """Change sources: `crates`, `docs` or both."""
        self.edits += 1
        for name, path in (("crates", "crates/a/src/lib.rs"), ("docs", "docs/src/index.md")):
            if name in names:
                (self.root / "tree" / path).write_text(f"// change {self.edits}\n")

    def build(self, *names: str) -> None:
        """Change sources and let the daemon build them."""
        changed = self.clock.now()
        self.edit(*names)
        self.settle()
        end = self.instance.get_run_records(limit=1)[0].end_time
        self.waits.append((end or self.clock.now()) - changed)

    def reload(self) -> None:
        """Start the daemon and the code location again."""
        self.context.__exit__(None, None, None)
        self.context = open_workspace(self.instance)


#: A step of the month: its day, its hour, and what happens.
Step = tuple[float, float, Callable[[Month], None]]


def _killed(month: Month, times: int) -> None:
    """Kill the process of a build inside the training, and of its retry."""
    faults.extend([Fault("qlora_adapter", "dies")] * times)
    month.edit("crates")
    month.settle()


def _raised(month: Month) -> None:
    faults.append(Fault("deduped_corpus", "raises"))
    month.edit("docs")
    month.settle()


def _warned(month: Month) -> None:
    faults.append(Fault("human_share", "warns"))
    month.edit("crates")
    month.settle()


def _blocked(month: Month) -> None:
    faults.append(Fault("lane_policy", "fails"))
    month.edit("crates", "docs")
    month.settle()


def _start_waiting(month: Month, name: str) -> dg.DagsterRun:
    """Start a build that waits inside of the training, and return its run."""
    faults.append(Fault("qlora_adapter", "waits"))
    month.edit(name)
    for _ in range(4):
        month.clock.move_to(month.clock.now() + BUSY_SECONDS)
        month.round()
    [run] = month.unfinished()
    return run


def _cancelled(month: Month) -> None:
    """A person cancels a build; it does not start again by itself."""
    run = _start_waiting(month, "docs")
    month.instance.run_coordinator.cancel_run(run.run_id)
    runs = month.run_count()
    month.settle()
    if month.run_count() != runs:
        raise StuckError("a build that a person cancelled has started again")


def _hung(month: Month) -> None:
    """A build hangs for an hour, until a person cancels it, changes the docs and goes home."""
    run = _start_waiting(month, "docs")
    for _ in range(15):
        month.clock.move_to(month.clock.now() + HOUR / 15)
        month.round()
    month.instance.run_coordinator.cancel_run(run.run_id)
    month.build("docs")


def _location_is_broken(month: Month) -> None:
    """A wrong setting keeps the code location from loading for seven hours."""
    os.environ["VOX_TIMEZONE"] = "Mars/Olympus"
    with warnings.catch_warnings():
        # Dagster warns with a traceback.
        warnings.simplefilter("ignore")
        month.reload()
    month.edit("crates", "docs")
    end = month.clock.now() + 7 * HOUR
    while month.clock.now() < end:
        month.clock.move_to(month.clock.now() + IDLE_SECONDS)
        month.round()
    del os.environ["VOX_TIMEZONE"]
    month.reload()
    month.settle()


def _power_cut(month: Month) -> None:
    """The power fails during a build, and is back after five hours."""
    _start_waiting(month, "crates")
    simulated_location.kill_waiting()
    month.clock.move_to(month.clock.now() + 5 * HOUR)
    month.times.clear()
    month.reload()
    month.settle()


def _channel_is_down(month: Month) -> None:
    month.receiver.alive = False
    _blocked(month)


def _channel_is_back(month: Month) -> None:
    month.receiver.alive = True
    month.settle()


def _fails_from_now_on(month: Month) -> None:
    lasting_fault.append(Fault("lane_policy", "fails"))
    month.edit("docs")
    month.settle()


def _is_mended(month: Month) -> None:
    lasting_fault.clear()
    month.edit("docs")
    month.settle()


def _change(*names: str) -> Callable[[Month], None]:
    return lambda month: month.build(*names)


FAULTS: list[Step] = [
    (2, 12, lambda month: _killed(month, times=1)),
    (4, 12, lambda month: _killed(month, times=2)),
    (6, 12, _blocked),
    (8, 12, _raised),
    (9, 12, _warned),
    (10, 12, _cancelled),
    (12, 8, _location_is_broken),
    (14, 12, _power_cut),
    (15, 12, _channel_is_down),
    (15, 18, _channel_is_back),
    (17, 12, _hung),
    (19, 12, _fails_from_now_on),
    (29, 12, _is_mended),
]
#: Ordinary changes, but for the days on which nobody mends the blocked build.
CHANGES: list[Step] = [
    (day, hour, _change(*names))
    for day in [*range(1, 19), 30]
    for hour, names in ((9, ("crates",)), (16, ("docs",) if day % 2 else ("crates", "docs")))
    # The location is broken, the power fails, or the channel of the alerts is down.
    if (day, hour) not in {(12, 9), (14, 16), (15, 16)}
]

_LANE_POLICY = "check training_mix:lane_policy"
_SHARE = "check training_mix:human_share"
_NOT_BUILT = "NOT BUILT qlora_adapter, adapter_eval"
_STILL_FAILED = (_NOT_BUILT, f"STILL FAILED {_LANE_POLICY}")
#: The messages that are due, each with the start of every line.
DUE: list[tuple[str, ...]] = [
    # A build and its retry were killed. The first change of the next hours builds it.
    (_NOT_BUILT, "CRASHED job rebuild_after_crates"),
    ("RECOVERED job rebuild_after_crates",),
    (_NOT_BUILT, f"FAILED {_LANE_POLICY}"),
    (f"RECOVERED {_LANE_POLICY}",),
    ("NOT BUILT deduped_corpus", "FAILED step deduped_corpus"),
    ("RECOVERED step deduped_corpus",),
    (f"WARNING {_SHARE}",),
    (f"RECOVERED {_SHARE}",),
    # One message for all that happened while the channel was down.
    (_NOT_BUILT, f"FAILED {_LANE_POLICY}"),
    (f"RECOVERED {_LANE_POLICY}",),
    ("HUNG job rebuild_after_docs",),
    ("RECOVERED job rebuild_after_docs",),
    (_NOT_BUILT, f"FAILED {_LANE_POLICY}"),
    # Each nightly build but the first, which follows too soon after the first report.
    *[_STILL_FAILED] * 6,
    ("OVERDUE qlora_adapter",),
    *[_STILL_FAILED, ("STILL OVERDUE qlora_adapter",)] * 2,
    _STILL_FAILED,
    (f"RECOVERED {_LANE_POLICY}", "RECOVERED qlora_adapter"),
]
#: Times without pings that a receiver of heartbeats reports: the broken location, the power cut and
#: the hours in which this receiver was down itself.
SILENCES = 3


@dataclass(frozen=True)
class Plan:
    """What happens in how many days, and what is due."""

    days: int
    steps: list[Step]
    due: list[tuple[str, ...]]
    silences: int


MONTH = Plan(DAYS, [*FAULTS, *CHANGES], DUE, SILENCES)


def differences(messages: Sequence[str], due: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the messages that are missing, and those that were not due."""
    found = []
    for number, (message, starts) in enumerate(zip_longest(messages, due), start=1):
        lines = [line for line in (message or "").splitlines() if line]
        if (
            message is None
            or starts is None
            or len(lines) != len(starts)
            or not all(map(str.startswith, lines, starts))
        ):
            found.append(f"message {number}: due {starts or 'nothing'}, got {lines or 'nothing'}")
    return found


def final_faults(month: Month) -> list[str]:
    """Return what is lost or stuck at the end of the month."""
    settings = load_settings()
    found = [f"run {run.run_id} is {run.status.value}" for run in month.unfinished()]
    found += month.failed_ticks
    digests = {name: item.digest for name, item in sources(settings).items()}
    for name, digest in digests.items():
        if not history.is_built(month.instance, name, digest):
            found.append(f"{name}: the last content is not built")
    for asset in ("row_ledger", "corpus_card", "qlora_adapter", "adapter_eval"):
        record = simulated_location.read_record(settings, asset)
        if record != {name: [digests[name]] for name in history.SOURCES}:
            found.append(f"{asset} was built from {record}")
    storage = month.instance.event_log_storage
    found += [
        f"pool {pool} has a slot that no run holds"
        for pool in storage.get_concurrency_keys()
        if storage.get_concurrency_info(pool).active_slot_count
    ]
    if is_held(settings.data_dir / LOCK):
        found.append("the build lock is held")
    if history.last_build_failed(month.instance):
        found.append("the heartbeat signals a failure")
    return found


def _without_sync(connection: Any, _record: object) -> None:
    """Leave writes to the system: a killed process loses none, and nobody cuts the power here."""
    connection.execute("PRAGMA synchronous = OFF")


@contextmanager
def _quick_storage() -> Iterator[None]:
    """Let a storage read its migrations and make its engine once, not at every statement.

    Without this, four fifths of the time of the simulation go into the opening of storages.
    """
    scripts: dict[str | None, ScriptDirectory] = {}
    engines: dict[tuple[int, str], sqlalchemy.Engine] = {}
    from_config, create_engine = ScriptDirectory.from_config, sqlalchemy.create_engine

    def script(config: Config) -> ScriptDirectory:
        location = config.get_main_option("script_location")
        if location not in scripts:
            scripts[location] = from_config(config)
        return scripts[location]

    def engine(url: str, **options: Any) -> sqlalchemy.Engine:
        # A run's process makes its own.
        key = (os.getpid(), url)
        if key not in engines:
            engines[key] = create_engine(url, **options)
            sqlalchemy.event.listen(engines[key], "connect", _without_sync)
        return engines[key]

    with ExitStack() as stack:
        stack.enter_context(unittest.mock.patch.object(ScriptDirectory, "from_config", script))
        for module in (sqlite_schedule_storage, sqlite_run_storage, sqlite_event_log):
            stack.enter_context(unittest.mock.patch.object(module, "create_engine", engine))
        yield


def simulate(plan: Plan = MONTH) -> tuple[dict[str, int], list[str]]:
    """Simulate the month; return its figures and everything that is wrong."""
    began = time.perf_counter()
    clock = Clock()
    with ExitStack() as stack:
        # Dagster logs every fault of the plan. `Month` collects the ticks that should not fail.
        logging.disable(logging.CRITICAL)
        stack.callback(logging.disable, logging.NOTSET)
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.callback(simulated_location.kill_waiting)
        receiver = stack.enter_context(receiving())
        home = root / "home"
        for folder in (home, root / "tree/crates/a/src", root / "tree/docs/src"):
            folder.mkdir(parents=True)
        real = configuration(with_postgres=False)
        launcher = real.replace("vox_assets.pipeline.automation.launcher", "simulated_location")
        launcher = launcher.replace("ProcessRunLauncher", "ForkingLauncher")
        (home / "dagster.yaml").write_text(launcher)
        environment = {
            "DAGSTER_HOME": str(home),
            "VOX_SOURCE_DIR": str(root / "tree"),
            "VOX_DATA_DIR": str(root / "data"),
            "VOX_PROFILE": "sample",
            "VOX_ALERT_URLS": receiver.url,
            "VOX_HEARTBEAT_URL": receiver.heartbeat_url,
        }
        stack.enter_context(unittest.mock.patch.dict(os.environ, environment))
        os.environ.pop("VOX_TIMEZONE", None)
        stack.enter_context(clock.installed())
        stack.enter_context(_quick_storage())
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(home)))
        # A tick opens the instance anew, which takes longer than the tick.
        stack.enter_context(
            unittest.mock.patch.object(
                dg.DagsterInstance, "from_ref", lambda _: nullcontext(instance)
            )
        )
        month = Month(clock, root, instance, receiver, open_workspace(instance))
        stack.callback(lambda: month.context.__exit__(None, None, None))
        found = []
        try:
            month.edit("crates", "docs")
            month.settle()
            for day, hour, happens in sorted(plan.steps, key=lambda step: step[:2]):
                month.wait_until(month.day(day, hour))
                happens(month)
                print(f"day {day:g}: {len(receiver.mails)} alerts", file=sys.stderr, flush=True)
            month.wait_until(month.day(plan.days + 1))
            month.settle()
        except StuckError as error:
            found.append(str(error))
        found += final_faults(month)
        found += differences([mail["message"] for mail in receiver.mails], plan.due)
        gaps = [later - earlier for earlier, later in pairwise(month.pinged)]
        silences = sum(gap > HEARTBEAT_SECONDS for gap in gaps)
        if silences != plan.silences:
            found.append(f"{silences} silences of the heartbeat, {plan.silences} were due")
        statuses = Counter(run.status.value for run in instance.get_runs())
        ticks = sum(
            len(instance.get_ticks(state.instigator_origin_id, state.selector_id))
            for state in instance.all_instigator_state()
        )
        figures: dict[str, int] = {
            "days": plan.days,
            "changes": month.edits,
            "rounds": month.rounds,
            "ticks_kept": ticks,
            **{f"runs_{status.lower()}": count for status, count in sorted(statuses.items())},
            "alerts": len(receiver.mails),
            "alerts_due": len(plan.due),
            "pings": len(receiver.pings),
            "silences": silences,
            "longest_wait_seconds": round(max(month.waits, default=0)),
            "seconds": round(time.perf_counter() - began),
        }
    return figures, found
