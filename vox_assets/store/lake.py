"""Read and write the Delta tables: one table per asset, one version per build.

The IO manager writes the main table of an asset. The asset itself writes its accounts (files read,
items dropped, mutants scored), which are Delta tables below `_accounts`.
An object store's credentials and address come from the environment, under the names that delta-rs
and polars share (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...).

delta-rs is imported inside functions: it imports pyarrow, and both lengthen the start of a command
that reads no table by half.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlsplit

import polars as pl

from vox_assets.contract.rows import ACCOUNT_SCHEMAS, TABLE_SCHEMAS, check_schema

#: How long a replaced version can still be read. A build of a real tree writes about 200 MB, so a
#: month of nightly and triggered builds would otherwise take tens of gigabytes.
KEPT_FOR = timedelta(days=14)
#: Tables that keep all versions: an adapter's manifest names the rows that it was trained on.
KEPT_FOREVER = frozenset({"training_mix"})
# A version's log takes some kilobytes; without it the version cannot be read, even if its files
# are still there.
_CONFIGURATION = {"delta.logRetentionDuration": "interval 36500 days"}

_COLOUR = re.compile(r"\x1b\[\d*m")
# Enough for the first causes of an object store's error, which names its address and its retries.
_CAUSE_CHARACTERS = 300

_Frame = TypeVar("_Frame", pl.DataFrame, pl.LazyFrame)


class TableMissingError(LookupError):
    """Raised for a table or a version that does not exist."""


class TableUnreadableError(Exception):
    """Raised for a table that is damaged or cannot be reached; the message is one line."""


@dataclass(frozen=True)
class Lake:
    """Reads and writes all tables below `root`, a path or an object-store URL."""

    root: str

    def uri(self, table: str) -> str:
        return f"{self.root.rstrip('/')}/{table}"

    def account_uri(self, asset: str, account: str) -> str:
        return self.uri(f"_accounts/{asset}/{account}")

    def read(self, asset: str, version: int | None = None) -> pl.DataFrame:
        """Read the newest version of an asset's table, or `version`. Raises TableMissingError."""
        return _read(self.uri(asset), asset, version)

    def scan(self, asset: str) -> pl.LazyFrame:
        """Open the newest version lazily: only the requested columns and rows are read.

        Raises TableMissingError.
        """
        return _opened(self.uri(asset), asset, None, _scan)

    def read_account(self, asset: str, account: str) -> pl.DataFrame:
        return _read(self.account_uri(asset, account), f"{asset}'s {account}")

    def version(self, asset: str) -> int:
        """Return the number of the newest version of an asset's table, from 0."""
        return _version(self.uri(asset), asset)

    def write(self, asset: str, frame: pl.DataFrame) -> None:
        """Replace a table and its schema atomically.

        Deletes versions that were replaced longer ago than KEPT_FOR, except in KEPT_FOREVER. Raises
        SchemaError, before it writes, for a corpus table that breaks its schema.
        """
        check_schema(frame, TABLE_SCHEMAS.get(asset, {}), asset)
        _write(self.uri(asset), frame)
        if asset not in KEPT_FOREVER:
            forget(self.uri(asset), KEPT_FOR)

    def write_account(self, asset: str, account: str, frame: pl.DataFrame) -> None:
        """Replace an account atomically. Raises SchemaError as `write` does."""
        check_schema(frame, ACCOUNT_SCHEMAS.get(account, {}), f"{asset}'s {account}")
        _write(self.account_uri(asset, account), frame)
        forget(self.account_uri(asset, account), KEPT_FOR)


def without_keys(uri: str) -> str:
    """Remove the user part and the query of a URL, which may hold keys."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def forget(uri: str, kept_for: timedelta) -> int:
    """Delete files used only by versions replaced longer ago than `kept_for`; count the files.

    `DeltaTable.vacuum` is run dry and the files are deleted here, because vacuum itself commits two
    versions and a version is a build.
    """
    from deltalake import DeltaTable
    from deltalake.fs import DeltaStorageHandler

    table = DeltaTable(uri)
    # Files that no version needs, including the leftovers of a killed writer.
    unused = table.vacuum(
        retention_hours=int(kept_for / timedelta(hours=1)),
        enforce_retention_duration=False,
        dry_run=True,
        full=True,
    )
    store = DeltaStorageHandler(uri)
    for name in unused:
        store.delete_file(name)
    return len(unused)


def _write(uri: str, frame: pl.DataFrame) -> None:
    options = {"schema_mode": "overwrite", "configuration": _CONFIGURATION}
    frame.write_delta(uri, mode="overwrite", delta_write_options=options)


def _version(uri: str, name: str) -> int:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return DeltaTable(uri, without_files=True).version()
    except TableNotFoundError:
        raise TableMissingError(f"{name} is not built yet: no table at {uri}") from None
    except (DeltaError, OSError) as error:
        raise _unreadable(uri, name, error) from error


def _read(uri: str, name: str, version: int | None = None) -> pl.DataFrame:
    return _opened(uri, name, version, pl.read_delta)


def _scan(uri: str, version: int | None) -> pl.LazyFrame:
    from deltalake import DeltaTable

    # Open the table now: a missing table raises here and not at its first use.
    return pl.scan_delta(DeltaTable(uri, version=version))


def _opened(uri: str, name: str, version: int | None, opener: Callable[..., _Frame]) -> _Frame:
    from deltalake.exceptions import DeltaError

    try:
        return opener(uri, version=version)
    except (DeltaError, OSError, pl.exceptions.PolarsError) as error:
        # delta-rs raises the same error for a missing table and for missing files of a version.
        newest = _version(uri, name)
        if version is None:
            raise _unreadable(uri, name, error) from error
        raise TableMissingError(
            f"{name} has no version {version} at {uri}: the newest is {newest}"
        ) from error


def _unreadable(uri: str, name: str, error: Exception) -> TableUnreadableError:
    # The libraries append a trace, in colours, to the cause.
    cause = " ".join(_COLOUR.sub("", str(error).partition("\n   0:")[0]).split())
    return TableUnreadableError(
        f"{name} at {uri} cannot be read: {cause[:_CAUSE_CHARACTERS]}: expected a Delta table"
    )
