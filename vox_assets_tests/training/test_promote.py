"""The pointer moves only to whole, evaluated adapters that are not worse, and keeps its history."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from vox_assets.training import promote
from vox_assets.training.adapter import layout, verify
from vox_assets.training.adapter import manifest as manifest_module
from vox_assets.training.plan.spec import TrainingSpec
from vox_assets_tests.small_corpus import judged

LANES = ("vox_codegen",)


class Root:
    """An adapters folder that is filled with copies of one adapter under other digests."""

    def __init__(self, path: Path, template: Path) -> None:
        self.path = path
        self._template = template

    def add(self, digest: str, **evaluation: Any) -> str:
        folder = self.path / digest
        shutil.copytree(self._template, folder)
        manifest = manifest_module.read_manifest(folder) | {"digest": digest}
        if evaluation:
            manifest["evaluation"] = judged(0.7, 0.8) | evaluation
        manifest_module.write_manifest(folder, manifest)
        return digest

    @property
    def serving(self) -> str | None:
        now = promote.current(self.path)
        return now["digest"] if now else None


@pytest.fixture
def root(tmp_path: Path, trained: TrainingSpec) -> Root:
    return Root(tmp_path / "adapters", trained.adapter_dir)


def verdict(passed: bool) -> dict[str, Any]:
    return {"name": "beats_base", "passed": passed, "reason": "ratio 1.1", "figures": {}}


def test_a_proven_adapter_is_promoted_and_its_manifest_says_so(root: Root) -> None:
    digest = root.add("a1", verdicts=[verdict(True)])
    assert promote.consider(root.path, digest, LANES).promoted
    assert root.serving == "a1"
    assert verify.verify(root.path / digest) == []
    assert manifest_module.read_manifest(root.path / digest)["promotion"]["by"] == "evaluation"
    assert promote.consider(root.path, digest, LANES).reason == "a1 serves already"


def test_a_failed_verdict_keeps_an_adapter_out(root: Root) -> None:
    digest = root.add("a1", verdicts=[verdict(False)])
    decision = promote.consider(root.path, digest, LANES)
    assert not decision.promoted and "beats_base does not hold (ratio 1.1)" in decision.reason
    assert root.serving is None
    with pytest.raises(promote.PromotionError, match="a1 may not serve: beats_base"):
        promote.promote(root.path, digest, LANES)


def test_a_worse_adapter_never_replaces_a_better_one_on_the_same_rows(root: Root) -> None:
    promote.consider(root.path, root.add("good", total_nll=100.0), LANES)
    decision = promote.consider(root.path, root.add("worse", total_nll=100.0), LANES)
    assert not decision.promoted and "good is as good or better" in decision.reason
    assert promote.consider(root.path, root.add("better", total_nll=99.0), LANES).promoted
    other = root.add("other", total_nll=500.0, eval_digest="held-out-2")
    decision = promote.consider(root.path, other, LANES)
    assert decision.promoted and "better was judged on other rows" in decision.reason
    history = promote.current(root.path)["history"]  # type: ignore[index]
    assert [entry["digest"] for entry in history] == ["good", "better", "other"]


def test_a_damaged_serving_adapter_is_no_rival(root: Root) -> None:
    promote.consider(root.path, root.add("good", total_nll=1.0), LANES)
    (root.path / "good" / layout.WEIGHTS).unlink()
    decision = promote.consider(root.path, root.add("next", total_nll=2.0), LANES)
    assert decision.promoted and "good is damaged" in decision.reason


def test_a_person_may_go_back(root: Root) -> None:
    promote.consider(root.path, root.add("first", total_nll=100.0), LANES)
    promote.consider(root.path, root.add("second", total_nll=90.0), LANES)
    assert promote.promote(root.path, "first", LANES).promoted
    assert root.serving == "first"
    entry = promote.current(root.path)["history"][-1]  # type: ignore[index]
    assert entry["by"] == "command" and entry["digest"] == "first"


def test_unknown_unevaluated_and_damaged_adapters_are_refused_by_name(root: Root) -> None:
    with pytest.raises(promote.PromotionError, match=r"nothere is unknown: .* has none"):
        promote.promote(root.path, "nothere", LANES)
    root.add("raw")
    with pytest.raises(promote.PromotionError, match="raw is not evaluated"):
        promote.promote(root.path, "raw", LANES)
    with pytest.raises(promote.PromotionError, match=r"unknown: .* has raw"):
        promote.promote(root.path, "../raw", LANES)
    root.add("hurt", total_nll=1.0)
    (root.path / "hurt" / layout.CONFIG).write_text("{}")
    with pytest.raises(promote.PromotionError, match=r"hurt is damaged: adapter_config\.json"):
        promote.promote(root.path, "hurt", LANES)
    assert root.serving is None


def test_the_pointer_is_whole_json_at_any_time(root: Root) -> None:
    promote.consider(root.path, root.add("a1", total_nll=1.0), LANES)
    content = json.loads((root.path / promote.PROMOTED).read_text())
    assert set(content) >= {"digest", "at", "by", "reason", "eval_digest", "history"}
    assert not list(root.path.glob(".promoted*"))


def test_an_adapter_of_other_lanes_never_serves(root: Root) -> None:
    digest = root.add("a1", total_nll=1.0)
    decision = promote.consider(root.path, digest, ("vox_docs_qa",))
    assert not decision.promoted
    assert "trained for vox_codegen and the project serves vox_docs_qa" in decision.reason
    with pytest.raises(promote.PromotionError, match="trained for vox_codegen"):
        promote.promote(root.path, digest, ("vox_docs_qa",))
    assert root.serving is None
