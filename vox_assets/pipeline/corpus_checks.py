"""Checks of the curated tables and of the training mix."""

import dagster as dg
import polars as pl

from vox_assets.contract.rows import CORPUS_TABLES, SOURCE_TABLES
from vox_assets.contract.verdict import Verdict
from vox_assets.curate.audit import (
    GROUPINGS,
    evaluator_separates,
    ledger_balances,
    nothing_emptied,
    rows_balance,
    steps_balance,
)
from vox_assets.curate.audit import (
    no_residual_duplicates as residual_verdict,
)
from vox_assets.mix import gates
from vox_assets.pipeline.check_result import report, warn
from vox_assets.pipeline.corpus import mix_policy
from vox_assets.settings import Settings
from vox_assets.store.lake import Lake


@dg.asset_check(asset="deduped_corpus")
def no_residual_duplicates(deduped_corpus: pl.LazyFrame) -> dg.AssetCheckResult:
    """No two survivors are equal or near, found by a method that dedup does not use."""
    return report(residual_verdict(deduped_corpus.select("pair_id", "messages").collect()))


@dg.asset_check(
    asset="deduped_corpus",
    additional_ins={name: dg.AssetIn(name) for name in SOURCE_TABLES},
)
def rows_accounted(
    lake: dg.ResourceParam[Lake],
    deduped_corpus: pl.LazyFrame,
    raw_rust_fns: pl.LazyFrame,
    doc_qa_pairs: pl.LazyFrame,
    synthetic_pairs: pl.LazyFrame,
) -> dg.AssetCheckResult:
    """Rows in = survivors + rows dropped with a winner."""
    sources = (raw_rust_fns, doc_qa_pairs, synthetic_pairs)
    rows_in = {pair_id for table in sources for pair_id in _ids(table)}
    drops = lake.read_account("deduped_corpus", "drops")
    return report(rows_balance(rows_in, _ids(deduped_corpus), drops["pair_id"]))


def _ids(table: pl.LazyFrame) -> pl.Series:
    return table.select("pair_id").collect()["pair_id"]


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
    """Each step balances, and every pair was trained, evaluated or dropped for a reason."""
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
    ends = ledger_balances(row_ledger)
    return report(
        Verdict(
            steps.passed and ends.passed,
            f"{ends.summary}; {steps.summary}",
            {**ends.figures, **steps.figures},
        )
    )


@dg.asset_check(asset="scored_corpus")
def evaluator_separates_mutants(
    lake: dg.ResourceParam[Lake], scored_corpus: pl.LazyFrame
) -> dg.AssetCheckResult:
    """The score tells spoilt rows from real ones, for each way of spoiling."""
    return report(evaluator_separates(lake.read_account("scored_corpus", "mutants")))


@dg.asset_check(asset="scored_corpus")
def no_group_emptied(scored_corpus: pl.LazyFrame) -> dg.AssetCheckResult:
    """Scoring leaves rows of every lane, language and task family that came in."""
    return warn(nothing_emptied(scored_corpus.select(*GROUPINGS, "score", "kept").collect()))


@dg.asset_check(asset="scored_corpus", blocking=True, name="minimum_size")
def scored_minimum_size(
    settings: dg.ResourceParam[Settings], scored_corpus: pl.LazyFrame
) -> dg.AssetCheckResult:
    """Each lane that is trained keeps enough distinct rows for the profile's tier."""
    kept = scored_corpus.filter("kept").select("pair_id", "lane").collect()
    return report(gates.minimum_size(kept, settings.profile))


def _gate(name: str) -> dg.AssetChecksDefinition:
    gate = gates.GATES[name]

    @dg.asset_check(
        asset="training_mix",
        name=name,
        blocking=True,
        description=gate.__doc__,
    )
    def check(
        settings: dg.ResourceParam[Settings], lake: dg.ResourceParam[Lake], mix: pl.DataFrame
    ) -> dg.AssetCheckResult:
        return report(gate(mix, mix_policy(settings, lake)))

    return check


@dg.asset_check(asset="training_mix")
def human_share(
    settings: dg.ResourceParam[Settings], training_mix: pl.DataFrame
) -> dg.AssetCheckResult:
    """Enough of what is trained was written by people."""
    return warn(gates.human_share(training_mix, settings.profile))


CHECKS = [
    no_residual_duplicates,
    rows_accounted,
    ledger_rows_accounted,
    evaluator_separates_mutants,
    no_group_emptied,
    scored_minimum_size,
    *(_gate(name) for name in gates.GATES),
    human_share,
]
