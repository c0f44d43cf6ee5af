"""Reads and writes the Delta tables: one table per asset, one version per build.

The main table of an asset is written through its IO manager. An asset's accounts (files read,
items dropped, mutants scored) are Delta tables too, below `_accounts`, written by the asset itself.
An object store's credentials and address come from the environment, under the names that delta-rs
and polars share (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...).

delta-rs is imported where it is used: it brings pyarrow, and with it costs a command that reads no
table half as much again as its start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import polars as pl

from vox_assets.contract.rows import ACCOUNT_SCHEMAS, TABLE_SCHEMAS, check_schema

#: How long a replaced version can still be read. A build of a real tree writes some 200 MB, so that
#: a month of nights and changes would otherwise take tens of gigabytes.
KEPT_FOR = timedelta(days=14)
#: Tables whose every version stays: adapters' manifests name the rows that they were trained on.
KEPT_FOREVER = frozenset({"training_mix"})
# The log of a version is some kilobytes, and without it the version is gone whatever files stay.
_CONFIGURATION = {"delta.logRetentionDuration": "interval 36500 days"}

_Frame = TypeVar("_Frame", pl.DataFrame, pl.LazyFrame)


class TableMissingError(LookupError):
    """A table that no build has written yet."""


@dataclass(frozen=True)
class Lake:
    """All tables below `root`, a path or an object-store URL."""

    root: str

    def uri(self, table: str) -> str:
        return f"{self.root.rstrip('/')}/{table}"

    def account_uri(self, asset: str, account: str) -> str:
        return self.uri(f"_accounts/{asset}/{account}")

    def read(self, asset: str, version: int | None = None) -> pl.DataFrame:
        """An asset's newest version, or the one named. Raises TableMissingError without it."""
        return _read(self.uri(asset), asset, version)

    def scan(self, asset: str) -> pl.LazyFrame:
        """The newest version, of which only what is asked for is read. As `read` otherwise."""
        return _opened(self.uri(asset), asset, None, _scan)

    def read_account(self, asset: str, account: str) -> pl.DataFrame:
        return _read(self.account_uri(asset, account), f"{asset}'s {account}")

    def version(self, asset: str) -> int:
        """The newest version of an asset's table, counted from 0."""
        return _version(self.uri(asset), asset)

    def write(self, asset: str, frame: pl.DataFrame) -> None:
        """Replace a table and, where it changed, its schema; readers see the old or the new.

        Versions replaced longer ago than KEPT_FOR are deleted, except for KEPT_FOREVER. Raises
        SchemaError, before anything is written, for a corpus table that breaks its schema.
        """
        check_schema(frame, TABLE_SCHEMAS.get(asset, {}), asset)
        _write(self.uri(asset), frame)
        if asset not in KEPT_FOREVER:
            forget(self.uri(asset), KEPT_FOR)

    def write_account(self, asset: str, account: str, frame: pl.DataFrame) -> None:
        """Replace an account; readers see the old or the new. Raises SchemaError as `write`."""
        check_schema(frame, ACCOUNT_SCHEMAS.get(account, {}), f"{asset}'s {account}")
        _write(self.account_uri(asset, account), frame)
        forget(self.account_uri(asset, account), KEPT_FOR)


def forget(uri: str, kept_for: timedelta) -> int:
    """Remove files that only versions replaced longer ago than `kept_for` need; their number.

    `DeltaTable.vacuum` itself commits twice, and a version of ours is a build.
    """
    from deltalake import DeltaTable
    from deltalake.fs import DeltaStorageHandler

    table = DeltaTable(uri)
    # Files that no version needs, what a killed writer left among them.
    needless = table.vacuum(
        retention_hours=int(kept_for / timedelta(hours=1)),
        enforce_retention_duration=False,
        dry_run=True,
        full=True,
    )
    store = DeltaStorageHandler(uri)
    for name in needless:
        store.delete_file(name)
    return len(needless)


def _write(uri: str, frame: pl.DataFrame) -> None:
    options = {"schema_mode": "overwrite", "configuration": _CONFIGURATION}
    frame.write_delta(uri, mode="overwrite", delta_write_options=options)


def _version(uri: str, name: str) -> int:
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    try:
        return DeltaTable(uri, without_files=True).version()
    except TableNotFoundError:
        raise TableMissingError(f"{name} is not built yet: no table at {uri}") from None


def _read(uri: str, name: str, version: int | None = None) -> pl.DataFrame:
    return _opened(uri, name, version, pl.read_delta)


def _scan(uri: str, version: int | None) -> pl.LazyFrame:
    from deltalake import DeltaTable

    # Opened at once: a table that is not there is named here and not where it is first used.
    return pl.scan_delta(DeltaTable(uri, version=version))


def _opened(uri: str, name: str, version: int | None, opener: Callable[..., _Frame]) -> _Frame:
    from deltalake.exceptions import DeltaError

    try:
        return opener(uri, version=version)
    except (DeltaError, FileNotFoundError) as error:
        # Without a table, and without the files of an old version, the error is the same.
        newest = _version(uri, name)
        if version is None:
            raise
        raise TableMissingError(
            f"{name} has no version {version} at {uri}: the newest is {newest}"
        ) from error
