"""A Ray cluster computes the same results as this process, bit for bit, on any of its nodes."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from vox_assets.compute.batches import HERE, Engine
from vox_assets.compute.models import LocalModel, ModelError, RemoteModel
from vox_assets.compute.ray_data import ClusterError, RayData
from vox_assets.curate.compared import answers
from vox_assets.curate.dedup import deduplicate
from vox_assets.curate.embedding import embed
from vox_assets.curate.meter import Meter
from vox_assets.curate.similarity import NearIndex, shingle
from vox_assets.endpoint.client import Endpoint
from vox_assets.endpoint.wire import Question, Replies
from vox_assets.extract import Extraction, extract_docs, extract_rust
from vox_assets.profiles import Budget, load
from vox_assets.store.cache import BlobCache, VectorCache
from vox_assets.vox_syntax.parsers import vox_fault
from vox_assets_tests.conftest import SAMPLE
from vox_assets_tests.endpoint.test_client import HASTY, Sum, reasons, totals, well_behaved
from vox_assets_tests.ray_cluster import Nodes, cluster
from vox_assets_tests.scripted_server import Act, Server, errs, serve

PROFILE = load("sample")
#: Rows that the models read: about a dozen batches, and seconds of work on one processor.
MODEL_ROWS = 160


def test_the_error_for_an_unreachable_cluster_is_one_line_that_names_the_setting() -> None:
    # A bound socket that does not listen keeps the port unused.
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ClusterError, match=rf"^RAY_ADDRESS: {address} cannot be reached"):
            list(RayData(address).map(len, ["batch"]))


def test_a_map_without_batches_needs_no_cluster() -> None:
    assert list(RayData("127.0.0.1:9").map(len, [])) == []


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with cluster() as started:
        yield started


@pytest.fixture
def ray_data(nodes: Nodes) -> RayData:
    nodes.restore()
    return RayData(nodes.address)


@dataclass(frozen=True)
class NodeKiller:
    """An engine that kills a node of its cluster once, after `after` results of a map."""

    engine: Engine
    nodes: Nodes
    after: int
    killed_at: list[int]
    spreads = True

    def map(
        self, function: Callable[[Any], Any], batches: Iterable[Any], **options: Any
    ) -> Generator[tuple[int, Any], None, None]:
        for count, result in enumerate(self.engine.map(function, batches, **options), start=1):
            if count == self.after and not self.killed_at:
                self.nodes.kill_one()
                self.killed_at.append(count)
            yield result


@pytest.fixture
def node_killer(ray_data: RayData, nodes: Nodes) -> NodeKiller:
    return NodeKiller(ray_data, nodes, after=3, killed_at=[])


def _node_id(_batch: int) -> str:
    import ray

    time.sleep(0.3)
    return ray.get_runtime_context().get_node_id()


def _slow_square(number: int) -> int:
    time.sleep(0.2)
    return number * number


def _fail(text: str) -> str:
    raise ModelError(f"{text}: not available")


@pytest.mark.slow
@pytest.mark.parametrize("model", [False, True])
def test_batches_run_on_every_node(ray_data: RayData, model: bool) -> None:
    node_of = dict(ray_data.map(_node_id, range(30), model=model))
    assert sorted(node_of) == list(range(30))
    assert len(set(node_of.values())) == 3


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"model": True}, {"at_once": 4}])
def test_no_batch_is_lost_or_repeated_when_a_node_is_killed(
    node_killer: NodeKiller, options: dict[str, Any]
) -> None:
    results = list(node_killer.map(_slow_square, range(40), **options))
    assert node_killer.killed_at
    assert sorted(results) == [(number, number * number) for number in range(40)]


@pytest.mark.slow
def test_an_exception_of_a_function_is_raised_in_this_process(ray_data: RayData) -> None:
    with pytest.raises(ModelError, match=r"^batch: not available$"):
        list(ray_data.map(_fail, ["batch"]))


def _extract(engine: Engine) -> tuple[Extraction, Extraction]:
    rust = extract_rust(SAMPLE, PROFILE, commit="c0ffee", engine=engine)
    docs = extract_docs(SAMPLE, PROFILE, commit="c0ffee", check_vox=vox_fault, engine=engine)
    return rust, docs


@pytest.fixture(scope="module")
def local_extraction() -> tuple[Extraction, Extraction]:
    return _extract(HERE)


@pytest.mark.slow
def test_extraction_gives_the_same_tables(
    local_extraction: tuple[Extraction, Extraction], node_killer: NodeKiller
) -> None:
    node_killer = replace(node_killer, after=1)
    for local, remote in zip(local_extraction, _extract(node_killer), strict=True):
        assert local.rows.equals(remote.rows)
        assert local.files.equals(remote.files)
        assert local.drops.equals(remote.drops)
    assert node_killer.killed_at


@pytest.fixture(scope="module")
def rows(local_extraction: tuple[Extraction, Extraction]) -> pl.DataFrame:
    return pl.concat([extraction.rows for extraction in local_extraction])


@pytest.mark.slow
def test_near_duplicates_are_the_same(rows: pl.DataFrame, node_killer: NodeKiller) -> None:
    # Repeat the rows, so that there are many blocks of shingles.
    texts = answers(pl.concat([rows] * 4))
    one, other = shingle(texts), shingle(texts, node_killer)
    assert np.array_equal(one.bounds, other.bounds)
    assert np.array_equal(one.hashes, other.hashes)
    first, second = NearIndex(one), NearIndex(other, node_killer)
    assert node_killer.killed_at
    found = 0
    for row in range(len(texts)):
        candidates = first.candidates(row)
        assert np.array_equal(candidates, second.candidates(row))
        found += len(candidates)
        for index in (first, second):
            index.add(row)
    assert found > rows.height


@pytest.mark.slow
def test_deduplication_is_the_same(rows: pl.DataFrame, ray_data: RayData) -> None:
    rows = rows.unique("pair_id", keep="first", maintain_order=True)
    orthogonal = np.eye(rows.height, dtype=np.float32)
    # With the policy of its profile, the sample has no duplicates.
    policy = PROFILE.dedup.model_copy(update={"near_jaccard": 0.5})
    local = deduplicate(rows, orthogonal, policy)
    remote = deduplicate(rows, orthogonal, policy, ray_data)
    assert local.drops.height > 0
    assert local.drops.equals(remote.drops)
    assert local.survivors.equals(remote.survivors)


@pytest.mark.slow
def test_embeddings_are_the_same_bit_by_bit(
    rows: pl.DataFrame, embedding_model: LocalModel, node_killer: NodeKiller, tmp_path: Path
) -> None:
    texts = rows["response"].to_list()[:MODEL_ROWS]
    local = embed(texts, embedding_model, VectorCache(tmp_path / "local.sqlite"))
    store = VectorCache(tmp_path / "remote.sqlite")
    remote = embed(texts, embedding_model, store, engine=node_killer)
    assert node_killer.killed_at
    assert np.array_equal(local, remote)
    # All vectors are cached, so that no batch is sent to the cluster.
    unreachable = RayData("127.0.0.1:9")
    assert np.array_equal(local, embed(texts, embedding_model, store, engine=unreachable))


@pytest.mark.slow
def test_features_are_the_same_bit_by_bit(
    rows: pl.DataFrame,
    base_model: LocalModel,
    embedding_model: LocalModel,
    node_killer: NodeKiller,
    tmp_path: Path,
) -> None:
    sample = rows.sample(MODEL_ROWS, seed=1)
    meters = (
        Meter(
            base_model,
            embedding_model,
            VectorCache(tmp_path / f"{name}.sqlite"),
            model_tokens=64,
            engine=engine,
        )
        for name, engine in (("local", HERE), ("remote", node_killer))
    )
    local, remote = (meter.everything(sample, meter.corpus_of(sample)) for meter in meters)
    assert node_killer.killed_at
    assert np.array_equal(local, remote, equal_nan=True)


@pytest.mark.slow
def test_the_error_for_a_node_without_the_model_names_the_node(
    ray_data: RayData, tmp_path: Path
) -> None:
    absent = LocalModel("absent", tmp_path / "absent", "0" * 16)
    with pytest.raises(ModelError, match=r"^absent: \S+ has no directory .* on every node"):
        embed(["text"], absent, VectorCache(tmp_path / "v.sqlite"), engine=ray_data)


@dataclass(frozen=True)
class Asker:
    """Asks servers with the same script the same questions, from this process and the cluster."""

    folder: Path
    ray_data: RayData

    def ask_from_both(
        self, script: Callable[[int, dict[str, Any]], Act], budget: Budget
    ) -> list[tuple[Replies[Sum], Server]]:
        questions = [Question("Add the numbers.", f"{number}+1") for number in range(24)]
        outcomes = []
        for name, engine in (("local", HERE), ("remote", self.ray_data)):
            with serve(script) as server:
                remote = RemoteModel(server.url, "scripted", "vk-77")
                store = BlobCache(self.folder / f"{name}.sqlite")
                endpoint = Endpoint(remote, store, HASTY, engine)
                replies = endpoint.ask(
                    questions, Sum, answer_tokens=20, budget=budget, label="sums", log=print
                )
                outcomes.append((replies, server))
        return outcomes


@pytest.fixture
def asker(tmp_path: Path, ray_data: RayData) -> Asker:
    return Asker(tmp_path, ray_data)


@pytest.mark.slow
def test_a_cluster_asks_the_same_questions_within_the_limit_of_concurrency(asker: Asker) -> None:
    budget = Budget(requests=1000, tokens=10_000_000, concurrency=2)
    (local, _), (remote, server) = asker.ask_from_both(well_behaved, budget)
    assert totals(local) == totals(remote) == list(range(1, 25))
    assert local.usage == remote.usage
    assert server.most_at_once <= 2
    assert sorted(map(json.dumps, server.bodies)) == sorted(set(map(json.dumps, server.bodies)))


@pytest.mark.slow
@pytest.mark.parametrize(
    "budget",
    [
        Budget(requests=17, tokens=10_000_000, concurrency=4),
        Budget(requests=1000, tokens=1_500, concurrency=4),
    ],
)
def test_a_budget_ends_at_the_same_question(asker: Asker, budget: Budget) -> None:
    (local, _), (remote, server) = asker.ask_from_both(well_behaved, budget)
    assert 0 < local.usage.requests < 24
    assert totals(local) == totals(remote)
    assert reasons(local) == reasons(remote)
    assert local.usage == remote.usage
    assert server.requests <= budget.requests


@pytest.mark.slow
def test_a_cluster_also_stops_asking_a_server_that_fails(asker: Asker) -> None:
    budget = Budget(requests=1000, tokens=10_000_000, concurrency=2)
    (_, _), (remote, server) = asker.ask_from_both(lambda *_: errs(500), budget)
    assert totals(remote) == [None] * 24
    assert any("not asked: the server does not answer" in reason for reason in reasons(remote))
    assert server.requests < 24 * HASTY.tries
