"""The ablation asset, which trains one arm per partition and compares the arms trained so far."""

import json

import dagster as dg
import polars as pl
from pydantic import Field

from vox_assets.compute.tokens import load_tokenizer, token_counter
from vox_assets.contract.rows import SOURCE_TABLES
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
from vox_assets.training.evaluation.run import evaluate_adapter
from vox_assets.training.plan.ranks import choose_rank, response_tokens
from vox_assets.training.plan.spec import write_json

GROUP = "ablation"


class AblationOptions(dg.Config):
    """Options of one run. Only arms with the same options can be compared."""

    steps: int | None = Field(
        default=None, description="Optimiser steps of the arm. Default: the profile's number."
    )


def ablation_asset(profile: Profile) -> dg.AssetsDefinition:
    """Create the asset, with one partition for each arm of the profile's rank table."""
    arms = arms_of.arms(profile)

    @dg.asset(
        group_name=GROUP,
        kinds={"pytorch", "huggingface"},
        owners=OWNERS,
        code_version="1",
        pool=GPU_POOL,
        partitions_def=dg.StaticPartitionsDefinition(list(arms)),
        deps=list(SOURCE_TABLES),
    )
    def ablation(
        context: dg.AssetExecutionContext,
        config: AblationOptions,
        settings: dg.ResourceParam[Settings],
        lake: dg.ResourceParam[Lake],
        models: dg.ResourceParam[Models],
        pipes: dg.ResourceParam[dg.PipesSubprocessClient],
        training_mix: pl.DataFrame,
    ) -> dg.MaterializeResult[None]:
        """Trains one arm and evaluates it on the held-out rows of the mix.

        All arms see the same number of tokens and use the same seed.
        """
        refuse_mixed_builds(context.instance, settings, lake, training_mix)
        arm = arms[context.partition_key]
        policy = arms_of.arm_profile(mix_policy(settings, lake), config.steps)
        seed = policy.training.seed
        tokenizer = load_tokenizer(models.base.path)
        rows = training_mix
        if arm.name == arms_of.RANDOM:
            rows = arms_of.random_mix(
                pl.concat([lake.read(name) for name in SOURCE_TABLES]),
                training_mix,
                policy.dedup,
                policy.mix.context,
                seed,
                token_counter(tokenizer),
            )
        count = rows.filter(split="train").height
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
            log=context.log.info,
        )
        manifest = read_manifest(spec.adapter_dir)
        arm_result = arms_of.result(arm, rows, manifest, evaluation)
        write_json(root / f"{arm.name}.json", arm_result)

        trained = [
            json.loads((root / f"{name}.json").read_text("utf-8"))
            for name in arms
            if (root / f"{name}.json").exists()
        ]
        results = arms_of.comparable(trained, evaluation.eval_digest)
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
