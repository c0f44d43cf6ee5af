"""Helpers that build the small workspace with a profile for a training of a few steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from vox_assets import profiles
from vox_assets.pipeline.wiring import build_defs
from vox_assets.settings import Settings, load_settings

#: Profile fields that pass every gate and keep a build short.
QUICK = {
    "synthesis": {"programs": 520, "dialogues": 30, "repairs": 30},
    "scoring": {"model_tokens": 64},
    "mix": {"context": 512, "eval_rows": 24, "task_family_cap": 1.0, "language_caps": {}},
    "training": {
        "max_steps": 3,
        "max_seconds": 120,
        "block_tokens": 256,
        "blocks_per_step": 1,
        "eval_every_steps": 3,
    },
    "evaluation": {"generations": 2, "generation_tokens": 16},
    "exam": {"familiar": 3, "new_variant": 2, "new_construct": 2, "live": 1, "answer_tokens": 16},
}


def write_profile(path: Path, **changes: Any) -> str:
    """Write the sample profile with some fields replaced or merged; return its path."""
    content = yaml.safe_load((profiles.PROFILE_DIR / "sample.yaml").read_text())
    for key, value in changes.items():
        merged = isinstance(value, dict) and isinstance(content.get(key), dict)
        content[key] = {**content[key], **value} if merged else value
    path.write_text(yaml.safe_dump(content))
    return str(path)


def build(
    settings: Settings,
    job: str,
    instance: dg.DagsterInstance,
    *,
    asset_selection: list[dg.AssetKey] | None = None,
    partition_key: str | None = None,
    run_config: dict[str, Any] | None = None,
    **resources: Any,
) -> dg.ExecuteInProcessResult:
    """Run a job of the real definitions, or some of its assets, in this process."""
    defs = build_defs(resource_overrides={"settings": settings, **resources})
    return defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        raise_on_error=False,
        asset_selection=asset_selection,
        partition_key=partition_key,
        run_config=run_config,
    )


def settings_for(tree: Path, data: Path, profile: str) -> Settings:
    return load_settings(
        {"VOX_SOURCE_DIR": str(tree), "VOX_DATA_DIR": str(data), "VOX_PROFILE": profile}
    )


def verdicts(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """Return the check evaluations of a run by `asset:check`."""
    return {
        event.asset_check_evaluation_data.asset_check_key.to_user_string(): (
            event.asset_check_evaluation_data
        )
        for event in result.all_events
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    }
