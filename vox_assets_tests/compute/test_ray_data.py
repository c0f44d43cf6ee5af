"""A Ray cluster gives the results of this process, bit for bit, on any of its nodes."""

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
from vox_assets.curate.dedup import answers, deduplicate
from vox_assets.curate.embedding import embed
from vox_assets.curate.meter import Meter
from vox_assets.curate.similarity import near_pairs, shingle
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
READ = 160


def test_a_cluster_that_is_not_there_is_one_line_that_names_the_setting() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(ClusterError, match=rf"^RAY_ADDRESS: {address} cannot be reached"):
            list(RayData(address).map(len, ["batch"]))


def test_nothing_to_do_needs_no_cluster() -> None:
    assert list(RayData("127.0.0.1:9").map(len, [])) == []


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with cluster() as started:
        yield started


@pytest.fixture
def ray_data(nodes: Nodes) -> RayData:
    nodes.mend()
    return RayData(nodes.address)


@dataclass(frozen=True)
class Losing:
    """An engine whose cluster loses a node after `after` results of one map."""

    engine: Engine
    nodes: Nodes
    after: int
    lost: list[int]
    spreads = True

    def map(
        self, function: Callable[[Any], Any], batches: Iterable[Any], **how: Any
    ) -> Generator[tuple[int, Any], None, None]:
        for count, result in enumerate(self.engine.map(function, batches, **how), start=1):
            if count == self.after and not self.lost:
                self.nodes.kill_one()
                self.lost.append(count)
            yield result


@pytest.fixture
def losing(ray_data: RayData, nodes: Nodes) -> Losing:
    return Losing(ray_data, nodes, after=3, lost=[])


def _where(_batch: int) -> str:
    import ray

    time.sleep(0.3)
    return ray.get_runtime_context().get_node_id()


def _slow_square(number: int) -> int:
    time.sleep(0.2)
    return number * number


def _refuse(text: str) -> str:
    raise ModelError(f"{text}: not to be had")


@pytest.mark.slow
@pytest.mark.parametrize("model", [False, True])
def test_batches_run_on_every_node(ray_data: RayData, model: bool) -> None:
    node_of = dict(ray_data.map(_where, range(30), model=model))
    assert sorted(node_of) == list(range(30))
    assert len(set(node_of.values())) == 3


@pytest.mark.slow
@pytest.mark.parametrize("how", [{}, {"model": True}, {"at_once": 4}])
def test_no_batch_is_lost_or_doubled_when_a_node_is_killed(
    losing: Losing, how: dict[str, Any]
) -> None:
    results = list(losing.map(_slow_square, range(40), **how))
    assert losing.lost
    assert sorted(results) == [(number, number * number) for number in range(40)]


@pytest.mark.slow
def test_what_a_function_raises_is_raised_here(ray_data: RayData) -> None:
    with pytest.raises(ModelError, match=r"^batch: not to be had$"):
        list(ray_data.map(_refuse, ["batch"]))


def _extracted(engine: Engine) -> tuple[Extraction, Extraction]:
    rust = extract_rust(SAMPLE, PROFILE, commit="c0ffee", engine=engine)
    docs = extract_docs(SAMPLE, PROFILE, commit="c0ffee", check_vox=vox_fault, engine=engine)
    return rust, docs


@pytest.fixture(scope="module")
def here() -> tuple[Extraction, Extraction]:
    return _extracted(HERE)


@pytest.mark.slow
def test_extraction_gives_the_same_tables(
    here: tuple[Extraction, Extraction], losing: Losing
) -> None:
    losing = replace(losing, after=1)
    for one, other in zip(here, _extracted(losing), strict=True):
        assert one.rows.equals(other.rows)
        assert one.files.equals(other.files)
        assert one.drops.equals(other.drops)
    assert losing.lost


@pytest.fixture(scope="module")
def rows(here: tuple[Extraction, Extraction]) -> pl.DataFrame:
    return pl.concat([extraction.rows for extraction in here])


@pytest.mark.slow
def test_near_duplicates_are_the_same(rows: pl.DataFrame, losing: Losing) -> None:
    # Enough text for many blocks of shingles.
    texts = answers(pl.concat([rows] * 4))
    one, other = shingle(texts), shingle(texts, losing)
    assert np.array_equal(one.bounds, other.bounds)
    assert np.array_equal(one.hashes, other.hashes)
    pairs, other_pairs = near_pairs(one, 0.8), near_pairs(other, 0.8, losing)
    assert losing.lost
    assert len(pairs) > rows.height
    for name in ("left", "right", "similarity"):
        assert np.array_equal(getattr(pairs, name), getattr(other_pairs, name))


