"""The cache returns stored results, and computes damaged results again."""

from __future__ import annotations

import logging
import random
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.store.cache import BlobCache, VectorCache, content_key


class Recorder:
    """Squares positions, and records the batches that it receives."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, batches: list[list[int]]) -> Iterator[tuple[int, np.ndarray]]:
        for index, positions in enumerate(batches):
            self.batches.append(positions)
            yield index, np.array([[p, p * p] for p in positions], dtype=np.float32)


@pytest.fixture
def cache(tmp_path: Path) -> VectorCache:
    return VectorCache(tmp_path / "cache" / "vectors.sqlite")


def test_a_second_pass_computes_nothing(cache: VectorCache) -> None:
    first, second = Recorder(), Recorder()
    keys = ["a", "b", "c"]
    once = cache.compute(keys, [1, 2, 3], 100, first, lambda n: None)
    again = cache.compute(keys, [1, 2, 3], 100, second, lambda n: None)
    assert (once == again).all()
    assert second.batches == []


def test_equal_content_is_computed_once_and_counted_for_each_row(cache: VectorCache) -> None:
    done: list[int] = []
    recorder = Recorder()
    result = cache.compute(["a", "b", "a"], [1, 1, 1], 100, recorder, done.append)
    assert sum(map(len, recorder.batches)) == 2
    assert sum(done) == 3
    assert (result[0] == result[2]).all()


def test_batches_stay_within_their_cost_and_start_with_the_longest_row(cache: VectorCache) -> None:
    recorder = Recorder()
    costs = [10, 40, 20, 30]
    cache.compute(list("abcd"), costs, 60, recorder, lambda n: None)
    assert [max(costs[p] for p in batch) * len(batch) <= 60 for batch in recorder.batches]
    assert recorder.batches[0] == [1]


def test_a_row_longer_than_a_batch_is_still_computed(cache: VectorCache) -> None:
    assert cache.compute(["a"], [1000], 10, Recorder(), lambda n: None).shape == (1, 2)


def test_a_damaged_entry_is_computed_again(cache: VectorCache, tmp_path: Path) -> None:
    cache.put({"a": np.array([1.0, 2.0], dtype=np.float32)})
    with sqlite3.connect(tmp_path / "cache" / "vectors.sqlite") as connection:
        connection.execute("UPDATE blobs SET value = zeroblob(8)")
    assert cache.get(["a"]) == {}
    recorder = Recorder()
    cache.compute(["a"], [1], 10, recorder, lambda n: None)
    assert recorder.batches == [[0]]


def test_results_before_a_failure_are_kept(cache: VectorCache) -> None:
    def fail_on_short(batches: list[list[int]]) -> Iterator[tuple[int, np.ndarray]]:
        assert batches == [[1], [0]]
        yield 0, np.ones((1, 2), dtype=np.float32)
        raise RuntimeError("cancelled")

    with pytest.raises(RuntimeError):
        cache.compute(["short", "long"], [1, 50], 50, fail_on_short, lambda n: None)
    assert set(cache.get(["short", "long"])) == {"long"}


def test_batches_may_be_returned_in_any_order(cache: VectorCache) -> None:
    def reverse(batches: list[list[int]]) -> Iterator[tuple[int, np.ndarray]]:
        yield from reversed(list(Recorder()(batches)))

    keys, costs = list("abcd"), [10, 40, 20, 30]
    result = cache.compute(keys, costs, 60, reverse, lambda n: None)
    assert result[:, 0].tolist() == [0, 1, 2, 3]
    assert {key: vector[0] for key, vector in cache.get(keys).items()} == dict(
        zip(keys, range(4), strict=True)
    )


@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=3))
def test_keys_differ_when_parts_differ(left: list[str], right: list[str]) -> None:
    assert (content_key(*left) == content_key(*right)) == (left == right)


# Damaged files ------------------------------------------------------------------------------

PAGE = 4096


def truncate(content: bytearray) -> bytearray:
    return content[: len(content) * 2 // 3 + 17]


def overwrite_header(content: bytearray) -> bytearray:
    content[:100] = random.Random(1).randbytes(100)
    return content


def overwrite_page(content: bytearray) -> bytearray:
    content[20 * PAGE : 21 * PAGE] = random.Random(2).randbytes(PAGE)
    return content


def flip_bits(content: bytearray) -> bytearray:
    rng = random.Random(3)
    for _ in range(40):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return content


@pytest.mark.parametrize("damage", [truncate, overwrite_header, overwrite_page, flip_bits])
def test_a_damaged_file_never_gives_a_wrong_value(
    damage: Callable[[bytearray], bytearray], tmp_path: Path
) -> None:
    path = tmp_path / "vectors.sqlite"
    expected = np.random.default_rng(0).standard_normal((300, 384)).astype(np.float32)
    keys = [content_key(str(number)) for number in range(len(expected))]
    cache = VectorCache(path)
    cache.put(dict(zip(keys, expected, strict=True)))
    path.write_bytes(damage(bytearray(path.read_bytes())))

    for key, vector in cache.get(keys).items():
        assert (vector == expected[keys.index(key)]).all()
    result = cache.compute(
        keys, [1] * 300, 50, lambda batches: enumerate(expected[b] for b in batches), lambda n: None
    )
    assert (result == expected).all()


def test_a_damaged_file_is_set_aside_and_its_readable_entries_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "answers.sqlite"
    entries = {content_key(str(number)): b"an answer " * 150 for number in range(300)}
    BlobCache(path).put(entries)
    damaged = overwrite_page(bytearray(path.read_bytes()))
    path.write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        kept = BlobCache(path).get(entries)
    # A page of 4 KiB contains two entries of 1.5 kB, and the key index is rebuilt.
    assert 290 <= len(kept) < 300
    assert f"{path} is damaged" in caplog.text
    assert "set aside as answers.sqlite.damaged" in caplog.text
    assert (tmp_path / "answers.sqlite.damaged").read_bytes() == damaged


def test_a_file_that_is_not_a_database_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    path.write_text("not a database\n" * 400)
    cache = BlobCache(path)
    assert cache.get(["a"]) == {}
    cache.put({"a": b"1"})
    assert BlobCache(path).get(["a"]) == {"a": b"1"}


def test_an_error_other_than_damage_is_raised_and_moves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    path.mkdir()
    with pytest.raises(sqlite3.OperationalError):
        BlobCache(path).get(["a"])
    assert path.is_dir()


def test_a_file_of_the_earlier_layout_is_migrated_completely(tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite"
    entries = {content_key(str(number)): bytes([number % 256]) * 900 for number in range(700)}
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, "
            "checksum INTEGER NOT NULL) WITHOUT ROWID"
        )
        rows = [(key, value, zlib.crc32(value)) for key, value in entries.items()]
        connection.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)
    cache = BlobCache(path)
    assert cache.get(entries) == entries
    assert cache.contents().entries == 700


# Size and use -------------------------------------------------------------------------------


def age(path: Path, seconds: int) -> None:
    """Move every recorded use into the past."""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE uses SET used = used - ?", (seconds,))


def branch(name: str) -> dict[str, bytes]:
    return {content_key(name, str(n)): f"{name:<8}{n:>4}".encode() * 125 for n in range(60)}


def test_a_full_cache_deletes_the_least_recently_used_entries(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    cache = BlobCache(path, limit=320_000)
    old, main, feature = branch("old"), branch("main"), branch("feature")
    cache.put(old)
    age(path, 86_400)
    cache.put(main)
    age(path, 86_400)
    # The build after switching back reads entries that the other branch did not read.
    assert len(cache.get(main)) == 60
    cache.put(feature)
    assert len(cache.get(main)) == len(cache.get(feature)) == 60
    assert len(cache.get(old)) < 60
    assert cache.contents().size <= 320_000


def test_a_read_within_the_hour_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    cache = BlobCache(path)
    cache.put(branch("main"))
    before = path.read_bytes()
    cache.get(branch("main"))
    assert path.read_bytes() == before
    age(path, 7_200)
    cache.get(branch("main"))
    contents = cache.contents()
    assert contents.oldest_use is not None
    with sqlite3.connect(path) as connection:
        now = connection.execute("SELECT CAST(strftime('%s', 'now') AS INTEGER)").fetchone()[0]
    assert now - contents.oldest_use < 60


def test_pruning_frees_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    cache = BlobCache(path)
    cache.put(branch("main") | branch("feature"))
    assert path.stat().st_size > 150_000
    cache.prune(50_000)
    assert path.stat().st_size <= 50_000
    assert 0 < cache.contents().entries < 120
    cache.prune(0)
    assert cache.contents().entries == 0
