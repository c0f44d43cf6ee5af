"""Tests that each arm changes one factor and that no arm is trained on held-out rows."""

from __future__ import annotations

import json

import polars as pl
import pytest

from vox_assets.mix import build, leakage, schema
from vox_assets.profiles import Profile, load
from vox_assets.training.evaluation import arms as ablation
from vox_assets.training.plan.ranks import choose_rank
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
def curated(raw: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    small = shaped(profile, mix={"token_budget": 3000})
    return build.build_mix(raw.head(120), small, count_words).rows


def draw(raw: pl.DataFrame, curated: pl.DataFrame, seed: int) -> pl.DataFrame:
    dedup = load("sample").dedup
    return ablation.random_mix(raw, curated, dedup, 256, seed, count_words)


def test_a_random_sample_has_the_tokens_of_the_mix_and_no_leakage(
    raw: pl.DataFrame, curated: pl.DataFrame
) -> None:
    drawn = draw(raw, curated, seed=3)
    train, held_out = drawn.filter(split="train"), drawn.filter(split="eval")
    tokens = curated.filter(split="train")["tokens"].sum()
    assert tokens - 60 < train["tokens"].sum() <= tokens
    assert held_out.sort("pair_id").equals(curated.filter(split="eval").sort("pair_id"))
    assert leakage.split_leakage(drawn, load("sample").dedup) == []
    assert drawn.schema == pl.Schema(schema.MIX_SCHEMA)
    # The arm measures training without curation, so it includes duplicates.
    assert train["response"].is_duplicated().any()
    assert draw(raw, curated, seed=3).equals(drawn)
    assert not draw(raw, curated, seed=4).equals(drawn)


def test_too_few_raw_rows_are_an_error(raw: pl.DataFrame, curated: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"raw rows have \d+ tokens: expected"):
        draw(raw.head(20), curated, seed=1)


def test_the_arms_are_the_mix_the_sample_and_every_tier() -> None:
    profile = load("vox")
    arms = ablation.arms(profile)
    assert list(arms) == ["curated", "random", "rank_64", "rank_32", "rank_16"]
    chosen = choose_rank(500, 9_000, profile.ranks)
    ranks = {name: ablation.arm_rank(chosen, arm) for name, arm in arms.items()}
    assert (ranks["curated"].rank, ranks["random"].rank) == (64, 64)
    assert (ranks["rank_16"].rank, ranks["rank_16"].alpha) == (16, 32)
    # All arms have the same epochs, so that only the step limit ends them.
    assert len({choice.epochs for choice in ranks.values()}) == 1
    budget = ablation.arm_profile(profile, 10).training
    assert budget.max_steps == budget.patience == 10
    assert budget.max_seconds == ablation.SECONDS_UNBOUNDED


def arm(name: str, *ratios: float, eval_digest: str = "held-out-1") -> dict[str, object]:
    evaluation = json.loads(json.dumps(judged(*ratios))) | {"eval_digest": eval_digest}
    return {"arm": name, "why": "w", "rows": 10, "rank": 8, "tokens": 100, "evaluation": evaluation}


def test_the_table_compares_row_by_row_with_curated() -> None:
    current = [arm("rank_8", *[0.6, 0.7] * 8), arm("random", *[0.9] * 16)]
    current.append(arm("curated", *[0.6] * 16))
    stale = arm("rank_4", 0.1, 0.1, eval_digest="another corpus")
    results = ablation.comparable([*current, stale], "held-out-1")
    lines = ablation.table_lines(results)
    assert [line[0] for line in lines] == ["curated", "random", "rank_8"]
    ratios = [line[ablation.TABLE_HEADER.index("ratio to curated [95 %]")] for line in lines]
    assert ratios == ["", "1.500 [1.500, 1.500]", "1.083 [1.037, 1.129]"]
    assert all(len(line) == len(ablation.TABLE_HEADER) for line in lines)
