"""The command `extract`: rows of a source tree."""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl

from vox_assets.cli.command import Commands, add_profile, log
from vox_assets.cli.tables import OUT_HELP, check_out, print_result, written
from vox_assets.curate.tables import write_table
from vox_assets.settings import load_settings


def add(commands: Commands) -> None:
    """Add the command."""
    extract = commands.add(
        "extract",
        _extract,
        "make rows from the Rust code or the documentation below SOURCE",
        examples=[
            "extract rust data/sample_workspace rust.jsonl",
            "extract docs /path/to/vox docs.parquet --profile vox",
        ],
        codes={0: "OUT is written", 1: "SOURCE, the profile or OUT cannot be used"},
    )
    extract.add_argument("kind", choices=("rust", "docs"), help="what to read")
    extract.add_argument(
        "source", type=Path, metavar="SOURCE", help="root folder that holds crates/ and docs/src/"
    )
    extract.add_argument("out", type=Path, metavar="OUT", help=OUT_HELP)
    add_profile(extract)


def _extract(options: argparse.Namespace) -> int:
    from vox_assets.extract import extract_docs_of, extract_rust_of
    from vox_assets.pipeline.resources.engine import engine

    check_out(options.out)
    settings = load_settings(source_dir=options.source, profile_reference=options.profile)
    roots = settings.source_roots
    log(f"{settings.source_dir}: read with the profile {settings.profile_reference}")
    if options.kind == "rust":
        extraction = extract_rust_of(roots, settings.profile, log, engine(settings))
    else:
        from vox_assets.pipeline.resources.frontend import front_end
        from vox_assets.vox_syntax.frontend import one_by_one

        check_vox = one_by_one(front_end(settings))
        extraction = extract_docs_of(roots, settings.profile, check_vox, log, engine(settings))
    rows, files = extraction.rows, extraction.files
    with written(options.out) as out:
        write_table(rows, out)
    unreadable = files.filter(pl.col("status") == "unreadable")
    for path, reason in unreadable.select("path", "reason").iter_rows():
        log(f"{path}: {reason}")
    print_result(options.out, f"{rows.height:,} rows from {files.height:,} files")
    return 0
