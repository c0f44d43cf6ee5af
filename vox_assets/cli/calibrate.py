"""The command `calibrate`: weights of the score that are fitted on tables."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import polars as pl

from vox_assets.cli.command import Commands, log
from vox_assets.cli.ids import UsageError
from vox_assets.cli.tables import IN_HELP, check_writable, read
from vox_assets.extras import require
from vox_assets.settings import load_settings
from vox_assets.store.files import write_text


def add(commands: Commands) -> None:
    """Add the command."""
    calibrate = commands.add(
        "calibrate",
        _calibrate,
        "fit the weights of the score on tables",
        examples=["calibrate v3 rust.parquet docs.parquet --out weights.json"],
        codes={0: "the weights are written", 1: "too few rows, or a file cannot be used"},
    )
    calibrate.add_argument("version", metavar="VERSION", help="name of the new weights")
    calibrate.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="FILE",
        help="write the weights to this JSON file",
    )
    calibrate.add_argument("tables", nargs="+", type=Path, metavar="TABLE", help=IN_HELP)


def _calibrate(options: argparse.Namespace) -> int:
    require("models")
    from vox_assets.curate.calibrate import LEAST_ROWS, SEED, fit_forms
    from vox_assets.pipeline.resources.model_set import Models

    if options.out.suffix != ".json":
        raise UsageError(f"{options.out}: expected a name that ends in .json")
    check_writable(options.out)
    settings = load_settings()
    needed = ["pair_id", "lane", "language", "origin"]
    rows = pl.concat([read(path, needed)[1].rows for path in options.tables]).unique(
        "pair_id", keep="first", maintain_order=True
    )
    meter = Models(settings).meter(log)
    corpus = meter.corpus_of(rows)
    measure = partial(meter.everything, corpus=corpus)
    cheap = partial(meter.cheap, corpus=corpus)
    forms = fit_forms(rows, measure, cheap, settings.profile.scoring)
    if not forms:
        raise UsageError(
            f"{', '.join(map(str, options.tables))}: too few rows to fit on: expected at least "
            f"{LEAST_ROWS} of one language in the half that is fitted on"
        )
    content = {"version": options.version, "seed": SEED, "rows": rows.height, "forms": forms}
    write_text(options.out, json.dumps(content, indent=1, sort_keys=True) + "\n")
    print(f"{options.out}: {', '.join(forms)} fitted on {rows.height:,} rows")
    return 0
