"""Assets that make rows: from Rust code, from documentation, and synthetic rows from both."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from vox_assets.compute.batches import Engine
from vox_assets.contract.rows import SOURCE_TABLES
from vox_assets.contract.verdict import Verdict
from vox_assets.curate.trim import trim_rows
from vox_assets.exam.results import weak_constructs
from vox_assets.extract import (
    NO_COMMIT,
    Extraction,
    SourceRoot,
    audit,
    commits,
    extract_docs_of,
    extract_rust_of,
    reader_of,
)
from vox_assets.extract.identifiers import identifiers
from vox_assets.extract.live_programs import LiveProgram, live_programs
from vox_assets.pipeline.check_result import report, warn
from vox_assets.pipeline.metadata import (
    OWNERS,
    corpus_metadata,
    counted,
    drop_metadata,
    drop_reasons,
    lineage,
    summary,
    table,
)
from vox_assets.pipeline.resources.model_set import Models
from vox_assets.settings import Settings
from vox_assets.store.lake import Lake
from vox_assets.synthesize import audit as synthesis_audit
from vox_assets.synthesize import synthesize
from vox_assets.synthesize.audit import MAX_ALIKE, instructions_alike
from vox_assets.synthesize.model.uplift import Uplift, uplift
from vox_assets.synthesize.vox.coverage import missing
from vox_assets.training.adapter.manifest import read_manifest
from vox_assets.training.promote import current
from vox_assets.vox_syntax import drift
from vox_assets.vox_syntax.answers import drop_refused, faults_by_answer
from vox_assets.vox_syntax.frontend import FrontEnd, one_by_one
from vox_assets.vox_syntax.parsers import vox_fault

GROUP = "sources"

#: The account of the identifiers of the source tree.
NAMES = "names"

NEXT_STEP = (
    "deduped_corpus removes duplicates. The account `drops` lists every dropped item with its "
    "reason."
)

crates = dg.AssetSpec(
    "crates",
    group_name=GROUP,
    kinds={"rust"},
    owners=OWNERS,
    description="The Rust workspace below `crates/`. Its data version is a digest of the files.",
)
docs = dg.AssetSpec(
    "docs",
    group_name=GROUP,
    kinds={"markdown"},
    owners=OWNERS,
    description="The mdBook pages below `docs/src/`. Its data version is a digest of the files.",
)


@dg.asset(
    deps=[crates],
    group_name=GROUP,
    kinds={"polars", "deltalake", "treesitter"},
    owners=OWNERS,
    code_version="5",
)
def raw_rust_fns(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    engine: dg.ResourceParam[Engine],
) -> dg.MaterializeResult[pl.DataFrame]:
    """Extracts instruction pairs from the functions and documented types of library code."""
    roots = settings.source_roots
    extraction = extract_rust_of(roots, settings.profile, context.log.info, engine)
    # Scoring reads them: an answer may call what the workspace names anywhere, also in its tests.
    lake.write_account("raw_rust_fns", NAMES, identifiers(roots))
    return _source_result(context, settings, lake, extraction)


@dg.asset(
    deps=[docs],
    group_name=GROUP,
    kinds={"polars", "deltalake", "markdown"},
    owners=OWNERS,
    code_version="2",
)
def doc_qa_pairs(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    front_end: dg.ResourceParam[FrontEnd],
    engine: dg.ResourceParam[Engine],
) -> dg.MaterializeResult[pl.DataFrame]:
    """Extracts code rows from Vox fences and prose rows from sections, on eligible pages only."""
    roots = settings.source_roots
    extraction = extract_docs_of(
        roots, settings.profile, one_by_one(front_end), context.log.info, engine
    )
    return _source_result(context, settings, lake, extraction, front_end=front_end.name)


@dg.asset(
    group_name=GROUP,
    kinds={"polars", "deltalake", "jinja"},
    owners=OWNERS,
    code_version="3",
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
    """Makes Vox programs that parse, repairs and dialogues from templates and live code.

    Where the endpoint of a language model is configured, the model writes more rows from live rows.
    """
    weak = _weak_constructs(settings)
    if weak:
        context.log.info(f"more programs of {', '.join(sorted(weak))}")
    synthesis = synthesize(
        raw_rust_fns,
        doc_qa_pairs,
        settings.profile,
        check_vox=vox_fault,
        read_source=reader_of(settings.source_roots),
        weak=weak,
        log=context.log.info,
    )
    row_tables, drop_tables = [synthesis.rows], [synthesis.drops]
    uplift_metadata: dict[str, Any] = {}
    if models.endpoint is not None:
        lifted = uplift(
            raw_rust_fns,
            doc_qa_pairs,
            synthesis.rows,
            settings.profile,
            models.endpoint,
            check_vox=vox_fault,
            log=context.log.info,
        )
        row_tables.append(lifted.rows)
        drop_tables.append(lifted.drops)
        uplift_metadata = _uplift_metadata(lifted)
    # The built-in grammar checked each row when it was made; a compiler checks all rows at once,
    # in batches.
    asset = context.asset_key.to_user_string()
    accepted, refused = drop_refused(pl.concat(row_tables), front_end, asset, context.log.info)
    rows, drops, saved = trim_rows(accepted, pl.concat([*drop_tables, refused]), asset)
    lake.write_account("synthetic_pairs", "drops", drops)
    lake.write_account("synthetic_pairs", "coverage", synthesis.coverage)
    context.log.info(f"{rows.height:,} rows, {drops.height:,} dropped")
    return dg.MaterializeResult(
        value=rows,
        metadata={
            **summary(
                context,
                settings,
                rows_in=counted(
                    {
                        "raw_rust_fns": raw_rust_fns.height,
                        "doc_qa_pairs": doc_qa_pairs.height,
                    }
                ),
                rows_out=rows.height,
                drops=drops,
                how_good=f"{_covered(synthesis.coverage)} in the rows; {front_end.name} accepts "
                "every answer",
                next_step=NEXT_STEP,
            ),
            **corpus_metadata(rows),
            **drop_metadata(drops),
            # Synthetic rows are made from the prompts and answers of live rows.
            **lineage(
                rows.columns, {"raw_rust_fns": (), "doc_qa_pairs": ()}, ("prompt", "response")
            ),
            "front_end": front_end.name,
            **uplift_metadata,
            "tokens_trimmed": dict(saved),
            "coverage": table(synthesis.coverage),
            "weak_constructs": table(
                pl.DataFrame(
                    [(construct, *counts) for construct, counts in sorted(weak.items())],
                    schema={"construct": pl.String, "passed": pl.Int64, "tasks": pl.Int64},
                    orient="row",
                )
            ),
            "instructions_alike": instructions_alike(rows),
            "instructions_alike_at_most": MAX_ALIKE,
        },
    )


def _weak_constructs(settings: Settings) -> dict[str, tuple[int, int]]:
    """Return the constructs that the promoted adapter is weak in, where the exam decides."""
    if settings.profile.exam.decides != "exam":
        return {}
    try:
        promoted = current(settings.adapters_dir)
        if promoted is None:
            return {}
        evaluation = read_manifest(settings.adapters_dir / promoted["digest"])["evaluation"]
    except ValueError:
        # `adapter_eval` reports a damaged adapter; a corpus can be built without it.
        return {}
    return weak_constructs(evaluation["exam"]) if evaluation["exam"] else {}


def _covered(coverage: pl.DataFrame) -> str:
    """Count the constructs of the documentation that the rows show."""
    live = coverage.filter(pl.col("live_count") > 0).height
    return f"{live - len(missing(coverage)):,} of {live:,} constructs of the documentation occur"


def _floor(settings: Settings, asset: str, rows: int) -> str:
    floor = getattr(settings.profile.yields, asset)
    relation = "at least" if rows >= floor else "fewer than"
    return f"{relation} the {floor:,} rows that the profile expects"


def _uplift_metadata(lifted: Uplift) -> dict[str, Any]:
    """Report the requests to the endpoint, their cost, and the reasons for dropped answers."""
    return {
        "uplift/rows": lifted.rows.height,
        "uplift/from_store": lifted.usage.from_store,
        "uplift/requests": lifted.usage.requests,
        "uplift/tokens": lifted.usage.tokens,
        "uplift/drop_reasons": table(drop_reasons(lifted.drops)),
    }


def _rows_by_repository(rows: pl.DataFrame, roots: Sequence[SourceRoot]) -> dict[str, Any]:
    """Count the rows of each named repository."""
    return {
        f"repository/{root.name}": rows["source_path"].str.starts_with(root.prefix).sum()
        for root in roots
        if root.name
    }


def _source_result(
    context: dg.AssetExecutionContext,
    settings: Settings,
    lake: Lake,
    extraction: Extraction,
    **labels: str,
) -> dg.MaterializeResult[pl.DataFrame]:
    """Trim the rows, write the account tables and attach the metadata of a source asset."""
    asset = context.asset_key.to_user_string()
    rows, drops, saved = trim_rows(extraction.rows, extraction.drops, asset)
    lake.write_account(asset, "files", extraction.files)
    lake.write_account(asset, "drops", drops)
    roots = settings.source_roots
    file_count = extraction.files.height
    context.log.info(
        f"{rows.height:,} rows from {file_count:,} files, {drops.height:,} items dropped"
    )
    return dg.MaterializeResult(
        value=rows,
        metadata={
            **summary(
                context,
                settings,
                rows_in=f"{file_count:,} files",
                rows_out=rows.height,
                drops=drops,
                how_good=f"{_floor(settings, asset, rows.height)}; scored_corpus scores the rows",
                next_step=NEXT_STEP,
            ),
            **corpus_metadata(rows),
            **drop_metadata(drops),
            "commit": commits(roots) or NO_COMMIT,
            **_rows_by_repository(rows, roots),
            **labels,
            "files": table(extraction.files.group_by("status").len("files").sort("status")),
            "tokens_trimmed": dict(saved),
        },
    )


@dg.asset_check(asset="raw_rust_fns")
def files_accounted(
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    raw_rust_fns: pl.LazyFrame,
) -> dg.AssetCheckResult:
    """Every file of the Rust folders produced rows or is listed with the reason why it did not."""
    files = lake.read_account("raw_rust_fns", "files")
    rows = raw_rust_fns.select("source_path").collect()
    folders = settings.profile.folders.rust
    return report(audit.files_accounted(_roots(settings), folders, files, rows))


@dg.asset_check(asset="raw_rust_fns")
def library_code_only(raw_rust_fns: pl.DataFrame) -> dg.AssetCheckResult:
    """No row comes from test code."""
    return report(audit.library_code_only(raw_rust_fns))


@dg.asset_check(asset="doc_qa_pairs")
def includes_resolved(
    lake: dg.ResourceParam[Lake], doc_qa_pairs: pl.DataFrame
) -> dg.AssetCheckResult:
    """Every mdBook include was replaced by its text. A missing file or anchor only warns."""
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
    """Code answers contain only code, and prose answers contain only prose."""
    faults = faults_by_answer(doc_qa_pairs, front_end)
    return report(audit.lane_purity(doc_qa_pairs, faults.get))


@dg.asset_check(asset="doc_qa_pairs")
def grammar_drift(
    settings: dg.ResourceParam[Settings], doc_qa_pairs: pl.LazyFrame
) -> dg.AssetCheckResult:
    """The built-in grammar accepts the live fences and golden programs of the source tree.

    It does so unless the language has moved on, or a program is wrong. The grammar is what is
    checked here, also where a compiler checks the rows.
    """
    # The grammar has nothing to say about another language.
    roots = settings.source_roots if settings.profile.language == "vox" else ()
    programs = {
        root.prefix: live_programs(root.directory, settings.profile.within(root.name).language)
        for root in roots
    }
    return warn(audit.grammar_drift(programs, _refusal))


def _refusal(program: LiveProgram) -> tuple[int, str, str] | None:
    refused = drift.refusal(program.text, ui_module=program.is_ui_module)
    return None if refused is None else (refused.line, refused.message, refused.by_design)


@dg.asset_check(asset="synthetic_pairs")
def vox_syntax(
    front_end: dg.ResourceParam[FrontEnd], synthetic_pairs: pl.DataFrame
) -> dg.AssetCheckResult:
    """The front end accepts every Vox answer, in every turn of a dialogue."""
    faults = faults_by_answer(synthetic_pairs, front_end)
    return report(synthesis_audit.answers_parse(synthetic_pairs, faults.get))


@dg.asset_check(asset="synthetic_pairs")
def construct_coverage(
    lake: dg.ResourceParam[Lake], synthetic_pairs: pl.LazyFrame
) -> dg.AssetCheckResult:
    """Synthetic rows cover every language construct that the live documentation uses."""
    return report(
        synthesis_audit.constructs_covered(lake.read_account("synthetic_pairs", "coverage"))
    )


@dg.asset_check(asset="synthetic_pairs")
def template_drift(
    lake: dg.ResourceParam[Lake], synthetic_pairs: pl.DataFrame
) -> dg.AssetCheckResult:
    """No template requires a construct that the live documentation no longer uses."""
    coverage = lake.read_account("synthetic_pairs", "coverage")
    return warn(synthesis_audit.templates_still_live(synthetic_pairs, coverage))


def _roots(settings: Settings) -> dict[str, Path]:
    """Map the prefix of source paths in the tables to the folder of each root."""
    return {root.prefix: root.directory for root in settings.source_roots}


def _yield_floor(asset: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset,
        name="yield_floor",
        description="The asset has at least as many rows as the profile expects.",
    )
    def yield_floor(
        settings: dg.ResourceParam[Settings], rows: pl.LazyFrame
    ) -> dg.AssetCheckResult:
        floor = getattr(settings.profile.yields, asset)
        count = rows.select(pl.len()).collect().item()
        return warn(Verdict.at_least(floor, count, f"rows of {asset}"))

    return yield_floor


CHECKS = [
    files_accounted,
    library_code_only,
    includes_resolved,
    eligible_pages_only,
    lane_purity,
    grammar_drift,
    vox_syntax,
    construct_coverage,
    template_drift,
    *(_yield_floor(asset) for asset in SOURCE_TABLES),
]
