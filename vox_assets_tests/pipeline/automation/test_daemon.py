"""Tests an unattended deployment: `make dev`, a changing tree and real alert receivers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.events import StepMaterializationData
from dagster._core.scheduler.instigation import InstigatorState, TickData, TickStatus

from vox_assets.compute.models import LocalModel
from vox_assets.curate.audit import ledger_balances
from vox_assets.pipeline.automation import heartbeat, history
from vox_assets.pipeline.automation.instance import configuration
from vox_assets.pipeline.automation.source_versions import DATA_VERSION_TAG
from vox_assets.store.lake import Lake
from vox_assets_tests.pipeline.conftest import QUICK, write_profile
from vox_assets_tests.postgres import free_port, postgres
from vox_assets_tests.receiver import Receiver, receiving

REPOSITORY = Path(__file__).parents[3]

pytestmark = pytest.mark.slow

# A build of the small workspace takes one to three minutes on two cores.
TIMEOUT_SECONDS = 1500
LANE_POLICY = "check training_mix:lane_policy"
ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)
SUCCESS, FAILURE = ENDED
TERMINATE = """
mutation($run: String!) { terminateRun(runId: $run) { __typename } }
"""
LAUNCH = """
mutation($launched: ExecutionParams!) {
  launchRun(executionParams: $launched) { __typename ... on LaunchRunSuccess { run { runId } } }
}
"""


@dataclass
class Deployment:
    """The processes of `make dev`, with their folders, instance and alert receivers."""

    tree: Path
    profile: Path
    data: Path
    instance: dg.DagsterInstance
    receivers: list[Receiver]
    environment: Mapping[str, str]
    log: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start daemon, web server and code servers, in one process group with their runs."""
        command = [sys.executable, "-m", "vox_assets.pipeline.automation.serve"]
        with self.log.open("a") as output:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                cwd=REPOSITORY,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill all processes, as a power cut does."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def launch(self, job: str, **selection: Any) -> None:
        """Launch a run through the web server, as a click in the UI does."""
        selector = {
            "repositoryLocationName": "vox_assets",
            "repositoryName": "__repository__",
            "jobName": job,
            **selection,
        }
        launched = {"selector": selector, "mode": "default", "runConfigData": {}}
        reply = self.ask(LAUNCH, launched=launched)
        assert reply["data"]["launchRun"]["__typename"] == "LaunchRunSuccess", reply

    def cancel(self, run: dg.DagsterRun) -> None:
        """Terminate a run through the web server, as its button in the UI does."""
        reply = self.ask(TERMINATE, run=run.run_id)
        assert reply["data"]["terminateRun"]["__typename"] == "TerminateRunSuccess", reply

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Send a query to the web server."""
        content = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            content,
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:
            reply: dict[str, Any] = json.load(response)
        return reply

    @property
    def lake(self) -> Lake:
        return Lake(str(self.data / "lake"))

    def runs(self) -> list[dg.DagsterRun]:
        """Return all runs, oldest first."""
        return [*reversed(self.instance.get_runs())]

    def wait(self, label: str, condition: Callable[[], object]) -> None:
        """Wait until `condition` is true; `label` names it in the error."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{label}\n{self.log.read_text()[-5000:]}"
            time.sleep(1)

    def wait_for_runs(self, count: int) -> dg.DagsterRun:
        """Wait until `count` runs have ended; return the newest of them."""

        def ended() -> bool:
            return sum(run.status in ENDED for run in self.runs()) >= count

        self.wait(f"{count} runs", ended)
        return self.runs()[count - 1]

    def sensor(self, name: str) -> InstigatorState:
        """Wait until the first tick of a sensor has ended; return the sensor's state."""

        def find() -> InstigatorState | None:
            states = self.instance.all_instigator_state()
            return next((state for state in states if state.instigator_name == name), None)

        self.wait(name, lambda: (state := find()) and self.ticks(state, TickStatus.SKIPPED))
        state = find()
        assert state is not None
        return state

    def ticks(self, sensor: InstigatorState, *statuses: TickStatus) -> list[TickData]:
        """Return the ticks of a sensor with these statuses, newest first."""
        ticks = self.instance.get_ticks(
            sensor.instigator_origin_id, sensor.selector_id, statuses=list(statuses)
        )
        return [tick.tick_data for tick in ticks]

    def versions(self) -> dict[str, int]:
        """Return the current version of four tables."""
        return {
            asset: self.lake.version(asset)
            for asset in ("raw_rust_fns", "doc_qa_pairs", "training_mix", "qlora_adapter")
        }

    def adapters(self) -> dict[str, bytes]:
        """Return the content of every adapter file, and of the file that names the promoted one."""
        root = self.data / "adapters"
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and ".work" not in path.parts
        }


