"""Tests the whole graph with the packaged models."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.store.lake import Lake
from vox_assets_tests.conftest import SAMPLE
from vox_assets_tests.pipeline.conftest import QUICK, build, settings_for, verdicts, write_profile


@pytest.mark.slow
def test_the_packaged_model_is_trained_and_named_in_the_adapter(
    small_tree: Path, base_model: LocalModel, model_dir: Path, tmp_path: Path
) -> None:
    from peft import PeftConfig

    shutil.copytree(model_dir, tmp_path / "cache")
    settings = settings_for(small_tree, tmp_path, write_profile(tmp_path / "quick.yaml", **QUICK))
    with dg.instance_for_test() as instance:
        assert build(settings, "rebuild", instance).success
    digest = Lake(settings.lake_uri).read("qlora_adapter")["digest"].item()
    config = PeftConfig.from_pretrained(str(settings.adapters_dir / digest))
    assert config.base_model_name_or_path == "HuggingFaceTB/SmolLM2-135M-Instruct"


@pytest.mark.slow
def test_every_check_of_the_bundled_workspace_passes(tmp_path: Path, model_dir: Path) -> None:
    shutil.copytree(model_dir, tmp_path / "cache")
    settings = settings_for(SAMPLE.resolve(), tmp_path, "sample")
    with dg.instance_for_test() as instance:
        result = build(settings, "corpus", instance)
    assert result.success
    failed = {
        name: check.description for name, check in verdicts(result).items() if not check.passed
    }
    assert failed == {}
