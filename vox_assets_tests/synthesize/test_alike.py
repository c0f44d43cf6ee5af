from __future__ import annotations

from functools import cache

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.curate.similarity import jaccard, shingle
from vox_assets.synthesize.alike import (
    Instructions,
    Programs,
    lcs_length,
    rouge_l,
    share_alike,
    shingles,
    words,
)

SEQUENCES = st.lists(st.sampled_from("abcd"), max_size=14)


def _textbook_lcs(left: list[str], right: list[str]) -> int:
    @cache
    def length(i: int, j: int) -> int:
        if not (i and j):
            return 0
        if left[i - 1] == right[j - 1]:
            return length(i - 1, j - 1) + 1
        return max(length(i - 1, j), length(i, j - 1))

    return length(len(left), len(right))


@given(SEQUENCES, SEQUENCES)
def test_lcs_length_agrees_with_the_textbook_algorithm(left: list[str], right: list[str]) -> None:
    assert lcs_length(left, right) == _textbook_lcs(left, right)


def test_rouge_l_of_a_known_pair() -> None:
    # "police the gunman" against "police killed the gunman": 3 of 3 and 3 of 4 words.
    assert rouge_l(words("police the gunman"), words("police killed the gunman")) == 6 / 7


@given(st.lists(st.text("ab ", min_size=1, max_size=12), min_size=1, max_size=6), st.text("ab "))
def test_the_quick_bound_never_skips_a_similar_instruction(kept: list[str], new: str) -> None:
    pool = Instructions()
    for text in kept:
        pool.add(text)
    expected = max(rouge_l(words(new), words(text)) for text in kept)
    nearest = pool.nearest(new, 0.7)
    assert nearest == expected if expected >= 0.7 else nearest < 0.7


def test_the_nearest_program_is_returned_with_its_jaccard() -> None:
    pool = Programs()
    first, second = "fn a(x: int) to int { return x }", "component Clock() { view: text() { 1 } }"
    pool.add("first", first)
    pool.add("second", second)
    near = "fn a(x: int) to int { return x + 1 }"
    left, right = shingles(near), shingles(first)
    assert pool.nearest(near) == ("first", len(left & right) / len(left | right))
    assert pool.nearest("@tokens") == ("", 0.0)


def test_generation_and_deduplication_measure_the_same_jaccard() -> None:
    texts = ["fn a(x: int) to int { return x }", "fn a(näme: int) to int { return näme + 10 }"]
    left, right = map(shingles, texts)
    expected = jaccard(shingle(texts), np.array([0]), np.array([1]))[0]
    assert 0 < len(left & right) / len(left | right) == expected


def test_a_text_shorter_than_a_shingle_equals_only_itself() -> None:
    assert shingles("let a") == shingles("let a")
    assert not shingles("let a") & shingles("let b")


def test_the_share_counts_texts_near_an_earlier_one() -> None:
    assert share_alike(["a b c d", "e f g h", "a b c d", "a b c x"], 0.7) == 0.5
