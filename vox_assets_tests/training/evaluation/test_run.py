"""Tests of the evaluation: figures, intervals and verdicts."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.contract.rows import turns
from vox_assets.mix.split import watch_ids
from vox_assets.profiles import Profile
from vox_assets.training.adapter import layout, verify
from vox_assets.training.evaluation import run, statistics
from vox_assets.training.evaluation import verdicts as verdicts_module
from vox_assets.training.evaluation.statistics import RowScore
from vox_assets.training.evaluation.verdicts import Written
from vox_assets.training.plan.spec import TrainingSpec
from vox_assets_tests.exam.answers import answers
from vox_assets_tests.small_corpus import as_scored, evaluated, judged, make_pair


def scores(*ratios: float, sources: int | None = None) -> list[RowScore]:
    return [
        RowScore(str(i), f"f{i % (sources or len(ratios))}", "vox", 10, 20.0, 20.0 * ratio)
        for i, ratio in enumerate(ratios)
    ]


def test_losses_are_weighted_by_tokens() -> None:
    rows = [RowScore("a", "f", "vox", 90, 90.0, 45.0), RowScore("b", "g", "vox", 10, 50.0, 50.0)]
    comparison = statistics.compare_scores(rows)
    assert comparison.base_nll == pytest.approx(1.4) and comparison.adapter_nll == pytest.approx(
        0.95
    )
    assert comparison.ratio.value == pytest.approx(95 / 140)
    assert comparison.perplexity_change.value == pytest.approx(math.exp(-0.45) - 1)
    assert comparison.ratio.low <= comparison.ratio.value <= comparison.ratio.high


def test_the_interval_is_deterministic_and_wider_when_sources_differ() -> None:
    even = statistics.compare_scores(scores(*[0.8] * 20))
    assert even.ratio.low == pytest.approx(0.8) and even.ratio.high == pytest.approx(0.8)
    mixed = scores(*[0.6, 1.0] * 10)
    assert statistics.compare_scores(mixed) == statistics.compare_scores(mixed)
    wide = statistics.compare_scores(mixed).ratio
    # The same rows in fewer files give a wider interval.
    few = statistics.compare_scores(scores(*[0.6, 1.0] * 10, sources=4)).ratio
    assert few.high - few.low > wide.high - wide.low > 0


def test_no_rows_are_an_error() -> None:
    with pytest.raises(ValueError, match="no held-out rows"):
        statistics.compare_scores([])


#: The demo's limits follow from its few answers; these tests have forty.
LIMITS = {"min_parse_rate_gain": 0.0, "max_prose_share": 0.25, "max_overfit_gap": 0.35}


def verdicts(
    profile: Profile,
    held_out: list[RowScore],
    trained: list[RowScore],
    written: Written | None = None,
    others: list[RowScore] | None = None,
) -> dict[str, str]:
    base = Written(40, 0.1, 0.9, 0.3, 0.0)
    by_name = verdicts_module.verdicts(
        statistics.compare_scores(held_out),
        statistics.compare_scores(trained),
        base,
        written or Written(40, 0.6, 0.0, 0.9, 0.0),
        profile.evaluation.model_copy(update=LIMITS),
        statistics.overfit_trend([]),
        None if others is None else statistics.compare_scores(others),
    )
    return {name: verdict.outcome for name, verdict in by_name.items()}


def test_a_good_adapter_passes_all_verdicts(profile: Profile) -> None:
    outcomes = verdicts(profile, scores(*[0.7, 0.75] * 8), scores(*[0.65] * 8))
    assert set(outcomes.values()) == {"passed"}


def test_beats_base_requires_an_upper_bound_below_one_and_two_sources(profile: Profile) -> None:
    # Better on average, but one source in four is much worse.
    uneven = scores(*[0.9, 0.9, 0.9, 1.25])
    assert statistics.compare_scores(uneven).ratio.value < 1
    trained = scores(0.9, 0.9)
    assert verdicts(profile, uneven, trained)["beats_base"] == "undecided"
    assert verdicts(profile, scores(0.5, 0.5, sources=1), trained)["beats_base"] == "undecided"
    assert verdicts(profile, scores(1.1, 1.2, 1.15), trained)["beats_base"] == "failed"


def test_a_gain_that_does_not_carry_over_is_overfitting(profile: Profile) -> None:
    trained = scores(0.4, 0.41)
    assert verdicts(profile, scores(0.95, 0.96, 0.95), trained)["not_overfit"] == "failed"
    assert verdicts(profile, scores(0.5, 0.51, 0.5), trained)["not_overfit"] == "passed"
    assert verdicts(profile, scores(0.4, 0.9, 0.6), trained)["not_overfit"] == "undecided"
    # Without a gain there is no share of it; such an adapter does not beat its base.
    assert verdicts(profile, scores(1.0, 1.0), scores(1.0, 1.0))["not_overfit"] == "undecided"


def test_the_loss_on_other_lanes_may_rise_up_to_the_limit(profile: Profile) -> None:
    good = scores(*[0.7] * 8)

    def outcome(*ratios: float) -> str:
        return verdicts(profile, good, good, others=scores(*ratios))["no_forgetting"]

    assert outcome(1.05, 1.06, 1.05) == "passed"
    assert outcome(1.15, 1.16, 1.15) == "failed"
    assert outcome(1.05, 1.2, 0.9) == "undecided"


@pytest.mark.parametrize(
    ("written", "outcome"),
    [
        (Written(40, 0.6, 0.0, 0.9, 0.0), "passed"),
        (Written(8, 0.6, 0.0, 0.9, 0.0), "undecided"),
        (Written(0, 0.0, 0.0, 0.0, 0.0), "undecided"),
        (Written(40, 0.6, 0.6, 0.9, 0.0), "failed"),
        (Written(40, 0.0, 0.6, 0.9, 0.0), "failed"),
        (Written(40, 0.12, 0.0, 0.9, 0.0), "undecided"),
    ],
)
def test_lane_discipline_is_decided_by_intervals(
    profile: Profile, written: Written, outcome: str
) -> None:
    found = verdicts(profile, scores(0.7, 0.7), scores(0.7, 0.7), written)
    assert found["lane_discipline"] == outcome


def exam_of(**reached: Sequence[int | None]) -> pl.DataFrame:
    return pl.concat([answers(arm, rungs, model=f"m-{arm}") for arm, rungs in reached.items()])


def test_the_exam_adds_its_figures_and_a_verdict_that_promotion_requires(profile: Profile) -> None:
    policy = profile.exam.model_copy(update={"decides": "exam", "rungs": ("parses",)})
    exam = exam_of(base=[1] * 40, base_with_help=[3, 0, 0, 0] * 10, adapter=[5, 5, 5, 1] * 10)
    found = verdicts_module.with_exam(evaluated(*[0.7] * 8), exam, policy)
    assert found.verdicts["exam_beats_base"].passed
    assert found.exam is not None and found.exam["serving"] is None
    assert found.to_json()["exam"]["verdict"]["figures"]["tasks"] == 40

    weak = exam_of(base=[1] * 40, base_with_help=[3] * 40, adapter=[5, 1] * 20)
    assert not verdicts_module.with_exam(evaluated(0.7, 0.8), weak, policy).passed


def test_where_the_loss_decides_the_exam_is_recorded_and_requires_nothing(profile: Profile) -> None:
    policy = profile.exam.model_copy(update={"decides": "loss", "rungs": ("parses",)})
    exam = exam_of(base=[1] * 40, base_with_help=[3] * 40, adapter=[0] * 40)
    found = verdicts_module.with_exam(evaluated(*[0.7] * 8), exam, policy)
    assert "exam_beats_base" not in found.verdicts
    assert found.exam is not None and not found.exam["verdict"]["passed"]


def test_the_promoted_adapter_is_compared_on_the_tasks_that_it_did_not_see(
    profile: Profile,
) -> None:
    policy = profile.exam.model_copy(update={"rungs": ("parses",), "margin": 0.3})
    exam = exam_of(
        base=[1] * 40,
        base_with_help=[1] * 40,
        adapter=[5] * 40,
        serving=[*[None] * 10, *[3] * 30],
    )
    compared = verdicts_module.with_exam(evaluated(0.7, 0.8), exam, policy).exam
    assert compared is not None
    assert compared["serving"]["digest"] == "m-serving"
    assert compared["serving"]["outcome"] == "not_worse"
    assert "30 tasks" in compared["serving"]["summary"]


def test_unbounded_intervals_are_null_in_json() -> None:
    content = judged(0.8)
    assert content["held_out"]["ratio"] == {"value": 0.8, "low": None, "high": None}
    assert "Infinity" not in json.dumps(content)


def test_the_trend_is_the_slope_of_the_gap_between_watched_and_training_loss() -> None:
    curve: list[dict[str, float]] = [{"step": 0, "watched_nll": 3.0}]
    for step in range(1, 31):
        curve.append({"step": step, "loss": 2.0 - step / 30})
        if step % 10 == 0:
            curve.append({"step": step, "watched_nll": 2.0})
    trend = statistics.overfit_trend(curve)
    assert [step for step, _ in trend.gaps] == [10, 20, 30]
    # Training loss falls by one nat in 30 steps while the watched loss is constant.
    assert trend.slope == pytest.approx(100 / 30, rel=1e-6)
    assert statistics.overfit_trend(curve[:12]).slope is None


def test_an_adapter_is_evaluated_on_rows_that_training_and_early_stopping_did_not_read(
    trained: TrainingSpec,
    tiny_base: LocalModel,
    mixed: pl.DataFrame,
    profile: Profile,
    tmp_path: Path,
) -> None:
    others = [make_pair(n, 90, lane="vox_docs_qa", messages=turns("Why?", "So.")) for n in (1,)]
    evaluation = run.evaluate_adapter(
        trained.adapter_dir,
        tiny_base.path,
        mixed,
        profile.evaluation,
        other_lanes=as_scored(others),
    )
    held_out = set(mixed.filter(pl.col("split") == "eval")["pair_id"])
    assert {row.pair_id for row in evaluation.rows} == held_out - watch_ids(mixed)
    assert evaluation.held_out.adapter_nll < evaluation.held_out.base_nll
    # An untrained model with 600 tokens is near the uniform loss, log(600) per token.
    assert evaluation.held_out.base_nll == pytest.approx(math.log(600), rel=0.1)
    assert evaluation.verdicts["beats_base"].passed
    assert evaluation.other_lanes is not None and evaluation.other_lanes.rows == 1
    assert evaluation.adapter_writes.count == profile.evaluation.generations
    assert evaluation.digest == trained.digest
    content = json.loads(json.dumps(evaluation.to_json()))
    assert [verdict["name"] for verdict in content["verdicts"]] == list(evaluation.verdicts)
    assert content["total_nll"] == pytest.approx(sum(row.adapter_nll for row in evaluation.rows))
    assert evaluation.row_table()["change"].mean() < 0  # type: ignore[operator]
    assert [step for step, _ in evaluation.trend.gaps] == [2, 4, 6]
    copy = tmp_path / trained.digest
    shutil.copytree(trained.adapter_dir, copy)
    run.record(copy, evaluation)
    assert verify.verify(copy) == []
    assert "| held-out sources |" in (copy / layout.CARD).read_text()


def test_a_wrong_corpus_and_a_damaged_adapter_are_refused(
    trained: TrainingSpec,
    tiny_base: LocalModel,
    mixed: pl.DataFrame,
    profile: Profile,
    tmp_path: Path,
) -> None:
    def evaluate(folder: Path, rows: pl.DataFrame) -> None:
        run.evaluate_adapter(folder, tiny_base.path, rows, profile.evaluation)

    with pytest.raises(ValueError, match="another corpus"):
        evaluate(trained.adapter_dir, mixed.head(40))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty cannot be evaluated: manifest\.json is missing"):
        evaluate(tmp_path / "empty", mixed)
