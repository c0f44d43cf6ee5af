"""Assets that describe and publish the corpus: the ledger, the exports and the report."""

from collections import Counter
from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl
from dagster._core.storage.tags import PRIORITY_TAG

from vox_assets.compute.tokens import load_tokenizer
from vox_assets.contract.rows import CORPUS_TABLES, SOURCE_TABLES
from vox_assets.contract.verdict import Verdict
from vox_assets.curate.audit import (
    ledger_balances,
    ledger_of_one_build,
    steps_balance,
)
from vox_assets.curate.ledger import build_ledger, fates_by_repository, funnel
from vox_assets.extract import commits
from vox_assets.pipeline.check_result import report
from vox_assets.pipeline.corpus import CHECKS as CORPUS_CHECKS
from vox_assets.pipeline.corpus import refuse_mixed_builds
from vox_assets.pipeline.metadata import (
    OWNERS,
    counted,
    lineage,
    outline,
    pictures,
    summary,
    table,
    why_dropped,
    wide_table,
)
from vox_assets.pipeline.reports import origin, publish
from vox_assets.pipeline.resources.model_set import Models
from vox_assets.pipeline.sources import CHECKS as SOURCE_CHECKS
from vox_assets.publish.corpus_report import corpus_report
from vox_assets.publish.export import export
from vox_assets.publish.pages import CheckLine
from vox_assets.publish.trainers import TrainingChoice
from vox_assets.settings import Settings
from vox_assets.store.lake import Lake, TableMissingError
from vox_assets.training.plan.ranks import choose_rank, response_tokens
from vox_assets.training.plan.spec import rows_digest

GROUP = "records"


