"""Cache the results of expensive work by content.

A key is a digest of everything that decides the result: the text, the model's fingerprint and the
version of the calling code. The path of the text is not part of the key, so a renamed file or a
branch that is checked out again costs nothing. The cache is independent of what is computed.
"""

from __future__ import annotations

import hashlib
import logging
import math
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import numpy as np

#: Default limit of a cache on disk, in bytes. A tree like the Vox repository fills a hundredth, so
#: there is room for many branches and models.
DEFAULT_LIMIT: Final = 10 * 10**9

# SQLite's limit on the number of variables in one statement is far above this everywhere.
_KEYS_PER_QUERY = 500
# A cache at its limit deletes a tenth at once, so that one eviction serves many new entries.
_SHARE_LEFT = 0.9
# Uses are recorded by the hour: a build that reads an entry many times writes one use.
_USE_SECONDS = 3600

# Stored in the file's user_version; 0 is a new file, or one written before uses were recorded.
_LAYOUT = 1
# Uses are in a table of their own: recording a use rewrites a few bytes and not a vector.
_TABLES = (
    """CREATE TABLE blobs (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        value BLOB NOT NULL,
        checksum INTEGER NOT NULL
    )""",
    "CREATE TABLE uses (id INTEGER PRIMARY KEY, used INTEGER NOT NULL)",
    """CREATE TRIGGER blob_came AFTER INSERT ON blobs
    BEGIN
        INSERT OR REPLACE INTO uses VALUES (new.id, CAST(strftime('%s', 'now') AS INTEGER));
    END""",
    """CREATE TRIGGER blob_went AFTER DELETE ON blobs
    BEGIN DELETE FROM uses WHERE id = old.id; END""",
)
_INSERT = "INSERT INTO blobs (key, value, checksum) VALUES (?, ?, ?) ON CONFLICT (key)"

# SQLite's error codes for a damaged file; on an intact file, no statement here is an error.
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
#: Suffix that is added to the name of a damaged file when it is set aside.
ASIDE = ".damaged"

_logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


