"""Assets that train an adapter in a separate process and evaluate it against its base model."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from dagster._core.errors import DagsterPipesExecutionError
from dagster._core.storage.tags import PRIORITY_TAG
from pydantic import Field

from vox_assets.compute.tokens import load_tokenizer
from vox_assets.contract.rows import CORPUS_TABLES
from vox_assets.contract.verdict import Verdict
from vox_assets.exam.results import PASSED, shares
from vox_assets.extract import NO_COMMIT, commits
from vox_assets.mix.schema import EVAL, TRAIN
from vox_assets.pipeline.check_result import report, warn
from vox_assets.pipeline.corpus import mix_policy, refuse_mixed_builds
from vox_assets.pipeline.metadata import (
    FRESHNESS,
    OWNERS,
    adapter_before,
    outline,
    picture,
    table,
)
from vox_assets.pipeline.reports import origin, publish
from vox_assets.pipeline.resources.model_set import Models
from vox_assets.profiles import Profile
from vox_assets.publish.exam_report import exam_sections
from vox_assets.publish.figures import loss_curve
from vox_assets.publish.pages import Section, render_adapter
from vox_assets.settings import Settings
from vox_assets.store.files import atomic_file
from vox_assets.store.lake import Lake, TableMissingError
from vox_assets.training.adapter.evaluation_table import (
    ANSWER_HEADER,
    LOSS_HEADER,
    answer_lines,
    loss_lines,
)
from vox_assets.training.adapter.manifest import read_curve, read_manifest
from vox_assets.training.adapter.manifest import record as record_in_manifest
from vox_assets.training.adapter.recorded import recorded_evaluation
from vox_assets.training.adapter.verify import check_loads, verify
from vox_assets.training.evaluation.run import evaluate_adapter
from vox_assets.training.evaluation.run import record as record_evaluation
from vox_assets.training.evaluation.verdicts import Evaluation, with_exam
from vox_assets.training.plan.preflight import preflight
from vox_assets.training.plan.ranks import RankChoice, choose_rank, response_tokens
from vox_assets.training.plan.spec import (
    LAUNCH_ENV,
    TrainingRefusedError,
    TrainingSpec,
    launch_command,
    make_spec,
    rows_digest,
)
from vox_assets.training.promote import consider, current

GROUP = "adapter"

#: Pool of the Dagster instance with one slot, so that two trainings never share a GPU.
GPU_POOL = "gpu"


class TrainingOptions(dg.Config):
    """Options of one training run.

    They replace values of the profile's rank table, and the manifest records them.
    """

    rank: int | None = Field(
        default=None, description="LoRA rank. Default: by the number of rows, from the rank table."
    )
    alpha: int | None = Field(
        default=None, description="LoRA alpha. Default: keeps the rank table's ratio to the rank."
    )
    learning_rate: float | None = Field(
        default=None, description="Peak learning rate. Default: the value in the rank table."
    )
    epochs: float | None = Field(
        default=None, description="Passes over the training rows. Default: from the rank table."
    )


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
    """Trains a QLoRA adapter of the base model on the mix, when the mix passes every gate."""
    profile = mix_policy(settings, lake)
    refuse_mixed_builds(context.instance, settings, lake, training_mix)
    tokenizer = load_tokenizer(models.base.path)
    dialogues = training_mix.select("pair_id", "messages").iter_rows()
    try:
        preflight(dialogues, tokenizer, profile.mix.context)
        rank = choose_rank(
            training_mix.filter(split="train").height,
            response_tokens(training_mix, tokenizer),
            profile.ranks,
            config.model_dump(),
        )
    except (TrainingRefusedError, ValueError) as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    context.log.info(f"rank {rank.rank}: {rank.reason}")

    spec, reported = launch(
        context,
        pipes,
        models,
        profile,
        training_mix,
        rank,
        settings.adapters_dir,
        {
            "source_commit": commits(settings.source_roots),
            "table_versions": {name: lake.version(name) for name in CORPUS_TABLES},
        },
    )
    context.log.info(_ending(reported))
    manifest = read_manifest(spec.adapter_dir)
    if manifest["provenance"] != spec.provenance:
        # Newer tables contain the same rows, so the adapter is valid for them too.
        record_in_manifest(spec.adapter_dir, "provenance", spec.provenance)
    is_new = "stopped_by" in reported
    facts: dict[str, Any] = {
        "name": spec.name,
        "digest": spec.digest,
        "rank": rank.rank,
        "reason": rank.reason,
    }
    return dg.MaterializeResult(
        value=pl.DataFrame(
            [{**facts, "directory": str(spec.adapter_dir), "rows_digest": spec.rows_digest}]
        ),
        metadata={
            **outline(
                context,
                settings,
                {
                    "rows in": _split_sizes(training_mix),
                    "adapter out": f"{spec.digest}{adapter_before(context, spec.digest)}",
                    "why this rank": f"rank {rank.rank}: {rank.reason}",
                    "how good": f"{'' if is_new else 'trained in an earlier build: '}"
                    f"{_ending(manifest['training'])}",
                },
                "exam_answers lets it answer the exam, and adapter_eval compares it with its base "
                "model and decides whether it is promoted.",
            ),
            **reported,
            **facts,
            "adapter": dg.MetadataValue.path(str(spec.adapter_dir)),
            "loss_curve": picture(loss_curve(read_curve(spec.adapter_dir))),
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


def _split_sizes(mix: pl.DataFrame) -> str:
    train, held_out = (mix.filter(split=split).height for split in (TRAIN, EVAL))
    return f"{train:,} rows of training_mix to train on, {held_out:,} held out"


def _ending(reported: Mapping[str, Any]) -> str:
    """Say where a training stopped and why."""
    facts = {name: getattr(value, "value", value) for name, value in reported.items()}
    if "stopped_by" not in facts:
        return "the adapter of these rows and settings is complete already"
    losses = [facts.get(name) for name in ("untrained_watched_nll", "best_watched_nll")]
    gain = (
        f"; held-out loss {losses[0]:.3f} -> {losses[1]:.3f}"
        if None not in losses
        else "; the held-out loss did not fall"
    )
    steps = f"stopped at step {facts['steps']:,} of {facts['planned_steps']:,}"
    return f"{steps}: {facts['stopped_by']}{gain}"


def launch(
    context: dg.AssetExecutionContext,
    pipes: dg.PipesSubprocessClient,
    models: Models,
    profile: Profile,
    mix_rows: pl.DataFrame,
    rank: RankChoice,
    output_root: Path,
    provenance: Mapping[str, Any],
) -> tuple[TrainingSpec, Mapping[str, Any]]:
    """Run the training program and return its specification and the metadata that it reported.

    Raises dg.Failure when the program ends early.
    """
    mix_path = output_root / ".work" / f"mix-{rows_digest(mix_rows)}.parquet"
    with atomic_file(mix_path) as work:
        mix_rows.write_parquet(work)
    spec = make_spec(
        profile, mix_rows, mix_path, models.base, rank, output_root, provenance=dict(provenance)
    )
    spec_path = spec.write(output_root / ".work" / f"spec-{spec.digest}.json")
    gpu_count = _gpu_count()
    try:
        completed = pipes.run(
            command=launch_command(spec_path, processes=max(1, gpu_count), cpu=not gpu_count),
            env=dict(LAUNCH_ENV),
            context=context.op_execution_context,
        )
    except DagsterPipesExecutionError as error:
        raise dg.Failure(
            description=f"training of {spec.digest} ended early: see the end of the log. "
            f"No adapter was written. A rerun continues at the last checkpoint",
            allow_retries=False,
        ) from error
    # The adapter directory has copies of both. Without deletion, each night would add two files.
    mix_path.unlink(missing_ok=True)
    spec_path.unlink(missing_ok=True)
    return spec, completed.get_materialize_result().metadata or {}


def _gpu_count() -> int:
    import torch

    return torch.cuda.device_count()


@dg.asset(
    group_name=GROUP,
    kinds={"pytorch", "huggingface"},
    owners=OWNERS,
    code_version="1",
    pool=GPU_POOL,
    # After the checks of the adapter, whose results its report shows.
    op_tags={PRIORITY_TAG: "-1"},
)
def adapter_eval(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    models: dg.ResourceParam[Models],
    qlora_adapter: pl.DataFrame,
    training_mix: pl.DataFrame,
    scored_corpus: pl.DataFrame,
    exam_tasks: pl.DataFrame,
    exam_answers: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """Compares the adapter with its base model on held-out rows and in the exam.

    Promotes it when every verdict passes and it is no worse than the promoted adapter.
    """
    digest = qlora_adapter["digest"].item()
    if qlora_adapter["rows_digest"].item() != rows_digest(training_mix):
        # Held-out rows of another mix may be among the rows that this adapter was trained on.
        raise dg.Failure(
            description=f"qlora_adapter and training_mix are not of one build: adapter {digest} "
            "was trained on another mix: run the job retrain",
            allow_retries=False,
        )
    answered = exam_answers.filter(arm="adapter")["model"].unique().to_list()
    if answered != [digest] and not exam_tasks.is_empty():
        raise dg.Failure(
            description=f"exam_answers are of adapter {', '.join(answered)}, not of {digest}: "
            "run the job evaluate",
            allow_retries=False,
        )
    directory = settings.adapters_dir / digest
    trained_lanes = training_mix["lane"].unique().to_list()
    evaluation = evaluate_adapter(
        directory,
        models.base.path,
        training_mix,
        settings.profile.evaluation,
        other_lanes=scored_corpus.filter(pl.col("kept") & ~pl.col("lane").is_in(trained_lanes)),
        log=context.log.info,
    )
    if not exam_tasks.is_empty():
        evaluation = with_exam(evaluation, exam_answers, settings.profile.exam)
    record_evaluation(directory, evaluation)
    decision = consider(
        settings.adapters_dir,
        digest,
        settings.profile.mix.lanes,
        settings.profile.exam.decides,
    )
    context.log.info(decision.reason)
    held_out, figures = evaluation.held_out, evaluation.to_json()
    exam: list[Section] = []
    if figures["exam"] is not None:
        history = _pass_rates(lake, digest, exam_answers)
        lake.write_account("adapter_eval", "pass_rates", history)
        exam = exam_sections(figures["exam"], exam_tasks, exam_answers, history)
    promoted = current(settings.adapters_dir)
    source = origin(
        context,
        settings,
        [spec.key for check in (adapter_loads, provenance) for spec in check.check_specs],
        _other_build(directory, commits(settings.source_roots), lake),
    )
    facts = {
        **source.facts,
        "adapter": digest,
        "promoted adapter": promoted["digest"] if promoted else "none yet",
        "decision": decision.reason,
    }
    page = render_adapter(
        f"{settings.profile.name} adapter {digest}",
        replace(source, facts=facts),
        read_curve(directory),
        figures,
        exam,
    )
    report_links = publish(context, settings, settings.reports_dir / "adapter.html", page)
    rows = evaluation.row_table()
    return dg.MaterializeResult(
        value=rows,
        metadata={
            **outline(
                context,
                settings,
                {
                    "rows in": _compared(evaluation, exam_answers),
                    "rows out": f"{rows.height:,} held-out rows with both losses",
                    "adapter": f"{digest}{adapter_before(context, digest)}",
                    f"why {'' if decision.promoted else 'not '}promoted": decision.reason,
                    "how good": _how_good(evaluation),
                },
                "`vox-assets ask` answers with the promoted adapter."
                if decision.promoted
                else "The report shows what the adapter lacks. A change of sources or `retrain` "
                "trains the next one; `vox-assets adapters` lists all.",
            ),
            "digest": digest,
            "promoted": decision.promoted,
            "decision": decision.reason,
            "base_perplexity": round(math.exp(held_out.base_nll), 3),
            "adapter_perplexity": round(math.exp(held_out.adapter_nll), 3),
            "perplexity_change": held_out.perplexity_change.value,
            "verdicts": table(
                pl.DataFrame(
                    [
                        {"verdict": name, "outcome": verdict.outcome, "figures": verdict.summary}
                        for name, verdict in evaluation.verdicts.items()
                    ]
                )
            ),
            "losses": table(pl.DataFrame(loss_lines(figures), schema=LOSS_HEADER, orient="row")),
            "answers": table(
                pl.DataFrame(answer_lines(figures), schema=ANSWER_HEADER, orient="row")
            ),
            "overfitting": str(evaluation.trend),
            **report_links,
        },
    )


def _compared(evaluation: Evaluation, answers: pl.DataFrame) -> str:
    """Count what an evaluation compares."""
    held_out, other_lanes = evaluation.held_out, evaluation.other_lanes
    return (
        f"{held_out.rows:,} held-out rows of {held_out.sources:,} sources, "
        f"{evaluation.trained.rows:,} training rows, "
        f"{other_lanes.rows if other_lanes else 0:,} rows of other lanes, "
        f"{answers.height:,} answers of the exam"
    )


def _how_good(evaluation: Evaluation) -> str:
    """Name the verdicts by outcome, and give the loss of both models on held-out rows."""
    named: dict[str, list[str]] = {}
    for name, verdict in evaluation.verdicts.items():
        named.setdefault(verdict.outcome, []).append(name)
    outcomes = "; ".join(f"{outcome}: {', '.join(names)}" for outcome, names in named.items())
    loss = f"{evaluation.held_out.base_nll:.3f} -> {evaluation.held_out.adapter_nll:.3f}"
    return f"held-out loss {loss}; {outcomes}"


def _other_build(directory: Path, commit: str | None, lake: Lake) -> list[str]:
    """Warn when the adapter was trained in another build than that of the tables and the sources.

    `commit` is the commit of the sources now.
    """
    trained = read_manifest(directory)["provenance"]
    lines = []
    if trained["source_commit"] != commit:
        before, now = trained["source_commit"] or NO_COMMIT, commit or NO_COMMIT
        lines.append(
            f"The adapter was trained on the sources at {before}, and they are now at {now}."
        )
    version, newest = trained["table_versions"]["training_mix"], lake.version("training_mix")
    if version != newest:
        lines.append(
            f"The adapter was trained on version {version} of training_mix, and the newest is "
            f"{newest}, with the same rows: corpus.html is of another build."
        )
    return lines


#: Adapters whose pass rates the report shows: three months of nights.
SHOWN_ADAPTERS = 90


def _pass_rates(lake: Lake, digest: str, answers: pl.DataFrame) -> pl.DataFrame:
    """Return the share of passed tasks of the newest adapters, the oldest first."""
    try:
        before = lake.read_account("adapter_eval", "pass_rates")
    except TableMissingError:
        before = pl.DataFrame(schema=PASS_RATE_SCHEMA)
    [(share, low, high)] = (
        shares(answers).filter(arm="adapter", rung=PASSED).select("share", "low", "high").rows()
    )
    now = pl.DataFrame([(digest, share, low, high)], schema=PASS_RATE_SCHEMA, orient="row")
    return pl.concat([before.filter(pl.col("digest") != digest), now]).tail(SHOWN_ADAPTERS)


PASS_RATE_SCHEMA = {
    "digest": pl.String(),
    "share": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
}


@dg.asset_check(asset="qlora_adapter")
def adapter_loads(
    settings: dg.ResourceParam[Settings],
    models: dg.ResourceParam[Models],
    qlora_adapter: pl.DataFrame,
) -> dg.AssetCheckResult:
    """Plain peft loads the adapter onto its base model, with no tensor missing or left over."""
    directory = settings.adapters_dir / qlora_adapter["digest"].item()
    return report(Verdict.none_of(check_loads(directory, models.base.path), "faults", 1))


@dg.asset_check(asset="qlora_adapter", additional_ins={"training_mix": dg.AssetIn("training_mix")})
def provenance(
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    qlora_adapter: pl.DataFrame,
    training_mix: pl.DataFrame,
) -> dg.AssetCheckResult:
    """The manifest matches the adapter's files and the tables that are now in the lake."""
    directory = settings.adapters_dir / qlora_adapter["digest"].item()
    expected = {
        "rows_digest": rows_digest(training_mix),
        "table_versions": {name: lake.version(name) for name in CORPUS_TABLES},
    }
    return report(Verdict.none_of(verify(directory, expected), "faults", 1))


