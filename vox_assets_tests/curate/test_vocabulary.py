"""A corpus knows the words of at least two of its rows."""

from __future__ import annotations

import pytest

from vox_assets.contract.rows import turns
from vox_assets.curate.vocabulary import Vocabulary

CORPUS = [
    turns("What is a lease?", "A lease gives its holder a claim for some minutes."),
    turns("Who is the holder?", "The holder renews the claim every minute."),
    turns("What does the broker do?", "The broker counts claims and minutes of each holder."),
]


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary.of(CORPUS, ["markdown"] * 3)


def test_words_that_no_other_row_has_are_unknown(vocabulary: Vocabulary) -> None:
    known = vocabulary.unknown_words(turns("Why?", "The holder minutes broker"), "markdown")
    noisy = vocabulary.unknown_words(turns("Why?", "The hxlder minutxs brokqr"), "markdown")
    assert known < noisy
    assert noisy == pytest.approx(1 - vocabulary.usual["markdown"])


def test_words_of_the_question_are_known(vocabulary: Vocabulary) -> None:
    asked = vocabulary.unknown_words(turns("Explain zebrawood.", "zebrawood"), "markdown")
    assert asked == 0


def test_a_usual_row_of_the_corpus_scores_zero(vocabulary: Vocabulary) -> None:
    shares = sorted(vocabulary.unknown_words(row, "markdown") for row in CORPUS)
    assert shares[0] == shares[1] == 0


def test_an_answer_without_words_and_an_empty_corpus_score_zero(vocabulary: Vocabulary) -> None:
    assert vocabulary.unknown_words(turns("Why?", "{ } 1 + 2"), "markdown") == 0
    assert Vocabulary.of([], []).unknown_words(turns("Why?", ""), "rust") == 0