@pytest.mark.slow
def test_deduplication_is_the_same(rows: pl.DataFrame, ray_data: RayData) -> None:
    rows = rows.unique("pair_id", keep="first", maintain_order=True)
    apart = np.eye(rows.height, dtype=np.float32)
    # The sample has no duplicates under its own policy.
    policy = PROFILE.dedup.model_copy(update={"near_jaccard": 0.5})
    one = deduplicate(rows, apart, policy)
    other = deduplicate(rows, apart, policy, ray_data)
    assert one.drops.height > 0
    assert one.drops.equals(other.drops)
    assert one.survivors.equals(other.survivors)


@pytest.mark.slow
def test_embeddings_are_the_same_bit_by_bit(
    rows: pl.DataFrame, embedding_model: LocalModel, losing: Losing, tmp_path: Path
) -> None:
    texts = rows["response"].to_list()[:READ]
    one = embed(texts, embedding_model, VectorCache(tmp_path / "one.sqlite"))
    store = VectorCache(tmp_path / "other.sqlite")
    other = embed(texts, embedding_model, store, engine=losing)
    assert losing.lost
    assert np.array_equal(one, other)
    # Everything is stored: no batch is sent a second time.
    nowhere = RayData("127.0.0.1:9")
    assert np.array_equal(one, embed(texts, embedding_model, store, engine=nowhere))


@pytest.mark.slow
def test_features_are_the_same_bit_by_bit(
    rows: pl.DataFrame,
    base_model: LocalModel,
    embedding_model: LocalModel,
    losing: Losing,
    tmp_path: Path,
) -> None:
    read = rows.sample(READ, seed=1)
    one, other = (
        Meter(
            base_model,
            embedding_model,
            VectorCache(tmp_path / f"{name}.sqlite"),
            model_tokens=64,
            engine=engine,
        ).everything(read)
        for name, engine in (("one", HERE), ("other", losing))
    )
    assert losing.lost
    assert np.array_equal(one, other, equal_nan=True)


@pytest.mark.slow
def test_a_node_without_the_model_is_named(ray_data: RayData, tmp_path: Path) -> None:
    absent = LocalModel("absent", tmp_path / "absent", "0" * 16)
    with pytest.raises(ModelError, match=r"^absent: \S+ has no directory .* on every node"):
        embed(["text"], absent, VectorCache(tmp_path / "v.sqlite"), engine=ray_data)


@dataclass(frozen=True)
class Asking:
    """Asks the same questions from this process and the cluster, of servers with one script."""

    folder: Path
    ray_data: RayData

    def both(
        self, script: Callable[[int, dict[str, Any]], Act], budget: Budget
    ) -> list[tuple[Replies[Sum], Server]]:
        questions = [Question("Add the numbers.", f"{number}+1") for number in range(24)]
        outcomes = []
        for name, engine in (("one", HERE), ("other", self.ray_data)):
            with serve(script) as server:
                remote = RemoteModel(server.url, "scripted", "vk-77")
                store = BlobCache(self.folder / f"{name}.sqlite")
                endpoint = Endpoint(remote, store, HASTY, engine)
                asked = endpoint.ask(
                    questions, Sum, answer_tokens=20, budget=budget, label="sums", log=print
                )
                outcomes.append((asked, server))
        return outcomes


@pytest.fixture
def asking(tmp_path: Path, ray_data: RayData) -> Asking:
    return Asking(tmp_path, ray_data)


@pytest.mark.slow
def test_an_endpoint_is_asked_the_same_and_never_more_at_once(asking: Asking) -> None:
    budget = Budget(requests=1000, tokens=10_000_000, concurrency=2)
    (one, _), (other, server) = asking.both(well_behaved, budget)
    assert totals(one) == totals(other) == list(range(1, 25))
    assert one.usage == other.usage
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
def test_a_budget_ends_at_the_same_question(asking: Asking, budget: Budget) -> None:
    (one, _), (other, server) = asking.both(well_behaved, budget)
    assert 0 < one.usage.requests < 24
    assert totals(one) == totals(other)
    assert reasons(one) == reasons(other)
    assert one.usage == other.usage
    assert server.requests <= budget.requests


@pytest.mark.slow
def test_a_server_that_errs_is_given_up_from_the_cluster_too(asking: Asking) -> None:
    budget = Budget(requests=1000, tokens=10_000_000, concurrency=2)
    (_, _), (other, server) = asking.both(lambda *_: errs(500), budget)
    assert totals(other) == [None] * 24
    assert any("not asked: the server does not answer" in reason for reason in reasons(other))
    assert server.requests < 24 * HASTY.tries
