"""The ablation asset, which trains one arm per partition and compares the arms trained so far."""

import json

import dagster as dg
import polars as pl
from pydantic import Field

from vox_assets.compute.tokens import load_tokenizer, token_counter
from vox_assets.contract.rows import SOURCE_TABLES
from vox_assets.exam.task import from_frame
from vox_assets.mix.schema import TRAIN
from vox_assets.pipeline.adapter import GPU_POOL, launch
from vox_assets.pipeline.corpus import mix_policy, refuse_mixed_builds
from vox_assets.pipeline.metadata import OWNERS, picture, table
from vox_assets.pipeline.reports import origin, publish
from vox_assets.pipeline.resources.model_set import Models
from vox_assets.profiles import Profile
from vox_assets.publish.figures import forest
from vox_assets.publish.pages import render_ablation
from vox_assets.settings import Settings
from vox_assets.store.lake import Lake
from vox_assets.training.adapter.manifest import read_manifest
from vox_assets.training.evaluation import arms as arms_of
from vox_assets.training.evaluation.exam_arms import answer_exam
from vox_assets.training.evaluation.run import evaluate_adapter
from vox_assets.training.plan.ranks import choose_rank, response_tokens
from vox_assets.training.plan.spec import write_json
from vox_assets.vox_syntax.frontend import BuiltInGrammar, FrontEnd, one_by_one

GROUP = "ablation"


class AblationOptions(dg.Config):
    """Options of one run. Arms with different options are not comparable."""

    steps: int | None = Field(
        default=None, description="Optimiser steps of the arm. Default: the profile's number."
    )


def ablation_asset(profile: Profile) -> dg.AssetsDefinition:
    """Create the asset, with one partition for each arm of the profile."""
    arms = arms_of.arms(profile)

    @dg.asset(
        group_name=GROUP,
        kinds={"pytorch", "huggingface"},
        owners=OWNERS,
        code_version="2",
        pool=GPU_POOL,
        partitions_def=dg.StaticPartitionsDefinition(list(arms)),
        deps=[*SOURCE_TABLES, "deduped_corpus"],
    )
    def ablation(
        context: dg.AssetExecutionContext,
        config: AblationOptions,
        settings: dg.ResourceParam[Settings],
        lake: dg.ResourceParam[Lake],
        models: dg.ResourceParam[Models],
        front_end: dg.ResourceParam[FrontEnd],
        pipes: dg.ResourceParam[dg.PipesSubprocessClient],
        scored_corpus: pl.DataFrame,
        training_mix: pl.DataFrame,
        exam_tasks: pl.DataFrame,
    ) -> dg.MaterializeResult[None]:
        """Trains one arm; evaluates it on the held-out rows of the mix and by the exam.

        All arms see the same number of tokens, unless the arm changes it.
        """
        refuse_mixed_builds(context.instance, settings, lake, training_mix)
        arm = arms[context.partition_key]
        profile = mix_policy(settings, lake)
        tokenizer = load_tokenizer(models.base.path)
        tasks = from_frame(exam_tasks)
        corpus = arms_of.Corpus(
            scored_corpus,
            pl.concat([lake.read(name) for name in SOURCE_TABLES]),
            lake.read_account("deduped_corpus", "drops"),
            training_mix,
            tasks,
        )
        rows = arms_of.arm_rows(arm, profile, corpus, token_counter(tokenizer))
        policy = arms_of.arm_profile(profile, arm, config.steps)
        count = rows.filter(split=TRAIN).height
        chosen = choose_rank(count, response_tokens(rows, tokenizer), policy.ranks)
        root = settings.data_dir / "ablation"
        spec, _ = launch(
            context, pipes, models, policy, rows, arms_of.arm_rank(chosen, arm), root, {}
        )
        evaluation = evaluate_adapter(
            spec.adapter_dir,
            models.base.path,
            rows,
            policy.evaluation,
            other_lanes=scored_corpus.filter(
                pl.col("kept") & ~pl.col("lane").is_in(rows["lane"].unique().to_list())
            ),
            log=context.log.info,
        )
        answers = answer_exam(
            tasks,
            policy.exam,
            policy.dedup,
            base=models.base,
            adapter=spec.adapter_dir,
            serving=None,
            examples=training_mix.filter(split=TRAIN),
            checks=None if isinstance(front_end, BuiltInGrammar) else one_by_one(front_end),
            store=models.answers,
            log=context.log.info,
        )
        manifest = read_manifest(spec.adapter_dir)
        arm_result = arms_of.result(arm, rows, manifest, evaluation, answers)
        write_json(root / f"{arm.name}.json", arm_result)

        trained = [
            json.loads((root / f"{name}.json").read_text("utf-8"))
            for name in arms
            if (root / f"{name}.json").exists()
        ]
        results = arms_of.comparable(trained, evaluation.eval_digest, arm_result["exam_digest"])
        lines = arms_of.table_lines(results)
        plot = forest([(item["arm"], item["evaluation"]["held_out"]["ratio"]) for item in results])
        path = settings.reports_dir / "ablation.html"
        page = render_ablation(f"{policy.name} ablation", origin(context, settings), results, lines)
        return dg.MaterializeResult(
            metadata={
                "arm": arm.why,
                "arms": table(pl.DataFrame(lines, schema=arms_of.TABLE_HEADER, orient="row")),
                "ratios": picture(plot),
                **publish(context, settings, path, page),
            }
        )

    return ablation
