"""Finds the survivor that a row duplicates, row after row in order of preference."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from vox_assets.compute.batches import Engine
from vox_assets.curate import copies
from vox_assets.curate.compared import Compared
from vox_assets.curate.conflicts import PEERS, contradict
from vox_assets.curate.shape import skeleton
from vox_assets.curate.similarity import NearIndex, jaccard, shingle
from vox_assets.profiles import Dedup

#: What two rows must have in common to be duplicates.
By = Literal["answer", "prompt", "both"]

#: Rows whose cosines to the survivors are computed at once, and survivors in one tile of them.
BLOCK_ROWS, TILE_ROWS = 512, 16_384
#: An embedding covers the beginning of a text: of prose beyond this many characters, which are
#: about as many as the model reads, the tokens must agree too.
EMBEDDED_CHARACTERS = 1_000
#: Jaccard from which prose that the embedding model does not read counts as near. Lower than for
#: other prose, because a word of Chinese is two tokens here and an edit touches more shingles.
UNREAD_JACCARD = 0.65
#: Cosine from which two prompts ask for the same, where the answers are nearly the same text, and
#: where the answers only mean the same. "Describe the run!" and "Describe the run politely." have
#: 0.71, two questions about one subject 0.4 to 0.6.
SAME_TASK_COSINE, SAME_QUESTION_COSINE = 0.7, 0.8
#: Share of the pairs of signs that two prompts have in common where they ask for the same, in a
#: script that the embedding model does not read: two ways to say "how" in a question of ten signs.
SAME_SIGNS = 0.45
#: Share of the words that two prompts have in common, names replaced, where they ask for the same
#: code under other names.
SAME_WORDS = 0.9
#: Rows that are looked at one by one for a row: those that continue its text, or ask like it. One
#: is enough, others may have lost.
LOOKED_AT = 64


class Loss(NamedTuple):
    """Why a row is a duplicate: the position of the survivor, the similarity, and the evidence.

    A dialogue that repeats several rows names them all in `also`.
    """

    winner: int
    similarity: float
    how: str
    also: tuple[int, ...] = ()


class DuplicateFinder:
    """Compares rows with earlier survivors; the caller passes rows in order of preference."""

    def __init__(
        self,
        rows: Compared,
        groups: Sequence[Hashable],
        vectors: np.ndarray,
        prompt_vectors: np.ndarray | None,
        order: np.ndarray,
        policy: Dedup,
        by: By,
        engine: Engine,
    ) -> None:
        """`groups` holds a key per row: meaning is compared within equal keys only."""
        self._rows, self._policy, self._by = rows, policy, by
        self._vectors = vectors
        self._prompt_vectors = vectors if prompt_vectors is None else prompt_vectors
        self._compared = self._prompt_vectors if by == "prompt" else vectors
        self._rank = np.empty(len(rows), np.int64)
        self._rank[order] = np.arange(len(rows))
        texts = [copies.normalise(text) for text in rows.prompts] if by == "prompt" else rows.texts
        self._texts = texts
        # The turns of dialogues are texts of their own, after those of the rows.
        self._turns_of: dict[int, range] = {}
        self._turn_prompts: list[str] = []
        units = list(texts)
        if by != "prompt":
            for row, exchanges in enumerate(rows.exchanges):
                if exchanges:
                    self._turns_of[row] = range(len(units), len(units) + len(exchanges))
                    units += [copies.normalise(answer) for _, answer in exchanges]
                    self._turn_prompts += [copies.bare_prompt(asked) for asked, _ in exchanges]
        self._owner = np.arange(len(units))
        for row, turns in self._turns_of.items():
            self._owner[turns.start : turns.stop] = row
        self._units = units
        self._is_dialogue = np.zeros(len(units), bool)
        self._is_dialogue[list(self._turns_of)] = True
        self.shingles = shingle(units, engine)
        #: The shingles of the answers, by row.
        self.answer_shingles = shingle(rows.texts, engine) if by == "prompt" else self.shingles
        self._unread = rows.prompts_beyond_latin if by == "prompt" else rows.beyond_latin
        self._index = NearIndex(self.shingles, engine)
        self._equal: dict[Hashable, Loss] = {}
        self._shapes: dict[str, list[int]] = {}
        self._shaped = self._rows_with_twins() if by != "prompt" else set()
        self._shaped_prompts: dict[tuple[str, str], int] = {}
        self._asked: dict[int, list[int]] = {}
        self._equal_turns: dict[tuple[str, str], int] = {}
        numbers: dict[Hashable, int] = {}
        self._group = np.array([numbers.setdefault(key, len(numbers)) for key in groups], np.int64)
        self._alive = np.zeros(len(rows), bool)
        self._in_group: dict[int, list[int]] = {}
        self._meant_alike: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._asked_alike: dict[int, np.ndarray] = {}
        self._lengths = np.array([len(text) for text in texts], np.int64)
        self._continued_by = self._continuations() if by != "prompt" else {}

    # The caller's side --------------------------------------------------------------------------

    def prepare(self, block: np.ndarray) -> None:
        """Compute the cosines of a block of rows to the survivors so far and to each other."""
        rows = self._rows
        self._meant_alike, self._asked_alike = {}, {}
        if self._by == "both":
            block = block[~rows.short[block]]
            read = ~rows.short & ~rows.prompts_beyond_latin
            members = block[read[block]]
            others = np.concatenate((np.flatnonzero(self._alive & read), members))
            for row, found, _ in self._alike(
                members, others, self._prompt_vectors, SAME_TASK_COSINE, rows.prompt_stances
            ):
                self._asked_alike[row] = found
        facts = rows.prompt_facts if self._by == "prompt" else rows.facts
        block = block[~self._unread[block]]
        for group in np.unique(self._group[block]).tolist():
            members = block[self._group[block] == group]
            others = np.concatenate((np.array(self._in_group.get(group, ()), np.int64), members))
            threshold = self._meaning_threshold(int(members[0]))
            # By answer, code that differs in a number may still be the same.
            stated = None if self._by == "answer" and rows.code[members[0]] else facts
            for row, found, cosines in self._alike(
                members, others, self._compared, threshold, stated
            ):
                self._meant_alike[row] = found, cosines

    def _alike(
        self,
        members: np.ndarray,
        others: np.ndarray,
        vectors: np.ndarray,
        threshold: float,
        facts: np.ndarray | None,
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield each member with the others at cosine >= `threshold` and of equal facts."""
        parts = []
        for start in range(0, len(others), TILE_ROWS):
            tile = others[start : start + TILE_ROWS]
            cosines = vectors[members] @ vectors[tile].T
            alike = cosines >= threshold
            if facts is not None:
                alike &= facts[members][:, None] == facts[tile]
            left, right = np.nonzero(alike)
            parts.append((left, tile[right], cosines[left, right].astype(np.float64)))
        if not parts:
            return
        left, right, found = (np.concatenate(column) for column in zip(*parts, strict=True))
        if len(parts) > 1:
            order = np.argsort(left, kind="stable")
            left, right, found = left[order], right[order], found[order]
        bounds = np.searchsorted(left, np.arange(len(members) + 1))
        for number, row in enumerate(members.tolist()):
            part = slice(bounds[number], bounds[number + 1])
            # Each row is like itself.
            if part.stop - part.start > 1:
                yield row, right[part], found[part]

    def find(self, row: int) -> Loss | None:
        """Return why a row is a duplicate of a survivor, by the strongest evidence, or None."""
        loss = self._find(row)
        if loss is not None:
            # A row that equals this one lost to the same survivor, by the same evidence.
            for key in self._equal_keys(row):
                self._equal.setdefault(key, loss)
        return loss

    def add(self, row: int) -> None:
        """Make a row a survivor, which later rows can lose to."""
        self._alive[row] = True
        if not self._only_equal(row):
            self._index.add(row)
            self._in_group.setdefault(int(self._group[row]), []).append(row)
        for key in self._equal_keys(row):
            self._equal.setdefault(key, Loss(row, 1.0, "exact"))
        if (shape := self._shape_of(row)) is not None:
            self._shaped_prompts.setdefault((shape, self._rows.prompt_in_shape(row)), row)
            known = self._shapes.setdefault(shape, [])
            if len(known) < PEERS:
                known.append(row)
        if self._by == "prompt":
            known = self._asked.setdefault(int(self._rows.prompt_numbers[row]), [])
            if len(known) < PEERS:
                known.append(row)
        for unit in self._turns_of.get(row, ()):
            self._equal_turns.setdefault(self._turn_key(unit), row)
            self._index.add(unit)
        if row not in self._turns_of:
            self._equal_turns.setdefault(self._turn_key(row), row)

    # Evidence -----------------------------------------------------------------------------------

    def _find(self, row: int) -> Loss | None:
        for key in self._equal_keys(row):
            if key in self._equal:
                return self._equal[key]
        if self._by == "prompt":
            for other in self._asked.get(int(self._rows.prompt_numbers[row]), ()):
                if not self._contradict(row, other):
                    return Loss(other, 1.0, "exact")
        if self._only_equal(row):
            return None
        return (
            self._same_answer(row)
            or self._near(row)
            or self._cut(row)
            or self._renamed(row)
            or self._repeated_turns(row)
            or self._meant(row)
        )

    def _only_equal(self, row: int) -> bool:
        """Whether only an equal prompt and an equal answer make a row a duplicate."""
        return self._by == "both" and bool(self._rows.short[row])

    def _equal_keys(self, row: int) -> list[Hashable]:
        """Return keys that two rows share when their texts are equal."""
        rows = self._rows
        if self._by == "prompt":
            return []
        asked = rows.bare_prompts[row] if self._by == "both" else ""
        keys: list[Hashable] = [("text", rows.texts[row], asked)]
        if not rows.code[row]:
            keys.append(("bare", rows.bare_answers[row], asked))
        return keys

    def _same_answer(self, row: int) -> Loss | None:
        """Return a loss to an equal answer whose prompt asks for the same in other words."""
        others = self._asked_alike.get(row)
        if others is None:
            return None
        numbers = self._rows.answer_numbers
        others = others[self._alive[others] & (numbers[others] == numbers[row])]
        if not len(others):
            return None
        return Loss(int(others[np.argmin(self._rank[others])]), 1.0, "exact")

    def _near(self, row: int) -> Loss | None:
        found = self._index.candidates(row)
        # Turns of dialogues are compared with turns only.
        found = self._agreeing(row, found[found < len(self._rows)], near=True)
        if self._unread[row]:
            both_unread = self._unread[found]
            close = self._nearest(row, found[both_unread], UNREAD_JACCARD)
            return close or self._nearest(row, found[~both_unread], self._policy.near_jaccard)
        return self._nearest(row, found, self._policy.near_jaccard)

    def _nearest(self, row: int, others: np.ndarray, threshold: float) -> Loss | None:
        for _ in range(PEERS):
            closest = self._index.closest(row, others, self._rank, threshold)
            if closest is None:
                return None
            if not self._contradict(row, closest[0]):
                return Loss(closest[0], closest[1], "near")
            others = others[others != closest[0]]
        return None

    def _renamed(self, row: int) -> Loss | None:
        """Return a loss to code that differs in names, if the prompts differ in the same names.

        The shape of code alone proves little: every struct of three fields has the same.
        """
        shape = self._shape_of(row)
        if shape is None or shape not in self._shapes:
            return None
        asked = self._rows.prompt_in_shape(row)
        equal = self._shaped_prompts.get((shape, asked))
        if equal is not None:
            return Loss(equal, 1.0, "renamed")
        words = set(asked.split())
        for other in self._shapes[shape]:
            others = set(self._rows.prompt_in_shape(other).split())
            if len(words & others) >= SAME_WORDS * len(words | others):
                return Loss(other, 1.0, "renamed")
        return None

    def _rows_with_twins(self) -> set[int]:
        """Return the rows of code whose signs occur twice: only they can have an equal shape."""
        alone: dict[str, int] = {}
        found: set[int] = set()
        for row in np.flatnonzero(self._rows.code).tolist():
            if row in self._turns_of or self._only_equal(row):
                continue
            first = alone.setdefault(skeleton(self._texts[row]), row)
            if first != row:
                found |= {first, row}
        return found

    def _shape_of(self, row: int) -> str | None:
        return self._rows.shape(row) if row in self._shaped else None

    def _meant(self, row: int) -> Loss | None:
        if row not in self._meant_alike:
            return None
        found, cosine = self._meant_alike[row]
        alive = self._alive[found]
        found, cosine = found[alive], cosine[alive]
        agreed = np.isin(found, self._agreeing(row, found, near=False))
        found, cosine = found[agreed], cosine[agreed]
        if not len(found):
            return None
        code = self._by != "prompt" and bool(self._rows.code[row])
        long = np.maximum(self._lengths[found], self._lengths[row]) > EMBEDDED_CHARACTERS
        verified = long | code
        if verified.any():
            kept = ~verified | self._index.at_least(row, found, self._policy.semantic_code_jaccard)
            found, cosine, verified = found[kept], cosine[kept], verified[kept]
        for place in np.lexsort((self._rank[found], -cosine))[:PEERS].tolist():
            other = int(found[place])
            if self._contradict(row, other):
                continue
            if verified[place] and self._jaccard(row, other) < self._policy.semantic_code_jaccard:
                continue
            return Loss(other, float(cosine[place]), "semantic")
        return None

    def _agreeing(self, row: int, others: np.ndarray, near: bool) -> np.ndarray:
        """Select the rows that state the same facts and, by both, that ask for the same."""
        rows = self._rows
        if self._by == "prompt":
            return others[rows.prompt_facts[others] == rows.prompt_facts[row]]
        same_facts = rows.facts[others] == rows.facts[row]
        if self._by == "answer":
            if near or rows.code[row]:
                # Different facts under one prompt are a conflict.
                same_facts |= rows.prompt_numbers[others] != rows.prompt_numbers[row]
            return others[same_facts]
        others = self._asking_alike(row, others[same_facts])
        if near or not len(others):
            return others
        cosine = self._prompt_vectors[others] @ self._prompt_vectors[row]
        closer = (cosine >= SAME_QUESTION_COSINE) & (
            rows.prompt_facts[others] == rows.prompt_facts[row]
        )
        return others[closer | (rows.prompt_numbers[others] == rows.prompt_numbers[row])]

    def _asking_alike(self, row: int, others: np.ndarray) -> np.ndarray:
        """Select the rows whose prompts ask for the same, by meaning or word for word."""
        rows = self._rows
        alike = np.isin(others, self._asked_alike.get(row, ()))
        alike |= rows.prompt_numbers[others] == rows.prompt_numbers[row]
        if rows.prompts_beyond_latin[row]:
            unread = np.flatnonzero(rows.prompts_beyond_latin[others] & ~alike)
            for place in unread[np.argsort(self._rank[others[unread]])][:LOOKED_AT].tolist():
                shared = copies.signs_in_common(rows.prompts[row], rows.prompts[others[place]])
                alike[place] = shared >= SAME_SIGNS
        return others[alike]

    def _jaccard(self, row: int, other: int) -> float:
        return float(jaccard(self.shingles, np.array([row]), np.array([other]))[0])

    def _contradict(self, row: int, other: int) -> bool:
        return contradict(self._rows, self.answer_shingles, self._vectors, row, other)

    def _meaning_threshold(self, row: int) -> float:
        code = self._by != "prompt" and self._rows.code[row]
        return self._policy.semantic_code if code else self._policy.semantic_prose

    # Texts that were cut off --------------------------------------------------------------------

    def _continuations(self) -> dict[int, list[int]]:
        """Map each row whose text was cut off to rows whose text goes on."""
        rows = self._rows
        cut = np.flatnonzero(rows.cut_off & ~rows.short).tolist()
        if not cut:
            return {}
        ordered = sorted(range(len(rows)), key=lambda row: self._texts[row])
        sorted_texts = [self._texts[row] for row in ordered]
        found: dict[int, list[int]] = {}
        for row in cut:
            # The last word may be half a word.
            start = self._texts[row].rsplit(" ", 1)[0]
            place = bisect_left(sorted_texts, start)
            for other in ordered[place : place + LOOKED_AT]:
                if not self._texts[other].startswith(start):
                    break
                if len(self._texts[other]) > len(self._texts[row]):
                    found.setdefault(row, []).append(other)
        return found

    def _cut(self, row: int) -> Loss | None:
        if row not in self._continued_by:
            return None
        others = np.array(self._continued_by[row], np.int64)
        others = others[self._alive[others] & (self._rows.code[others] == self._rows.code[row])]
        if self._by == "both":
            others = self._asking_alike(row, others)
        if not len(others):
            return None
        whole = int(others[np.argmin(self._rank[others])])
        return Loss(whole, float(self._lengths[row] / self._lengths[whole]), "cut-off")

    # Dialogues ----------------------------------------------------------------------------------

    def _repeated_turns(self, row: int) -> Loss | None:
        """Return a loss when every answer of a dialogue repeats an answer of a survivor."""
        if row not in self._turns_of:
            return None
        winners: list[int] = []
        lowest = 1.0
        for unit in self._turns_of[row]:
            if (winner := self._equal_turns.get(self._turn_key(unit))) is not None:
                winners.append(winner)
                continue
            if self._by == "both":
                return None
            found = self._index.candidates(unit)
            # A dialogue as a whole is no turn.
            found = found[(found >= len(self._rows)) | ~self._is_dialogue[found]]
            closest = self._index.closest(
                unit, found, self._rank[self._owner], self._policy.near_jaccard
            )
            if closest is None:
                return None
            winners.append(int(self._owner[closest[0]]))
            lowest = min(lowest, closest[1])
        return Loss(winners[0], lowest, "turn-by-turn", tuple(winners))

    def _turn_key(self, unit: int) -> tuple[str, str]:
        """Return what two turns share when they are equal."""
        if self._by != "both":
            return self._units[unit], ""
        rows = len(self._rows)
        asked = self._rows.bare_prompts[unit] if unit < rows else self._turn_prompts[unit - rows]
        return self._units[unit], asked
