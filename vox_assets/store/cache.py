"""Results of expensive work, found again by content.

A key is a digest of everything that decides the result: the text, the model's fingerprint and
the version of the code that asks. Where the text stood plays no part, so that a file that was
renamed, or a branch that comes back, costs nothing. What is computed, and for whom, the cache
does not know.
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

#: The most that a cache may take on disk, in bytes, by default: a tree like the
#: Vox repository fills a hundredth, so that many branches and models find room.
DEFAULT_LIMIT: Final = 10 * 10**9

# SQLite's limit on the number of variables in one statement is far above this everywhere.
_KEYS_PER_QUERY = 500
# A cache at its limit gives up a tenth at once: one sweep serves many new entries.
_SHARE_LEFT = 0.9
# Uses are recorded by the hour: a build that reads an entry many times writes one use.
_USE_SECONDS = 3600

# Kept in the file's user_version; 0 is a new file, or one from before uses were recorded.
_LAYOUT = 1
# Uses stand apart from the values: recording one rewrites some bytes and not a vector.
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

# What SQLite calls a file that is damaged; on a sound one no statement here is an error.
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
#: What a damaged file is called once it was set aside: the cache's name and this.
ASIDE = ".damaged"

_logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


def content_key(*parts: str) -> str:
    """Hex digest of `parts`; moving a boundary between two parts changes it."""
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
    """Bytes by content key, in one SQLite file that several processes may share.

    The file appears when it is first needed. An entry whose checksum is wrong counts as absent, so
    that it is computed again; a file that SQLite cannot read is set aside with a warning, and what
    it still gives is saved. What was used longest ago goes when the file outgrows `limit` bytes.
    """

    path: Path
    limit: int = DEFAULT_LIMIT

    def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The entries that exist and are whole."""
        return dict(self.found(keys))

    def found(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """The entries that exist and are whole, some hundred in memory at a time."""
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), _KEYS_PER_QUERY):
            part = wanted[start : start + _KEYS_PER_QUERY]
            yield from self._guarded(partial(_fetch, keys=part)).items()

    def put(self, entries: Mapping[str, bytes]) -> None:
        """Store blobs; all of them or, on an error, none."""
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
        """Drop what was used longest ago until `size` bytes suffice, and free the disk space.

        Raises sqlite3.OperationalError when another process holds the file for a minute.
        """
        self._guarded(lambda connection: _evict(connection, size))
        with closing(self._connect()) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=60.0)
        try:
            # A damaged text is no UTF-8.
            connection.text_factory = bytes
            # A power cut may cost the last entries, never the file.
            connection.execute("PRAGMA synchronous = NORMAL")
            if _pragma(connection, "user_version") < _LAYOUT:
                _prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _guarded(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Do `work` in one transaction; a second time, on a new file, when the file is damaged."""
        inode = self.path.stat().st_ino if self.path.exists() else None
        try:
            with closing(self._connect()) as connection, connection:
                return work(connection)
        except sqlite3.DatabaseError as error:
            # The low byte is the kind; errors of Python's own have none.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGE:
                raise
            # Another process may have set it aside since.
            if self.path.exists() and self.path.stat().st_ino == inode:
                self._set_aside(error)
        with closing(self._connect()) as connection, connection:
            return work(connection)

    def _set_aside(self, fault: sqlite3.DatabaseError) -> None:
        aside = self.path.with_name(self.path.name + ASIDE)
        # The journal first: a new file must not be taken for the one that it belongs to.
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
    """Make the tables, or bring those of an older layout along with everything in them."""
    # Readers and one writer at a time: what concurrent builds need.
    connection.execute("PRAGMA journal_mode = WAL")
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if _pragma(connection, "user_version") >= _LAYOUT:
            return
        for table in _TABLES:
            connection.execute(table)
        # The layout of before knew no use, and its checksums did not cover the key.
        there = "SELECT 1 FROM sqlite_master WHERE name = 'entries'"
        if connection.execute(there).fetchone() is not None:
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
    """The whole entries among `keys`, whose use is recorded where that was not done just now."""
    now = int(time.time())
    asked = {key.encode(): key for key in keys}
    marks = ",".join("?" * len(keys))
    query = (
        "SELECT blobs.id, key, value, checksum, used FROM blobs LEFT JOIN uses USING (id) "
        f"WHERE key IN ({marks})"
    )
    found: dict[str, bytes] = {}
    stale = []
    for number, key, value, checksum, used in connection.execute(query, keys):
        if key in asked and _is_whole(key, value, checksum):
            found[asked[key]] = value
            if not isinstance(used, int) or used < now - _USE_SECONDS:
                stale.append((number, now))
    if stale:
        connection.executemany("INSERT OR REPLACE INTO uses VALUES (?, ?)", stale)
    return found


def _checksum(key: bytes, value: bytes) -> int:
    """Of both, because a damaged index leads from a key to the value of another."""
    return zlib.crc32(value, zlib.crc32(key))


def _is_whole(key: object, value: object, checksum: object) -> bool:
    # What is damaged may have another type.
    if not isinstance(key, bytes) or not isinstance(value, bytes):
        return False
    return _checksum(key, value) == checksum


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _size(connection: sqlite3.Connection) -> int:
    """Bytes of the file that are in use."""
    pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
    return pages * _pragma(connection, "page_size")


def _evict(connection: sqlite3.Connection, room: int) -> None:
    """Delete what was used longest ago until the rest takes no more than `room` bytes."""
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
    """The whole entries on both sides of what is damaged in a file."""
    for order in ("ASC", "DESC"):
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as connection:
            connection.text_factory = bytes
            query = f"SELECT key, value, checksum FROM blobs ORDER BY id {order}"
            for key, value, checksum in connection.execute(query):
                if _is_whole(key, value, checksum):
                    yield key.decode(), value, checksum
            return


class VectorCache:
    """float32 vectors by content key, in a `BlobCache`."""

    def __init__(self, path: Path, limit: int = DEFAULT_LIMIT) -> None:
        self._blobs = BlobCache(path, limit)

    def get(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """The entries that exist and are whole."""
        return dict(self._found(keys))

    def _found(self, keys: Iterable[str]) -> Iterator[tuple[str, np.ndarray]]:
        import numpy as np

        for key, value in self._blobs.found(keys):
            if len(value) % 4 == 0:
                yield key, np.frombuffer(value, dtype=np.float32)

    def put(self, entries: Mapping[str, np.ndarray]) -> None:
        """Store vectors; all of them or, on an error, none."""
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
        """One vector per key, computing what is missing in batches of similar length.

        `costs[i]` is the length of item `i` in tokens; a batch holds items whose longest, times
        their number, stays within `batch_cost`. `function` maps all batches of positions to a
        matrix each, which it gives with the batch's place, in any order, as soon as it is there.
        Each is stored then, so that a cancelled run pays for nothing twice. Besides the
        result, which is float32, one batch of vectors is in memory.
        """
        import numpy as np

        places: dict[str, list[int]] = {}
        for position, key in enumerate(keys):
            places.setdefault(key, []).append(position)
        result = np.empty((0, 0), np.float32)

        def fill(vectors: Iterable[tuple[str, np.ndarray]]) -> int:
            nonlocal result
            filled = 0
            for key, vector in vectors:
                if not result.size:
                    result = np.empty((len(keys), len(vector)), np.float32)
                positions = places.pop(key)
                result[positions] = vector
                filled += len(positions)
            return filled

        done(fill(self._found(keys)))
        missing = [positions[0] for positions in places.values()]
        order = sorted(missing, key=lambda position: (-costs[position], keys[position]))
        batches: list[list[int]] = []
        start = 0
        while start < len(order):
            size = max(1, batch_cost // max(1, costs[order[start]]))
            batches.append(order[start : start + size])
            start += size
        for place, matrix in function(batches):
            computed = dict(zip((keys[i] for i in batches[place]), matrix, strict=True))
            self.put(computed)
            done(fill(computed.items()))
        return result
