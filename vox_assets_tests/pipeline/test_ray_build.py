"""A build on a Ray cluster, from which a node is killed half-way, is the build of one machine."""

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
#: Vectors in the cache when the node goes: the models are at work, and most of theirs is to come.
SOME = 100


@contextmanager
def losing_a_node(nodes: Nodes, vectors: Path) -> Iterator[threading.Event]:
    """Kill a node as soon as the cache of vectors has some; the event tells that it was done."""
    over, killed = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            if vectors.exists() and _entries(vectors) >= SOME:
                nodes.kill_one()
                killed.set()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield killed
    finally:
        over.set()
        watcher.join()


def _entries(vectors: Path) -> int:
    with sqlite3.connect(f"file:{vectors}?mode=ro", uri=True) as connection:
        try:
            return connection.execute("SELECT count(*) FROM blobs").fetchone()[0]
        except sqlite3.OperationalError:
            # The file is there before its tables are.
            return 0


@pytest.mark.slow
def test_the_sample_is_built_row_by_row_as_on_one_machine(
    base_model: LocalModel, model_dir: Path, tmp_path: Path
) -> None:
    for name in ("one", "other"):
        shutil.copytree(model_dir, tmp_path / name / "cache")
    here = settings_for(SAMPLE, tmp_path / "one", "sample")
    with cluster() as nodes, dg.instance_for_test() as instance:
        there = replace(
            settings_for(SAMPLE, tmp_path / "other", "sample"), ray_address=nodes.address
        )
        assert build(here, "corpus", instance).success
        with losing_a_node(nodes, there.cache_dir / "vectors.sqlite") as killed:
            assert build(there, "corpus", instance).success
        assert killed.is_set()
    one, other = Lake(here.lake_uri), Lake(there.lake_uri)
    for table in CORPUS_TABLES:
        assert one.read(table).equals(other.read(table)), table
    for asset, account in ACCOUNTS:
        left, right = one.read_account(asset, account), other.read_account(asset, account)
        assert left.equals(right), (asset, account)
