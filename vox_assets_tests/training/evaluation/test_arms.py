"""Tests that each arm changes one factor and that no arm is trained on held-out rows."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

from vox_assets.contract.rows import SCHEMA, Drop, drops_to_frame
from vox_assets.mix import build, leakage, schema
from vox_assets.profiles import Arm, Profile, load
from vox_assets.training.evaluation import arms as ablation
from vox_assets.training.plan.ranks import choose_rank
from vox_assets_tests.exam.test_task import TASK
from vox_assets_tests.small_corpus import (
    as_scored,
    count_words,
    judged,
    make_pair,
    shaped,
)


@pytest.fixture(scope="module")
def raw() -> pl.DataFrame:
    """Rows of ninety files, a third of them left out of the mix, and some duplicates."""
    pairs = [make_pair(index, index % 90) for index in range(180)]
    # Duplicates: the same answers in another file, with another prompt.
    pairs += [
        make_pair(
            index,
            100 + index,
            messages=(pair.messages[0] | {"content": "Again."}, *pair.messages[1:]),
        )
        for index, pair in enumerate(pairs[:40])
    ]
    return as_scored(pairs)


@pytest.fixture(scope="module")
def corpus(raw: pl.DataFrame, profile: Profile) -> ablation.Corpus:
    small = shaped(profile, mix={"token_budget": 3000})
    mix = build.build_mix(raw.head(120), small, count_words).rows
    duplicates = drops_to_frame(
        Drop("dedup", "exact duplicate", pair_id=copy, lost_to=kept)
        for copy, kept in zip(raw["pair_id"][180:184], raw["pair_id"][:4], strict=True)
    )
    gone = pl.col("pair_id").is_in(duplicates["pair_id"].to_list())
    scored = raw.filter(~gone).with_columns(
        kept=~pl.col("pair_id").is_in(raw["pair_id"][50:56].to_list()),
        drop_kind=pl.when(pl.col("pair_id") == raw["pair_id"][50])
        .then(pl.lit("holds a secret"))
        .when(pl.col("pair_id").is_in(raw["pair_id"][51:56].to_list()))
        .then(pl.lit("score below 7")),
    )
    return ablation.Corpus(scored, raw.select(list(SCHEMA)), duplicates, mix, [])


def draw(corpus: ablation.Corpus, seed: int = 3, arm: str = "random") -> pl.DataFrame:
    profile = shaped(load("sample"), training={"seed": seed}, mix={"context": 256})
    return ablation.arm_rows(ablation.arms(profile)[arm], profile, corpus, count_words)


def test_a_random_sample_has_the_tokens_of_the_mix_and_no_leakage(corpus: ablation.Corpus) -> None:
    drawn = draw(corpus)
    train, held_out = drawn.filter(split="train"), drawn.filter(split="eval")
    tokens = corpus.mix.filter(split="train")["tokens"].sum()
    assert tokens - 60 < train["tokens"].sum() <= tokens
    assert held_out.sort("pair_id").equals(corpus.mix.filter(split="eval").sort("pair_id"))
    assert leakage.split_leakage(drawn, load("sample").dedup) == []
    assert drawn.schema == pl.Schema(schema.MIX_SCHEMA)
    # The arm measures training without curation, so it includes duplicates.
    assert train["response"].is_duplicated().any()
    assert draw(corpus).equals(drawn)
    assert not draw(corpus, seed=4).equals(drawn)


def test_too_few_raw_rows_are_an_error(corpus: ablation.Corpus) -> None:
    with pytest.raises(ValueError, match=r"raw rows have \d+ tokens: expected"):
        draw(replace(corpus, raw=corpus.raw.head(20)))


def test_no_row_of_an_arm_reveals_a_task_of_the_exam(corpus: ablation.Corpus) -> None:
    revealed = draw(corpus).filter(split="train").row(0, named=True)
    task = replace(TASK, reference=revealed["response"])
    drawn = draw(replace(corpus, tasks=[task]))
    assert revealed["pair_id"] not in drawn.filter(split="train")["pair_id"].to_list()


def test_an_arm_without_a_stage_takes_its_drops_back_but_no_secret(
    corpus: ablation.Corpus,
) -> None:
    without_score = ablation.taken_back(corpus, Arm(name="no_score", why="w", without=("score",)))
    refused = without_score.filter(~pl.col("kept"))
    assert refused["drop_kind"].to_list() == ["holds a secret"]
    without_dedup = ablation.taken_back(corpus, Arm(name="no_dedup", why="w", without=("dedup",)))
    copies = without_dedup.filter(pl.col("pair_id").is_in(corpus.duplicates["pair_id"].to_list()))
    assert copies.height == 4 and copies["kept"].all()
    kept_instead = corpus.scored.filter(
        pl.col("pair_id").is_in(corpus.duplicates["lost_to"].to_list())
    )
    assert sorted(copies["score"]) == sorted(kept_instead["score"])
    assert without_dedup.schema == corpus.scored.schema


def test_an_arm_with_another_mix_has_the_held_out_rows_of_the_mix(corpus: ablation.Corpus) -> None:
    profile = shaped(load("sample"), mix={"context": 256})
    arm = Arm(name="less", why="w", mix={"token_budget": 1000})
    rows = ablation.arm_rows(arm, profile, corpus, count_words)
    assert rows.filter(split="train")["tokens"].sum() <= 1000
    assert set(rows.filter(split="eval")["pair_id"]) == set(
        corpus.mix.filter(split="eval")["pair_id"]
    )
    assert leakage.split_leakage(rows, profile.dedup) == []


def test_an_arm_changes_one_factor_and_ends_by_its_steps_alone() -> None:
    profile = load("vox")
    arms = ablation.arms(profile)
    assert next(iter(arms)) == "curated" and {"random", "no_dedup", "rank_8"} <= set(arms)
    chosen = choose_rank(500, 9_000, profile.ranks)
    ranks = {name: ablation.arm_rank(chosen, arm) for name, arm in arms.items()}
    assert (ranks["curated"].rank, ranks["rank_8"].rank, ranks["rank_8"].alpha) == (64, 8, 16)
    # All arms have the same epochs, so that only the step limit ends them.
    assert len({choice.epochs for choice in ranks.values()}) == 1
    budget = ablation.arm_profile(profile, arms["seed_8"], 10).training
    assert (budget.max_steps, budget.patience, budget.seed) == (10, None, 8)
    assert budget.max_seconds == ablation.SECONDS_UNBOUNDED
    unchanged = ablation.arm_profile(profile, arms["curated"], None)
    assert unchanged.mix == profile.mix and unchanged.training.seed == profile.training.seed


def arm(name: str, *ratios: float, passes: int = 0, eval_digest: str = "held-out-1") -> dict:
    evaluation = json.loads(json.dumps(judged(*ratios))) | {"eval_digest": eval_digest}
    exam = [
        {
            "task_id": f"t{n}",
            "source_path": f"f{n % 20}",
            "kind": "live",
            "construct": "c",
            "sample": 0,
            "ends": True,
            "parses": n < passes,
            "passed": n < passes,
        }
        for n in range(40)
    ]
    facts = {"arm": name, "why": "w", "rows": 10, "rank": 8, "tokens": 100}
    return {**facts, "evaluation": evaluation, "exam": exam, "exam_digest": "exam-1"}


def test_the_table_compares_row_by_row_and_task_by_task_with_curated() -> None:
    current = [arm("rank_8", *[0.6, 0.7] * 8, passes=40), arm("random", *[0.9] * 16)]
    current.append(arm("curated", *[0.6] * 16))
    stale = arm("rank_4", 0.1, 0.1, eval_digest="another corpus")
    results = ablation.comparable([*current, stale], "held-out-1", "exam-1")
    lines = [
        dict(zip(ablation.TABLE_HEADER, line, strict=True))
        for line in ablation.table_lines(results)
    ]
    assert [line["arm"] for line in lines] == ["curated", "rank_8", "random"]
    ratios = [line["ratio to curated [95 %]"] for line in lines]
    assert ratios == ["", "1.083 [1.037, 1.129]", "1.500 [1.500, 1.500]"]
    passes = [line["passes over curated [95 %]"] for line in lines]
    assert passes[0] == "" and passes[1].startswith("+100%") and passes[2].startswith("+0%")
    tasks = ablation.development_answers(results[0]).height
    assert 0 < tasks < 40 and lines[1]["parses [95 %]"].endswith(f"of {tasks}")
