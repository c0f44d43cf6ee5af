"""Curation: one copy of each row, its score, and the rows that are trained."""

import dagster as dg
import polars as pl

from vox_assets.assets.metadata import (
    FRESHNESS,
    OWNERS,
    corpus_metadata,
    drop_metadata,
    lineage,
    table,
)
from vox_assets.curate.dedup import answers, deduplicate, similar_rows
from vox_assets.curate.embedding import embed
from vox_assets.curate.scoring import Calibration, Evaluator, auc_per_kind
from vox_assets.curate.secrets import findings
from vox_assets.engine.lake import Lake
from vox_assets.resources.models import Models
from vox_assets.resources.settings import Settings
from vox_assets.rows import drops_to_frame
from vox_assets.training.mix import build_mix
from vox_assets.training.preflight import load_tokenizer, token_counter

GROUP = "corpus"

# Mutants of each kind that the evaluator is tested on: an AUC of 0.9 is then known to +-0.03.
MUTANTS_PER_KIND = 40


@dg.asset(
    group_name=GROUP,
    kinds={"polars", "deltalake", "sentencetransformers"},
    owners=OWNERS,
    code_version="1",
)
def deduped_corpus(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    models: dg.ResourceParam[Models],
    raw_rust_fns: pl.DataFrame,
    doc_qa_pairs: pl.DataFrame,
    synthetic_pairs: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One copy of each row: equal, near and semantic duplicates lose to the better source."""
    rows = pl.concat([raw_rust_fns, doc_qa_pairs, synthetic_pairs]).unique(
        "pair_id", keep="first", maintain_order=True
    )
    vectors = embed(answers(rows), models.embedder, models.store, context.log.info)
    result = deduplicate(rows, vectors, settings.profile.dedup)
    lake.write_account("deduped_corpus", "drops", result.drops)
    context.log.info(f"{rows.height:,} rows in, {result.survivors.height:,} distinct")
    return dg.MaterializeResult(
        value=result.survivors,
        metadata={
            **corpus_metadata(result.survivors),
            **drop_metadata(result.drops),
            **lineage(
                result.survivors.columns,
                {
                    "raw_rust_fns": raw_rust_fns.columns,
                    "doc_qa_pairs": doc_qa_pairs.columns,
                    "synthetic_pairs": synthetic_pairs.columns,
                },
                ("response",),
            ),
            "rows_in": rows.height,
            "largest_cluster": max(result.survivors["cluster_size"].to_list(), default=0),
            "embedding_model": models.embedder.fingerprint,
        },
    )


@dg.asset(
    group_name=GROUP,
    kinds={"polars", "deltalake", "huggingface"},
    owners=OWNERS,
    code_version="1",
)
def scored_corpus(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    models: dg.ResourceParam[Models],
    deduped_corpus: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """Every survivor with its features, its score from 1 to 10, and why it was not kept."""
    evaluator = Evaluator(
        meter=models.meter(context.log.info),
        calibration=Calibration.load(),
        policy=settings.profile.scoring,
    )
    scored = evaluator.score(deduped_corpus)
    count = token_counter(load_tokenizer(models.base.path))
    scored = _refuse_secrets(scored).with_columns(
        pl.Series("tokens", [count(dialogue) for dialogue in scored["messages"]], pl.Int64)
    )
    mutants = evaluator.separation(scored, MUTANTS_PER_KIND, settings.profile.training.seed)
    lake.write_account("scored_corpus", "mutants", mutants)
    kept = scored.filter("kept")
    dropped = scored.filter(~pl.col("kept")).select(pl.col("drop_reason").alias("reason"))
    context.log.info(f"{scored.height:,} rows scored, {kept.height:,} kept")
    return dg.MaterializeResult(
        value=scored,
        metadata={
            **corpus_metadata(scored),
            **drop_metadata(dropped),
            **lineage(
                scored.columns, {"deduped_corpus": deduped_corpus.columns}, ("prompt", "response")
            ),
            **{f"kept/{lane}": n for lane, n in kept.group_by("lane").len().sort("lane").rows()},
            "kept_by_family": table(
                scored.group_by("lane", "language", "task_family")
                .agg(
                    pl.len().alias("rows"),
                    pl.col("kept").sum().alias("kept"),
                    pl.col("score").median().round(2).alias("median_score"),
                )
                .sort("lane", "language", "task_family")
            ),
            "mutant_auc": {kind: round(value, 4) for kind, value in auc_per_kind(mutants).items()},
            "calibration": evaluator.calibration.version,
            "base_model": models.base.fingerprint,
        },
    )


def _refuse_secrets(scored: pl.DataFrame) -> pl.DataFrame:
    """A row with a secret is not kept, whatever its score, and its reason names the kind only."""
    reasons = []
    for dialogue in scored["messages"].to_list():
        kinds = findings("\n".join(turn["content"] for turn in dialogue))
        reasons.append(f"holds {', '.join(kinds)}" if kinds else None)
    found = pl.Series("secret", reasons, dtype=pl.String)
    return scored.with_columns(
        (pl.col("kept") & found.is_null()).alias("kept"),
        pl.coalesce(found, "drop_reason").alias("drop_reason"),
    )


@dg.asset(
    group_name=GROUP,
    kinds={"polars", "deltalake"},
    owners=OWNERS,
    code_version="1",
    freshness_policy=FRESHNESS,
)
def training_mix(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    models: dg.ResourceParam[Models],
    scored_corpus: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """The rows that are trained and evaluated: lane policy, caps, token budget, split by source."""
    mix = build_mix(
        scored_corpus,
        settings.profile,
        count_tokens=token_counter(load_tokenizer(models.base.path)),
        similar_pairs=similar_rows,
    )
    drops = drops_to_frame(mix.drops)
    lake.write_account("training_mix", "drops", drops)
    counts = dict(mix.rows.group_by("split").len().rows())
    tokens = dict(mix.rows.group_by("split").agg(pl.col("tokens").sum()).rows())
    context.log.info(
        f"{counts.get('train', 0):,} rows to train on ({tokens.get('train', 0):,} tokens), "
        f"{counts.get('eval', 0):,} held out"
    )
    return dg.MaterializeResult(
        value=mix.rows,
        metadata={
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
