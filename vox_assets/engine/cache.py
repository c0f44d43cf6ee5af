"""Results of expensive work, found again by content.

A key is a digest of everything that decides the result: the text, the model's fingerprint and
the version of the code that asks. What is computed, and for whom, the cache does not know.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

# SQLite's limit on the number of variables in one statement is far above this everywhere.
_KEYS_PER_QUERY = 500

_TABLE = """
CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    checksum INTEGER NOT NULL
) WITHOUT ROWID
"""


def content_key(*parts: str) -> str:
    """Hex digest of `parts`; moving a boundary between two parts changes it."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()


class BlobCache:
    """Bytes by content key, in one SQLite file that several processes may share.

    An entry whose checksum is wrong counts as absent, so that it is computed again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as connection, connection:
            # Readers and one writer at a time: what concurrent builds need.
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(_TABLE)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=60.0)

    def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The entries that exist and are whole."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, bytes] = {}
        with closing(self._connect()) as connection:
            for start in range(0, len(wanted), _KEYS_PER_QUERY):
                part = wanted[start : start + _KEYS_PER_QUERY]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, value, checksum FROM entries WHERE key IN ({marks})"
                found |= {
                    key: value
                    for key, value, checksum in connection.execute(query, part)
                    if zlib.crc32(value) == checksum
                }
        return found

    def put(self, entries: Mapping[str, bytes]) -> None:
        """Store blobs; all of them or, on an error, none."""
        rows = [(key, value, zlib.crc32(value)) for key, value in entries.items()]
        with closing(self._connect()) as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", rows)


class VectorCache:
    """float32 vectors by content key, in a `BlobCache`."""

    def __init__(self, path: Path) -> None:
        self._blobs = BlobCache(path)

    def get(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """The entries that exist and are whole."""
        return {
            key: np.frombuffer(value, dtype=np.float32)
            for key, value in self._blobs.get(keys).items()
            if len(value) % 4 == 0
        }

    def put(self, entries: Mapping[str, np.ndarray]) -> None:
        """Store vectors; all of them or, on an error, none."""
        self._blobs.put(
            {
                key: np.ascontiguousarray(vector, dtype=np.float32).tobytes()
                for key, vector in entries.items()
            }
        )

    def compute(
        self,
        keys: Sequence[str],
        costs: Sequence[int],
        batch_cost: int,
        function: Callable[[list[list[int]]], Iterable[tuple[int, np.ndarray]]],
        done: Callable[[int], None],
    ) -> np.ndarray:
        """One vector per key, computing what is missing in batches of similar length.

        `costs[i]` is the length of item `i` in tokens; a batch holds items whose longest, times
        their number, stays within `batch_cost`. `function` maps all batches of positions to a
        matrix each, which it gives with the batch's place, in any order, as soon as it is there.
        Each is stored then, so that a cancelled run pays for nothing twice.
        """
        known = self.get(keys)
        done(len(keys) - sum(key not in known for key in keys))
        missing: dict[str, int] = {}
        for position, key in enumerate(keys):
            if key not in known:
                missing.setdefault(key, position)
        order = sorted(missing.values(), key=lambda position: (-costs[position], keys[position]))
        repeats: dict[str, int] = {}
        for key in keys:
            repeats[key] = repeats.get(key, 0) + 1
        batches: list[list[int]] = []
        start = 0
        while start < len(order):
            size = max(1, batch_cost // max(1, costs[order[start]]))
            batches.append(order[start : start + size])
            start += size
        for place, matrix in function(batches):
            computed = dict(zip((keys[i] for i in batches[place]), matrix, strict=True))
            self.put(computed)
            known.update(computed)
            done(sum(repeats[key] for key in computed))
        return np.stack([known[key] for key in keys]) if keys else np.empty((0, 0), np.float32)
