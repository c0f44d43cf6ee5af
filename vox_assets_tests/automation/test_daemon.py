"""A deployment that nobody touches: the real daemon, a changing tree, and a real receiver."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
import yaml

from vox_assets.curate.audit import ledger_balances
from vox_assets.engine.lake import Lake
from vox_assets.engine.models import LocalModel
from vox_assets_tests.assets.conftest import QUICK, write_profile
from vox_assets_tests.automation.conftest import REPOSITORY, instance_config
from vox_assets_tests.postgres import free_port, postgres
from vox_assets_tests.receiver import Receiver, receiving

pytestmark = pytest.mark.slow

# A build of the cut takes one to three minutes on two cores; nothing here is timed.
PATIENCE_SECONDS = 1500
LANE_POLICY = "check training_mix:lane_policy"
ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE)


@dataclass
class Deployment:
    """What `make dev` runs, on a copy of a part of the bundled workspace."""

    tree: Path
    profile: Path
    data: Path
    instance: dg.DagsterInstance
    receiver: Receiver
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Daemon, web server and code server, in a process group with the runs that they start."""
        command = [sys.executable, "-m", "dagster", "dev", "--host", "127.0.0.1"]
        with self.log.open("a") as output:
            self.process = subprocess.Popen(
                [*command, "--port", str(free_port()), "--workspace", "workspace.yaml"],
                cwd=REPOSITORY,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """What a power cut does to all of them."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def lake(self) -> Lake:
        return Lake(str(self.data / "lake"))

    def runs(self) -> list[dg.DagsterRun]:
        """All runs, the oldest first."""
        return [*reversed(self.instance.get_runs())]

    def wait(self, what: str, holds: Callable[[], bool]) -> None:
        """Let the daemon work until `holds`."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"{what}\n{self.log.read_text()[-5000:]}"
            time.sleep(2)

    def wait_for_runs(self, count: int) -> dg.DagsterRun:
        """Until that many runs have ended; the newest of them."""

        def ended() -> bool:
            return sum(run.status in ENDED for run in self.runs()) >= count

        self.wait(f"{count} runs", ended)
        return self.runs()[count - 1]

    def versions(self) -> dict[str, int]:
        return {
            asset: self.lake.version(asset)
            for asset in ("raw_rust_fns", "doc_qa_pairs", "training_mix", "qlora_adapter")
        }

    def adapters(self) -> dict[str, bytes]:
        """Every file of every adapter that stands, and the one that serves."""
        root = self.data / "adapters"
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file() and ".work" not in path.parts
        }


@pytest.fixture(params=["sqlite", "postgres"])
def deployment(
    request: pytest.FixtureRequest,
    small_tree: Path,
    base_model: LocalModel,
    model_dir: Path,
    tmp_path: Path,
) -> Iterator[Deployment]:
    tree, data, home = tmp_path / "tree", tmp_path / "data", tmp_path / "home"
    shutil.copytree(small_tree, tree)
    # The models that the session has already dequantised.
    shutil.copytree(model_dir, data / "cache")
    home.mkdir()
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "VOX_SOURCE_DIR": str(tree),
            "VOX_DATA_DIR": str(data),
            "VOX_PROFILE": write_profile(tmp_path / "quick.yaml", **QUICK),
            "VOX_ALERT_URLS": receiver.url,
            "VOX_TIMEZONE": where_it_is_afternoon(),
        }
        if request.param == "postgres":
            url = stack.enter_context(postgres())
            environment["DAGSTER_POSTGRES_URL"] = url
            # Also for this process, which opens the same instance.
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setenv("DAGSTER_POSTGRES_URL", url)
        (home / "dagster.yaml").write_text(instance_config(request.param == "postgres"))
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(home)))
        deployment = Deployment(
            tree,
            tmp_path / "quick.yaml",
            data,
            instance,
            receiver,
            environment,
            tmp_path / "dev.log",
        )
        stack.callback(deployment.kill)
        deployment.start()
        yield deployment


def where_it_is_afternoon() -> str:
    """A zone in which the nightly run is half a day away."""
    ahead = 14 - time.gmtime().tm_hour
    # POSIX counts west of Greenwich.
    return f"Etc/GMT{-ahead:+d}" if ahead else "UTC"


def test_after_a_power_cut_the_build_starts_again_and_goes_through(
    deployment: Deployment,
) -> None:
    def under_way() -> bool:
        return (deployment.data / "lake" / "raw_rust_fns" / "_delta_log").exists()

    deployment.wait("a build under way", under_way)
    deployment.kill()
    [cut] = deployment.runs()
    assert cut.status == dg.DagsterRunStatus.STARTED
    deployment.start()

    def built() -> bool:
        return any(run.status == dg.DagsterRunStatus.SUCCESS for run in deployment.runs())

    deployment.wait("a good build", built)
    assert deployment.runs()[0].status == dg.DagsterRunStatus.FAILURE
    balance = ledger_balances(deployment.lake.read("row_ledger"))
    assert balance.passed, balance.summary


def test_a_change_is_built_a_broken_policy_is_stopped_and_its_repair_is_told(
    deployment: Deployment,
) -> None:
    first = deployment.wait_for_runs(1)
    assert (first.job_name, first.status) == ("rebuild", dg.DagsterRunStatus.SUCCESS)
    before = deployment.versions()

    # A function is appended to a crate: one run of what depends on it, without a click.
    source = deployment.tree / "crates" / "vox-units" / "src" / "lib.rs"
    with source.open("a") as file:
        file.write(
            "\n/// Doubles a count of items, and stops at the largest count there is.\n"
            "pub fn doubled(count: u64) -> u64 {\n    let twice = count.saturating_mul(2);\n"
            "    twice\n}\n"
        )
    second = deployment.wait_for_runs(2)
    assert (second.job_name, second.status) == (
        "rebuild_after_crates",
        dg.DagsterRunStatus.SUCCESS,
    )
    after = deployment.versions()
    assert after == {name: v + (name != "doc_qa_pairs") for name, v in before.items()}
    rows = deployment.lake.read("raw_rust_fns")
    assert rows["source_symbol"].str.ends_with("::doubled").any()

    # The policy sends prose to the code lane: the check fails, nothing is trained, one alert.
    adapters = deployment.adapters()
    policy = yaml.safe_load(deployment.profile.read_text())
    good = policy["lane_rules"]
    deployment.profile.write_text(
        yaml.safe_dump({**policy, "lane_rules": [{"lane": "vox_codegen"}]})
    )
    third = deployment.wait_for_runs(3)
    assert (third.job_name, third.status) == ("rebuild", dg.DagsterRunStatus.FAILURE)
    deployment.wait("the alert", lambda: LANE_POLICY in deployment.receiver.bodies())
    assert deployment.adapters() == adapters
    assert deployment.versions()["qlora_adapter"] == after["qlora_adapter"]

    # The policy is mended: a good build, and word of it.
    deployment.profile.write_text(yaml.safe_dump({**policy, "lane_rules": good}))
    fourth = deployment.wait_for_runs(4)
    assert (fourth.job_name, fourth.status) == ("rebuild", dg.DagsterRunStatus.SUCCESS)
    recovered = f"RECOVERED {LANE_POLICY}"
    deployment.wait("the recovery", lambda: recovered in deployment.receiver.bodies())
    lines = [line for line in deployment.receiver.bodies().splitlines() if LANE_POLICY in line]
    assert [line.split()[0] for line in lines] == ["ERROR", "RECOVERED"]
    assert f"/runs/{third.run_id}" in lines[0]
    assert "failures in a tree that is not in git: 1" in lines[1]
    assert len(deployment.runs()) == 4
