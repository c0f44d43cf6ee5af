"""The words that a corpus knows: in how many of its rows each word occurs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from vox_assets.contract.rows import Message

#: Shorter words are known everywhere, and misspelt ones look like names.
_WORD = re.compile(r"[^\W\d_]{4,}")
#: A word of a single row is unknown: the corpus cannot confirm it.
_LEAST_ROWS = 2


@dataclass(frozen=True)
class Vocabulary:
    """Counts of rows per word, and the usual share of unknown words by language."""

    rows: Mapping[str, int]
    usual: Mapping[str, float]

    @staticmethod
    def of(dialogues: Iterable[Sequence[Message]], languages: Sequence[str]) -> Vocabulary:
        """Count the words of a corpus: its dialogues and the language of each."""
        counts: Counter[str] = Counter()
        parts: list[tuple[set[str], set[str]]] = []
        for dialogue in dialogues:
            asked, answered = _words(dialogue, "user"), _words(dialogue, "assistant")
            counts.update(asked | answered)
            parts.append((answered - asked, answered))
        shares: dict[str, list[float]] = {}
        for (added, answered), language in zip(parts, languages, strict=True):
            shares.setdefault(language, []).append(_share(counts, added, answered))
        return Vocabulary(counts, {name: median(values) for name, values in shares.items()})

    def unknown_words(self, dialogue: Sequence[Message], language: str) -> float:
        """Return the share of the answers' words that only this row has, above the usual share.

        The usual share falls as a corpus grows, so that small and large corpora compare.
        """
        answered = _words(dialogue, "assistant")
        share = _share(self.rows, answered - _words(dialogue, "user"), answered)
        return max(0.0, share - self.usual.get(language, 0.0))


def _words(dialogue: Sequence[Message], role: str) -> set[str]:
    return {
        word.casefold()
        for turn in dialogue
        if turn["role"] == role
        for word in _WORD.findall(turn["content"])
    }


def _share(counts: Mapping[str, int], added: set[str], answered: set[str]) -> float:
    if not answered:
        return 0.0
    return sum(counts.get(word, 0) < _LEAST_ROWS for word in added) / len(answered)
