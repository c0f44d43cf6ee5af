"""Simulates a month of unattended operation and times the UI after it: `make bench-month`.

First, `simulated_month` runs a month with kills, cancels and a broken code location in it, and
compares what is lost, what is stuck and which alerts were sent with what is due.

Then this module measures how fast the UI is after a month. It writes the ticks and builds of thirty
days to a new instance of `dagster.yaml` by Dagster's own methods, as many as the intervals of
sensors and builds give. A real web server then answers the queries of its pages, before and after
the retention. The storage is PostgreSQL if DAGSTER_POSTGRES_URL names a database, which must be
empty, and SQLite otherwise. The builds are copies of the newest successful build of DAGSTER_HOME.
Also times a tick over the sources.

Prints both results and writes `reports/month.json`.
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
from simulated_month import simulate
from timing import machine

from vox_assets.pipeline.automation import history
from vox_assets.pipeline.automation.alerts import alert_sensor
from vox_assets.pipeline.automation.fingerprint import sources
from vox_assets.pipeline.automation.heartbeat import heartbeat
from vox_assets.pipeline.automation.instance import configuration
from vox_assets.pipeline.automation.retention import KEEP, delete_old_builds, old_builds
from vox_assets.pipeline.automation.sensors import SENSORS
from vox_assets.pipeline.automation.terminal_run import LOCATION, REPOSITORY
from vox_assets.settings import SAMPLE_WORKSPACE, Settings, load_settings
from vox_assets.store.files import write_text

DAYS = 30
_SECONDS_IN_A_DAY = 86_400
# In addition to the nightly build. A build of a real tree with training takes most of an hour.
BUILDS_A_DAY = 4
# Five is the smallest number of runs at which two disturbed runs cannot decide the median.
RUNS = 5
# A slower page feels slow to users.
PAGE_SECONDS = 1.0
# The limit for a tick over 4,000 files, which so many copies of the sample contain.
SAMPLE_COPIES = 22
TICK_SECONDS = 2.0
# Dagster cancels a tick after sixty seconds.
FORGET_SECONDS = 30.0

PROJECT = Path(__file__).parents[1]

SELECTOR = (
    f'{{repositoryLocationName: "{LOCATION}", repositoryName: "{REPOSITORY}", '
    'sensorName: "crates_changed"}'
)
TICK = "id status timestamp skipReason cursor runIds error { message }"
#: Queries of the UI's pages, with the expensive fields.
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
    """Median seconds, and the largest value that meets the target."""

    name: str
    seconds: float
    target: float


class Template:
    """A real build of this machine, which the builds of the month copy."""

    def __init__(self, home: Path) -> None:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            successful = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], job_name="rebuild")
            records = instance.get_run_records(successful, limit=1)
            if not records:
                raise LookupError(
                    f"no successful build in DAGSTER_HOME {home}: run make demo first"
                )
            self.run = records[0].dagster_run
            self.events = [
                record.event_log_entry
                for record in instance.get_records_for_run(self.run.run_id).records
            ]

    def replay(self, instance: dg.DagsterInstance, started: float) -> None:
        """Add a copy of the build that began at `started`."""
        run_id = str(uuid.uuid4())
        offset = started - self.events[0].timestamp
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
                event._replace(run_id=run_id, timestamp=event.timestamp + offset)
            )


@contextmanager
def single_commit(storage: Any) -> Iterator[None]:
    """Use one connection for a block, because hundreds of thousands of commits take long."""
    with storage.connect() as connection:
        storage.connect = lambda: contextlib.nullcontext(connection)
        try:
            yield
        finally:
            del storage.connect


def tick_intervals() -> dict[str, int]:
    """Return the tick interval in seconds of each sensor, with one alert channel."""
    sensors = [*SENSORS, alert_sensor(1), heartbeat, old_builds]
    return {sensor.name: sensor.minimum_interval_seconds or 0 for sensor in sensors}


@functools.cache
def selector_id(sensor: str) -> str:
    """Return the key of a sensor's ticks in the storage."""
    return InstigatorSelector(
        location_name=LOCATION, repository_name=REPOSITORY, name=sensor
    ).get_id()


def fill(instance: dg.DagsterInstance, template: Template, now: float) -> dict[str, int]:
    """Write a month that ends at `now`; return the numbers of builds, events and ticks."""
    start = now - DAYS * _SECONDS_IN_A_DAY
    build_interval = _SECONDS_IN_A_DAY / (BUILDS_A_DAY + 1)
    builds = DAYS * (BUILDS_A_DAY + 1)
    for number in range(builds):
        template.replay(instance, start + number * build_interval)
    ticks = 0
    with single_commit(instance.schedule_storage):
        for sensor, interval in tick_intervals().items():
            for seconds in range(0, DAYS * _SECONDS_IN_A_DAY, interval):
                tick = TickData(
                    instigator_origin_id=sensor,
                    instigator_name=sensor,
                    instigator_type=InstigatorType.SENSOR,
                    status=TickStatus.SKIPPED,
                    timestamp=start + seconds,
                    selector_id=selector_id(sensor),
                    skip_reason="the sources are as they were built",
                    # As long as the cursor of a sensor of sources.
                    cursor="0" * 200,
                )
                instance.create_tick(tick)
                ticks += 1
    return {"builds": builds, "events": builds * len(template.events), "ticks": ticks}


