"""Makes mutants: rows damaged in one known way, which the evaluator must score below real rows."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from itertools import chain

import polars as pl

from vox_assets.curate.features import PROSE
from vox_assets.store.cache import content_key

#: Kind of mutant -> description of the damage.
KINDS: Mapping[str, str] = {
    "swapped": "the answer of another row of the same language",
    "stubbed": "bodies replaced by a placeholder, or prose by a promise",
    "cut": "the answer ends somewhere in its second half",
    "shuffled": "lines of code, or words of prose, in another order",
    "repeated": "one part of the answer said over and over",
    "noised": "letters replaced at random",
    "vague": "the instruction replaced by one that names nothing",
}

_VAGUE = (
    "Write some code that does the usual thing.",
    "Make it work like before.",
    "Do something like the previous example.",
    "Can you help me with this one?",
    "Write the code as shown above.",
    "Explain how this works.",
    "Please finish that for me.",
)
_NOISE_SHARE = 0.06
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def in_fit(pair_id: str) -> bool:
    """Whether a row is in the half that weights are fitted on; the other half tests the fit."""
    return int(pair_id[:2], 16) % 2 == 0


def plant(rows: pl.DataFrame, per_kind: int, seed: int) -> pl.DataFrame:
    """Make up to `per_kind` mutants of each kind.

    `rows` needs `pair_id`, `prompt`, `response`, `language`. Returns its columns with a changed
    prompt or response, plus `mutant` (the kind). A row that the damage does not change, such as a
    single line to shuffle, gives no mutant. The same seed and rows give the same mutants. Most
    mutants stay the same when rows are added or removed, so their features stay in the cache.
    """
    language = dict(rows.select("pair_id", "language").iter_rows())
    mutants = []
    for kind in KINDS:
        chances = {item: content_key(str(seed), kind, item) for item in language}
        order = sorted(chances, key=chances.__getitem__)
        # Swap with the next row of the same language.
        others = {
            item: next(
                (o for o in chain(order[n + 1 :], order[:n]) if language[o] == language[item]), item
            )
            for n, item in enumerate(order[:per_kind])
        }
        texts = rows.filter(pl.col("pair_id").is_in([*others, *others.values()]))
        records = {record["pair_id"]: record for record in texts.to_dicts()}
        for item, other in others.items():
            record, rng = records[item], random.Random(chances[item])
            if kind == "vague":
                spoilt = {"prompt": rng.choice(_VAGUE)}
            elif kind == "swapped":
                spoilt = {"response": records[other]["response"]}
            else:
                spoilt = {"response": _SPOIL[kind](record["response"], record["language"], rng)}
            mutant = {**record, **spoilt, "mutant": kind}
            changed = any(mutant[part] != record[part] for part in ("prompt", "response"))
            if changed and mutant["response"]:
                mutants.append(mutant)
    return pl.DataFrame(mutants, schema={**rows.schema, "mutant": pl.String()})


def _stub(answer: str, language: str, rng: random.Random) -> str:
    if language in PROSE:
        return rng.choice(
            ("TODO: describe this section.", "To be written.", "Content coming soon.")
        )
    first = answer.find("{")
    if first < 0:
        return "// TODO: implement"
    last = answer.rfind("}")
    filler = rng.choice(("todo!()", "unimplemented!()")) if language == "rust" else "// TODO"
    # An impl or component keeps its header, and so does the first function inside it.
    inner = re.search(r"\bfn\b[^{]*\{", answer)
    first = inner.end() - 1 if inner else first
    closing = answer[last:] if answer.count("{", 0, first) == 0 else "}\n" + answer[last:]
    return f"{answer[: first + 1]}\n    {filler}\n{closing}"


def _cut(answer: str, _language: str, rng: random.Random) -> str:
    return answer[: rng.randint(len(answer) // 2, max(len(answer) // 2, len(answer) * 9 // 10))]


def _shuffle(answer: str, language: str, rng: random.Random) -> str:
    if language in PROSE:
        words = answer.split(" ")
        rng.shuffle(words)
        return " ".join(words)
    lines = answer.splitlines()
    rng.shuffle(lines)
    return "\n".join(lines)


def _repeat(answer: str, language: str, rng: random.Random) -> str:
    parts = re.split(r"(?<=[.!?])\s+", answer) if language in PROSE else answer.splitlines()
    parts = [part for part in parts if len(part.strip()) > 3] or [answer]
    chosen = rng.choice(parts)
    joiner = " " if language in PROSE else "\n"
    return answer + joiner + joiner.join([chosen] * max(4, len(parts)))


def _noise(answer: str, _language: str, rng: random.Random) -> str:
    letters = [i for i, character in enumerate(answer) if character.isalpha()]
    changed = list(answer)
    for position in rng.sample(letters, max(1, int(len(letters) * _NOISE_SHARE)) if letters else 0):
        changed[position] = rng.choice(_LETTERS)
    return "".join(changed)


_SPOIL = {
    "stubbed": _stub,
    "cut": _cut,
    "shuffled": _shuffle,
    "repeated": _repeat,
    "noised": _noise,
}
