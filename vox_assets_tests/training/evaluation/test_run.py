"""Base against adapter: figures, intervals, verdicts, and what counts as leaving the lane."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import polars as pl
import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.contract import answers
from vox_assets.contract.rows import turns
from vox_assets.mix.split import watch_ids
from vox_assets.profiles import Profile
from vox_assets.training.adapter import layout, verify
from vox_assets.training.evaluation import generate, run, statistics
from vox_assets.training.evaluation import verdicts as verdicts_module
from vox_assets.training.evaluation.statistics import RowScore
from vox_assets.training.evaluation.verdicts import Written
from vox_assets.training.plan.spec import TrainingSpec
from vox_assets_tests.small_corpus import as_scored, make_pair


def scores(*ratios: float, sources: int | None = None) -> list[RowScore]:
    return [
        RowScore(str(i), f"f{i % (sources or len(ratios))}", "vox", 10, 20.0, 20.0 * ratio)
        for i, ratio in enumerate(ratios)
    ]


def test_figures_are_weighted_by_tokens() -> None:
    rows = [RowScore("a", "f", "vox", 90, 90.0, 45.0), RowScore("b", "g", "vox", 10, 50.0, 50.0)]
    told = statistics.compare_scores(rows, seed=1)
    assert told.base_nll == pytest.approx(1.4) and told.adapter_nll == pytest.approx(0.95)
    assert told.ratio.value == pytest.approx(95 / 140)
    assert told.perplexity_change.value == pytest.approx(math.exp(-0.45) - 1)
    assert told.ratio.low <= told.ratio.value <= told.ratio.high


def test_the_interval_is_seeded_and_as_wide_as_sources_differ() -> None:
    even = statistics.compare_scores(scores(*[0.8] * 20), seed=1)
    assert even.ratio.low == pytest.approx(0.8) and even.ratio.high == pytest.approx(0.8)
    mixed = scores(*[0.6, 1.0] * 10)
    assert statistics.compare_scores(mixed, 1) == statistics.compare_scores(mixed, 1)
    wide = statistics.compare_scores(mixed, 1).ratio
    # The same rows in few files: less is known.
    few = statistics.compare_scores(scores(*[0.6, 1.0] * 10, sources=4), 1).ratio
    assert few.high - few.low > wide.high - wide.low > 0


def test_no_rows_are_an_error() -> None:
    with pytest.raises(ValueError, match="no held-out rows"):
        statistics.compare_scores([], 1)


def verdicts(
    profile: Profile,
    held_out: list[RowScore],
    trained: list[RowScore],
    written: Written | None = None,
    others: list[RowScore] | None = None,
) -> dict[str, bool]:
    base = Written(10, 0.2, 0.9, 0.3, 0.0)
    found = verdicts_module.verdicts(
        statistics.compare_scores(held_out, 1),
        statistics.compare_scores(trained, 1),
        base,
        written or Written(10, 0.6, 0.0, 0.9, 0.0),
        profile.evaluation,
        statistics.overfit_trend([]),
        None if others is None else statistics.compare_scores(others, 1),
    )
    return {name: verdict.passed for name, verdict in found.items()}


def test_all_hold_for_a_good_adapter(profile: Profile) -> None:
    assert verdicts(profile, scores(*[0.7, 0.75] * 8), scores(*[0.65] * 8)) == {
        "beats_base": True,
        "not_overfit": True,
        "no_forgetting": True,
        "lane_discipline": True,
    }


def test_beats_base_asks_for_the_bound_and_for_two_sources(profile: Profile) -> None:
    # Better on average, but one source in four is much worse.
    uneven = scores(*[0.9, 0.9, 0.9, 1.25])
    assert statistics.compare_scores(uneven, 1).ratio.value < 1
    assert not verdicts(profile, uneven, scores(0.9))["beats_base"]
    assert not verdicts(profile, scores(0.5, 0.5, sources=1), scores(0.5))["beats_base"]


def test_overfit_is_gain_that_does_not_carry_over(profile: Profile) -> None:
    assert not verdicts(profile, scores(0.95, 0.96), scores(0.4, 0.4))["not_overfit"]
    # Nothing learned is not overfitting; it fails to beat the base.
    assert verdicts(profile, scores(1.0, 1.0), scores(1.0))["not_overfit"]


def test_other_lanes_may_lose_a_little_and_no_more(profile: Profile) -> None:
    good = scores(*[0.7] * 8)
    assert verdicts(profile, good, good, others=scores(1.05, 1.08))["no_forgetting"]
    assert not verdicts(profile, good, good, others=scores(1.15, 1.12))["no_forgetting"]


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(0, 8, 0.0, 0.324), (8, 8, 0.676, 1.0), (5, 10, 0.237, 0.763), (0, 0, 0.0, 1.0)],
)
def test_shares_have_wilson_intervals(hits: int, count: int, low: float, high: float) -> None:
    told = statistics.wilson(hits, count)
    assert told.low == pytest.approx(low, abs=1e-3) and told.high == pytest.approx(high, abs=1e-3)


def test_the_trend_is_the_slope_of_the_gap_between_watched_and_training_loss() -> None:
    curve: list[dict[str, float]] = [{"step": 0, "watched_nll": 3.0}]
    for step in range(1, 31):
        curve.append({"step": step, "loss": 2.0 - step / 30})
        if step % 10 == 0:
            curve.append({"step": step, "watched_nll": 2.0})
    told = statistics.overfit_trend(curve)
    assert [step for step, _ in told.gaps] == [10, 20, 30]
    # Training falls by a nat in 30 steps while the watched rows stand still.
    assert told.slope == pytest.approx(100 / 30, rel=1e-6)
    assert statistics.overfit_trend(curve[:12]).slope is None


@pytest.mark.parametrize(
    "written",
    [
        Written(0, 0.0, 0.0, 0.0, 0.0),
        Written(10, 0.6, 0.5, 0.9, 0.0),
        Written(10, 0.1, 0.0, 0.9, 0.0),
    ],
    ids=["nothing written", "prose", "parses less than the base"],
)
def test_lane_discipline_fails(profile: Profile, written: Written) -> None:
    found = verdicts(profile, scores(0.7, 0.7), scores(0.7), written)
    assert not found["lane_discipline"]


@pytest.mark.parametrize(
    ("text", "mode", "outside"),
    [
        ("fn f() to int {\n    return 1\n}", "code_only", False),
        ("// This adds two numbers together.\nfn f() {}", "code_only", False),
        ("/// Returns the sum of all items.\npub fn f() -> u32 { 1 }", "code_only", False),
        ("```vox\nfn f() {}\n```", "code_only", True),
        ("Here is the function you asked for:\nfn f() {}", "code_only", True),
        ("This function adds two numbers and returns the result.", "code_only", True),
        ("A route maps a path to a component.", "prose_only", False),
        ("Like this:\n```vox\nroutes {}\n```", "prose_only", True),
    ],
)
def test_what_leaves_the_mode(text: str, mode: str, outside: bool) -> None:
    assert answers.out_of_mode(text, mode) is outside


def test_an_adapter_is_judged_on_rows_that_nothing_saw(
    trained: TrainingSpec,
    tiny_base: LocalModel,
    mixed: pl.DataFrame,
    profile: Profile,
    tmp_path: Path,
) -> None:
    others = [make_pair(n, 90, lane="vox_docs_qa", messages=turns("Why?", "So.")) for n in (1,)]
    told = run.evaluate_adapter(
        trained.adapter_dir,
        tiny_base.path,
        mixed,
        profile.evaluation,
        other_lanes=as_scored(others),
        seed=3,
    )
    held_out = set(mixed.filter(pl.col("split") == "eval")["pair_id"])
    assert {row.pair_id for row in told.rows} == held_out - watch_ids(mixed)
    assert told.held_out.adapter_nll < told.held_out.base_nll
    # An untrained model of 600 tokens knows nothing: about log(600) per token.
    assert told.held_out.base_nll == pytest.approx(math.log(600), rel=0.1)
    assert told.verdicts["beats_base"].passed
    assert told.other_lanes is not None and told.other_lanes.rows == 1
    assert told.adapter_writes.count == profile.evaluation.generations
    assert told.digest == trained.digest
    content = json.loads(json.dumps(told.to_json()))
    assert [one["name"] for one in content["verdicts"]] == list(told.verdicts)
    assert content["total_nll"] == pytest.approx(sum(row.adapter_nll for row in told.rows))
    assert told.row_table()["change"].mean() < 0  # type: ignore[operator]
    assert [step for step, _ in told.trend.gaps] == [2, 4, 6]
    copy = tmp_path / trained.digest
    shutil.copytree(trained.adapter_dir, copy)
    run.record(copy, told)
    assert verify.verify(copy) == []
    assert "| held-out sources |" in (copy / layout.CARD).read_text()


def test_another_corpus_and_a_damaged_adapter_are_refused(
    trained: TrainingSpec,
    tiny_base: LocalModel,
    mixed: pl.DataFrame,
    profile: Profile,
    tmp_path: Path,
) -> None:
    def judge(folder: Path, rows: pl.DataFrame) -> None:
        run.evaluate_adapter(folder, tiny_base.path, rows, profile.evaluation)

    with pytest.raises(ValueError, match="another corpus"):
        judge(trained.adapter_dir, mixed.head(40))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty cannot be evaluated: manifest\.json is missing"):
        judge(tmp_path / "empty", mixed)


def test_generation_is_the_same_alone_and_in_a_batch(tiny_base: LocalModel) -> None:
    from transformers import AutoModelForCausalLM

    from vox_assets.compute.tokens import load_tokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_base.path, dtype="float32")
    tokenizer = load_tokenizer(tiny_base.path)
    asked = [turns("Add.", "x"), turns("Write a much longer thing for me, please.", "x")]
    together = generate.generate(model, tokenizer, asked, 6)
    alone = [generate.generate(model, tokenizer, [one], 6)[0] for one in asked]
    assert together == alone
