"""Live sources into rows: Rust, documentation, and what is synthesised from both."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import polars as pl

from vox_assets.compute.batches import Engine
from vox_assets.curate.trim import trim_rows
from vox_assets.extract import (
    Extraction,
    SourceRoot,
    commits,
    extract_docs_of,
    extract_rust_of,
    reader_of,
)
from vox_assets.pipeline.metadata import (
    NO_COMMIT,
    OWNERS,
    corpus_metadata,
    drop_metadata,
    drop_reasons,
    lineage,
    table,
)
from vox_assets.pipeline.resources.model_set import Models
from vox_assets.settings import Settings
from vox_assets.store.lake import Lake
from vox_assets.synthesize import synthesize
from vox_assets.synthesize.audit import MAX_ALIKE, instructions_alike
from vox_assets.synthesize.model.uplift import Uplift, uplift
from vox_assets.vox_syntax.answers import drop_refused
from vox_assets.vox_syntax.frontend import FrontEnd, one_by_one
from vox_assets.vox_syntax.parsers import vox_fault

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
    engine: dg.ResourceParam[Engine],
) -> dg.MaterializeResult[pl.DataFrame]:
    """Instruction pairs from functions and documented types of library code."""
    roots = settings.source_roots
    found = extract_rust_of(roots, settings.profile, context.log.info, engine)
    return _source_result(context, lake, found, roots)


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
    front_end: dg.ResourceParam[FrontEnd],
    engine: dg.ResourceParam[Engine],
) -> dg.MaterializeResult[pl.DataFrame]:
    """Code rows from Vox fences and prose rows from the sections of eligible pages."""
    roots = settings.source_roots
    found = extract_docs_of(
        roots, settings.profile, one_by_one(front_end), context.log.info, engine
    )
    return _source_result(context, lake, found, roots, front_end=front_end.name)


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
    front_end: dg.ResourceParam[FrontEnd],
    models: dg.ResourceParam[Models],
    raw_rust_fns: pl.DataFrame,
    doc_qa_pairs: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """Template and live-code expansion into Vox that parses, repairs, and multi-turn dialogues.

    Where a language model's endpoint is configured, also what it makes of live rows.
    """
    made = synthesize(
        raw_rust_fns,
        doc_qa_pairs,
        settings.profile,
        check_vox=vox_fault,
        read_source=reader_of(settings.source_roots),
        log=context.log.info,
    )
    every_row, every_drop = [made.rows], [made.drops]
    told: dict[str, Any] = {}
    if models.endpoint is not None:
        lifted = uplift(
            raw_rust_fns,
            doc_qa_pairs,
            made.rows,
            settings.profile,
            models.endpoint,
            check_vox=vox_fault,
            log=context.log.info,
        )
        every_row.append(lifted.rows)
        every_drop.append(lifted.drops)
        told = _uplift_metadata(lifted)
    # The built-in grammar has judged while rows were made; a compiler is asked once, in batches.
    asset = context.asset_key.to_user_string()
    sound, refused = drop_refused(pl.concat(every_row), front_end, asset, context.log.info)
    rows, drops, saved = trim_rows(sound, pl.concat([*every_drop, refused]), asset)
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
            "front_end": front_end.name,
            **told,
            "tokens_trimmed": dict(saved),
            "coverage": table(made.coverage),
            "instructions_alike": instructions_alike(rows),
            "instructions_alike_at_most": MAX_ALIKE,
        },
    )


def _uplift_metadata(lifted: Uplift) -> dict[str, Any]:
    """What the endpoint was asked, what it cost, and what became of the answers."""
    return {
        "uplift/rows": lifted.rows.height,
        "uplift/from_store": lifted.usage.from_store,
        "uplift/requests": lifted.usage.requests,
        "uplift/tokens": lifted.usage.tokens,
        "uplift/drop_reasons": table(drop_reasons(lifted.drops)),
    }


def _rows_by_repository(rows: pl.DataFrame, roots: Sequence[SourceRoot]) -> dict[str, Any]:
    """Rows of each repository, where they are named."""
    return {
        f"repository/{root.name}": rows["source_path"].str.starts_with(root.prefix).sum()
        for root in roots
        if root.name
    }


def _source_result(
    context: dg.AssetExecutionContext,
    lake: Lake,
    found: Extraction,
    roots: Sequence[SourceRoot],
    **told: str,
) -> dg.MaterializeResult[pl.DataFrame]:
    asset = context.asset_key.to_user_string()
    rows, drops, saved = trim_rows(found.rows, found.drops, asset)
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
            "commit": commits(roots) or NO_COMMIT,
            **_rows_by_repository(rows, roots),
            **told,
            "files": table(found.files.group_by("status").len("files").sort("status")),
            "tokens_trimmed": dict(saved),
        },
    )
