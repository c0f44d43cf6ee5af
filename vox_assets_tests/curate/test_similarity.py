"""Similar texts are found, all of them, and only they."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vox_assets.curate.similarity import (
    exact_pairs,
    jaccard,
    near_pairs,
    neighbour_distance,
    semantic_pairs,
    shingle,
)

WORDS = [f"word_{i}" for i in range(400)]


def variants(seed: int, families: int) -> list[str]:
    """Texts in families, each member a few words away from its founder."""
    rng = random.Random(seed)
    texts = []
    for _ in range(families):
        founder = rng.choices(WORDS, k=60)
        texts.append(" ".join(founder))
        for changes in (1, 2, 6):
            member = list(founder)
            for place in rng.sample(range(len(member)), changes):
                member[place] = rng.choice(WORDS)
            texts.append(" ".join(member))
    return texts


def reference_jaccard(left: str, right: str) -> float:
    def shingles(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}

    a, b = shingles(left), shingles(right)
    return len(a & b) / len(a | b)


def test_jaccard_is_that_of_five_token_shingles() -> None:
    texts = variants(1, 5)
    shingles = shingle(texts)
    for i in range(len(texts)):
        for j in range(i):
            found = jaccard(shingles, np.array([i]), np.array([j]))[0]
            assert found == pytest.approx(reference_jaccard(texts[i], texts[j]))


@pytest.mark.parametrize("threshold", [0.6, 0.7, 0.8])
def test_sketches_find_what_the_exact_join_finds(threshold: float) -> None:
    shingles = shingle(variants(2, 80))
    near, exact = near_pairs(shingles, threshold), exact_pairs(shingles, threshold)
    assert len(exact) > 20
    found = set(zip(near.left.tolist(), near.right.tolist(), strict=True))
    truth = set(zip(exact.left.tolist(), exact.right.tolist(), strict=True))
    assert found <= truth
    assert len(found) >= 0.99 * len(truth)


def test_short_texts_are_alike_only_when_equal() -> None:
    shingles = shingle(["return 1", "return 2", "return 1", "a b", ""])
    pairs = exact_pairs(shingles, 0.1)
    assert list(zip(pairs.left, pairs.right, strict=True)) == [(0, 2)]
    assert list(near_pairs(shingles, 0.1).left) == [0]


def test_a_short_text_is_unlike_a_longer_one_that_contains_it() -> None:
    assert len(exact_pairs(shingle(["a b c d", "a b c d e"]), 0.05)) == 0


@settings(max_examples=50)
@given(st.lists(st.text(max_size=40), max_size=12))
def test_any_texts_can_be_compared(texts: list[str]) -> None:
    shingles = shingle(texts)
    assert len(shingles) == len(texts)
    for pairs in (near_pairs(shingles, 0.5), exact_pairs(shingles, 0.5)):
        assert (pairs.left < pairs.right).all()
        assert ((pairs.similarity >= 0.5) & (pairs.similarity <= 1)).all()


def test_semantic_pairs_are_those_of_the_whole_product() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(1500, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    product = vectors @ vectors.T
    expected = {(i, j) for i, j in zip(*np.nonzero(product >= 0.97), strict=True) if i < j}
    pairs = semantic_pairs(vectors, 0.97)
    assert {(int(i), int(j)) for i, j in zip(pairs.left, pairs.right, strict=True)} == expected
    assert expected


def test_distance_is_to_the_nearest_other_row() -> None:
    vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    assert neighbour_distance(vectors).tolist() == pytest.approx([0, 0, 1])
    assert neighbour_distance(vectors[:1]).tolist() == [1.0]


def test_a_large_family_of_copies_is_found_whole() -> None:
    """One bucket holds them all, and every two of them are a pair."""
    founder = " ".join(WORDS[:100])
    texts = [f"{founder} member_{i}" for i in range(300)] + variants(4, 20)
    found = near_pairs(shingle(texts), 0.8)
    family = (found.left < 300) & (found.right < 300)
    assert family.sum() == 300 * 299 // 2
    assert len(found) == len(exact_pairs(shingle(texts), 0.8))


def peak_of_cosines(rows: int) -> int:
    """Bytes that finding neighbours and pairs takes at most, besides what goes in and comes out."""
    vectors = np.random.default_rng(0).standard_normal((rows, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    tracemalloc.start()
    neighbour_distance(vectors)
    semantic_pairs(vectors, 0.99)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_three_times_the_rows_need_no_more_memory_for_their_cosines() -> None:
    assert peak_of_cosines(24_576) < 1.2 * peak_of_cosines(8_192)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.6, 0.7, 0.85, 1.0]))
def test_the_exact_join_misses_no_pair(seed: int, threshold: float) -> None:
    shingles = shingle(variants(seed, 8))
    every = [(i, j) for i in range(len(shingles)) for j in range(i + 1, len(shingles))]
    left, right = (np.array(side) for side in zip(*every, strict=True))
    alike = jaccard(shingles, left, right) >= threshold
    found = exact_pairs(shingles, threshold)
    assert found.left.tolist() == left[alike].tolist()
    assert found.right.tolist() == right[alike].tolist()
