"""The mix accounts for every row, splits by source, keeps its caps and needs a minimum size."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vox_assets.contract.rows import SCHEMA, turns
from vox_assets.mix import build as build_module
from vox_assets.mix import leakage, policy, schema, shares, size, split
from vox_assets.profiles import Profile, load
from vox_assets_tests.small_corpus import as_scored, count_words, make_pair, rows_of, shaped


def build(scored: pl.DataFrame, profile: Profile) -> build_module.Mix:
    return build_module.build_mix(scored, profile, count_words)


@pytest.mark.parametrize(
    ("rows", "tier", "passed", "words"),
    [
        (119, "style", False, "overfitting is certain"),
        (120, "style", False, "too few even for tier 'style'"),
        (399, "style", False, "1 more"),
        (400, "style", True, "400 rows"),
        (999, "domain", False, "enough only for tier 'style'"),
        (1000, "domain", True, "1000 rows"),
    ],
)
def test_each_tier_has_a_floor(rows: int, tier: str, passed: bool, words: str) -> None:
    verdict = size.size_verdict({"vox_codegen": rows}, ["vox_codegen"], tier)
    assert verdict.passed is passed
    assert words in verdict.reason
    assert "vox_codegen" in verdict.reason and f"{tier!r}" in verdict.reason


def test_the_verdict_names_every_short_lane_and_counts_an_absent_lane_as_zero_rows() -> None:
    verdict = size.size_verdict({"vox_codegen": 500}, ["vox_codegen", "vox_speech"], "style")
    assert verdict.reason.startswith("lane vox_speech has 0 distinct rows")
    assert "vox_codegen" not in verdict.reason


def test_only_training_rows_and_kept_rows_are_counted_by_lane(
    mixed: pl.DataFrame, scored: pl.DataFrame
) -> None:
    trained = mixed.filter(pl.col("split") == "train")
    assert size.distinct_rows_by_lane(mixed) == {"vox_codegen": len(trained)}
    assert size.distinct_rows_by_lane(scored) == {"vox_codegen": 60}


def test_the_mix_is_deterministic_and_has_no_leak(scored: pl.DataFrame, profile: Profile) -> None:
    built = build(scored, profile)
    assert built.rows.schema == pl.Schema(schema.MIX_SCHEMA)
    assert len(rows_of(built, "eval")) >= 4
    assert leakage.split_leakage(built.rows, profile.dedup) == []
    assert policy.lane_policy_violations(built.rows, profile) == []
    shuffled = build(scored.sample(fraction=1.0, shuffle=True, seed=3), profile)
    assert shuffled.rows.equals(built.rows)


def test_new_files_do_not_change_the_split_of_existing_files(
    scored: pl.DataFrame, profile: Profile
) -> None:
    grown = shaped(profile, mix={"eval_rows": 12, "eval_share": 0.2})
    before = rows_of(build(scored, grown), "eval")["source_path"].unique()
    more = as_scored([make_pair(index, 30 + index % 3) for index in range(60, 66)])
    after = rows_of(build(pl.concat([scored, more]), grown), "eval")["source_path"].unique()
    assert len(set(before) & set(after)) >= len(set(before)) - 1


def test_an_edited_row_does_not_change_the_split(profile: Profile) -> None:
    pairs = [make_pair(index, index % 30) for index in range(60)]
    before = rows_of(build(as_scored(pairs), profile), "eval")["source_path"].unique().sort()
    edited = [
        make_pair(
            index, index % 30, messages=turns(f"Edited {index}.", pair.response + f"\n// {index}")
        )
        for index, pair in enumerate(pairs)
    ]
    after = rows_of(build(as_scored(edited), profile), "eval")["source_path"].unique().sort()
    assert before.to_list() == after.to_list()


def test_parents_in_other_files_and_lanes_stay_on_one_side(profile: Profile) -> None:
    parents = [make_pair(index, index, lane="vox_docs_qa") for index in range(40)]
    children = [
        make_pair(100 + index, 100 + index, parents=(parents[index // 2 * 2].pair_id,))
        for index in range(40)
    ]
    built = build(as_scored(parents + children), profile)
    side = dict(built.rows.select("pair_id", "split").iter_rows())
    both = [
        (side[children[i].pair_id], side[children[i + 1].pair_id])
        for i in range(0, 40, 2)
        if children[i].pair_id in side and children[i + 1].pair_id in side
    ]
    assert both and all(left == right for left, right in both)
    assert "eval" in side.values()


def test_held_out_rows_that_training_contains_in_another_form_are_dropped(profile: Profile) -> None:
    pairs = [make_pair(index, index % 20) for index in range(60)]
    # Repeat answers of other files: with the same text, and with other names.
    for index in range(60, 80):
        original = pairs[index - 59].response
        changed = original.replace(f"x{index - 59}", f"y{index}") if index % 2 else original
        messages = turns(f"Once more {index}.", changed)
        pairs.append(make_pair(index, index % 20, messages=messages))
    built = build(as_scored(pairs), profile)
    assert leakage.split_leakage(built.rows, profile.dedup) == []
    lost = [drop for drop in built.drops if drop.lost_to is not None]
    assert lost and all("a training row" in drop.reason for drop in lost)


EXAM_PATH = "synthesize/templates/pipes.vox.j2"


def test_exam_templates_are_held_out_and_their_near_copies_are_not_trained(
    profile: Profile,
) -> None:
    pairs = [make_pair(index, index % 20) for index in range(60)]
    kept = [make_pair(index, 0, source_path=EXAM_PATH, language="vox") for index in (60, 61, 62)]
    copied = kept[0].response.replace("x60", "y60")
    pairs.append(make_pair(63, 5, messages=turns("The same once more.", copied)))
    pairs.append(make_pair(64, 7, messages=turns("A longer one.", kept[1].response + copied)))
    room = shaped(profile, mix={"eval_rows": 20, "eval_share": 0.3})
    built = build(as_scored(pairs + kept), room)
    assert {pair.pair_id for pair in kept} <= set(rows_of(built, "eval")["pair_id"])
    dropped = {drop.pair_id: drop for drop in built.drops}
    for pair in pairs[60:]:
        drop = dropped[pair.pair_id]
        assert drop.reason.startswith("reveals a row that is kept for the exam: a training row")
        assert drop.lost_to in {item.pair_id for item in kept}
    assert leakage.split_leakage(built.rows, profile.dedup) == []


def test_an_exam_template_does_not_hold_out_the_sources_that_it_resembles(
    profile: Profile,
) -> None:
    pairs = [make_pair(index, index % 20, language="vox") for index in range(60)]
    pairs.append(make_pair(60, 0, source_path=EXAM_PATH, language="vox"))
    scored = as_scored(pairs).with_columns(pl.lit("one cluster").alias("cluster_id"))
    assert set(rows_of(build(scored, profile), "eval")["source_path"]) == {EXAM_PATH}


def test_live_vox_sources_are_held_out_by_the_hash_of_their_path(profile: Profile) -> None:
    pairs = [
        make_pair(index, index, language="vox", source_path=f"docs/src/page{index % 40}.md")
        for index in range(80)
    ]
    sides = dict(build(as_scored(pairs), profile).rows.select("source_path", "split").iter_rows())
    kept = {path for path in sides if split.is_live_exam_source(path)}
    assert len(kept) > 4
    assert {sides[path] for path in kept} == {"eval"}
    synthetic = [
        make_pair(i, i, language="vox", source_kind="synthetic", source_path=f"made/{i % 40}")
        for i in range(80)
    ]
    sides = dict(
        build(as_scored(synthetic), profile).rows.select("source_path", "split").iter_rows()
    )
    kept = {path for path in sides if split.is_live_exam_source(path)}
    assert "train" in {sides[path] for path in kept}


def test_split_leakage_reports_each_kind_of_leak(mixed: pl.DataFrame, profile: Profile) -> None:
    train, held_out = (mixed.filter(pl.col("split") == side) for side in ("train", "eval"))
    copy = train.head(1).with_columns(pl.lit("eval").alias("split"))
    leaks = leakage.split_leakage(pl.concat([train, held_out, copy]), profile.dedup)
    text = "\n".join(leaks)
    for reason in ("is a training row", "has training rows", "has the same text"):
        assert reason in text
    child = held_out.head(1).with_columns(
        pl.lit([train["pair_id"][0]], dtype=pl.List(pl.String)).alias("parents")
    )
    leaks = leakage.split_leakage(pl.concat([train, child]), profile.dedup)
    assert "shares a parent" in leaks[0]


def test_a_held_out_row_with_the_meaning_of_a_training_row_is_a_leak(
    mixed: pl.DataFrame, profile: Profile
) -> None:
    """Prose is compared by embedding alone; code must have similar tokens too."""
    same_meaning = mixed.with_columns(
        pl.Series("embedding", [[1.0, 0.0]] * len(mixed), dtype=pl.List(pl.Float32))
    )
    assert leakage.split_leakage(same_meaning, profile.dedup) == []
    prose = same_meaning.with_columns(response_mode=pl.lit("prose_only"))
    assert "has the same meaning (1.00)" in leakage.split_leakage(prose, profile.dedup)[0]


def test_caps_hold_for_the_selected_rows(profile: Profile) -> None:
    capped = shaped(
        profile,
        mix={"language_caps": {"rust": 0.5}, "category_cap": 0.3, "task_family_cap": 0.4},
    )
    pairs = [make_pair(index, 1 if index < 60 else 2 * (index % 6)) for index in range(90)]
    train = rows_of(build(as_scored(pairs), capped), "train")
    for column, share in (("category", 0.3), ("task_family", 0.4)):
        assert max(Counter(train[column].to_list()).values()) <= share * len(train)
    assert Counter(train["language"].to_list())["rust"] <= 0.5 * len(train)


def test_a_cap_that_no_selection_can_meet_becomes_an_even_share(profile: Profile) -> None:
    pairs = [make_pair(index, index % 12, category="one") for index in range(40)]
    built = build(as_scored(pairs), shaped(profile, mix={"category_cap": 0.3}))
    assert len(built.rows) == 40


def test_a_cap_below_an_even_share_holds_where_another_value_has_no_cap(profile: Profile) -> None:
    pairs = [make_pair(index, index % 20) for index in range(40)]
    pairs += [make_pair(index, 20 + index % 20, language="vox") for index in range(40, 80)]
    capped = shaped(profile, mix={"language_caps": {"rust": 0.2}})
    train = rows_of(build(as_scored(pairs), capped), "train")
    counts = Counter(train["language"].to_list())
    assert 0 < counts["rust"] <= 0.2 * len(train) < counts["vox"]


def test_the_token_budget_keeps_the_best_of_every_category(
    scored: pl.DataFrame, profile: Profile
) -> None:
    tight = shaped(profile, mix={"token_budget": 700})
    built = build(scored, tight)
    assert 0 < rows_of(built, "train")["tokens"].sum() <= 700
    assert rows_of(built, "train")["category"].n_unique() == scored["category"].n_unique()
    assert any("token budget" in drop.reason for drop in built.drops)


def test_rows_of_other_lanes_and_long_rows_are_dropped_with_the_reason(profile: Profile) -> None:
    pairs = [make_pair(index, index % 12) for index in range(40)]
    pairs += [
        make_pair(50, 3, lane="vox_docs_qa", response_mode="prose_only", language="markdown"),
        make_pair(51, 3, messages=turns("Long.", "word " * 400)),
    ]
    built = build(as_scored(pairs), profile)
    reasons = {drop.pair_id: drop.reason for drop in built.drops}
    assert "lane vox_docs_qa is not trained" in reasons[pairs[40].pair_id]
    assert "longer than the context of 256" in reasons[pairs[41].pair_id]
    both_lanes = build(as_scored(pairs), profile.with_lanes(["vox_codegen", "vox_docs_qa"]))
    assert pairs[40].pair_id not in {d.pair_id for d in both_lanes.drops if "lane" in d.reason}


def test_the_lane_policy_reports_prose_fences_and_other_lanes(
    mixed: pl.DataFrame, profile: Profile
) -> None:
    first = pl.int_range(pl.len()) == 0
    dialogues = mixed["messages"].to_list()
    dialogues[0] = turns("Write f.", "Here:\n~~~vox\nx\n~~~")
    fenced = mixed.with_columns(pl.Series("messages", dialogues, dtype=SCHEMA["messages"]))
    prose = mixed.with_columns(
        pl.when(first).then(pl.lit("prose_only")).otherwise("response_mode").alias("response_mode")
    )
    other_lane = mixed.with_columns(
        pl.when(first).then(pl.lit("vox_speech")).otherwise("lane").alias("lane")
    )
    for rows, words in (
        (fenced, "holds a fence"),
        (prose, "is prose in lane"),
        (other_lane, "not trained"),
    ):
        (fault,) = policy.lane_policy_violations(rows, profile)
        assert words in fault and fault.startswith(mixed["pair_id"][0])
    # A fence inside a Rust doc comment belongs to the code.
    dialogues[0] = turns("Write f.", "/// ```\n/// x\n/// ```\nfn f() {}")
    documented = mixed.with_columns(pl.Series("messages", dialogues, dtype=SCHEMA["messages"]))
    assert policy.lane_policy_violations(documented, profile) == []


def test_held_out_rows_with_the_meaning_of_a_training_row_are_dropped(profile: Profile) -> None:
    pairs = [
        make_pair(index, index, response_mode="prose_only", lane="vox_docs_qa")
        for index in range(40)
    ]
    scored = as_scored(pairs).with_columns(
        pl.Series("embedding", [[1.0, 0.0]] * 40, dtype=pl.List(pl.Float32))
    )
    built = build(scored, profile.with_lanes(["vox_docs_qa"]))
    assert len(rows_of(built, "eval")) == 0
    assert any("has the same meaning" in drop.reason for drop in built.drops)


def test_watched_rows_are_whole_sources(mixed: pl.DataFrame) -> None:
    watched = split.watch_ids(mixed)
    held_out = mixed.filter(pl.col("split") == "eval")
    inside = held_out.filter(pl.col("pair_id").is_in(list(watched)))
    outside = held_out.filter(~pl.col("pair_id").is_in(list(watched)))
    assert 0 < len(inside) < len(held_out)
    assert not set(inside["source_path"]) & set(outside["source_path"])


def test_rows_over_the_context_and_human_rows_are_counted(mixed: pl.DataFrame) -> None:
    longest = int(mixed["tokens"].max())  # type: ignore[arg-type]
    assert policy.rows_over_context(mixed, longest) == []
    assert len(policy.rows_over_context(mixed, longest - 1)) >= 1
    train = mixed.filter(pl.col("split") == "train")
    assert policy.share_of_human_rows(mixed) == (train["origin"] == "human").sum() / len(train)
    assert policy.share_of_human_rows(mixed.clear()) == 0.0


def test_a_corpus_without_kept_rows_gives_an_empty_mix(
    scored: pl.DataFrame, profile: Profile
) -> None:
    built = build(scored.with_columns(pl.lit(False).alias("kept")), profile)
    assert built.rows.is_empty() and built.drops == []


def test_a_repeated_pair_id_is_an_error(scored: pl.DataFrame, profile: Profile) -> None:
    with pytest.raises(ValueError, match="twice"):
        build(pl.concat([scored, scored.head(1)]), profile)


@settings(max_examples=25, deadline=None)
@given(
    sources=st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from(["vox_codegen", "vox_docs_qa"])),
        min_size=1,
        max_size=40,
    ),
    links=st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=6),
    budget=st.integers(20, 4000),
    cap=st.floats(0.1, 1.0),
    share=st.floats(0.05, 0.45),
)
def test_every_kept_row_is_in_the_mix_or_dropped(
    sources: list[tuple[int, str]],
    links: list[tuple[int, int]],
    budget: int,
    cap: float,
    share: float,
) -> None:
    profile = shaped(
        load("sample"),
        mix={"token_budget": budget, "category_cap": cap, "eval_share": share, "context": 256},
    )
    pairs = [make_pair(index, file, lane=lane) for index, (file, lane) in enumerate(sources)]
    for child, parent in links:
        if child < len(pairs) and parent < len(pairs) and child != parent:
            file, lane = sources[child]
            pairs[child] = make_pair(child, file, lane=lane, parents=(pairs[parent].pair_id,))
    scored = as_scored(pairs)
    built = build(scored, profile)
    in_mix = built.rows["pair_id"].to_list()
    dropped = [drop.pair_id for drop in built.drops]
    assert sorted(in_mix + dropped) == sorted(scored["pair_id"].to_list())
    assert {drop.stage for drop in built.drops} <= {"training_mix"}
    assert all(drop.reason and drop.source_path for drop in built.drops)
    assert leakage.split_leakage(built.rows, profile.dedup) == []
    assert rows_of(built, "train")["tokens"].sum() <= budget


def token_shares(rows: pl.DataFrame, column: str) -> dict[str, float]:
    """Return the expected share of the drawn tokens by value of a column."""
    mass = rows.group_by(column).agg((pl.col("weight") * pl.col("tokens")).sum().alias("mass"))
    return {value: share / mass["mass"].sum() for value, share in mass.iter_rows()}


def test_weights_bring_the_tokens_of_long_rows_under_their_cap(profile: Profile) -> None:
    capped = shaped(profile, mix={"language_caps": {"rust": 0.5}})
    pairs = [
        make_pair(
            index,
            index % 30,
            messages=turns(f"Say {index}.", f"word{index} " * (60 if index % 2 else 15)),
        )
        for index in range(60)
    ]
    train = rows_of(build(as_scored(pairs), capped), "train")
    unweighted = train.with_columns(pl.lit(1.0).alias("weight"))
    assert token_shares(unweighted, "language")["rust"] > 0.6
    assert token_shares(train, "language")["rust"] == pytest.approx(0.5, abs=1e-3)
    assert train["weight"].mean() == pytest.approx(1.0, abs=1e-3)
    assert train["pair_id"].n_unique() == len(train)


def test_the_share_of_human_rows_reaches_its_floor(profile: Profile) -> None:
    floored = shaped(profile, mix={"human_share_floor": 0.4})
    pairs = [
        make_pair(index, index % 30, origin="human" if index < 24 else "synthetic")
        for index in range(90)
    ]
    built = build(as_scored(pairs), floored)
    assert policy.share_of_human_rows(built.rows) >= 0.4
    assert token_shares(_with_author(rows_of(built, "train")), "author")["human"] >= 0.4 - 1e-3
    assert any(
        "at least 40% of the rows must be human-written" in drop.reason for drop in built.drops
    )
    # Without human rows, dropping rows cannot reach the floor; the check human_share reports it.
    machines = [make_pair(index, index % 30, origin="synthetic") for index in range(60)]
    assert len(rows_of(build(as_scored(machines), floored), "train")) > 40


def _with_author(rows: pl.DataFrame) -> pl.DataFrame:
    human = pl.when(pl.col("origin") == "human").then(pl.lit("human")).otherwise(pl.lit("other"))
    return rows.with_columns(human.alias("author"))


def test_a_draw_contains_every_row_once_and_heavy_rows_early() -> None:
    weights = np.array([4.0] * 50 + [1.0] * 150)
    order = shares.draw_order(weights, seed=1, epoch=0)
    assert sorted(order) == list(range(200))
    # The expected share of heavy rows among the first is 4*50 / (4*50 + 150).
    heavy = [sum(shares.draw_order(weights, 1, epoch)[:50] < 50) for epoch in range(40)]
    assert 22 < sum(heavy) / len(heavy) < 30
    assert list(shares.draw_order(weights, 1, 0)) == list(order)
    assert list(shares.draw_order(weights, 1, 1)) != list(order)