def _verdict(name: str, description: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="adapter_eval",
        name=name,
        description=description,
        additional_ins={"qlora_adapter": dg.AssetIn("qlora_adapter")},
    )
    def check(
        settings: dg.ResourceParam[Settings], qlora_adapter: pl.DataFrame
    ) -> dg.AssetCheckResult:
        digest = qlora_adapter["digest"].item()
        evaluation = recorded_evaluation(read_manifest(settings.adapters_dir / digest))
        if evaluation is None:
            return report(Verdict(False, f"adapter {digest} is not evaluated"))
        [entry] = [entry for entry in evaluation["verdicts"] if entry["name"] == name]
        return report(
            Verdict(entry["passed"], entry["reason"], entry["figures"], entry["undecided"])
        )

    return check


@dg.asset_check(asset="adapter_eval", additional_ins={"qlora_adapter": dg.AssetIn("qlora_adapter")})
def exam_beats_base(
    settings: dg.ResourceParam[Settings], qlora_adapter: pl.DataFrame
) -> dg.AssetCheckResult:
    """The adapter passes the exam better than its base model, with and without help in the prompt.

    It warns where the profile lets the loss decide.
    """
    digest = qlora_adapter["digest"].item()
    evaluation = recorded_evaluation(read_manifest(settings.adapters_dir / digest))
    if evaluation is None or evaluation["exam"] is None:
        return report(Verdict(False, f"adapter {digest} did not sit the exam"))
    entry, decides = evaluation["exam"]["verdict"], evaluation["exam"]["decides"] == "exam"
    verdict = Verdict(entry["passed"], entry["reason"], entry["figures"], entry["undecided"])
    return report(verdict) if decides else warn(verdict)


CHECKS = [
    adapter_loads,
    provenance,
    exam_beats_base,
    _verdict("beats_base", "The held-out loss is lower than the base model's, with confidence."),
    _verdict("not_overfit", "The gain on training rows carries over to held-out rows."),
    _verdict(
        "no_forgetting", "The loss on lanes that were not trained has risen only within the limit."
    ),
    _verdict(
        "lane_discipline",
        "Decides whether the adapter stays in its lane: at most the profile's share of its answers "
        "to held-out code prompts contains prose or fences, and its answers parse at least as "
        "often as the profile requires against the base model. A failure prevents promotion.",
    ),
]
