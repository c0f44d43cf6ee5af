"""Tests that a build that is ended by a fault leaves every table at its old or new version.

Each fault ends a real build in a separate process, at a point drawn from a fixed seed. The next
build must succeed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from vox_assets.compute.models import LocalModel
from vox_assets.contract.rows import CORPUS_TABLES
from vox_assets.curate.audit import ledger_balances
from vox_assets.store.lake import Lake
from vox_assets_tests.pipeline.conftest import QUICK, write_profile

pytestmark = pytest.mark.slow

SEED = 7
KILLS = 4
TABLES = (*CORPUS_TABLES, "row_ledger")
#: Folder with the tables that a build without a fault writes.
NEXT_BUILD = "next"


@dataclass
class Workspace:
    """A tree, and the folder that builds of its corpus write to."""

    tree: Path
    data: Path
    profile: str
    #: Storage of the Dagster instance.
    home: Path

    def start(self) -> subprocess.Popen[str]:
        """Start a build in a separate process group."""
        self.home.mkdir(exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-m", "vox_assets.cli", "build", "corpus"],
            env={
                **os.environ,
                "DAGSTER_HOME": str(self.home),
                "VOX_SOURCE_DIR": str(self.tree),
                "VOX_DATA_DIR": str(self.data),
                "VOX_PROFILE": self.profile,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def build(self) -> tuple[int, str]:
        """Run a build; return its exit code and its output."""
        process = self.start()
        output, _ = process.communicate()
        return process.returncode, output

    def tables(self) -> dict[str, pl.DataFrame]:
        """Read every table."""
        lake = Lake(str(self.data / "lake"))
        return {name: lake.read(name) for name in TABLES}

    def assert_consistent(
        self, before: dict[str, pl.DataFrame], after: dict[str, pl.DataFrame]
    ) -> None:
        """Check that each table has all old rows or all new rows, and that the ledger balances."""
        for name, rows in self.tables().items():
            assert rows.equals(before[name]) or rows.equals(after[name]), name
            # Read every file that the newest version names.
            DeltaTable(Lake(str(self.data / "lake")).uri(name)).to_pyarrow_table()
        balance = ledger_balances(self.tables()["row_ledger"])
        assert balance.passed, balance.summary


@dataclass
class Baseline:
    """A workspace after one good build, and the duration and tables of the next build."""

    workspace: Workspace
    seconds: float
    before: dict[str, pl.DataFrame]
    after: dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def baseline(
    small_tree: Path,
    base_model: LocalModel,
    model_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Baseline:
    root = tmp_path_factory.mktemp("baseline")
    shutil.copytree(small_tree, root / "tree")
    shutil.copytree(model_dir, root / "data" / "cache")
    profile = write_profile(root / "quick.yaml", **QUICK)
    workspace = Workspace(root / "tree", root / "data", profile, root / "home")
    code, output = workspace.build()
    assert code == 0, output
    before = workspace.tables()
    with (workspace.tree / "crates" / "vox-units" / "src" / "lib.rs").open("a") as file:
        file.write(
            "\n/// Doubles a count of items, and stops at the largest count there is.\n"
            "pub fn doubled(count: u64) -> u64 {\n    let twice = count.saturating_mul(2);\n"
            "    twice\n}\n"
        )
    next_build = Workspace(workspace.tree, root / NEXT_BUILD, workspace.profile, root / "home")
    shutil.copytree(workspace.data, next_build.data)
    started = time.monotonic()
    code, output = next_build.build()
    assert code == 0, output
    after = next_build.tables()
    assert not after["raw_rust_fns"].equals(before["raw_rust_fns"])
    return Baseline(workspace, time.monotonic() - started, before, after)


@pytest.fixture
def workspace(baseline: Baseline, tmp_path: Path) -> Workspace:
    """Copy the good build, for a test to damage."""
    data = tmp_path / "data"
    shutil.copytree(baseline.workspace.data, data)
    return replace(baseline.workspace, data=data, home=tmp_path / "home")


def assert_next_build_succeeds(baseline: Baseline, workspace: Workspace) -> None:
    code, output = workspace.build()
    assert code == 0, output
    for name, rows in workspace.tables().items():
        assert rows.equals(baseline.after[name]), name


def test_a_build_that_is_killed_at_any_point_leaves_consistent_tables(
    baseline: Baseline, workspace: Workspace
) -> None:
    points = random.Random(SEED)
    for _ in range(KILLS):
        process = workspace.start()
        time.sleep(points.uniform(0.2, 1.0) * baseline.seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        workspace.assert_consistent(baseline.before, baseline.after)
    assert_next_build_succeeds(baseline, workspace)


def test_two_simultaneous_builds_run_one_after_the_other(
    baseline: Baseline, workspace: Workspace
) -> None:
    first, second = workspace.start(), workspace.start()
    outputs = [process.communicate()[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert "waiting for the build that holds" in outputs[0] + outputs[1]
    workspace.assert_consistent(baseline.after, baseline.after)
    versions = {Lake(str(workspace.data / "lake")).version(name) for name in TABLES}
    assert versions == {2}


@pytest.fixture
def small_disk(baseline: Baseline, tmp_path: Path) -> Iterator[Workspace]:
    """Copy the good build to a separate disk that a test can fill or make read-only."""
    root = tmp_path / "disk"
    root.mkdir()
    if not mount(root, "-t", "tmpfs", "-o", "size=4g", "tmpfs"):
        pytest.skip("this user may not mount a disk: run as root")
    try:
        shutil.copytree(baseline.workspace.data, root / "data")
        yield replace(baseline.workspace, data=root / "data", home=tmp_path / "home")
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


def mount(root: Path, *options: str) -> bool:
    """Mount a disk at `root`; return whether that succeeded."""
    process = subprocess.run(["mount", *options, str(root)], capture_output=True, check=False)
    return process.returncode == 0


def used_bytes(root: Path) -> int:
    return shutil.disk_usage(root).used


def test_a_full_disk_ends_the_build_and_leaves_consistent_tables(
    baseline: Baseline, small_disk: Workspace
) -> None:
    root = small_disk.data.parent
    points = random.Random(SEED)
    growth = growth_of_a_build(baseline)
    # Dagster's storage on another disk, and on the full disk, where `make` configures it.
    for home in (small_disk.home, root / "home"):
        free_bytes = int(points.uniform(0.1, 0.8) * growth)
        assert mount(root, "-o", f"remount,size={used_bytes(root) + free_bytes}")
        code, output = replace(small_disk, home=home).build()
        assert code != 0, output
        small_disk.assert_consistent(baseline.before, baseline.after)
    assert mount(root, "-o", "remount,size=4g")
    assert_next_build_succeeds(baseline, small_disk)


def growth_of_a_build(baseline: Baseline) -> int:
    """Return the number of bytes that one more build adds to the folder."""
    data = baseline.workspace.data
    next_data = data.parent / NEXT_BUILD
    return sum(
        (1 if folder is next_data else -1) * path.stat().st_size
        for folder in (next_data, data)
        for path in folder.rglob("*")
        if path.is_file()
    )


def test_a_read_only_disk_ends_the_build_and_leaves_consistent_tables(
    baseline: Baseline, small_disk: Workspace
) -> None:
    root = small_disk.data.parent
    process = small_disk.start()
    time.sleep(random.Random(SEED).uniform(0.3, 0.7) * baseline.seconds)
    # The remount fails while a file is open for writing, so it is retried.
    os.killpg(process.pid, signal.SIGSTOP)
    is_read_only = mount(root, "-o", "remount,ro")
    os.killpg(process.pid, signal.SIGCONT)
    while not is_read_only and process.poll() is None:
        is_read_only = mount(root, "-o", "remount,ro")
    process.communicate()
    assert is_read_only
    assert process.returncode != 0
    small_disk.assert_consistent(baseline.before, baseline.after)
    assert mount(root, "-o", "remount,rw")
    assert_next_build_succeeds(baseline, small_disk)
