"""Tests what the sources read besides the source tree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vox_assets.pipeline.sources import _weak_constructs
from vox_assets.settings import Settings
from vox_assets.training.adapter.manifest import MANIFEST_SCHEMA
from vox_assets_tests.pipeline.conftest import settings_for, write_profile

EXAM = {
    "shares": [{"arm": "adapter", "rung": "passed", "share": 0.5}],
    "constructs": [
        {"arm": "adapter", "rung": "passed", "construct": "lists", "reached": 1, "tasks": 4}
        | {"share": 0.25}
    ],
}


def settings_with(folder: Path, decides: str, evaluation: dict[str, Any] | None) -> Settings:
    """Promote an adapter with an evaluation; the profile says what decides."""
    (folder / "tree").mkdir()
    profile = write_profile(folder / "profile.yaml", exam={"decides": decides})
    settings = settings_for(folder / "tree", folder / "data", profile)
    adapter = settings.adapters_dir / "a1b2"
    adapter.mkdir(parents=True)
    (settings.adapters_dir / "promoted.json").write_text(json.dumps({"digest": "a1b2"}))
    manifest = {"schema": MANIFEST_SCHEMA, "evaluation": evaluation}
    (adapter / "manifest.json").write_text(json.dumps(manifest))
    return settings


@pytest.mark.parametrize(
    ("decides", "evaluation", "weak"),
    [
        ("exam", {"exam": EXAM}, {"lists": (1, 4)}),
        ("loss", {"exam": EXAM}, {}),
        ("exam", {"exam": None}, {}),
    ],
)
def test_the_promoted_adapter_decides_which_constructs_are_weak_where_the_exam_decides(
    tmp_path: Path, decides: str, evaluation: dict[str, Any], weak: dict[str, tuple[int, int]]
) -> None:
    assert _weak_constructs(settings_with(tmp_path, decides, evaluation)) == weak


def test_a_damaged_or_missing_adapter_makes_no_construct_weak(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "exam", {"exam": EXAM})
    (settings.adapters_dir / "a1b2" / "manifest.json").write_text("{")
    assert _weak_constructs(settings) == {}
    (settings.adapters_dir / "promoted.json").unlink()
    assert _weak_constructs(settings) == {}
