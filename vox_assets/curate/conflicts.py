"""Finds conflicts: two answers to one prompt that contradict each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from vox_assets.curate.compared import Compared
from vox_assets.curate.similarity import Shingles, jaccard

#: Answers with this much in common answer alike: where their facts differ, one of them is wrong.
SAME_CLAIM_JACCARD, SAME_CLAIM_COSINE = 0.5, 0.8
#: Answers of up to so many words are labels.
LABEL_WORDS = 3
#: Rows of one prompt that another row of it is compared with: more would be quadratic.
PEERS = 8


class Conflict(NamedTuple):
    """Two rows by their positions, the preferred one first."""

    first: int
    second: int


def contradict(
    rows: Compared, shingles: Shingles, vectors: np.ndarray, one: int, other: int
) -> bool:
    """Return whether two rows ask the same and state different things.

    Labels must be equal. Short prose must agree in its numbers, names and negations, and so must
    longer texts and code that say nearly the same. Dialogues are not compared: the prompt of a
    later turn means what was said before.
    """
    if rows.prompt_numbers[one] != rows.prompt_numbers[other]:
        return False
    if rows.turns[one] > 2 or rows.turns[other] > 2 or rows.code[one] != rows.code[other]:
        return False
    mine, others = rows.bare_answers[one], rows.bare_answers[other]
    if mine == others:
        return False
    same_facts = bool(rows.facts[one] == rows.facts[other])
    if rows.short[one] and rows.short[other] and not rows.code[one]:
        # "Yes" and "Yes, it does" agree.
        if f"{mine} ".startswith(f"{others} ") or f"{others} ".startswith(f"{mine} "):
            return False
        return not same_facts or max(len(mine.split()), len(others.split())) <= LABEL_WORDS
    if same_facts:
        return False
    if float(vectors[one] @ vectors[other]) >= SAME_CLAIM_COSINE and not rows.code[one]:
        return True
    pair = np.array([one]), np.array([other])
    return bool(jaccard(shingles, *pair)[0] >= SAME_CLAIM_JACCARD)


def conflicts_among(
    rows: Compared, shingles: Shingles, vectors: np.ndarray, survivors: Iterable[int]
) -> list[Conflict]:
    """Find the conflicts among surviving rows, given in order of preference.

    Each row has at most one line as the second, with the preferred of the rows that it contradicts.
    """
    peers: dict[int, list[int]] = {}
    found = []
    for row in survivors:
        if not rows.bare_prompts[row]:
            continue
        known = peers.setdefault(int(rows.prompt_numbers[row]), [])
        for other in known:
            if contradict(rows, shingles, vectors, other, row):
                found.append(Conflict(other, row))
                break
        if len(known) < PEERS:
            known.append(row)
    return found
