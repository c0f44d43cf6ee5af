"""Live sources into rows: Rust, documentation, and what is synthesised from both."""

import dagster as dg
import polars as pl

from vox_assets.assets.metadata import (
    NO_COMMIT,
    OWNERS,
    corpus_metadata,
    drop_metadata,
    lineage,
    table,
)
from vox_assets.curate.syntax import vox_fault
from vox_assets.curate.trim import trim_rows
from vox_assets.engine.lake import Lake
from vox_assets.extract import Extraction, extract_docs, extract_rust, git_commit
from vox_assets.resources.settings import Settings
from vox_assets.synthesize import synthesize

GROUP = "sources"

crates = dg.AssetSpec(
    "crates",
    group_name=GROUP,
    kinds={"rust"},
    owners=OWNERS,
    description="The Rust workspace below `crates/`; its data version is a digest of the content.",
)
docs = dg.AssetSpec(
    "docs",
    group_name=GROUP,
    kinds={"markdown"},
    owners=OWNERS,
    description="The mdBook pages below `docs/src/`; its data version is a digest of the content.",
)


@dg.asset(
    deps=[crates],
    group_name=GROUP,
    kinds={"polars", "deltalake", "treesitter"},
    owners=OWNERS,
    code_version="1",
)
def raw_rust_fns(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
) -> dg.MaterializeResult[pl.DataFrame]:
    """Instruction pairs from functions and documented types of library code."""
    commit = git_commit(settings.source_dir)
    found = extract_rust(settings.source_dir, settings.profile, commit=commit, log=context.log.info)
    return _source_result(context, lake, found, commit)


@dg.asset(
    deps=[docs],
    group_name=GROUP,
    kinds={"polars", "deltalake", "markdown"},
    owners=OWNERS,
    code_version="1",
)
def doc_qa_pairs(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
) -> dg.MaterializeResult[pl.DataFrame]:
    """Code rows from Vox fences and prose rows from the sections of eligible pages."""
    commit = git_commit(settings.source_dir)
    found = extract_docs(
        settings.source_dir,
        settings.profile,
        commit=commit,
        check_vox=vox_fault,
        log=context.log.info,
    )
    return _source_result(context, lake, found, commit)


@dg.asset(
    group_name=GROUP,
    kinds={"polars", "deltalake", "jinja"},
    owners=OWNERS,
    code_version="1",
)
def synthetic_pairs(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    raw_rust_fns: pl.DataFrame,
    doc_qa_pairs: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """Template and live-code expansion into Vox that parses, repairs, and multi-turn dialogues."""
    made = synthesize(
        raw_rust_fns,
        doc_qa_pairs,
        settings.profile,
        check_vox=vox_fault,
        log=context.log.info,
    )
    rows, repeated, saved = trim_rows(made.rows, context.asset_key.to_user_string())
    drops = pl.concat([made.drops, repeated])
    lake.write_account("synthetic_pairs", "drops", drops)
    lake.write_account("synthetic_pairs", "coverage", made.coverage)
    context.log.info(f"{rows.height:,} rows, {drops.height:,} dropped")
    return dg.MaterializeResult(
        value=rows,
        metadata={
            **corpus_metadata(rows),
            **drop_metadata(drops),
            # Rows are new; what they are made from is the answers of live rows.
            **lineage(
                rows.columns, {"raw_rust_fns": (), "doc_qa_pairs": ()}, ("prompt", "response")
            ),
            "characters_trimmed": dict(saved),
            "coverage": table(made.coverage),
        },
    )


def _source_result(
    context: dg.AssetExecutionContext, lake: Lake, found: Extraction, commit: str | None
) -> dg.MaterializeResult[pl.DataFrame]:
    asset = context.asset_key.to_user_string()
    rows, repeated, saved = trim_rows(found.rows, asset)
    drops = pl.concat([found.drops, repeated])
    lake.write_account(asset, "files", found.files)
    lake.write_account(asset, "drops", drops)
    context.log.info(
        f"{rows.height:,} rows from {found.files.height:,} files, {drops.height:,} items dropped"
    )
    return dg.MaterializeResult(
        value=rows,
        metadata={
            **corpus_metadata(rows),
            **drop_metadata(drops),
            "commit": commit or NO_COMMIT,
            "files": table(found.files.group_by("status").len("files").sort("status")),
            "characters_trimmed": dict(saved),
        },
    )
