"""Whatever ends a build, every table is at its old or its new version and the next build succeeds.

Real builds in processes of their own, ended from outside at points drawn from a fixed seed.
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


@dataclass
class Place:
    """A tree, and the folder that builds of its corpus write to."""

    tree: Path
    data: Path
    profile: str
    #: Dagster's own storage.
    home: Path

    def start(self) -> subprocess.Popen[str]:
        """A build in a process group of its own."""
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
        """A build to its end: its exit code and what it said."""
        process = self.start()
        said, _ = process.communicate()
        return process.returncode, said

    def tables(self) -> dict[str, pl.DataFrame]:
        """Every table whole, by way of the reader that everybody uses."""
        lake = Lake(str(self.data / "lake"))
        return {name: lake.read(name) for name in TABLES}

    def assert_sound(self, before: dict[str, pl.DataFrame], after: dict[str, pl.DataFrame]) -> None:
        """Each table holds the old rows or the new ones, all of them, and the ledger balances."""
        for name, rows in self.tables().items():
            assert rows.equals(before[name]) or rows.equals(after[name]), name
            # Every file that the newest version names is there and whole.
            DeltaTable(Lake(str(self.data / "lake")).uri(name)).to_pyarrow_table()
        balance = ledger_balances(self.tables()["row_ledger"])
        assert balance.passed, balance.summary


@dataclass
class Known:
    """A place with one good build, how long it took, and what the next one will hold."""

    place: Place
    seconds: float
    before: dict[str, pl.DataFrame]
    after: dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def known(
    small_tree: Path,
    base_model: LocalModel,
    model_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Known:
    root = tmp_path_factory.mktemp("known")
    shutil.copytree(small_tree, root / "tree")
    shutil.copytree(model_dir, root / "data" / "cache")
    profile = write_profile(root / "quick.yaml", **QUICK)
    place = Place(root / "tree", root / "data", profile, root / "home")
    code, said = place.build()
    assert code == 0, said
    before = place.tables()
    with (place.tree / "crates" / "vox-units" / "src" / "lib.rs").open("a") as file:
        file.write(
            "\n/// Doubles a count of items, and stops at the largest count there is.\n"
            "pub fn doubled(count: u64) -> u64 {\n    let twice = count.saturating_mul(2);\n"
            "    twice\n}\n"
        )
    ahead = Place(place.tree, root / "ahead", place.profile, root / "home")
    shutil.copytree(place.data, ahead.data)
    started = time.monotonic()
    code, said = ahead.build()
    assert code == 0, said
    after = ahead.tables()
    assert not after["raw_rust_fns"].equals(before["raw_rust_fns"])
    return Known(place, time.monotonic() - started, before, after)


@pytest.fixture
def place(known: Known, tmp_path: Path) -> Place:
    """A copy of the good build, to be spoilt."""
    shutil.copytree(known.place.data, tmp_path / "data")
    return Place(known.place.tree, tmp_path / "data", known.place.profile, tmp_path / "home")


def assert_next_build_succeeds(known: Known, place: Place) -> None:
    code, said = place.build()
    assert code == 0, said
    for name, rows in place.tables().items():
        assert rows.equals(known.after[name]), name


def test_a_build_that_is_killed_at_any_point_leaves_whole_tables(
    known: Known, place: Place
) -> None:
    points = random.Random(SEED)
    for _ in range(KILLS):
        process = place.start()
        time.sleep(points.uniform(0.2, 1.0) * known.seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        place.assert_sound(known.before, known.after)
    assert_next_build_succeeds(known, place)


def test_two_builds_at_once_follow_each_other(known: Known, place: Place) -> None:
    first, second = place.start(), place.start()
    said = [process.communicate()[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    assert "waiting for the build that holds" in said[0] + said[1]
    place.assert_sound(known.after, known.after)
    versions = {Lake(str(place.data / "lake")).version(name) for name in TABLES}
    assert versions == {2}


@pytest.fixture
def small_disk(known: Known, tmp_path: Path) -> Iterator[Place]:
    """A copy of the good build on a disk of its own that can be filled and write-protected."""
    root = tmp_path / "disk"
    root.mkdir()
    if not mount(root, "-t", "tmpfs", "-o", "size=4g", "tmpfs"):
        pytest.skip("this user may not mount: run as root to fill a disk of one's own")
    try:
        shutil.copytree(known.place.data, root / "data")
        yield Place(known.place.tree, root / "data", known.place.profile, tmp_path / "home")
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


def mount(root: Path, *options: str) -> bool:
    done = subprocess.run(["mount", *options, str(root)], capture_output=True, check=False)
    return done.returncode == 0


def used(root: Path) -> int:
    return shutil.disk_usage(root).used


def test_a_disk_that_fills_up_ends_the_build_and_nothing_else(
    known: Known, small_disk: Place
) -> None:
    root = small_disk.data.parent
    points = random.Random(SEED)
    grown = used_by_a_build(known)
    # Dagster's storage elsewhere, and on the disk that fills, where `make` puts it.
    for home in (small_disk.home, root / "home"):
        room = int(points.uniform(0.1, 0.8) * grown)
        assert mount(root, "-o", f"remount,size={used(root) + room}")
        code, said = replace(small_disk, home=home).build()
        assert code != 0, said
        small_disk.assert_sound(known.before, known.after)
    assert mount(root, "-o", "remount,size=4g")
    assert_next_build_succeeds(known, small_disk)


def used_by_a_build(known: Known) -> int:
    """Bytes that one more build adds to the folder."""
    ahead = known.place.data.parent / "ahead"
    return sum(
        (1 if folder is ahead else -1) * path.stat().st_size
        for folder in (ahead, known.place.data)
        for path in folder.rglob("*")
        if path.is_file()
    )


def test_a_disk_that_turns_read_only_ends_the_build_and_nothing_else(
    known: Known, small_disk: Place
) -> None:
    root = small_disk.data.parent
    process = small_disk.start()
    time.sleep(random.Random(SEED).uniform(0.3, 0.7) * known.seconds)
    # The system refuses while a file is open for writing, as one is now and then.
    os.killpg(process.pid, signal.SIGSTOP)
    protected = mount(root, "-o", "remount,ro")
    os.killpg(process.pid, signal.SIGCONT)
    while not protected and process.poll() is None:
        protected = mount(root, "-o", "remount,ro")
    process.communicate()
    assert protected
    assert process.returncode != 0
    small_disk.assert_sound(known.before, known.after)
    assert mount(root, "-o", "remount,rw")
    assert_next_build_succeeds(known, small_disk)
