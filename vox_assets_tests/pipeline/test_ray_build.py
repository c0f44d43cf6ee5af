"""Tests that a build on a Ray cluster that loses a node equals the build on one machine."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.contract.rows import CORPUS_TABLES
from vox_assets.store.lake import Lake
from vox_assets_tests.conftest import SAMPLE
from vox_assets_tests.pipeline.conftest import build, settings_for
from vox_assets_tests.ray_cluster import Nodes, cluster

ACCOUNTS = (
    ("raw_rust_fns", "files"),
    ("raw_rust_fns", "drops"),
    ("doc_qa_pairs", "files"),
    ("doc_qa_pairs", "drops"),
    ("deduped_corpus", "drops"),
    ("scored_corpus", "mutants"),
    ("training_mix", "drops"),
)
#: Number of cached vectors at which the node is killed: the models run, and most of their work is
#: still to do.
VECTORS_BEFORE_KILL = 100


@contextmanager
def losing_a_node(nodes: Nodes, vectors: Path) -> Iterator[threading.Event]:
    """Kill a node when the cache has VECTORS_BEFORE_KILL vectors; set the event after that."""
    stopped, killed = threading.Event(), threading.Event()

    def watch() -> None:
        while not stopped.wait(0.2):
            if vectors.exists() and _entries(vectors) >= VECTORS_BEFORE_KILL:
                nodes.kill_one()
                killed.set()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield killed
    finally:
        stopped.set()
        watcher.join()


def _entries(vectors: Path) -> int:
    with sqlite3.connect(f"file:{vectors}?mode=ro", uri=True) as connection:
        try:
            return connection.execute("SELECT count(*) FROM blobs").fetchone()[0]
        except sqlite3.OperationalError:
            # The file exists before its tables do.
            return 0


@pytest.mark.slow
def test_a_build_on_ray_has_the_same_rows_as_a_build_on_one_machine(
    base_model: LocalModel, model_dir: Path, tmp_path: Path
) -> None:
    for name in ("local", "ray"):
        shutil.copytree(model_dir, tmp_path / name / "cache")
    local = settings_for(SAMPLE, tmp_path / "local", "sample")
    with cluster() as nodes, dg.instance_for_test() as instance:
        on_ray = replace(
            settings_for(SAMPLE, tmp_path / "ray", "sample"), ray_address=nodes.address
        )
        assert build(local, "corpus", instance).success
        with losing_a_node(nodes, on_ray.cache_dir / "vectors.sqlite") as killed:
            assert build(on_ray, "corpus", instance).success
        assert killed.is_set()
    local_lake, ray_lake = Lake(local.lake_uri), Lake(on_ray.lake_uri)
    for table in CORPUS_TABLES:
        assert local_lake.read(table).equals(ray_lake.read(table)), table
    for asset, account in ACCOUNTS:
        expected = local_lake.read_account(asset, account)
        assert ray_lake.read_account(asset, account).equals(expected), (asset, account)