@contextmanager
def deployed(root: Path, tree: Path, storage: str, channels: int = 1) -> Iterator[Deployment]:
    """Configure `make dev` on `tree`, with all output below `root`; it is not started yet."""
    home = root / "home"
    home.mkdir()
    with ExitStack() as stack:
        receivers = [stack.enter_context(receiving()) for _ in range(channels)]
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "VOX_SOURCE_DIR": str(tree),
            "VOX_DATA_DIR": str(root / "data"),
            "VOX_PROFILE": write_profile(root / "quick.yaml", **QUICK),
            "VOX_ALERT_URLS": " ".join(receiver.url for receiver in receivers),
            "VOX_HEARTBEAT_URL": receivers[0].heartbeat_url,
            "VOX_TIMEZONE": afternoon_timezone(),
        }
        if storage == "postgres":
            url = stack.enter_context(postgres())
            environment["DAGSTER_POSTGRES_URL"] = url
            # This process opens the same instance.
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setenv("DAGSTER_POSTGRES_URL", url)
        (home / "dagster.yaml").write_text(configuration(storage == "postgres"))
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(home)))
        deployment = Deployment(
            tree,
            root / "quick.yaml",
            root / "data",
            instance,
            receivers,
            environment,
            root / "dev.log",
        )
        stack.callback(deployment.kill)
        yield deployment


def afternoon_timezone() -> str:
    """Return a time zone in which the nightly run is half a day away."""
    ahead = 14 - time.gmtime().tm_hour
    # POSIX zone names count hours west of Greenwich.
    return f"Etc/GMT{-ahead:+d}" if ahead else "UTC"


