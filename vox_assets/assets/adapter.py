"""The adapter: trained by a program of its own, then judged against its base."""

import math
from dataclasses import asdict
from typing import Any

import dagster as dg
import polars as pl
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from vox_assets.assets.metadata import FRESHNESS, OWNERS, table
from vox_assets.curate.syntax import parses
from vox_assets.engine.files import atomic_file
from vox_assets.engine.lake import Lake
from vox_assets.extract import git_commit
from vox_assets.resources.models import Models
from vox_assets.resources.settings import Settings
from vox_assets.training import gates
from vox_assets.training.adapter import read_manifest
from vox_assets.training.adapter import record as put_on_record
from vox_assets.training.evaluate import evaluate_adapter
from vox_assets.training.evaluate import record as record_evaluation
from vox_assets.training.preflight import load_tokenizer, preflight
from vox_assets.training.promote import consider
from vox_assets.training.ranks import choose_rank
from vox_assets.training.spec import LAUNCH_ENV, launch_command, make_spec, rows_digest

GROUP = "adapter"

#: Trainings never share a card: the instance's pool of this name has one place.
GPU_POOL = "gpu"

#: Tables whose versions a manifest records.
RECORDED_TABLES = (
    "raw_rust_fns",
    "doc_qa_pairs",
    "synthetic_pairs",
    "deduped_corpus",
    "scored_corpus",
    "training_mix",
)

#: Checks that must hold before anything is trained, in the order of the graph.
BLOCKING_CHECKS = (
    dg.AssetCheckKey(dg.AssetKey("scored_corpus"), "minimum_size"),
    *(dg.AssetCheckKey(dg.AssetKey("training_mix"), name) for name in gates.GATES),
)
_VERDICTS = {
    AssetCheckExecutionRecordStatus.SUCCEEDED,
    AssetCheckExecutionRecordStatus.FAILED,
}


class TrainingOptions(dg.Config):
    """What one run may decide for itself."""

    #: A LoRA rank instead of the policy table's; the manifest records that it was asked for.
    rank: int | None = None