@dg.asset(
    group_name=GROUP,
    kinds={"polars", "deltalake"},
    owners=OWNERS,
    code_version="2",
)
def row_ledger(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    raw_rust_fns: pl.LazyFrame,
    doc_qa_pairs: pl.LazyFrame,
    synthetic_pairs: pl.LazyFrame,
    scored_corpus: pl.LazyFrame,
    training_mix: pl.LazyFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """Records the fate of every source row: trained, evaluated, or dropped and for which reason.

    A row that was dropped as a duplicate names the row that it lost to.
    """
    refuse_mixed_builds(context.instance, settings, lake, training_mix.collect())
    sources = _sources(raw_rust_fns, doc_qa_pairs, synthetic_pairs)
    ledger = _ledger(lake, sources, scored_corpus, training_mix)
    fates = (
        ledger.group_by("source_asset", "fate", "stage")
        .len("rows")
        .sort("source_asset", "fate", "stage")
    )
    by_repository = (
        {"repositories": table(fates_by_repository(ledger, sources, settings.profile))}
        if settings.profile.repositories
        else {}
    )
    id_columns = dict.fromkeys(sources, ("pair_id",))
    other_parents = {"scored_corpus": (), "training_mix": ()}
    return dg.MaterializeResult(
        value=ledger,
        metadata={
            **summary(
                context,
                settings,
                rows_in=counted({name: rows.height for name, rows in sources.items()}),
                rows_out=ledger.height,
                drops=ledger.filter(fate="dropped"),
                how_good=counted(dict(ledger["fate"].value_counts().sort("fate").iter_rows())),
                next_step="corpus_card writes the exports and the report.",
            ),
            "fates": wide_table(fates),
            **by_repository,
            **lineage(ledger.columns, {**id_columns, **other_parents}, ("pair_id",)),
        },
    )


@dg.asset(
    group_name=GROUP,
    kinds={"huggingface", "json"},
    owners=OWNERS,
    code_version="2",
    # Last in a run: the report shows the results of the checks, and the adapter of the build.
    op_tags={PRIORITY_TAG: "-2"},
)
def corpus_card(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    models: dg.ResourceParam[Models],
    raw_rust_fns: pl.LazyFrame,
    doc_qa_pairs: pl.LazyFrame,
    synthetic_pairs: pl.LazyFrame,
    scored_corpus: pl.LazyFrame,
    training_mix: pl.DataFrame,
    row_ledger: pl.DataFrame,
    exam_tasks: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """Writes the Hugging Face dataset, the Vox training contract, the exam and an HTML report."""
    refuse_mixed_builds(context.instance, settings, lake, training_mix)
    sources = _sources(raw_rust_fns, doc_qa_pairs, synthetic_pairs)
    current = _ledger(lake, sources, scored_corpus, training_mix.lazy())
    of_this_build = ledger_of_one_build(row_ledger, current)
    if not of_this_build.passed:
        raise dg.Failure(
            description=f"{of_this_build.summary}: materialise row_ledger again",
            allow_retries=False,
        )
    profile = settings.profile
    rank = choose_rank(
        training_mix.filter(split="train").height,
        response_tokens(training_mix, load_tokenizer(models.base.path)),
        profile.ranks,
    )
    export(
        scored_corpus,
        training_mix,
        exam_tasks,
        settings.exports_dir,
        name=f"{profile.name} corpus",
        license_id=profile.license,
        choice=TrainingChoice(models.base.name, profile.mix.context, rank),
        source_commit=commits(settings.source_roots),
    )
    checks = [
        spec.key
        for definition in (*SOURCE_CHECKS, *CORPUS_CHECKS, *CHECKS)
        for spec in definition.check_specs
    ]
    source = origin(context, settings, checks, _adapter_of_another_mix(lake, training_mix))
    page = corpus_report(
        profile,
        source,
        sources,
        # The report shows no embeddings, and takes its few sample texts from the mix.
        scored_corpus.drop("embedding", "prompt", "response").collect(),
        training_mix,
        row_ledger,
        lake.read_account("scored_corpus", "mutants"),
    )
    path = settings.reports_dir / "corpus.html"
    report_links = publish(context, settings, path, page)
    context.log.info(f"exports in {settings.exports_dir}, report at {path}")
    steps = funnel(row_ledger)
    return dg.MaterializeResult(
        value=steps,
        metadata={
            **outline(
                context,
                settings,
                {
                    "rows in": counted({name: rows.height for name, rows in sources.items()}),
                    "rows out": counted(_by_split(training_mix)),
                    "why fewer": why_dropped(row_ledger.filter(fate="dropped")),
                    "how good": counted(_outcomes(source.checks)),
                    "caution": " ".join(source.warnings),
                },
                f"{settings.exports_dir} has the dataset, the training contract, configurations "
                "of trainers and the exam; the report shows the corpus.",
            ),
            "funnel": table(steps),
            "plots": pictures(page.figures),
            **report_links,
            "exports": dg.MetadataValue.path(str(settings.exports_dir)),
        },
    )


def _by_split(mix: pl.DataFrame) -> dict[str, int]:
    return dict(mix["split"].value_counts().sort("split", descending=True).iter_rows())


def _outcomes(checks: Sequence[CheckLine]) -> dict[str, int]:
    """Count checks by their outcome."""
    return {f"checks {name}": count for name, count in Counter(c.outcome for c in checks).items()}


def _adapter_of_another_mix(lake: Lake, mix: pl.DataFrame) -> list[str]:
    """Warn when the adapter in the lake was trained on other rows than this mix."""
    try:
        adapter = lake.read("qlora_adapter").row(0, named=True)
    except TableMissingError:
        return []
    if adapter["rows_digest"] == rows_digest(mix):
        return []
    return [
        f"The adapter {adapter['digest']} and its report adapter.html are of another build: it was "
        "trained on other rows than this mix. The job retrain trains an adapter on this mix."
    ]


def _sources(*tables: pl.LazyFrame) -> dict[str, pl.DataFrame]:
    """Return ids and paths of the source rows by asset; `tables` are in SOURCE_TABLES's order."""
    return {
        name: table.select("pair_id", "source_path").collect()
        for name, table in zip(SOURCE_TABLES, tables, strict=True)
    }


def _ledger(
    lake: Lake, sources: Mapping[str, pl.DataFrame], scored: pl.LazyFrame, mix: pl.LazyFrame
) -> pl.DataFrame:
    """Build the ledger of the current tables."""
    return build_ledger(
        sources,
        lake.read_account("deduped_corpus", "drops"),
        scored.select("pair_id", "kept", "drop_kind", "drop_detail", "drop_reason").collect(),
        lake.read_account("training_mix", "drops"),
        mix.select("pair_id", "split").collect(),
    )


@dg.asset_check(
    asset="row_ledger",
    name="rows_accounted",
    additional_ins={name: dg.AssetIn(name) for name in CORPUS_TABLES},
)
def ledger_rows_accounted(
    lake: dg.ResourceParam[Lake],
    row_ledger: pl.DataFrame,
    raw_rust_fns: pl.LazyFrame,
    doc_qa_pairs: pl.LazyFrame,
    synthetic_pairs: pl.LazyFrame,
    deduped_corpus: pl.LazyFrame,
    scored_corpus: pl.LazyFrame,
    training_mix: pl.LazyFrame,
) -> dg.AssetCheckResult:
    """No step loses or adds rows, and every source row is trained, evaluated or dropped."""
    sources = (raw_rust_fns, doc_qa_pairs, synthetic_pairs)
    steps = steps_balance(
        [table.select("pair_id").collect() for table in sources],
        deduped_corpus.select("pair_id").collect(),
        lake.read_account("deduped_corpus", "drops"),
        scored_corpus.select(
            "pair_id", "kept", "drop_kind", "drop_detail", "drop_reason"
        ).collect(),
        training_mix.select("pair_id").collect(),
        lake.read_account("training_mix", "drops"),
    )
    fates = ledger_balances(row_ledger)
    return report(
        Verdict(
            steps.passed and fates.passed,
            f"{fates.summary}; {steps.summary}",
            {**fates.figures, **steps.figures},
        )
    )


CHECKS = [ledger_rows_accounted]