@pytest.fixture(scope="module")
def cache(
    base_model: LocalModel, model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a folder with the dequantised models, whose caches both storages share."""
    return Path(shutil.copytree(model_dir, tmp_path_factory.mktemp("deployed") / "cache"))


@pytest.mark.parametrize("storage", ["sqlite", "postgres"])
def test_a_deployment_builds_changes_and_reports_failures_and_recoveries(
    storage: str, small_tree: Path, cache: Path, tmp_path: Path
) -> None:
    tree = Path(shutil.copytree(small_tree, tmp_path / "tree"))
    with deployed(tmp_path, tree, storage) as deployment:
        deployment.data.mkdir()
        (deployment.data / "cache").symlink_to(cache)
        deployment.start()
        check_restart_after_a_power_cut(deployment)
        check_build_of_an_added_function(deployment)
        check_alerts_of_a_broken_policy_and_its_fix(deployment)


def check_restart_after_a_power_cut(deployment: Deployment) -> None:
    """Kill the first build; the next start retries it and it succeeds."""

    def is_running() -> bool:
        return (deployment.data / "lake" / "raw_rust_fns" / "_delta_log").exists()

    deployment.wait("a running build", is_running)
    deployment.kill()
    [killed] = deployment.runs()
    assert (killed.job_name, killed.status) == ("rebuild", dg.DagsterRunStatus.STARTED)
    deployment.start()
    # Run monitoring requests a retry; if Dagster loses it, the sensor starts a second attempt.
    retry = deployment.wait_for_runs(2)
    assert (retry.job_name, retry.status) == ("rebuild", SUCCESS)
    assert [run.status for run in deployment.runs()] == [FAILURE, SUCCESS]
    balance = ledger_balances(deployment.lake.read("row_ledger"))
    assert balance.passed, balance.summary


def check_build_of_an_added_function(deployment: Deployment) -> None:
    """Append a function; one run builds new versions of the dependent tables only."""
    before = deployment.versions()
    source = deployment.tree / "crates" / "vox-units" / "src" / "lib.rs"
    with source.open("a") as file:
        file.write(
            "\n/// Doubles a count of items, and stops at the largest count there is.\n"
            "pub fn doubled(count: u64) -> u64 {\n    let twice = count.saturating_mul(2);\n"
            "    twice\n}\n"
        )
    run = deployment.wait_for_runs(3)
    assert (run.job_name, run.status) == ("rebuild_after_crates", SUCCESS)
    after = deployment.versions()
    assert after == {name: v + (name != "doc_qa_pairs") for name, v in before.items()}
    rows = deployment.lake.read("raw_rust_fns")
    assert rows["source_symbol"].str.ends_with("::doubled").any()
    latest = deployment.instance.get_latest_materialization_event(dg.AssetKey("crates"))
    assert latest is not None
    assert latest.asset_materialization is not None
    assert (latest.asset_materialization.tags or {})[DATA_VERSION_TAG] == run.tags[
        history.digest_tag("crates")
    ]


def check_alerts_of_a_broken_policy_and_its_fix(deployment: Deployment) -> None:
    """Assign prose to the code lane: a check fails, nothing is trained, one alert is sent."""
    [receiver] = deployment.receivers
    assert receiver.bodies().count("job ") == 0
    adapters, version = deployment.adapters(), deployment.versions()["qlora_adapter"]
    policy = yaml.safe_load(deployment.profile.read_text())
    broken = {**policy, "lane_rules": [{"lane": "vox_codegen"}]}
    deployment.profile.write_text(yaml.safe_dump(broken))
    failed = deployment.wait_for_runs(4)
    assert (failed.job_name, failed.status) == ("rebuild", FAILURE)
    deployment.wait("the alert", lambda: LANE_POLICY in receiver.bodies())
    assert deployment.adapters() == adapters
    assert deployment.versions()["qlora_adapter"] == version

    deployment.profile.write_text(yaml.safe_dump(policy))
    fixed = deployment.wait_for_runs(5)
    assert (fixed.job_name, fixed.status) == ("rebuild", SUCCESS)
    recovered = f"RECOVERED {LANE_POLICY}"
    deployment.wait("the recovery", lambda: recovered in receiver.bodies())
    lines = [line for line in receiver.bodies().splitlines() if LANE_POLICY in line]
    assert [line.split()[0] for line in lines] == ["FAILED", "RECOVERED"]
    assert f"/runs/{failed.run_id}" in lines[0]
    assert "passes again after 1 failure in a tree that is not in git" in lines[1]
    assert len(deployment.runs()) == 5


def test_a_cancelled_build_stays_cancelled_and_a_broken_location_sends_no_heartbeat(
    small_tree: Path, cache: Path, tmp_path: Path
) -> None:
    tree = Path(shutil.copytree(small_tree, tmp_path / "tree"))
    with deployed(tmp_path, tree, "sqlite") as deployment:
        deployment.data.mkdir()
        (deployment.data / "cache").symlink_to(cache)
        [receiver] = deployment.receivers
        deployment.start()
        deployment.wait("the start of a build", lambda: any("/start" in p for p in receiver.pings))
        [build] = deployment.runs()
        assert f"/start?rid={build.run_id}" in receiver.pings
        deployment.cancel(build)
        canceled = dg.DagsterRunStatus.CANCELED
        deployment.wait("the end", lambda: deployment.runs()[0].status == canceled)
        reason = f"run {build.run_id[:8]} was cancelled"
        sensor = deployment.sensor("crates_changed")

        def ticks_since() -> list[TickData]:
            skipped = deployment.ticks(sensor, TickStatus.SKIPPED)
            return [tick for tick in skipped if reason in (tick.skip_reason or "")]

        deployment.wait("three ticks", lambda: len(ticks_since()) >= 3)
        assert len(deployment.runs()) == 1
        assert receiver.mails == []
        deployment.wait("a ping of a tick", lambda: "" in receiver.pings)
        assert not any("/fail" in ping for ping in receiver.pings)

        deployment.kill()
        deployment.environment = {**deployment.environment, "VOX_TIMEZONE": "Mars/Olympus"}
        pings = len(receiver.pings)
        deployment.start()
        deployment.wait("the error", lambda: "IANA name" in deployment.log.read_text())
        time.sleep(2.5 * heartbeat.SECONDS_BETWEEN_TICKS)
        assert len(receiver.pings) == pings


@pytest.mark.parametrize("storage", ["sqlite", "postgres"])
def test_a_deployment_without_sources_reports_all_failures_and_purges_old_ticks(
    storage: str, tmp_path: Path
) -> None:
    (tmp_path / "tree").mkdir()
    with deployed(tmp_path, tmp_path / "tree", storage, channels=2) as deployment:
        broken, working = deployment.receivers
        broken.alive = False
        deployment.start()
        source_sensor = deployment.sensor("crates_changed")
        # Only failures after the first tick of a channel are reported.
        broken_sensor, _ = (
            deployment.sensor("alert_channel_1"),
            deployment.sensor("alert_channel_2"),
        )
        for days in (3, 1):
            add_skipped_tick(deployment, source_sensor, days)
        add_materialization(deployment, "training_mix", days=9)
        deployment.launch("corpus")
        check = {"assetKey": {"path": ["deduped_corpus"]}, "name": "no_residual_duplicates"}
        deployment.launch("__ASSET_JOB", assetSelection=[], assetCheckSelection=[check])
        expected = {
            "OVERDUE training_mix: built 9.0 days ago",
            f"FAILED step raw_rust_fns: {deployment.tree}/crates: no such folder",
            f"FAILED step doc_qa_pairs: {deployment.tree}/docs/src: no such folder",
            "CRASHED check deduped_corpus:no_residual_duplicates: no result: "
            "deduped_corpus is not built yet",
        }
        deployment.wait("all alerts", lambda: all(line in working.bodies() for line in expected))
        assert {run.status for run in deployment.runs()} == {FAILURE}
        assert len(deployment.runs()) == 2

        # The ticks of the broken channel fail, and it receives all alerts at once when it is back.
        assert broken.mails == []
        error = deployment.ticks(broken_sensor, TickStatus.FAILURE)[0].error
        assert error is not None
        assert "entry 1 of VOX_ALERT_URLS did not accept the message" in str(error)
        assert str(broken.port) not in str(error)
        broken.alive = True
        deployment.wait("an alert on the repaired channel", lambda: broken.mails)
        [alert] = broken.mails
        assert alert["title"].startswith("raw_rust_fns and ")
        assert " not built: 1 crashed, 2 failed, 1 overdue (vox-assets, " in alert["title"]
        assert all(line in alert["message"] for line in expected)

        # Skipped ticks are kept for two days.
        ages = [time.time() - tick.timestamp for tick in deployment.ticks(source_sensor)]
        assert timedelta(hours=23).total_seconds() < max(ages) < timedelta(days=2).total_seconds()


def add_skipped_tick(deployment: Deployment, sensor: InstigatorState, days: float) -> None:
    """Store a skipped tick of the sensor that is `days` old."""
    deployment.instance.create_tick(
        TickData(
            instigator_origin_id=sensor.instigator_origin_id,
            instigator_name=sensor.instigator_name,
            instigator_type=InstigatorType.SENSOR,
            status=TickStatus.SKIPPED,
            timestamp=time.time() - timedelta(days=days).total_seconds(),
            selector_id=sensor.selector_id,
        )
    )


def add_materialization(deployment: Deployment, asset: str, days: float) -> None:
    """Store a materialisation of the asset that is `days` old in the event log."""
    data = StepMaterializationData(dg.AssetMaterialization(asset))
    deployment.instance.handle_new_event(
        dg.EventLogEntry(
            error_info=None,
            user_message="",
            level="info",
            run_id="",
            timestamp=time.time() - timedelta(days=days).total_seconds(),
            dagster_event=dg.DagsterEvent(
                event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                job_name="",
                event_specific_data=data,
            ),
        )
    )
