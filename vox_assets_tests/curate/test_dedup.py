"""Dedup keeps the best row of a cluster, and each dropped row names that row."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vox_assets.contract.rows import Pair, to_frame, turns
from vox_assets.curate.dedup import deduplicate, residual_duplicates
from vox_assets.profiles import Dedup, load
from vox_assets_tests.conftest import make_pair

POLICY = load("sample").dedup

BODY = """fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let total: f64 = values.iter().sum();
    let count = values.len() as f64;
    Some(total / count)
}"""


def unrelated(count: int) -> np.ndarray:
    """Return embeddings of unrelated texts."""
    return np.eye(count, dtype=np.float32)


def outcome(*pairs: Pair, vectors: np.ndarray | None = None, policy: Dedup = POLICY):
    rows = to_frame(pairs)
    result = deduplicate(rows, unrelated(len(pairs)) if vectors is None else vectors, policy)
    losses = {row["pair_id"]: row for row in result.drops.iter_rows(named=True)}
    return result.survivors, losses


def test_dissimilar_rows_all_survive_in_their_order() -> None:
    pairs = [make_pair(f"p{i}", f"fn f{i}() -> u32 {{ {i} * {i + 7} }}") for i in range(5)]
    survivors, losses = outcome(*pairs)
    assert survivors["pair_id"].to_list() == [pair.pair_id for pair in pairs]
    assert survivors["cluster_size"].to_list() == [1] * 5
    assert losses == {}


def test_rows_that_differ_in_white_space_are_exact_duplicates() -> None:
    first = make_pair("a", BODY, documented=True)
    second = make_pair("b", BODY.replace("\n    ", "\n\t"))
    _, losses = outcome(first, second)
    assert losses[second.pair_id]["lost_to"] == first.pair_id
    assert losses[second.pair_id]["reason"] == "exact duplicate"


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"origin": "human"}, {"origin": "synthetic"}),
        ({"documented": True}, {"documented": False}),
        ({"source_date": "2026-02-01"}, {"source_date": "2025-02-01"}),
        ({"source_date": "2025-02-01"}, {"source_date": None}),
        ({"origin": "human"}, {"origin": "synthetic", "documented": True}),
    ],
)
@pytest.mark.parametrize("better_first", [True, False])
def test_the_better_source_survives_whatever_the_order(
    better: dict, worse: dict, better_first: bool
) -> None:
    winner, loser = make_pair("a", BODY, **better), make_pair("b", BODY, **worse)
    survivors, losses = outcome(*((winner, loser) if better_first else (loser, winner)))
    assert survivors["pair_id"].to_list() == [winner.pair_id]
    assert survivors["cluster_size"].to_list() == [2]
    assert losses[loser.pair_id]["lost_to"] == winner.pair_id


def test_a_near_duplicate_is_dropped_with_its_similarity() -> None:
    # Long enough that one changed name leaves more than 0.8 of the shingles unchanged.
    long_body = "\n".join(BODY.replace("mean", f"mean_{i}") for i in range(4))
    first = make_pair("a", long_body, documented=True)
    second = make_pair("b", long_body.replace("mean_3", "average"))
    _, losses = outcome(first, second)
    loss = losses[second.pair_id]
    assert loss["reason"] == "near duplicate"
    assert 0.8 <= loss["similarity"] < 1


def test_prose_of_equal_meaning_is_a_duplicate_but_code_must_also_share_tokens() -> None:
    same_vector = np.array([[1, 0], [1, 0]], dtype=np.float32)
    first = "A table keeps rows of one type, and an index finds them by a field."
    second = "Rows of the same type live in tables; indexes look them up by field."
    prose = {"response_mode": "prose_only", "lane": "vox_docs_qa", "language": "markdown"}
    _, losses = outcome(
        make_pair("a", first, **prose), make_pair("b", second, **prose), vectors=same_vector
    )
    assert [loss["reason"] for loss in losses.values()] == ["semantic duplicate"]
    _, losses = outcome(make_pair("a", first), make_pair("b", second), vectors=same_vector)
    assert losses == {}


def test_meaning_is_compared_only_within_a_lane() -> None:
    same_vector = np.array([[1, 0], [1, 0]], dtype=np.float32)
    prose = {"response_mode": "prose_only", "language": "markdown"}
    _, losses = outcome(
        make_pair("a", "Tables hold rows.", lane="vox_docs_qa", **prose),
        make_pair("b", "Rows are held by tables.", lane="vox_speech", **prose),
        vectors=same_vector,
    )
    assert losses == {}


def test_a_dialogue_does_not_lose_to_a_row_with_its_first_answer() -> None:
    same_vector = np.array([[1, 0], [1, 0]], dtype=np.float32)
    spread = "fn spread(low: f64, high: f64) -> f64 { (high - low).abs() }"
    dialogue = make_pair("a", "b", messages=turns("mean?", BODY, "And the spread?", spread))
    survivors, _ = outcome(make_pair("mean?", BODY), dialogue, vectors=same_vector)
    assert survivors.height == 2


def test_similarity_is_not_passed_on_along_a_chain() -> None:
    """a and b are similar, b and c too, but not a and c: b loses to a, so c stays."""
    angles = np.radians([0.0, 20.0, 40.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    prose = {"response_mode": "prose_only", "lane": "vox_docs_qa", "language": "markdown"}
    pairs = [
        make_pair(f"Of {date}?", text, source_date=date, **prose)
        for text, date in (
            ("First of all.", "2026-03-01"),
            ("Second comes this.", "2026-02-01"),
            ("Third and last one.", "2026-01-01"),
        )
    ]
    survivors, losses = outcome(*pairs, vectors=vectors)
    assert survivors["pair_id"].to_list() == [pairs[0].pair_id, pairs[2].pair_id]
    assert losses[pairs[1].pair_id]["lost_to"] == pairs[0].pair_id


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.text("ab {}\n", max_size=30), st.sampled_from(["human", "synthetic"])),
        min_size=1,
        max_size=20,
    )
)
def test_every_row_is_kept_or_dropped_and_no_equal_rows_remain(
    cases: list[tuple[str, str]],
) -> None:
    pairs = {
        pair.pair_id: pair
        for i, (text, origin) in enumerate(cases)
        for pair in [make_pair(f"p{i}", text, origin=origin)]
    }
    rows = to_frame(pairs.values())
    result = deduplicate(rows, unrelated(rows.height), POLICY)
    kept, lost = result.survivors["pair_id"].to_list(), result.drops["pair_id"].to_list()
    assert sorted(kept + lost) == sorted(pairs)
    assert set(result.drops["lost_to"]) <= set(kept)
    assert result.survivors["cluster_size"].sum() == rows.height
    assert residual_duplicates(result.survivors, 0.85) == []


def test_a_rebuild_gives_the_same_table() -> None:
    pairs = [make_pair(f"p{i}", BODY if i % 2 else f"fn f{i}() {{ {i} }}") for i in range(6)]
    first, _ = outcome(*pairs)
    second, _ = outcome(*pairs)
    assert first.equals(second)


def test_tables_without_provenance_can_be_deduplicated() -> None:
    rows = pl.DataFrame(
        {
            "pair_id": ["a", "b"],
            "prompt": ["x", "y"],
            "response": [BODY, BODY],
            "lane": ["vox_codegen"] * 2,
            "response_mode": ["code_only"] * 2,
        }
    )
    assert deduplicate(rows, unrelated(2), POLICY).survivors["pair_id"].to_list() == ["a"]
