"""The search finds the same similar texts as a plain comparison of all pairs."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vox_assets.curate.similarity import (
    NearIndex,
    exact_pairs,
    jaccard,
    neighbour_distance,
    semantic_pairs,
    shingle,
)

WORDS = [f"word_{i}" for i in range(400)]


def variants(seed: int, groups: int) -> list[str]:
    """Make groups of texts: an original and three variants with 1, 2 and 6 words replaced."""
    rng = random.Random(seed)
    texts = []
    for _ in range(groups):
        original = rng.choices(WORDS, k=60)
        texts.append(" ".join(original))
        for changes in (1, 2, 6):
            variant = list(original)
            for position in rng.sample(range(len(variant)), changes):
                variant[position] = rng.choice(WORDS)
            texts.append(" ".join(variant))
    return texts


def reference_jaccard(left: str, right: str) -> float:
    def shingles(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}

    a, b = shingles(left), shingles(right)
    return len(a & b) / len(a | b)


def test_jaccard_compares_five_token_shingles() -> None:
    texts = variants(1, 5)
    shingles = shingle(texts)
    for i in range(len(texts)):
        for j in range(i):
            similarity = jaccard(shingles, np.array([i]), np.array([j]))[0]
            assert similarity == pytest.approx(reference_jaccard(texts[i], texts[j]))


def found_pairs(texts: list[str], threshold: float) -> set[tuple[int, int]]:
    """All pairs that the index finds, each row compared with all before it."""
    index = NearIndex(shingle(texts))
    found = set()
    for row in range(len(texts)):
        others = index.candidates(row)
        near = others[index.at_least(row, others, threshold)]
        found |= {(int(other), row) for other in near}
        index.add(row)
    return found


@pytest.mark.parametrize("threshold", [0.6, 0.7, 0.8])
def test_sketches_find_what_the_exact_join_finds(threshold: float) -> None:
    texts = variants(2, 80)
    found = found_pairs(texts, threshold)
    exact = exact_pairs(shingle(texts), threshold)
    truth = set(zip(exact.left.tolist(), exact.right.tolist(), strict=True))
    assert len(truth) > 20
    assert found <= truth
    assert len(found) >= 0.99 * len(truth)


def test_the_closest_row_is_found_and_of_equally_close_rows_the_preferred() -> None:
    founder = WORDS[:60]
    near, nearer = list(founder), list(founder)
    near[10], near[30], nearer[10] = "x", "y", "x"
    texts = [" ".join(words) for words in (near, nearer, nearer, founder)]
    index = NearIndex(shingle(texts))
    for row in range(3):
        index.add(row)
    preference = np.array([0, 2, 1, 3])
    closest = index.closest(3, index.candidates(3), preference, 0.6)
    assert closest is not None
    assert closest[0] == 2
    assert closest[1] == pytest.approx(reference_jaccard(texts[2], texts[3]))
    assert index.closest(3, index.candidates(3), preference, 0.99) is None


def test_rows_that_were_not_added_are_not_found() -> None:
    index = NearIndex(shingle([" ".join(WORDS[:60])] * 3))
    assert len(index.candidates(0)) == 0
    index.add(1)
    assert index.candidates(0).tolist() == [1]


def test_short_texts_are_alike_only_when_equal() -> None:
    texts = ["return 1", "return 2", "return 1", "a b", ""]
    pairs = exact_pairs(shingle(texts), 0.1)
    assert list(zip(pairs.left, pairs.right, strict=True)) == [(0, 2)]
    assert found_pairs(texts, 0.1) == {(0, 2)}


def test_a_short_text_is_not_similar_to_a_longer_text_that_contains_it() -> None:
    assert len(exact_pairs(shingle(["a b c d", "a b c d e"]), 0.05)) == 0


@settings(max_examples=50)
@given(st.lists(st.text(max_size=40), max_size=12))
def test_any_texts_can_be_compared(texts: list[str]) -> None:
    shingles = shingle(texts)
    assert len(shingles) == len(texts)
    pairs = exact_pairs(shingles, 0.5)
    assert (pairs.left < pairs.right).all()
    assert ((pairs.similarity >= 0.5) & (pairs.similarity <= 1)).all()
    assert all(left < right for left, right in found_pairs(texts, 0.5))


def test_semantic_pairs_agree_with_the_full_matrix_of_cosines() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(1500, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    expected = {(i, j) for i, j in zip(*np.nonzero(cosines >= 0.97), strict=True) if i < j}
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
    found = found_pairs(texts, 0.8)
    assert sum(right < 300 for _, right in found) == 300 * 299 // 2
    assert len(found) == len(exact_pairs(shingle(texts), 0.8))


def peak_memory(rows: int) -> int:
    """Measure the peak memory in bytes of finding neighbours and pairs, without the vectors."""
    vectors = np.random.default_rng(0).standard_normal((rows, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    tracemalloc.start()
    neighbour_distance(vectors)
    semantic_pairs(vectors, 0.99)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_peak_memory_does_not_grow_with_the_number_of_rows() -> None:
    assert peak_memory(24_576) < 1.2 * peak_memory(8_192)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.6, 0.7, 0.85, 1.0]))
def test_the_exact_join_misses_no_pair(seed: int, threshold: float) -> None:
    shingles = shingle(variants(seed, 8))
    all_pairs = [(i, j) for i in range(len(shingles)) for j in range(i + 1, len(shingles))]
    left, right = (np.array(side) for side in zip(*all_pairs, strict=True))
    similar = jaccard(shingles, left, right) >= threshold
    pairs = exact_pairs(shingles, threshold)
    assert pairs.left.tolist() == left[similar].tolist()
    assert pairs.right.tolist() == right[similar].tolist()
