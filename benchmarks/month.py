"""A month of a deployment that nobody touches: what it does to the UI. `make bench-month`.

Puts the ticks and the builds of thirty days into a fresh instance of `dagster.yaml` by Dagster's
own methods, as many as the intervals make, and has a real web server answer what its pages ask:
before anything is purged, and after the retention. In PostgreSQL where DAGSTER_POSTGRES_URL names
a database, which has to be empty; else in SQLite. The builds are copies of the newest good one of
DAGSTER_HOME. Times a tick over the sources as well. Prints a table and writes
`reports/month.json`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.selector import InstigatorSelector
from dagster._core.scheduler.instigation import TickData, TickStatus
from memory import write_tree
from timing import machine

from vox_assets.pipeline.automation import history
from vox_assets.pipeline.automation.alerts import alert_sensor
from vox_assets.pipeline.automation.fingerprint import sources
from vox_assets.pipeline.automation.retention import KEEP, forget_builds, old_builds
from vox_assets.pipeline.automation.sensors import SENSORS
from vox_assets.settings import SAMPLE_WORKSPACE, Settings, load_settings
from vox_assets.store.files import write_text

DAYS = 30
_SECONDS_IN_A_DAY = 86_400
# Besides the nightly one: each takes the better part of an hour on a real tree, training included.
BUILDS_A_DAY = 4
# The median of five is the least that two disturbed answers cannot decide.
RUNS = 5
# A page that takes longer feels slow.
PAGE_SECONDS = 1.0
# The time allowed for a tick over 4,000 files; so many copies of the sample have that many.
SAMPLE_COPIES = 22
TICK_SECONDS = 2.0
# Dagster ends a tick after sixty seconds.
FORGET_SECONDS = 30.0

LOCATION, REPOSITORY = "vox_assets", "__repository__"
PROJECT = Path(__file__).parents[1]

SELECTOR = (
    f'{{repositoryLocationName: "{LOCATION}", repositoryName: "{REPOSITORY}", '
    'sensorName: "crates_changed"}'
)
TICK = "id status timestamp skipReason cursor runIds error { message }"
#: What the pages ask, with the fields that cost something.
PAGES = {
    "sensor: 25 ticks": f"""{{ sensorOrError(sensorSelector: {SELECTOR}) {{ ... on Sensor {{
        name sensorState {{ id status ticks(limit: 25) {{ {TICK} }} }} }} }} }}""",
    "sensor: a day's timeline": f"""{{ sensorOrError(sensorSelector: {SELECTOR}) {{ ... on Sensor {{
        sensorState {{ ticks(afterTimestamp: AFTER) {{ {TICK} }} }} }} }} }}""",
    "sensor: failed ticks": f"""{{ sensorOrError(sensorSelector: {SELECTOR}) {{ ... on Sensor {{
        sensorState {{ ticks(limit: 25, statuses: [FAILURE]) {{ {TICK} }} }} }} }} }}""",
    "automation": f"""{{ repositoryOrError(repositorySelector: {{
        repositoryLocationName: "{LOCATION}", repositoryName: "{REPOSITORY}"}}) {{
        ... on Repository {{
            sensors {{ name sensorState {{ status ticks(limit: 1) {{ {TICK} }} }} }}
            schedules {{ name scheduleState {{ status ticks(limit: 1) {{ {TICK} }} }} }}
        }} }} }}""",
    "runs": """{ runsFeedOrError(limit: 30, view: ROOTS) { ... on RunsFeedConnection {
        cursor results { id runStatus creationTime startTime endTime tags { key value } } } } }""",
    "asset": """{ assetOrError(assetKey: {path: ["training_mix"]}) { ... on Asset {
        assetMaterializations(limit: 100) { runId timestamp
        metadataEntries { label ... on IntMetadataEntry { intValue } } } } } }""",
    "asset: checks": """{ assetNodeOrError(assetKey: {path: ["training_mix"]}) { ... on AssetNode {
        assetChecksOrError { ... on AssetChecks { checks { name executionForLatestMaterialization {
        id status runId evaluation { success description } } } } } } } }""",
}


@dataclass(frozen=True)
class Result:
    """Median seconds; holds up to `target`."""

    name: str
    seconds: float
    target: float


class Template:
    """A real build of this machine, of which the month's builds are copies."""

    def __init__(self, home: Path) -> None:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            good = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], job_name="rebuild")
            records = instance.get_run_records(good, limit=1)
            if not records:
                raise LookupError(f"no good build in DAGSTER_HOME {home}: run make demo first")
            self.run = records[0].dagster_run
            self.events = [
                record.event_log_entry
                for record in instance.get_records_for_run(self.run.run_id).records
            ]

    def replay(self, instance: dg.DagsterInstance, started: float) -> None:
        """The same build once more, as if it had begun at `started`."""
        run_id = str(uuid.uuid4())
        later = started - self.events[0].timestamp
        instance.add_run(
            dg.DagsterRun(
                job_name=self.run.job_name,
                run_id=run_id,
                status=dg.DagsterRunStatus.NOT_STARTED,
                tags={**self.run.tags, history.BUILD_TAG: history.EVERYTHING},
            )
        )
        for event in self.events:
            instance.handle_new_event(
                event._replace(run_id=run_id, timestamp=event.timestamp + later)
            )


