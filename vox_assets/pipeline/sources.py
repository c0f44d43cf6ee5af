"""Live sources into rows: Rust, documentation, and what is synthesised from both."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from vox_assets.compute.batches import Engine
from vox_assets.contract.rows import SOURCE_TABLES
from vox_assets.contract.verdict import Verdict
from vox_assets.curate.trim import trim_rows
from vox_assets.extract import (
    NO_COMMIT,
    RUST_FOLDER,
    Extraction,
    SourceRoot,
    audit,
    commits,
    extract_docs_of,
    extract_rust_of,
    reader_of,
)
from vox_assets.pipeline.check_result import report, warn
from vox_assets.pipeline.metadata import (
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
from vox_assets.synthesize import audit as synthesis_audit
from vox_assets.synthesize import synthesize
from vox_assets.synthesize.audit import MAX_ALIKE, instructions_alike
from vox_assets.synthesize.model.uplift import Uplift, uplift
from vox_assets.vox_syntax.answers import drop_refused, faults_by_answer
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
    uplift_metadata: dict[str, Any] = {}
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
        uplift_metadata = _uplift_metadata(lifted)
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
            **uplift_metadata,
            "tokens_trimmed": dict(saved),
            "coverage": table(made.coverage),
            "instructions_alike": instructions_alike(rows),
            "instructions_alike_at_most": MAX_ALIKE,
        },
    )


def _uplift_metadata(lifted: Uplift) -> dict[str, Any]:
    """Questions to the endpoint, their cost, and the outcome of the answers."""
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
    **more: str,
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
            **more,
            "files": table(found.files.group_by("status").len("files").sort("status")),
            "tokens_trimmed": dict(saved),
        },
    )


@dg.asset_check(asset="raw_rust_fns")
def files_accounted(
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    raw_rust_fns: pl.LazyFrame,
) -> dg.AssetCheckResult:
    """Every file of the tree gave rows or is listed with the reason why not."""
    files = lake.read_account("raw_rust_fns", "files")
    rows = raw_rust_fns.select("source_path").collect()
    return report(audit.files_accounted(_roots(settings), RUST_FOLDER, files, rows))


@dg.asset_check(asset="raw_rust_fns")
def library_code_only(raw_rust_fns: pl.DataFrame) -> dg.AssetCheckResult:
    """No row comes from test code."""
    return report(audit.library_code_only(raw_rust_fns))


@dg.asset_check(asset="doc_qa_pairs")
def includes_resolved(
    lake: dg.ResourceParam[Lake], doc_qa_pairs: pl.DataFrame
) -> dg.AssetCheckResult:
    """Every mdBook include was replaced by what it names; one that names nothing warns."""
    replaced = audit.includes_replaced(doc_qa_pairs)
    if not replaced.passed:
        return report(replaced)
    return warn(audit.includes_found(lake.read_account("doc_qa_pairs", "drops")))


@dg.asset_check(asset="doc_qa_pairs")
def eligible_pages_only(
    settings: dg.ResourceParam[Settings], doc_qa_pairs: pl.DataFrame
) -> dg.AssetCheckResult:
    """No row comes from a page that opted out."""
    return report(audit.eligible_pages_only(_roots(settings), doc_qa_pairs))


@dg.asset_check(asset="doc_qa_pairs")
def lane_purity(
    front_end: dg.ResourceParam[FrontEnd], doc_qa_pairs: pl.DataFrame
) -> dg.AssetCheckResult:
    """Code answers are code and prose answers are prose."""
    faults = faults_by_answer(doc_qa_pairs, front_end)
    return report(audit.lane_purity(doc_qa_pairs, faults.get))


@dg.asset_check(asset="synthetic_pairs")
def vox_syntax(
    front_end: dg.ResourceParam[FrontEnd], synthetic_pairs: pl.DataFrame
) -> dg.AssetCheckResult:
    """The front end accepts every Vox answer, in every turn."""
    faults = faults_by_answer(synthetic_pairs, front_end)
    return report(synthesis_audit.answers_parse(synthetic_pairs, faults.get))


@dg.asset_check(asset="synthetic_pairs")
def construct_coverage(
    lake: dg.ResourceParam[Lake], synthetic_pairs: pl.LazyFrame
) -> dg.AssetCheckResult:
    """Every construct that live documentation uses is also synthesised."""
    return report(
        synthesis_audit.constructs_covered(lake.read_account("synthetic_pairs", "coverage"))
    )


@dg.asset_check(asset="synthetic_pairs")
def template_drift(
    lake: dg.ResourceParam[Lake], synthetic_pairs: pl.DataFrame
) -> dg.AssetCheckResult:
    """No template insists on a construct that live documentation has given up."""
    coverage = lake.read_account("synthetic_pairs", "coverage")
    return warn(synthesis_audit.templates_still_live(synthetic_pairs, coverage))


def _roots(settings: Settings) -> dict[str, Path]:
    """Source folders by the prefix of their paths in the tables."""
    return {root.prefix: root.directory for root in settings.source_roots}


def _yield_floor(asset: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset,
        name="yield_floor",
        description="The asset gives at least as many rows as the profile expects.",
    )
    def yield_floor(
        settings: dg.ResourceParam[Settings], rows: pl.LazyFrame
    ) -> dg.AssetCheckResult:
        floor = getattr(settings.profile.yields, asset)
        found = rows.select(pl.len()).collect().item()
        return warn(Verdict.at_least(floor, found, f"rows of {asset}"))

    return yield_floor


CHECKS = [
    files_accounted,
    library_code_only,
    includes_resolved,
    eligible_pages_only,
    lane_purity,
    vox_syntax,
    construct_coverage,
    template_drift,
    *(_yield_floor(asset) for asset in SOURCE_TABLES),
]
