"""Tests that only valid, evaluated and better adapters are promoted, and the history is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from vox_assets.profiles import load
from vox_assets.training import promote
from vox_assets.training.adapter import layout, verify
from vox_assets.training.adapter import manifest as manifest_module
from vox_assets.training.evaluation.verdicts import with_exam
from vox_assets.training.plan.spec import TrainingSpec
from vox_assets_tests.exam.answers import answers
from vox_assets_tests.small_corpus import evaluated, judged

LANES = ("vox_codegen",)


class Root:
    """An adapters folder with copies of one adapter under other digests."""

    def __init__(self, path: Path, template: Path) -> None:
        self.path = path
        self._template = template

    def add(self, digest: str, loss: float | None = 0.7, **evaluation: Any) -> str:
        """Add an adapter whose loss is about `loss` times that of its base; None: not evaluated."""
        folder = self.path / digest
        shutil.copytree(self._template, folder)
        manifest = manifest_module.read_manifest(folder) | {"digest": digest}
        if loss is not None:
            ratios = [loss * spread for spread in (0.99, 1.0, 1.01, 1.0) * 3]
            manifest["evaluation"] = judged(*ratios) | evaluation
        manifest_module.write_manifest(folder, manifest)
        return digest

    @property
    def promoted(self) -> str | None:
        entry = promote.current(self.path)
        return entry["digest"] if entry else None


@pytest.fixture
def root(tmp_path: Path, trained: TrainingSpec) -> Root:
    return Root(tmp_path / "adapters", trained.adapter_dir)


def verdict(passed: bool, undecided: bool = False) -> dict[str, Any]:
    return {
        "name": "beats_base",
        "passed": passed,
        "undecided": undecided,
        "reason": "ratio 1.1",
        "figures": {},
    }


def test_an_adapter_that_passes_is_promoted_and_its_manifest_records_it(root: Root) -> None:
    digest = root.add("a1", verdicts=[verdict(True)])
    assert promote.consider(root.path, digest, LANES, "loss").promoted
    assert root.promoted == "a1"
    assert verify.verify(root.path / digest) == []
    assert manifest_module.read_manifest(root.path / digest)["promotion"]["by"] == "evaluation"
    assert promote.consider(root.path, digest, LANES, "loss").reason == "a1 is already promoted"


def test_a_promotion_that_was_cut_short_is_recorded_by_the_next_request(root: Root) -> None:
    digest = root.add("a1")
    promote.consider(root.path, digest, LANES, "loss")
    # As a kill between the two writes leaves it.
    content = manifest_module.read_manifest(root.path / digest) | {"promotion": None}
    manifest_module.write_manifest(root.path / digest, content)
    assert promote.promote(root.path, digest, LANES).promoted
    recorded = manifest_module.read_manifest(root.path / digest)["promotion"]
    assert recorded["digest"] == "a1" and recorded["by"] == "evaluation"
    assert verify.verify(root.path / digest) == []


def test_an_adapter_with_a_failed_verdict_is_not_promoted(root: Root) -> None:
    digest = root.add("a1", verdicts=[verdict(False)])
    decision = promote.consider(root.path, digest, LANES, "loss")
    assert not decision.promoted and "beats_base failed (ratio 1.1)" in decision.reason
    assert root.promoted is None
    with pytest.raises(promote.PromotionError, match="a1 cannot be promoted: beats_base"):
        promote.promote(root.path, digest, LANES)


def test_an_adapter_with_an_undecided_verdict_is_not_promoted(root: Root) -> None:
    digest = root.add("a1", verdicts=[verdict(False, undecided=True)])
    decision = promote.consider(root.path, digest, LANES, "loss")
    assert not decision.promoted and "beats_base is undecided (ratio 1.1)" in decision.reason


def test_only_an_adapter_that_is_shown_to_be_better_replaces_another(root: Root) -> None:
    promote.consider(root.path, root.add("good", 0.7), LANES, "loss")
    decision = promote.consider(root.path, root.add("worse", 0.75), LANES, "loss")
    assert not decision.promoted and "it is worse than good on the same held-out" in decision.reason
    decision = promote.consider(root.path, root.add("equal", 0.7), LANES, "loss")
    assert not decision.promoted and "is not shown to be better than good" in decision.reason
    assert promote.consider(root.path, root.add("better", 0.6), LANES, "loss").promoted
    other = root.add("other", 0.8, eval_digest="held-out-2")
    decision = promote.consider(root.path, other, LANES, "loss")
    assert decision.promoted and "better was evaluated on other rows" in decision.reason
    history = promote.current(root.path)["history"]  # type: ignore[index]
    assert [entry["digest"] for entry in history] == ["good", "better", "other"]


def test_a_damaged_promoted_adapter_is_replaced(root: Root) -> None:
    promote.consider(root.path, root.add("good"), LANES, "loss")
    (root.path / "good" / layout.WEIGHTS).unlink()
    decision = promote.consider(root.path, root.add("next"), LANES, "loss")
    assert decision.promoted and "good is damaged" in decision.reason


def test_a_person_can_promote_an_earlier_adapter(root: Root) -> None:
    promote.consider(root.path, root.add("first", 0.7), LANES, "loss")
    promote.consider(root.path, root.add("second", 0.6), LANES, "loss")
    assert promote.promote(root.path, "first", LANES).promoted
    assert root.promoted == "first"
    entry = promote.current(root.path)["history"][-1]  # type: ignore[index]
    assert entry["by"] == "command" and entry["digest"] == "first"


def test_unknown_unevaluated_and_damaged_adapters_are_refused(root: Root) -> None:
    with pytest.raises(promote.PromotionError, match=r"missing is unknown: .* has none"):
        promote.promote(root.path, "missing", LANES)
    root.add("raw", None)
    with pytest.raises(promote.PromotionError, match="raw is not evaluated"):
        promote.promote(root.path, "raw", LANES)
    with pytest.raises(promote.PromotionError, match=r"unknown: .* has raw"):
        promote.promote(root.path, "../raw", LANES)
    root.add("damaged")
    (root.path / "damaged" / layout.CONFIG).write_text("{}")
    with pytest.raises(
        promote.PromotionError, match=r"adapter damaged is damaged: adapter_config\.json"
    ):
        promote.promote(root.path, "damaged", LANES)
    assert root.promoted is None


def test_promoted_json_is_complete_and_no_temporary_file_is_left(root: Root) -> None:
    promote.consider(root.path, root.add("a1"), LANES, "loss")
    content = json.loads((root.path / promote.PROMOTED).read_text())
    assert set(content) >= {"digest", "at", "by", "reason", "eval_digest", "history"}
    assert not list(root.path.glob(".promoted*"))


def test_an_adapter_of_other_lanes_is_never_promoted(root: Root) -> None:
    digest = root.add("a1")
    decision = promote.consider(root.path, digest, ("vox_docs_qa",), "loss")
    assert not decision.promoted
    assert "trained for vox_codegen, but the profile has vox_docs_qa" in decision.reason
    with pytest.raises(promote.PromotionError, match="trained for vox_codegen"):
        promote.promote(root.path, digest, ("vox_docs_qa",))
    assert root.promoted is None


def sat_beside(promoted: str, outcome: str) -> dict[str, Any]:
    """Return the figures of an exam that an adapter sat beside the promoted one."""
    exam = pl.concat([answers(arm, [3, 5]) for arm in ("base", "base_with_help", "adapter")])
    sat = with_exam(evaluated(0.7, 0.8), exam, load("sample").exam).exam
    return {
        **(sat or {}),
        "serving": {"digest": promoted, "outcome": outcome, "summary": "300 tasks"},
    }


@pytest.mark.parametrize(
    ("outcome", "promoted", "reason"),
    [
        ("not_worse", True, "it is no worse than first in the exam"),
        ("worse", False, "it is worse than first in the exam"),
        ("undecided", False, "it is not shown to be no worse than first in the exam"),
    ],
)
def test_where_the_exam_decides_the_loss_does_not(
    root: Root, outcome: str, promoted: bool, reason: str
) -> None:
    promote.consider(root.path, root.add("first", 0.6), LANES, "exam")
    worse_loss = root.add("second", 0.7, exam=sat_beside("first", outcome))
    decision = promote.consider(root.path, worse_loss, LANES, "exam")
    assert decision.promoted is promoted and reason in decision.reason
    assert root.promoted == ("second" if promoted else "first")


def test_an_adapter_that_sat_the_exam_beside_another_one_waits_for_an_evaluation(
    root: Root,
) -> None:
    promote.consider(root.path, root.add("first"), LANES, "exam")
    for digest, exam in (("second", sat_beside("older", "not_worse")), ("third", None)):
        decision = promote.consider(root.path, root.add(digest, exam=exam), LANES, "exam")
        assert not decision.promoted
        assert "did not sit the exam beside first: evaluate it again" in decision.reason
