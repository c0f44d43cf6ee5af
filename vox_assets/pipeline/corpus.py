"""Assets that curate rows: remove duplicates, score, and select the rows to train on."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypedDict

import dagster as dg
import polars as pl
import polars.selectors as cs
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)
from pydantic import Field

from vox_assets.compute.batches import Engine
from vox_assets.compute.tokens import load_tokenizer, token_counter
from vox_assets.contract.rows import LANES, SOURCE_TABLES, drops_to_frame, each_dialogue
from vox_assets.curate.audit import (
    COPIED,
    GROUPINGS,
    costliest,
    evaluator_separates,
    nothing_emptied,
    one_build,
    rows_balance,
    survival,
)
from vox_assets.curate.audit import (
    no_residual_duplicates as residual_verdict,
)
from vox_assets.curate.compared import answers
from vox_assets.curate.dedup import deduplicate, secret_kinds
from vox_assets.curate.embedding import embed
from vox_assets.curate.evaluators import second_opinions
from vox_assets.curate.features import FEATURES
from vox_assets.curate.scoring import Calibration, LocalEvaluator
from vox_assets.curate.secrets import refuse_secrets
from vox_assets.curate.separation import separation, separation_report
from vox_assets.mix import gates
from vox_assets.mix.build import build_mix
from vox_assets.mix.split import copied_files
from vox_assets.pipeline.check_result import report, warn
from vox_assets.pipeline.metadata import (
    FRESHNESS,
    OWNERS,
    corpus_metadata,
    counted,
    drop_metadata,
    lineage,
    pictures,
    short,
    summary,
    table,
    wide_table,
)
from vox_assets.pipeline.resources.model_set import Models
from vox_assets.profiles import Profile
from vox_assets.publish.figures import evaluator_figures
from vox_assets.settings import Settings
from vox_assets.store.lake import Lake, TableMissingError

GROUP = "corpus"


class MixOptions(dg.Config):
    """Options of one run of the training mix."""

    lanes: list[str] | None = Field(
        default=None,
        description="Lanes to train instead of those of the profile. The adapter's name contains "
        f"them, and it cannot be promoted. Lanes: {', '.join(LANES)}.",
    )


def mix_policy(settings: Settings, lake: Lake) -> Profile:
    """Return the profile with the lanes that the training mix in the lake was built for."""
    lanes = lake.read_account("training_mix", "lanes")["lane"].to_list()
    return settings.profile.with_lanes(lanes)


#: Checks that must pass before a corpus is recorded, exported or trained, in the graph's order.
BLOCKING_CHECKS = (
    dg.AssetCheckKey(dg.AssetKey("scored_corpus"), "minimum_size"),
    *(dg.AssetCheckKey(dg.AssetKey("training_mix"), name) for name in gates.GATES),
)
_VERDICTS = {
    AssetCheckExecutionRecordStatus.SUCCEEDED,
    AssetCheckExecutionRecordStatus.FAILED,
}


def failed_checks(
    instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey] = BLOCKING_CHECKS
) -> list[str]:
    """Return one line for each of the checks whose last result was a failure, not a warning.

    The gates check the mix in the lake. When a newer corpus fails a check, that mix still belongs
    to an older corpus and would pass the gates.
    """
    refused = []
    for key in keys:
        history = instance.event_log_storage.get_asset_check_execution_history(
            key, limit=1, status=_VERDICTS
        )
        if history and _refuses(history[0]):
            name, run_id = key.to_user_string(), history[0].run_id
            asset = key.asset_key.to_user_string()
            refused.append(f"{name} failed in run {run_id}: build {asset} again")
    return refused


def _refuses(record: AssetCheckExecutionRecord) -> bool:
    """Whether a result blocks what depends on it; an undecided verdict only warns."""
    if record.status != AssetCheckExecutionRecordStatus.FAILED:
        return False
    evaluation = record.evaluation
    return evaluation is None or evaluation.severity == dg.AssetCheckSeverity.ERROR


def refuse_mixed_builds(
    instance: dg.DagsterInstance, settings: Settings, lake: Lake, mix: pl.DataFrame
) -> None:
    """Raise dg.Failure unless the tables are of one build that passes every blocking check.

    The checks protect only the runs that include them, and a build that stops early leaves newer
    tables beside the older mix.
    """
    build = one_build(**build_tables(lake))
    refused = [
        *failed_checks(instance),
        *([] if build.passed else [f"{build.summary}: build the corpus again"]),
        *gates.refusals(mix, mix_policy(settings, lake)),
    ]
    if refused:
        raise dg.Failure(
            description="; ".join(refused), metadata={"refused": refused}, allow_retries=False
        )


class BuildTables(TypedDict):
    """The tables of a build without their texts, and the drops of its steps."""

    sources: list[pl.DataFrame]
    deduped: pl.DataFrame
    dedup_drops: pl.DataFrame
    scored: pl.DataFrame
    mix: pl.DataFrame
    mix_drops: pl.DataFrame


def build_tables(lake: Lake) -> BuildTables:
    """Read the columns of the current tables that `one_build` compares."""
    return {
        "sources": [lake.scan(name).select(COPIED).collect() for name in SOURCE_TABLES],
        "deduped": lake.scan("deduped_corpus").select(COPIED).collect(),
        "dedup_drops": lake.read_account("deduped_corpus", "drops"),
        "scored": lake.scan("scored_corpus").select(*COPIED, "score", "kept").collect(),
        "mix": lake.scan("training_mix").select(*COPIED, "score").collect(),
        "mix_drops": lake.read_account("training_mix", "drops"),
    }


# Number of rows of each language that are damaged in each way; a rejected share of 0.9 is then
# known to be above 0.8. Each more costs some twenty texts to embed in a first build.
DAMAGED_PER_KIND = 100


@dg.asset(
    group_name=GROUP,
    kinds={"polars", "deltalake", "sentencetransformers"},
    owners=OWNERS,
    code_version="2",
)
def deduped_corpus(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    models: dg.ResourceParam[Models],
    engine: dg.ResourceParam[Engine],
    raw_rust_fns: pl.LazyFrame,
    doc_qa_pairs: pl.LazyFrame,
    synthetic_pairs: pl.LazyFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """Keeps one row of each group of equal, near or semantic duplicates.

    A row that a person wrote is preferred to a model's, and a model's to a template's.
    """
    sources = {
        "raw_rust_fns": raw_rust_fns,
        "doc_qa_pairs": doc_qa_pairs,
        "synthetic_pairs": synthetic_pairs,
    }
    rows = (
        pl.concat(sources.values()).unique("pair_id", keep="first", maintain_order=True).collect()
    )
    vectors = embed(answers(rows), models.embedder, models.store, context.log.info, engine)
    secret = pl.Series("holds_secret", map(bool, secret_kinds(rows)), dtype=pl.Boolean)
    result = deduplicate(rows.with_columns(secret), vectors, settings.profile.dedup, engine)
    survivors = result.survivors.drop("holds_secret")
    lake.write_account("deduped_corpus", "drops", result.drops)
    context.log.info(f"{rows.height:,} rows in, {survivors.height:,} distinct")
    return dg.MaterializeResult(
        value=survivors,
        metadata={
            **summary(
                context,
                settings,
                rows_in=counted(
                    {name: scan.select(pl.len()).collect().item() for name, scan in sources.items()}
                ),
                rows_out=survivors.height,
                drops=result.drops,
                how_good=f"{len(result.conflicts):,} pairs of survivors contradict each other",
                next_step="scored_corpus scores each survivor. `vox-assets explain PAIR_ID` names "
                "the row that a duplicate lost to.",
            ),
            **corpus_metadata(survivors),
            **drop_metadata(result.drops),
            **lineage(
                survivors.columns,
                {name: table.collect_schema().names() for name, table in sources.items()},
                ("response",),
            ),
            "rows_in": rows.height,
            "largest_cluster": max(survivors["cluster_size"].to_list(), default=0),
            # Pairs of rows that answer one prompt and contradict each other; both survive.
            "conflicts": len(result.conflicts),
            "embedding_model": f"{models.embedder.name} {short(models.embedder.fingerprint)}",
        },
    )


@dg.asset(
    group_name=GROUP,
    kinds={"polars", "deltalake", "huggingface"},
    owners=OWNERS,
    code_version="5",
)
def scored_corpus(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    models: dg.ResourceParam[Models],
    deduped_corpus: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """Scores every row from 1 to 10 and records why a row is not kept."""
    evaluator = LocalEvaluator(
        meter=replace(models.meter(context.log.info), names=_names(lake)),
        calibration=Calibration.load(),
        policy=settings.profile.scoring,
    )
    scored = evaluator.score(deduped_corpus)
    count = token_counter(load_tokenizer(models.base.path))
    scored = refuse_secrets(scored).with_columns(
        pl.Series("tokens", [count(dialogue) for dialogue in each_dialogue(scored)], pl.Int64)
    )
    scored, opinions = second_opinions(
        scored,
        models.second_opinions(context.log.info),
        settings.profile.judge.rows,
        settings.profile.scoring.threshold,
    )
    separated = separation(evaluator, scored, DAMAGED_PER_KIND, settings.profile.training.seed)
    lake.write_account("scored_corpus", "mutants", separated)
    separated_by_kind = separation_report(separated)
    weights = {name: form.weight for name, form in evaluator.calibration.forms.items()}
    kept_by_lane = scored.select("lane", "kept").filter("kept")["lane"].value_counts().sort("lane")
    dropped = scored.select(pl.col("drop_kind").alias("kind")).filter(~scored["kept"])
    context.log.info(f"{scored.height:,} rows scored, {kept_by_lane['count'].sum():,} kept")
    return dg.MaterializeResult(
        value=scored,
        metadata={
            **summary(
                context,
                settings,
                rows_in=f"{deduped_corpus.height:,} of deduped_corpus",
                rows_out=scored.height,
                drops=dropped,
                how_good=f"{scored['kept'].sum():,} rows kept, median score "
                f"{_median_score(scored)} of 10, threshold "
                f"{settings.profile.scoring.threshold:g}; of the damaged rows "
                f"{_rejected_share(separated)} are rejected",
                next_step="training_mix takes the kept rows of the trained lanes. Dropped rows "
                "stay in this table with the reason in drop_reason.",
            ),
            **corpus_metadata(scored),
            **drop_metadata(dropped),
            **lineage(
                scored.columns, {"deduped_corpus": deduped_corpus.columns}, ("prompt", "response")
            ),
            **{f"kept/{lane}": count for lane, count in kept_by_lane.iter_rows()},
            "kept_by_group": wide_table(survival(scored)),
            "costliest_features": table(costliest(scored)),
            "rows_with_perplexity": int(scored["perplexity"].is_not_null().sum()),
            "separation": wide_table(separated_by_kind.with_columns(cs.float().round(3))),
            "calibration": evaluator.calibration.version,
            "weights": wide_table(_by_feature(weights)),
            "evaluator_plot": pictures(evaluator_figures(separated_by_kind, weights)),
            "base_model": f"{models.base.name} {short(models.base.fingerprint)}",
            **{
                f"{name}/{figure}": value
                for name, figures in opinions.items()
                for figure, value in figures.items()
            },
        },
    )


def _median_score(rows: pl.DataFrame) -> str:
    return "unknown" if rows.is_empty() else f"{rows.select(pl.median('score')).item():.1f}"


def _rejected_share(separated: pl.DataFrame) -> str:
    """Format the share of the damaged rows that are dropped."""
    damaged = separated.drop_nulls("mutant")
    return "none" if damaged.is_empty() else f"{damaged['rejected'].sum() / damaged.height:.0%}"


def _names(lake: Lake) -> frozenset[str] | None:
    """Return the identifiers of the source tree, or None in a lake of an earlier version."""
    try:
        return frozenset(lake.read_account("raw_rust_fns", "names")["name"])
    except TableMissingError:
        return None


def _by_feature(weights: Mapping[str, Mapping[str, float]]) -> pl.DataFrame:
    """Make a table with one line per feature and one column of weights per language."""
    return pl.DataFrame(
        {
            "feature": list(FEATURES),
            **{
                language: [round(form[name], 3) for name in FEATURES]
                for language, form in weights.items()
            },
        }
    )


@dg.asset(
    group_name=GROUP,
    kinds={"polars", "deltalake"},
    owners=OWNERS,
    code_version="2",
    freshness_policy=FRESHNESS,
)
def training_mix(
    context: dg.AssetExecutionContext,
    config: MixOptions,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    models: dg.ResourceParam[Models],
    scored_corpus: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """Selects the rows to train on and the held-out rows to evaluate.

    Applies the lanes, caps and token budget of the profile, and splits the rows by source.
    """
    lanes = config.lanes or list(settings.profile.mix.lanes)
    policy = settings.profile.with_lanes(lanes)
    if policy.mix.lanes != settings.profile.mix.lanes:
        context.log.warning(
            f"this run selects {', '.join(lanes)} instead of the lanes of the profile: "
            "its adapter cannot be promoted"
        )
    mix = build_mix(
        scored_corpus,
        policy,
        count_tokens=token_counter(load_tokenizer(models.base.path)),
        copies=copied_between_repositories(lake, scored_corpus, policy),
    )
    drops = drops_to_frame(mix.drops)
    lake.write_account("training_mix", "drops", drops)
    lake.write_account("training_mix", "lanes", pl.DataFrame({"lane": lanes}))
    counts = dict(mix.rows.group_by("split").len().rows())
    tokens = dict(mix.rows.group_by("split").agg(pl.col("tokens").sum()).rows())
    context.log.info(
        f"{counts.get('train', 0):,} rows to train on ({tokens.get('train', 0):,} tokens), "
        f"{counts.get('eval', 0):,} held out"
    )
    return dg.MaterializeResult(
        value=mix.rows,
        metadata={
            **summary(
                context,
                settings,
                rows_in=f"{scored_corpus['kept'].sum():,} kept rows of scored_corpus",
                rows_out=mix.rows.height,
                drops=drops,
                how_good=f"{counts.get('train', 0):,} rows to train on "
                f"({tokens.get('train', 0):,} tokens), {counts.get('eval', 0):,} held out of "
                f"{mix.rows.filter(split='eval')['source_path'].n_unique():,} sources; median "
                f"score {_median_score(mix.rows)} of 10",
                next_step="When every gate passes, qlora_adapter trains on the rows of split "
                "train, and row_ledger records the fate of every row.",
            ),
            **corpus_metadata(mix.rows),
            **drop_metadata(drops),
            **lineage(
                mix.rows.columns,
                {"scored_corpus": scored_corpus.columns},
                ("source_path", "parents"),
            ),
            **{f"rows/{split}": count for split, count in sorted(counts.items())},
            **{f"tokens/{split}": count for split, count in sorted(tokens.items())},
        },
    )


def copied_between_repositories(
    lake: Lake, scored: pl.DataFrame, profile: Profile
) -> list[tuple[str, str]]:
    """Return pairs of a copied file and its original; empty without named repositories."""
    if not profile.repositories:
        return []
    assets = ("raw_rust_fns", "doc_qa_pairs", "deduped_corpus")
    drops = pl.concat([lake.read_account(asset, "drops") for asset in assets])
    return copied_files(scored, drops, profile)


@dg.asset_check(asset="deduped_corpus")
def no_residual_duplicates(deduped_corpus: pl.LazyFrame) -> dg.AssetCheckResult:
    """No two survivors are equal or near duplicates, by an exact join that dedup does not use."""
    return report(
        residual_verdict(deduped_corpus.select("pair_id", "messages", "response_mode").collect())
    )


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
    """Every input row either survives or is dropped as a duplicate of a survivor."""
    sources = (raw_rust_fns, doc_qa_pairs, synthetic_pairs)
    rows_in = {pair_id for table in sources for pair_id in _ids(table)}
    drops = lake.read_account("deduped_corpus", "drops")
    return report(rows_balance(rows_in, _ids(deduped_corpus), drops["pair_id"]))


def _ids(table: pl.LazyFrame) -> pl.Series:
    return table.select("pair_id").collect()["pair_id"]


@dg.asset_check(asset="scored_corpus")
def evaluator_separates_mutants(
    lake: dg.ResourceParam[Lake], scored_corpus: pl.LazyFrame
) -> dg.AssetCheckResult:
    """The score separates damaged copies (mutants) from real rows, for each kind of mutant."""
    return report(evaluator_separates(lake.read_account("scored_corpus", "mutants")))


@dg.asset_check(asset="scored_corpus")
def no_group_emptied(scored_corpus: pl.LazyFrame) -> dg.AssetCheckResult:
    """Scoring keeps at least one row of every lane, language and task family."""
    return warn(nothing_emptied(scored_corpus.select(*GROUPINGS, "score", "kept").collect()))


@dg.asset_check(asset="scored_corpus", blocking=True, name="minimum_size")
def scored_minimum_size(
    settings: dg.ResourceParam[Settings], scored_corpus: pl.LazyFrame
) -> dg.AssetCheckResult:
    """Each lane to train keeps enough distinct rows for the tier of the profile."""
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
    """People wrote at least the share of rows that the profile requires."""
    return warn(gates.human_share(training_mix, settings.profile))


CHECKS = [
    no_residual_duplicates,
    rows_accounted,
    evaluator_separates_mutants,
    no_group_emptied,
    scored_minimum_size,
    *(_gate(name) for name in gates.GATES),
    human_share,
]