def purge(instance: dg.DagsterInstance, sensor: str) -> None:
    """Purge old ticks, as the daemon does after every tick of a sensor."""
    for status, days in instance.get_tick_retention_settings(InstigatorType.SENSOR).items():
        before = time.time() - days * _SECONDS_IN_A_DAY
        instance.purge_ticks(sensor, selector_id(sensor), before, [status])


@contextmanager
def web_server(home: Path) -> Iterator[str]:
    """Run the UI of an instance with the code location; yield the address for queries."""
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
    """Return the server's answer to a query; raise RuntimeError if it is an error."""
    body = json.dumps({"query": query}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        content = json.load(answer)
    if "errors" in content or not all(content["data"].values()):
        raise RuntimeError(f"{query}: {content}")
    return content["data"]


def page_times(home: Path) -> dict[str, float]:
    """Return the median seconds of the query of each page."""
    times = {}
    with web_server(home) as address:
        for name, query in PAGES.items():
            current = query.replace("AFTER", str(time.time() - _SECONDS_IN_A_DAY))
            ask(address, current)
            times[name] = statistics.median(seconds(ask, address, current) for _ in range(RUNS))
    return times


def seconds(function: Callable[..., object], *arguments: object) -> float:
    """Return the wall-clock seconds of a call."""
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def tick_seconds(settings: Settings, instance: dg.DagsterInstance) -> float:
    """Return the median seconds of a tick of `crates_changed`, which reads all sources."""
    resources = {"settings": settings}

    def run_tick() -> None:
        SENSORS[0](dg.build_sensor_context(instance=instance, resources=resources))

    return statistics.median(seconds(run_tick) for _ in range(RUNS))


def main() -> int:
    """Simulate the month and time the pages; return 0 only if nothing is wrong or too slow."""
    settings = load_settings()
    figures, wrong = simulate()
    print("\n".join(f"{name:<24}{value:>5}" for name, value in figures.items()))
    print("\n".join(wrong) or "nothing lost, nothing stuck, and exactly the alerts that were due")
    try:
        template = Template(Path(os.environ.get("DAGSTER_HOME", settings.data_dir / "dagster")))
    except LookupError as error:
        print(f"month: {error}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        home.mkdir()
        postgres = bool(os.environ.get("DAGSTER_POSTGRES_URL"))
        (home / "dagster.yaml").write_text(configuration(postgres))
        is_sample = settings.source_dir.resolve() == SAMPLE_WORKSPACE.resolve()
        if is_sample:
            tree = Path(folder, "tree")
            write_tree(SAMPLE_WORKSPACE, tree, SAMPLE_COPIES)
            settings = replace(settings, source_dir=tree)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            counts = fill(instance, template, time.time())
            before = page_times(home)
            first_purge = sum(seconds(purge, instance, sensor) for sensor in tick_intervals())
            second_purge = sum(seconds(purge, instance, sensor) for sensor in tick_intervals())
            kept = sum(
                len(instance.get_ticks(sensor, selector_id(sensor))) for sensor in tick_intervals()
            )
            after = page_times(home)
            files = sum(side.files for side in sources(settings).values())
            results = [
                *(Result(name, median, PAGE_SECONDS) for name, median in after.items()),
                Result(
                    f"tick over {files:,} files", tick_seconds(settings, instance), TICK_SECONDS
                ),
                Result("purge after the ticks of half a minute", second_purge, PAGE_SECONDS),
                Result(
                    "old builds, one tick",
                    seconds(delete_old_builds, instance, time.time() + KEEP.total_seconds()),
                    FORGET_SECONDS,
                ),
            ]
    counts = {**counts, "ticks_kept": kept}
    storage = "PostgreSQL" if postgres else "SQLite"
    print(f"{DAYS} days in {storage}: " + ", ".join(f"{n:,} {what}" for what, n in counts.items()))
    print(f"first purge {first_purge:.2f}s\n{'':<40}{'before':>8}{'purged':>8}{'target':>8}")
    for result in results:
        unpurged = f"{before[result.name]:>7.3f}s" if result.name in before else f"{'':>8}"
        print(f"{result.name:<40}{unpurged}{result.seconds:>7.3f}s{result.target:>7.1f}s")
    content = {
        "machine": machine(),
        "storage": storage,
        "counts": counts,
        "before_retention": before,
        "results": [asdict(result) for result in results],
        "simulation": figures,
        "wrong": wrong,
    }
    write_text(load_settings().reports_dir / "month.json", json.dumps(content, indent=2) + "\n")
    in_time = all(result.seconds <= result.target for result in results)
    return 0 if in_time and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
