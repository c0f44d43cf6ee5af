"""The command `explain`: what happened to one row."""

from __future__ import annotations

import argparse

import polars as pl

from vox_assets.cli.command import Commands
from vox_assets.cli.ids import UsageError, full_id
from vox_assets.contract.rows import CORPUS_TABLES
from vox_assets.extras import require
from vox_assets.settings import load_settings


def add(commands: Commands) -> None:
    """Add the command."""
    explain = commands.add(
        "explain",
        _explain,
        "explain what happened to one row in the last build",
        examples=["explain 3f9c2a"],
        codes={0: "the row was found", 1: "no row, or more than one, has this id"},
    )
    explain.add_argument(
        "pair_id",
        metavar="PAIR_ID",
        help="id of the row, or its first digits where no other has them",
    )


def _explain(options: argparse.Namespace) -> int:
    require("pipeline")
    from vox_assets.curate.ledger import story
    from vox_assets.store.lake import Lake, TableMissingError

    lake = Lake(load_settings().lake_uri)
    tables: dict[str, pl.DataFrame] = {}
    drops: dict[str, pl.DataFrame] = {}
    for asset in CORPUS_TABLES:
        # Without the first table there is no build. Later tables are missing when it stopped early.
        try:
            tables[asset] = lake.read(asset)
            if asset != "scored_corpus":
                drops[asset] = lake.read_account(asset, "drops")
        except TableMissingError:
            if not tables:
                raise
    try:
        known = [frame["pair_id"] for frame in (*tables.values(), *drops.values())]
        wanted = full_id(options.pair_id, {name for ids in known for name in ids if name}, "row")
        lines = story(wanted, tables, drops)
    except LookupError as error:
        raise UsageError(str(error)) from error
    print("\n".join(lines))
    return 0
