"""The cache gives back what was computed, and computes again what it cannot trust."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.engine.cache import VectorCache, content_key


class Counter:
    """Squares positions, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __call__(self, batches: list[list[int]]) -> Iterator[tuple[int, np.ndarray]]:
        for place, positions in enumerate(batches):
            self.asked.append(positions)
            yield place, np.array([[p, p * p] for p in positions], dtype=np.float32)


@pytest.fixture
def cache(tmp_path: Path) -> VectorCache:
    return VectorCache(tmp_path / "cache" / "vectors.sqlite")


def test_a_second_pass_computes_nothing(cache: VectorCache) -> None:
    first, second = Counter(), Counter()
    keys = ["a", "b", "c"]
    once = cache.compute(keys, [1, 2, 3], 100, first, lambda n: None)
    again = cache.compute(keys, [1, 2, 3], 100, second, lambda n: None)
    assert (once == again).all()
    assert second.asked == []


def test_equal_content_is_computed_once_and_counted_for_each_row(cache: VectorCache) -> None:
    done: list[int] = []
    count = Counter()
    result = cache.compute(["a", "b", "a"], [1, 1, 1], 100, count, done.append)
    assert sum(map(len, count.asked)) == 2
    assert sum(done) == 3
    assert (result[0] == result[2]).all()


def test_batches_stay_within_their_cost_and_begin_with_the_longest(cache: VectorCache) -> None:
    count = Counter()
    costs = [10, 40, 20, 30]
    cache.compute(list("abcd"), costs, 60, count, lambda n: None)
    assert [max(costs[p] for p in batch) * len(batch) <= 60 for batch in count.asked]
    assert count.asked[0] == [1]


def test_a_row_longer_than_a_batch_is_still_computed(cache: VectorCache) -> None:
    assert cache.compute(["a"], [1000], 10, Counter(), lambda n: None).shape == (1, 2)


def test_a_damaged_entry_is_computed_again(cache: VectorCache, tmp_path: Path) -> None:
    cache.put({"a": np.array([1.0, 2.0], dtype=np.float32)})
    with sqlite3.connect(tmp_path / "cache" / "vectors.sqlite") as connection:
        connection.execute("UPDATE entries SET value = zeroblob(8)")
    assert cache.get(["a"]) == {}
    count = Counter()
    cache.compute(["a"], [1], 10, count, lambda n: None)
    assert count.asked == [[0]]


def test_what_was_done_before_a_failure_is_kept(cache: VectorCache) -> None:
    def fails_on_the_short(batches: list[list[int]]) -> Iterator[tuple[int, np.ndarray]]:
        assert batches == [[1], [0]]
        yield 0, np.ones((1, 2), dtype=np.float32)
        raise RuntimeError("cancelled")

    with pytest.raises(RuntimeError):
        cache.compute(["short", "long"], [1, 50], 50, fails_on_the_short, lambda n: None)
    assert set(cache.get(["short", "long"])) == {"long"}


def test_batches_may_come_back_in_any_order(cache: VectorCache) -> None:
    def backwards(batches: list[list[int]]) -> Iterator[tuple[int, np.ndarray]]:
        yield from reversed(list(Counter()(batches)))

    keys, costs = list("abcd"), [10, 40, 20, 30]
    found = cache.compute(keys, costs, 60, backwards, lambda n: None)
    assert found[:, 0].tolist() == [0, 1, 2, 3]
    assert {key: vector[0] for key, vector in cache.get(keys).items()} == dict(
        zip(keys, range(4), strict=True)
    )


@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=3))
def test_keys_differ_when_parts_differ(left: list[str], right: list[str]) -> None:
    assert (content_key(*left) == content_key(*right)) == (left == right)
