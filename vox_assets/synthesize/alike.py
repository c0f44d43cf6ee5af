"""Similarity of texts: token shingles for programs, ROUGE-L for instructions.

Generation uses these to refuse a candidate that says too little new. Removing duplicates from a
whole corpus is curation and does not belong here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

#: Identifiers, numbers and single marks: the tokens that near-duplicate removal looks at too.
_CODE_TOKEN = re.compile(r"[A-Za-z_]\w*|\d+|\S")
_WORD = re.compile(r"\w+")

SHINGLE_TOKENS = 5


def shingles(source: str) -> frozenset[int]:
    """Hashes of all runs of five tokens; a shorter text is one shingle."""
    tokens = _CODE_TOKEN.findall(source)
    if len(tokens) < SHINGLE_TOKENS:
        return frozenset({hash(tuple(tokens))})
    runs = zip(*(tokens[start:] for start in range(SHINGLE_TOKENS)), strict=False)
    return frozenset(map(hash, runs))


def words(text: str) -> tuple[str, ...]:
    """Lower-case words, as ROUGE counts them."""
    return tuple(_WORD.findall(text.lower()))


def _positions(sequence: Sequence[Hashable]) -> dict[Hashable, int]:
    """For every element, the bit set of the positions where it occurs."""
    masks: dict[Hashable, int] = {}
    for place, element in enumerate(sequence):
        masks[element] = masks.get(element, 0) | (1 << place)
    return masks


def lcs_length(left: Sequence[Hashable], right: Sequence[Hashable]) -> int:
    """Length of the longest common subsequence.

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
    """ROUGE-L F1 of two word sequences."""
    if not left or not right:
        return 0.0
    return 2 * lcs_length(left, right) / (len(left) + len(right))


@dataclass
class Instructions:
    """The instructions kept so far, which answers how alike a new one is to the nearest."""

    kept: list[tuple[tuple[str, ...], Counter[str]]] = field(default_factory=list)

    def nearest(self, text: str, enough: float) -> float:
        """Largest ROUGE-L to what was kept, or 0 where none can reach `enough`.

        Shared words bound the common subsequence from above and cost far less.
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
    """The programs kept so far; finds the one that is nearest to a new one."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, frozenset[int]]] = []
        self._holding: dict[int, list[int]] = {}

    def nearest(self, source: str) -> tuple[str, float]:
        """Name and Jaccard of the nearest kept program; ("", 0) when nothing is shared."""
        new = shingles(source)
        shared = Counter(place for item in new for place in self._holding.get(item, ()))
        if not shared:
            return "", 0.0
        # The earlier of two that are equally near, so that hash order decides nothing.
        similarity, earlier = max(
            (count / (len(new) + len(self._kept[place][1]) - count), -place)
            for place, count in shared.items()
        )
        return self._kept[-earlier][0], similarity

    def add(self, name: str, source: str) -> None:
        place = len(self._kept)
        new = shingles(source)
        self._kept.append((name, new))
        for item in new:
            self._holding.setdefault(item, []).append(place)


def share_alike(texts: Iterable[str], threshold: float) -> float:
    """Share of texts that come within `threshold` of an earlier one, by ROUGE-L."""
    seen = Instructions()
    alike = total = 0
    for text in texts:
        total += 1
        alike += seen.nearest(text, threshold) >= threshold
        seen.add(text)
    return alike / total if total else 0.0