@contextmanager
def one_commit(storage: Any) -> Iterator[None]:
    """One connection for a block: hundreds of thousands of commits are not what is timed."""
    with storage.connect() as connection:
        storage.connect = lambda: contextlib.nullcontext(connection)
        try:
            yield
        finally:
            del storage.connect


def ticking() -> dict[str, int]:
    """Seconds between two ticks of every sensor of a deployment with one alert channel."""
    watching = [*SENSORS, alert_sensor(1), old_builds]
    return {sensor.name: sensor.minimum_interval_seconds or 0 for sensor in watching}


@functools.cache
def selector_id(sensor: str) -> str:
    """Under what the storage knows a sensor's ticks."""
    return InstigatorSelector(
        location_name=LOCATION, repository_name=REPOSITORY, name=sensor
    ).get_id()


def fill(instance: dg.DagsterInstance, template: Template, now: float) -> dict[str, int]:
    """A month that ends `now`; how many builds, events and ticks that is."""
    began, apart = now - DAYS * _SECONDS_IN_A_DAY, _SECONDS_IN_A_DAY / (BUILDS_A_DAY + 1)
    builds = DAYS * (BUILDS_A_DAY + 1)
    for number in range(builds):
        template.replay(instance, began + number * apart)
    ticks = 0
    with one_commit(instance.schedule_storage):
        for sensor, interval in ticking().items():
            for seconds in range(0, DAYS * _SECONDS_IN_A_DAY, interval):
                tick = TickData(
                    instigator_origin_id=sensor,
                    instigator_name=sensor,
                    instigator_type=InstigatorType.SENSOR,
                    status=TickStatus.SKIPPED,
                    timestamp=began + seconds,
                    selector_id=selector_id(sensor),
                    skip_reason="the sources are as they were built",
                    # As long as what a source's sensor keeps.
                    cursor="0" * 200,
                )
                instance.create_tick(tick)
                ticks += 1
    return {"builds": builds, "events": builds * len(template.events), "ticks": ticks}


def purge(instance: dg.DagsterInstance, sensor: str) -> None:
    """What the daemon does after every tick of a sensor."""
    for status, days in instance.get_tick_retention_settings(InstigatorType.SENSOR).items():
        before = time.time() - days * _SECONDS_IN_A_DAY
        instance.purge_ticks(sensor, selector_id(sensor), before, [status])