def content_key(*parts: str) -> str:
    """Digest `parts` to hex; moving a boundary between two parts changes the digest."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()


@dataclass(frozen=True)
class Contents:
    """Size of a cache: entries, bytes on disk, first and last use (Unix time)."""

    entries: int
    size: int
    oldest_use: int | None
    newest_use: int | None


@dataclass(frozen=True)
class BlobCache:
    """Stores bytes by content key, in one SQLite file that several processes may share.

    The file is created at its first use. An entry with a wrong checksum counts as absent, so that
    it is computed again. A file that SQLite cannot read is set aside with a warning, and its
    readable entries are kept. When the file exceeds `limit` bytes, the entries that were not used
    for the longest time are deleted.
    """

    path: Path
    limit: int = DEFAULT_LIMIT

    def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Read the entries that exist and are intact."""
        return dict(self.stream(keys))

    def stream(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the entries that exist and are intact, with a few hundred in memory at a time."""
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), _KEYS_PER_QUERY):
            part = wanted[start : start + _KEYS_PER_QUERY]
            yield from self._guarded(partial(_fetch, keys=part)).items()

    def put(self, entries: Mapping[str, bytes]) -> None:
        """Store blobs; on an error, none of them."""
        rows = [(key, value, _checksum(key.encode(), value)) for key, value in entries.items()]

        def store(connection: sqlite3.Connection) -> None:
            connection.executemany(
                f"{_INSERT} DO UPDATE SET value = excluded.value, checksum = excluded.checksum",
                rows,
            )
            if _size(connection) > self.limit:
                _evict(connection, int(_SHARE_LEFT * self.limit))

        self._guarded(store)

    def contents(self) -> Contents:
        """Measure the cache's current contents."""

        def ask(connection: sqlite3.Connection) -> Contents:
            query = "SELECT count(*), min(used), max(used) FROM uses"
            count, oldest, newest = connection.execute(query).fetchone()
            return Contents(count, _size(connection), oldest, newest)

        return self._guarded(ask)

    def prune(self, size: int) -> None:
        """Delete the least recently used entries until `size` bytes suffice, and free the disk.

        Raises sqlite3.OperationalError if another process locks the file for a minute.
        """
        self._guarded(lambda connection: _evict(connection, size))
        with closing(self._connect()) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=60.0)
        try:
            # Damaged text may be invalid UTF-8.
            connection.text_factory = bytes
            # A power failure may lose the last entries, never the file.
            connection.execute("PRAGMA synchronous = NORMAL")
            if _pragma(connection, "user_version") < _LAYOUT:
                _prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _guarded(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Run `work` in one transaction; if the file is damaged, again on a new file."""
        inode = self.path.stat().st_ino if self.path.exists() else None
        try:
            with closing(self._connect()) as connection, connection:
                return work(connection)
        except sqlite3.DatabaseError as error:
            # The low byte is the primary error code; errors raised by Python have no code.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGE:
                raise
            # Another process may have set the file aside in the meantime.
            if self.path.exists() and self.path.stat().st_ino == inode:
                self._set_aside(error)
        with closing(self._connect()) as connection, connection:
            return work(connection)

    def _set_aside(self, fault: sqlite3.DatabaseError) -> None:
        aside = self.path.with_name(self.path.name + ASIDE)
        # Move the journal first: SQLite must not apply it to the new file.
        for ending in ("-wal", "-shm", ""):
            Path(f"{aside}{ending}").unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                Path(f"{self.path}{ending}").replace(f"{aside}{ending}")
        with closing(self._connect()) as connection, connection:
            connection.executemany(f"{_INSERT} DO NOTHING", _readable(aside))
            saved = connection.execute("SELECT count(*) FROM blobs").fetchone()[0]
        _logger.warning(
            "the cache %s is damaged (%s): set aside as %s; %s entries are saved, "
            "the others are computed again",
            self.path,
            fault,
            aside.name,
            f"{saved:,}",
        )


def _prepare(connection: sqlite3.Connection) -> None:
    """Create the tables, or migrate those of an older layout with their entries."""
    # Concurrent builds need several readers beside one writer.
    connection.execute("PRAGMA journal_mode = WAL")
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if _pragma(connection, "user_version") >= _LAYOUT:
            return
        for table in _TABLES:
            connection.execute(table)
        # The earlier layout recorded no uses, and its checksums did not cover the key.
        table_exists = "SELECT 1 FROM sqlite_master WHERE name = 'entries'"
        if connection.execute(table_exists).fetchone() is not None:
            earlier = connection.execute("SELECT key, value, checksum FROM entries")
            connection.executemany(
                f"{_INSERT} DO NOTHING",
                (
                    (key.decode(), value, _checksum(key, value))
                    for key, value, checksum in earlier
                    if isinstance(value, bytes) and zlib.crc32(value) == checksum
                ),
            )
            connection.execute("DROP TABLE entries")
        connection.execute(f"PRAGMA user_version = {_LAYOUT}")


def _fetch(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, bytes]:
    """Read the intact entries of `keys`; record a use if the last recorded use is an hour old."""
    now = int(time.time())
    requested = {key.encode(): key for key in keys}
    marks = ",".join("?" * len(keys))
    query = (
        "SELECT blobs.id, key, value, checksum, used FROM blobs LEFT JOIN uses USING (id) "
        f"WHERE key IN ({marks})"
    )
    entries: dict[str, bytes] = {}
    stale = []
    for number, key, value, checksum, used in connection.execute(query, keys):
        if key in requested and _is_intact(key, value, checksum):
            entries[requested[key]] = value
            if not isinstance(used, int) or used < now - _USE_SECONDS:
                stale.append((number, now))
    if stale:
        connection.executemany("INSERT OR REPLACE INTO uses VALUES (?, ?)", stale)
    return entries


def _checksum(key: bytes, value: bytes) -> int:
    """Compute a CRC of key and value, because a damaged index may pair a key with another value."""
    return zlib.crc32(value, zlib.crc32(key))


def _is_intact(key: object, value: object, checksum: object) -> bool:
    # Damaged values may have another type.
    if not isinstance(key, bytes) or not isinstance(value, bytes):
        return False
    return _checksum(key, value) == checksum


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _size(connection: sqlite3.Connection) -> int:
    """Measure the bytes of the file that are in use."""
    pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
    return pages * _pragma(connection, "page_size")


def _evict(connection: sqlite3.Connection, room: int) -> None:
    """Delete the least recently used entries until the others take at most `room` bytes."""
    while (size := _size(connection)) > room:
        count = connection.execute("SELECT count(*) FROM uses").fetchone()[0]
        if not count:
            return
        share = math.ceil(count * (1 - max(0, room) / size))
        connection.execute(
            "DELETE FROM blobs WHERE id IN (SELECT id FROM uses ORDER BY used, id LIMIT ?)",
            (share,),
        )


def _readable(path: Path) -> Iterator[tuple[str, bytes, int]]:
    """Yield the intact entries before and after the damaged part of a file."""
    for order in ("ASC", "DESC"):
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as connection:
            connection.text_factory = bytes
            query = f"SELECT key, value, checksum FROM blobs ORDER BY id {order}"
            for key, value, checksum in connection.execute(query):
                if _is_intact(key, value, checksum):
                    yield key.decode(), value, checksum
            return


class VectorCache:
    """Stores float32 vectors by content key, in a `BlobCache`."""

    def __init__(self, path: Path, limit: int = DEFAULT_LIMIT) -> None:
        self._blobs = BlobCache(path, limit)

    def get(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """Read the entries that exist and are intact."""
        return dict(self._stream(keys))

    def _stream(self, keys: Iterable[str]) -> Iterator[tuple[str, np.ndarray]]:
        import numpy as np

        for key, value in self._blobs.stream(keys):
            if len(value) % 4 == 0:
                yield key, np.frombuffer(value, dtype=np.float32)

    def put(self, entries: Mapping[str, np.ndarray]) -> None:
        """Store vectors; on an error, none of them."""
        import numpy as np

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
        """Return one vector per key; compute missing vectors in batches of similar length.

        `costs[i]` is the length of item `i` in tokens. In a batch, the longest length times the
        number of items is at most `batch_cost`. `function` gets all batches of item positions, and
        yields a batch's index and matrix in any order, as soon as it is computed. Every matrix is
        stored immediately, so that a cancelled run computes nothing twice. Besides the float32
        result, one batch of vectors is in memory.
        """
        import numpy as np

        positions_of: dict[str, list[int]] = {}
        for position, key in enumerate(keys):
            positions_of.setdefault(key, []).append(position)
        result = np.empty((0, 0), np.float32)

        def fill(vectors: Iterable[tuple[str, np.ndarray]]) -> int:
            nonlocal result
            filled = 0
            for key, vector in vectors:
                if not result.size:
                    result = np.empty((len(keys), len(vector)), np.float32)
                positions = positions_of.pop(key)
                result[positions] = vector
                filled += len(positions)
            return filled

        done(fill(self._stream(keys)))
        missing = [positions[0] for positions in positions_of.values()]
        order = sorted(missing, key=lambda position: (-costs[position], keys[position]))
        batches: list[list[int]] = []
        start = 0
        while start < len(order):
            size = max(1, batch_cost // max(1, costs[order[start]]))
            batches.append(order[start : start + size])
            start += size
        for index, matrix in function(batches):
            computed = dict(zip((keys[i] for i in batches[index]), matrix, strict=True))
            self.put(computed)
            done(fill(computed.items()))
        return result
