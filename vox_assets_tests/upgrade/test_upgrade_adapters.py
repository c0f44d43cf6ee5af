"""An adapter of an earlier version is listed, verified and promoted, or refused in one clear line.

No version is tagged yet. `write_earlier` gives an adapter the manifest and card of commit e34b566,
the first with today's schema of manifests: without digests of cards, undecided verdicts and exam.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from vox_assets.cli import main
from vox_assets.compute.models import LocalModel, resolve_base_model
from vox_assets.store.lake import Lake
from vox_assets.training import promote
from vox_assets.training.adapter import layout, verify
from vox_assets.training.adapter import manifest as manifest_module
from vox_assets.training.plan.spec import TrainingSpec, write_json
from vox_assets_tests.pipeline.conftest import verdicts
from vox_assets_tests.pipeline.test_adapter import prepare_lake, train
from vox_assets_tests.small_corpus import judged, mixed, profile, scored, tiny_base, trained

__all__ = ["mixed", "profile", "scored", "tiny_base", "trained"]

LANES = ["vox_codegen"]
BETTER, WORSE = [0.69, 0.7, 0.71] * 4, [1.69, 1.7, 1.71] * 4
SCHEMA_OF_DB12E3C = "vox-assets/adapter/1"


def write_earlier(
    adapter: Path, target: Path, ratios: list[float], **changes: Any
) -> dict[str, Any]:
    """Copy an adapter as an earlier version would have written it; return its manifest."""
    shutil.copytree(adapter, target)
    content = manifest_module.read_manifest(target)
    evaluation = judged(*ratios)
    del evaluation["exam"]
    for verdict in evaluation["verdicts"]:
        del verdict["undecided"]
    for compared in ("held_out", "trained"):
        del evaluation[compared]["gain"]
    content |= {"digest": target.name, "evaluation": evaluation, **changes}
    del content["cards"], content["seal"]
    content["seal"] = manifest_module.seal(content)
    write_json(target / layout.MANIFEST, content)
    (target / layout.CARD).write_text("# A card in other words\n")
    return content


@pytest.fixture
def root(tmp_path: Path, trained: TrainingSpec, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a good adapter, one that failed a verdict, and one with an older manifest."""
    monkeypatch.setenv("VOX_DATA_DIR", str(tmp_path))
    root = tmp_path / "adapters"
    write_earlier(trained.adapter_dir, root / "ab12", BETTER)
    write_earlier(trained.adapter_dir, root / "cd34", WORSE)
    write_earlier(trained.adapter_dir, root / "ef56", BETTER, schema=SCHEMA_OF_DB12E3C)
    return root


def test_adapters_of_earlier_versions_are_listed_with_the_reason_not_to_promote_them(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adapters", "--json"]) == 0
    good, bad, older = json.loads(capsys.readouterr().out)
    assert (good["digest"], good["obstacle"], good["rank"]) == ("ab12", None, 8)
    assert bad["obstacle"].startswith("beats_base failed (held-out loss")
    assert older["obstacle"] == (
        f"is damaged: manifest.json has schema {SCHEMA_OF_DB12E3C}, but this version reads "
        "vox-assets/adapter/2"
    )


def test_an_adapter_of_an_earlier_version_can_be_promoted_and_verified(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify.verify(root / "ab12") == []
    assert main(["promote", "ab12"]) == 0
    assert capsys.readouterr().out == "ab12 is promoted\n"
    # The promotion writes manifest and card anew.
    assert verify.verify(root / "ab12") == []
    assert "| beats_base | yes |" in (root / "ab12" / layout.CARD).read_text()


@pytest.mark.parametrize("command", ["promote", "verify"])
def test_an_older_manifest_is_refused_in_one_line(
    root: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "ef56"]) == 1
    printed = capsys.readouterr()
    [line] = (printed.out + printed.err).splitlines()
    assert "ef56" in line and f"manifest.json has schema {SCHEMA_OF_DB12E3C}" in line


def test_a_newer_adapter_is_compared_with_one_that_sat_no_exam(
    root: Path, trained: TrainingSpec
) -> None:
    shutil.copytree(trained.adapter_dir, root / "gh78")
    newer = manifest_module.read_manifest(root / "gh78") | {
        "digest": "gh78",
        "evaluation": judged(*[0.5] * 12),
    }
    manifest_module.write_manifest(root / "gh78", newer)
    promote.promote(root, "ab12", LANES)
    by_exam = promote.consider(root, "gh78", LANES, "exam")
    assert by_exam.reason == (
        "gh78 is not promoted: it did not sit the exam beside ab12: evaluate it again"
    )
    by_loss = promote.consider(root, "gh78", LANES, "loss")
    assert by_loss.promoted and "it is better than ab12" in by_loss.reason


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"schema": SCHEMA_OF_DB12E3C}])
def test_a_build_beside_a_promoted_adapter_of_an_earlier_version_succeeds(
    tmp_path: Path, tiny_base: LocalModel, trained: TrainingSpec, changes: dict[str, str]
) -> None:
    settings = prepare_lake(tmp_path / "data", tiny_base)
    base = resolve_base_model(str(tiny_base.path), settings.cache_dir)
    manifest = manifest_module.read_manifest(trained.adapter_dir)
    trained_on = manifest["base_model"] | {"fingerprint": base.fingerprint}
    serving = settings.adapters_dir / "ab12"
    write_earlier(trained.adapter_dir, serving, BETTER, base_model=trained_on, **changes)
    write_json(settings.adapters_dir / promote.PROMOTED, {"digest": "ab12", "history": []})
    with dg.instance_for_test() as instance:
        result = train(settings, instance, "qlora_adapter", "exam_answers", "adapter_eval")
    assert result.success
    assert "adapter_eval:exam_beats_base" in verdicts(result)
    arms = Lake(settings.lake_uri).read("exam_answers").select(pl.col("arm").unique().sort())
    # An adapter that cannot be read does not answer; the build says so and goes on.
    expected = ["adapter", "base", "base_with_help", *([] if changes else ["serving"])]
    assert arms["arm"].to_list() == expected
    assert (promote.current(settings.adapters_dir) or {})["digest"] == "ab12"