@contextmanager
def web_server(home: Path) -> Iterator[str]:
    """The UI of an instance, with the code location loaded; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "dagster_webserver", "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--workspace", "workspace.yaml"],
        cwd=PROJECT,
        env={**os.environ, "DAGSTER_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}/graphql"
        while process.poll() is None:
            try:
                ask(address, "{ version }")
                break
            except OSError:
                time.sleep(1)
        yield address
    finally:
        process.terminate()
        process.wait()


def ask(address: str, query: str) -> dict[str, Any]:
    """The server's answer to a query that has to succeed."""
    content = json.dumps({"query": query}).encode()
    request = urllib.request.Request(address, content, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        said = json.load(answer)
    if "errors" in said or not all(said["data"].values()):
        raise RuntimeError(f"{query}: {said}")
    return said["data"]


def pages(home: Path) -> dict[str, float]:
    """Median seconds of the answer to each page."""
    found = {}
    with web_server(home) as address:
        for name, query in PAGES.items():
            timed = query.replace("AFTER", str(time.time() - _SECONDS_IN_A_DAY))
            ask(address, timed)
            found[name] = statistics.median(seconds(ask, address, timed) for _ in range(RUNS))
    return found


def seconds(function: Callable[..., object], *arguments: object) -> float:
    """Time that passes during one call."""
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


def tick(settings: Settings, instance: dg.DagsterInstance) -> float:
    """Median seconds of a tick of `crates_changed`, with everything that a sensor reads."""
    resources = {"settings": settings}

    def once() -> None:
        SENSORS[0](dg.build_sensor_context(instance=instance, resources=resources))

    return statistics.median(seconds(once) for _ in range(RUNS))


def main() -> int:
    """Fill, ask, purge and ask again; the exit code is 0 only when all targets are met."""
    settings = load_settings()
    try:
        template = Template(Path(os.environ.get("DAGSTER_HOME", settings.data_dir / "dagster")))
    except LookupError as error:
        print(f"month: {error}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        home.mkdir()
        postgres = bool(os.environ.get("DAGSTER_POSTGRES_URL"))
        parts = ["dagster.yaml", *(["deploy/postgres.yaml"] if postgres else [])]
        (home / "dagster.yaml").write_text("".join((PROJECT / part).read_text() for part in parts))
        is_sample = settings.source_dir.resolve() == SAMPLE_WORKSPACE.resolve()
        if is_sample:
            tree = Path(folder, "tree")
            write_tree(SAMPLE_WORKSPACE, tree, SAMPLE_COPIES)
            settings = replace(settings, source_dir=tree)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            counts = fill(instance, template, time.time())
            before = pages(home)
            first = sum(seconds(purge, instance, sensor) for sensor in ticking())
            again = sum(seconds(purge, instance, sensor) for sensor in ticking())
            kept = sum(len(instance.get_ticks(sensor, selector_id(sensor))) for sensor in ticking())
            after = pages(home)
            files = sum(one.files for one in sources(settings).values())
            results = [
                *(Result(name, took, PAGE_SECONDS) for name, took in after.items()),
                Result(f"tick over {files:,} files", tick(settings, instance), TICK_SECONDS),
                Result("purge after the ticks of half a minute", again, PAGE_SECONDS),
                Result(
                    "old builds, one tick",
                    seconds(forget_builds, instance, time.time() + KEEP.total_seconds()),
                    FORGET_SECONDS,
                ),
            ]
    counts = {**counts, "ticks_kept": kept}
    storage = "PostgreSQL" if postgres else "SQLite"
    print(f"{DAYS} days in {storage}: " + ", ".join(f"{n:,} {what}" for what, n in counts.items()))
    print(f"first purge {first:.2f}s\n{'':<40}{'whole':>8}{'purged':>8}{'target':>8}")
    for one in results:
        whole = f"{before[one.name]:>7.3f}s" if one.name in before else f"{'':>8}"
        print(f"{one.name:<40}{whole}{one.seconds:>7.3f}s{one.target:>7.1f}s")
    content = {
        "machine": machine(),
        "storage": storage,
        "counts": counts,
        "before_retention": before,
        "results": [asdict(one) for one in results],
    }
    write_text(load_settings().reports_dir / "month.json", json.dumps(content, indent=2) + "\n")
    return 0 if all(one.seconds <= one.target for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