@dg.asset(
    group_name=GROUP,
    kinds={"pytorch", "huggingface"},
    owners=OWNERS,
    code_version="1",
    pool=GPU_POOL,
    freshness_policy=FRESHNESS,
)
def qlora_adapter(
    context: dg.AssetExecutionContext,
    config: TrainingOptions,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    models: dg.ResourceParam[Models],
    pipes: dg.ResourceParam[dg.PipesSubprocessClient],
    training_mix: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """A QLoRA adapter of the base model, trained on the mix when every gate lets it through."""
    # Asked here as well, because a blocking check protects only the runs that include it.
    refused = [
        *failed_checks(context.instance),
        *gates.refusals(training_mix, settings.profile),
    ]
    if refused:
        raise dg.Failure(
            description="; ".join(refused), metadata={"refused": refused}, allow_retries=False
        )
    tokenizer = load_tokenizer(models.base.path)
    train = training_mix.filter(pl.col("split") == "train")
    rows = preflight(
        training_mix.select("pair_id", "messages").iter_rows(),
        tokenizer,
        settings.profile.mix.context,
    )
    trained = set(train["pair_id"])
    answer_tokens = sum(row.answer_tokens for row in rows if row.pair_id in trained)
    rank = choose_rank(train.height, answer_tokens, settings.profile.ranks, config.rank)
    context.log.info(f"rank {rank.rank}: {rank.reason}")

    digest = rows_digest(training_mix)
    mix_path = settings.adapters_dir / ".work" / f"mix-{digest}.parquet"
    with atomic_file(mix_path) as work:
        training_mix.write_parquet(work)
    spec = make_spec(
        settings.profile,
        training_mix,
        mix_path,
        models.base,
        rank,
        settings.adapters_dir,
        provenance={
            "source_commit": git_commit(settings.source_dir),
            "table_versions": {name: lake.version(name) for name in RECORDED_TABLES},
        },
    )
    spec_path = spec.write(settings.adapters_dir / ".work" / f"spec-{spec.digest}.json")
    done = pipes.run(
        command=launch_command(spec_path, cpu=not _has_gpu()),
        env=dict(LAUNCH_ENV),
        context=context.op_execution_context,
    )
    reported = done.get_materialize_result()
    manifest = read_manifest(spec.adapter_dir)
    if manifest["provenance"] != spec.provenance:
        # The same rows from newer tables: the adapter stands, and is of today's corpus.
        put_on_record(spec.adapter_dir, "provenance", spec.provenance)
    facts: dict[str, Any] = {"digest": spec.digest, "rank": rank.rank, "reason": rank.reason}
    return dg.MaterializeResult(
        value=pl.DataFrame([{**facts, "directory": str(spec.adapter_dir), "rows_digest": digest}]),
        metadata={
            **(reported.metadata or {}),
            **facts,
            "adapter": dg.MetadataValue.path(str(spec.adapter_dir)),
            "files": table(
                pl.DataFrame(
                    [
                        {"file": name, "sha256": sha}
                        for name, sha in sorted(manifest["files"].items())
                    ]
                )
            ),
        },
        data_version=dg.DataVersion(spec.digest),
    )


def failed_checks(instance: dg.DagsterInstance) -> list[str]:
    """Blocking checks of the corpus whose last verdict was a failure, one line each.

    The gates look at the mix that is there. When the corpus before it was refused, that is the mix
    of an older corpus, which would pass them.
    """
    refused = []
    for key in BLOCKING_CHECKS:
        history = instance.event_log_storage.get_asset_check_execution_history(
            key, limit=1, status=_VERDICTS
        )
        if history and history[0].status == AssetCheckExecutionRecordStatus.FAILED:
            name, run_id = key.to_user_string(), history[0].run_id
            refused.append(f"{name} failed in run {run_id}: mend the corpus and build it again")
    return refused


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@dg.asset(
    group_name=GROUP,
    kinds={"pytorch", "huggingface"},
    owners=OWNERS,
    code_version="1",
    pool=GPU_POOL,
)
def adapter_eval(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    models: dg.ResourceParam[Models],
    qlora_adapter: pl.DataFrame,
    training_mix: pl.DataFrame,
    scored_corpus: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """Base against adapter on held-out rows; promotion when all three verdicts hold."""
    digest = qlora_adapter["digest"].item()
    directory = settings.adapters_dir / digest
    trained_lanes = training_mix["lane"].unique().to_list()
    evaluation = evaluate_adapter(
        directory,
        models.base.path,
        training_mix,
        settings.profile.evaluation,
        parses,
        other_lanes=scored_corpus.filter(pl.col("kept") & ~pl.col("lane").is_in(trained_lanes)),
        seed=settings.profile.training.seed,
        say=context.log.info,
    )
    record_evaluation(directory, evaluation)
    decision = consider(settings.adapters_dir, digest)
    context.log.info(decision.reason)
    held_out = evaluation.held_out
    return dg.MaterializeResult(
        value=evaluation.row_table(),
        metadata={
            "digest": digest,
            "promoted": decision.promoted,
            "decision": decision.reason,
            "base_perplexity": round(math.exp(held_out.base_nll), 3),
            "adapter_perplexity": round(math.exp(held_out.adapter_nll), 3),
            "perplexity_change": held_out.perplexity_change.value,
            "verdicts": table(
                pl.DataFrame(
                    [
                        {"verdict": name, "holds": verdict.passed, "figures": verdict.summary}
                        for name, verdict in evaluation.verdicts.items()
                    ]
                )
            ),
            "generations": table(
                pl.DataFrame(
                    [
                        {"model": "base", **asdict(evaluation.base_writes)},
                        {"model": "adapter", **asdict(evaluation.adapter_writes)},
                    ]
                )
            ),
        },
    )
