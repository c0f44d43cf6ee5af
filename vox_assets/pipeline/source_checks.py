"""Checks of the three source assets."""

from pathlib import Path

import dagster as dg
import polars as pl

from vox_assets.contract.rows import SOURCE_TABLES
from vox_assets.contract.verdict import Verdict
from vox_assets.extract import RUST_FOLDER, audit
from vox_assets.pipeline.check_result import report, warn
from vox_assets.settings import Settings
from vox_assets.store.lake import Lake
from vox_assets.synthesize import audit as synthesis_audit
from vox_assets.vox_syntax.answers import faults_by_answer
from vox_assets.vox_syntax.frontend import FrontEnd


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
    """Where the sources lie, by what stands before their paths in the tables."""
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
