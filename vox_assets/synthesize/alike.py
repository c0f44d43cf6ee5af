"""Similarity of texts: token shingles for programs, ROUGE-L for instructions.

Generation uses these to refuse a candidate that resembles an earlier one. Curation removes the
duplicates of a whole corpus.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from vox_assets.curate.similarity import SHINGLE_TOKENS, TOKEN_PATTERN

_CODE_TOKEN = re.compile(TOKEN_PATTERN)
_WORD = re.compile(r"\w+")


def shingles(source: str) -> frozenset[int]:
    """Hash every run of `SHINGLE_TOKENS` tokens; a shorter text is a single shingle.

    The same shingles as those of near-duplicate removal. Its vectorised `shingle` takes 1.2 ms for
    a single text, this function 0.04 ms; generation compares one program at a time.
    """
    tokens = _CODE_TOKEN.findall(source)
    if len(tokens) < SHINGLE_TOKENS:
        return frozenset({hash(tuple(tokens))})
    runs = zip(*(tokens[start:] for start in range(SHINGLE_TOKENS)), strict=False)
    return frozenset(map(hash, runs))


def words(text: str) -> tuple[str, ...]:
    """Split a text into lower-case words, as ROUGE does."""
    return tuple(_WORD.findall(text.lower()))


def _positions(sequence: Sequence[Hashable]) -> dict[Hashable, int]:
    """Return for every element the bit set of its positions."""
    masks: dict[Hashable, int] = {}
    for index, element in enumerate(sequence):
        masks[element] = masks.get(element, 0) | (1 << index)
    return masks


def lcs_length(left: Sequence[Hashable], right: Sequence[Hashable]) -> int:
    """Compute the length of the longest common subsequence.

    Bit-parallel (Hyyro 2004): one big-integer step for each element of `right`.
    """
    masks = _positions(left)
    full = (1 << len(left)) - 1
    row = full
    for element in right:
        met = row & masks.get(element, 0)
        row = ((row + met) | (row - met)) & full
    return len(left) - row.bit_count()


def rouge_l(left: Sequence[str], right: Sequence[str]) -> float:
    """Compute the ROUGE-L F1 of two word sequences."""
    if not left or not right:
        return 0.0
    return 2 * lcs_length(left, right) / (len(left) + len(right))


@dataclass
class Instructions:
    """The instructions kept so far; measures how similar a new one is to the nearest."""

    kept: list[tuple[tuple[str, ...], Counter[str]]] = field(default_factory=list)

    def nearest(self, text: str, enough: float) -> float:
        """Return the largest ROUGE-L to a kept instruction, or 0 when none can reach `enough`.

        The number of shared words is an upper bound of the common subsequence and costs far less.
        """
        new = words(text)
        counts = Counter(new)
        best = 0.0
        for old, old_counts in self.kept:
            shared = (counts & old_counts).total()
            if 2 * shared >= enough * (len(new) + len(old)):
                best = max(best, rouge_l(new, old))
        return best

    def add(self, text: str) -> None:
        new = words(text)
        self.kept.append((new, Counter(new)))


class Programs:
    """The programs kept so far; finds the nearest to a new program."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, frozenset[int]]] = []
        self._holding: dict[int, list[int]] = {}

    def nearest(self, source: str) -> tuple[str, float]:
        """Return name and Jaccard of the nearest kept program; ("", 0) without shared shingles."""
        new = shingles(source)
        shared = Counter(index for item in new for index in self._holding.get(item, ()))
        if not shared:
            return "", 0.0
        # Of equally near programs the earliest, so that the result does not depend on hash order.
        similarity, earlier = max(
            (count / (len(new) + len(self._kept[index][1]) - count), -index)
            for index, count in shared.items()
        )
        return self._kept[-earlier][0], similarity

    def add(self, name: str, source: str) -> None:
        index = len(self._kept)
        new = shingles(source)
        self._kept.append((name, new))
        for item in new:
            self._holding.setdefault(item, []).append(index)


def share_alike(texts: Iterable[str], threshold: float) -> float:
    """Compute the share of texts whose ROUGE-L to an earlier text reaches `threshold`."""
    seen = Instructions()
    alike = total = 0
    for text in texts:
        total += 1
        alike += seen.nearest(text, threshold) >= threshold
        seen.add(text)
    return alike / total if total else 0.0
