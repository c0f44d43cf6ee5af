"""Measures the features of a row that need no model, and names all features.

Each feature is a number with a stated range; `scoring` decides whether more is better. Features
that need a model are computed in `embedding` and `perplexity`.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import polars as pl

from vox_assets.curate.code_text import bare_code
from vox_assets.curate.similarity import TOKEN_PATTERN
from vox_assets.vox_syntax.parsers import PARSED, parses

#: Name -> definition and range, as in docs/features.md. The order is that of the weights.
FEATURES: Mapping[str, str] = {
    "prompt_length": "log of the prompt's words over log of 200; 0 to 1",
    "prompt_specifics": "1 - exp(-n / 8) for n distinct names, numbers and long words; 0 to 1",
    "standing_alone": (
        '1, minus one half for each phrase that refers to text outside the prompt ("as shown '
        'above"); 0 to 1'
    ),
    "answer_named": "share of the prompt's names and long words that occur in the answer; 0 to 1",
    "prompt_named": "share of the answer's name parts that occur in the prompt; 0 to 1",
    "substance": "log of the answer's tokens over log of 512; 0 to 1",
    "repetition": (
        "share of the answer's trigrams that repeat an earlier trigram: tokens of code, "
        "words of prose; 0 to 1"
    ),
    "information": "deflated bytes per token, in windows of 64 tokens, over 6; 0 to 1",
    "boilerplate_share": (
        "share of the answer's lines that are imports, attributes or references to other "
        "pages; 0 to 1"
    ),
    "stub_share": (
        "share of the answer's lines that are stubs or placeholders; a string that mentions "
        "a stub does not count; 0 to 1"
    ),
    "unknown_words": (
        "share of the answer's words of four letters or more that no other row and not the "
        "prompt has, above the median of the language; 0 to 1"
    ),
    "lone_names": (
        "share of the answer's distinct names that occur once and are not in the prompt; 0 to 1"
    ),
    "parses": "the answer parses: tree-sitter for Rust, the grammar for Vox; 0 or 1",
    "complete": (
        "the answer is not truncated: it parses, or its brackets close and its last "
        "characters can end a text; 0 or 1"
    ),
    "alignment": "cosine between the embeddings of prompt and answer; -1 to 1",
    "closer_answers": (
        "share of 400 other answers of the language that are closer to the prompt than its "
        "own answer, by their embeddings; 0 to 1"
    ),
    "neighbour_distance": "1 - cosine to the nearest other answer; 0 to 1",
    "freshness": "exp(-years) between the source's date and the newest date of the table; 0 to 1",
    "surprise": (
        "mean negative log-likelihood of the answer under the base model, after its prompt; "
        "from 0, nats"
    ),
    "ifd": (
        "instruction-following difficulty: surprise divided by the same value without the "
        "prompt; 1 when the prompt does not help; from 0"
    ),
    "model_gain": (
        "reduction of the negative log-likelihood per answer token that the prompt brings; "
        "any, nats"
    ),
    "artefacts": "number of kinds of artefacts in the answers; a row with one is dropped; from 0",
}
#: Features that need the embedding model.
EMBEDDED_FEATURES = ("alignment", "closer_answers", "neighbour_distance")
#: Features that need the language model.
MODEL_FEATURES = ("surprise", "ifd", "model_gain")

#: Languages whose answers are read as prose.
PROSE = frozenset({"markdown", "text"})
# As long as a short answer, so that the length of an answer has little effect.
_WINDOW_TOKENS = 64
# Deflated bytes per token of identifiers without repeats: ordinary answers rarely exceed it.
_RICH_BYTES_PER_TOKEN = 6.0

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_TOKEN = re.compile(TOKEN_PATTERN)

# Words that every instruction uses, and that therefore do not describe the task.
_TASK_WORDS = frozenset(
    """write implement create complete define explain following function method program code rust
    vox module crate that this with from which should return returns value result using given each
    where when then into type types struct field fields named takes parameter parameters please
    example answer question describe documentation section page language signature""".split()
)
_LONG_WORD = 6

_POINTS_OUTSIDE = re.compile(
    r"\b(?:(?:the|as|see|shown|listed)\s+(?:above|below)|previous(?:ly)?\s+(?:section|example|shown)"
    r"|(?:this|the same|that)\s+(?:thing|stuff|one|way)|as\s+usual|something\s+like|some\s+code"
    r"|do\s+it|make\s+it\s+work|the\s+usual)\b",
    re.IGNORECASE,
)
# A string that mentions a stub is not a stub: no quote may precede the macro.
_STUB_LINE = re.compile(
    r"^[^\"]*\b(?:todo|unimplemented)!|panic!\(\"(?:not|todo|stub)|^\s*(?://|#)\s*(?:todo|fixme"
    r"|\.\.\.|your code|implementation)|^\s*\.\.\.\s*$|^\s*pass\s*$"
    # In capitals, and in a comment or at the start: a to-do list in prose is not a stub.
    r"|(?:^\s*|//.*|#.*)(?-i:\b(?:TODO|FIXME|TBD)\b)"
    r"|^\W*(?:content\s+)?(?:coming soon|to be (?:written|documented|added))\b",
    re.IGNORECASE,
)
_EMPTY_BODY = re.compile(r"\)\s*(?:(?:->|to)\s*[^{}]*)?\{\s*\}")
_BOILERPLATE_LINE = re.compile(
    r"^\s*(?:(?:pub(?:\([^)]*\))?\s+)?use\s[^;]*;|import\s|extern\s+crate\s|#!?\[|mod\s+\w+;"
    r"|(?:[-*+>]\s+)?(?:\*\*)?(?:see also|next steps?|back to|table of contents|related(?: pages)?"
    r"|further reading)\b)",
    re.IGNORECASE,
)
_OPENING, _CLOSING = "([{", ")]}"
_PROSE_END = re.compile(r"[.!?:)`\"'*_>|\]]\s*$")
_LIST_LINE = re.compile(r"^\s*(?:[-*+]|\d+[.)]|\|)")


def measure(prompt: str, answer: str, language: str) -> dict[str, float]:
    """Measure the model-free features of a row."""
    prompt_names = _names(prompt)
    answer_tokens = _TOKEN.findall(answer)
    answer_parts = _parts(answer)
    is_prose = language in PROSE
    good_syntax = parses(language, answer)
    return {
        "prompt_length": min(1.0, math.log1p(len(prompt.split())) / math.log(200)),
        "prompt_specifics": 1.0 - math.exp(-len(prompt_names) / 8),
        "standing_alone": max(0.0, 1.0 - len(_POINTS_OUTSIDE.findall(prompt)) / 2),
        "answer_named": _share_in(prompt_names, _stems(answer)),
        "prompt_named": _share_in(answer_parts, _stems(prompt)),
        "substance": min(1.0, math.log1p(len(answer_tokens)) / math.log(512)),
        # Only words of prose count: Markdown markup repeats by nature.
        "repetition": _repetition(_WORD.findall(answer) if is_prose else answer_tokens),
        "information": _information(answer),
        "boilerplate_share": _boilerplate_share(answer),
        "stub_share": _stub_share(answer),
        "lone_names": _lone_names(answer, prompt),
        "parses": float(good_syntax),
        # Code that parses is complete; the end of the text is inspected only for other answers.
        "complete": float((good_syntax and language in PARSED) or is_complete(answer, is_prose)),
    }


def freshness(dates: pl.Series) -> np.ndarray:
    """Compute exp(-age in years) against the newest date in the column; 1 without a date."""
    parsed = dates.str.to_date(strict=False)
    newest = parsed.max()
    if newest is None:
        return np.ones(len(dates))
    years = (newest - pl.col("date")).dt.total_days() / 365.25
    return parsed.to_frame("date").select((-years).exp().fill_null(1.0)).to_series().to_numpy()


def guidance(prompted: np.ndarray, alone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute IFD and model gain from an answer's mean NLL with and without its prompt, in nats."""
    # Where the NLL without the prompt is 0, the prompt gains nothing: a ratio of 1.
    return np.where(alone > 0, prompted / np.maximum(alone, 1e-9), 1.0), alone - prompted


def _names(text: str) -> set[str]:
    """Return names, numbers and long words of a text, in lower case and without task words."""
    names = set(_NUMBER.findall(text))
    for word in _WORD.findall(text):
        lowered = word.lower()
        is_name = "_" in word or not (word.islower() or word.istitle())
        if lowered not in _TASK_WORDS and (is_name or len(word) >= _LONG_WORD):
            names.add(lowered)
    return names


@lru_cache(maxsize=4)
def _stems(text: str) -> frozenset[str]:
    """Return words, name parts and numbers of a text, roughly stemmed, to match names against."""
    stems = set(_NUMBER.findall(text))
    for word in _WORD.findall(text):
        stems.add(word.lower())
        stems.update(_stem(part.lower()) for part in _PART.findall(word))
    return frozenset(stems)


def _stem(word: str) -> str:
    for ending in ("ations", "ation", "ings", "ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def _parts(text: str) -> set[str]:
    counted = {part.lower() for word in _WORD.findall(text) for part in _PART.findall(word)}
    return {part for part in counted if len(part) > 3 and part not in _TASK_WORDS}


def _share_in(wanted: set[str], stems: frozenset[str]) -> float:
    if not wanted:
        return 0.0
    hits = sum(
        name in stems
        or _stem(name) in stems
        or ("_" in name and all(_stem(part) in stems for part in name.split("_") if part))
        for name in wanted
    )
    return hits / len(wanted)


def _repetition(tokens: list[str]) -> float:
    trigrams = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
    return 1.0 - len(set(trigrams)) / len(trigrams) if trigrams else 0.0


def _stub_share(answer: str) -> float:
    lines = [line for line in answer.splitlines() if line.strip(" \t{}()")]
    if not lines:
        return 1.0
    stubs = sum(bool(_STUB_LINE.search(line)) for line in lines) + len(_EMPTY_BODY.findall(answer))
    return min(1.0, stubs / len(lines))


def _lone_names(answer: str, prompt: str) -> float:
    counts = Counter(word.lower() for word in _WORD.findall(answer))
    if not counts:
        return 1.0
    known = _stems(prompt)
    return sum(n == 1 and name not in known for name, n in counts.items()) / len(counts)


def _information(answer: str) -> float:
    """Compute deflated bytes per token, by windows: a longer text would compress better."""
    starts = [token.start() for token in _TOKEN.finditer(answer)]
    packed = 0
    for first in range(0, len(starts), _WINDOW_TOKENS):
        after = first + _WINDOW_TOKENS
        end = starts[after] if after < len(starts) else len(answer)
        # Raw deflate: the header of a zlib stream would dominate in a short window.
        packer = zlib.compressobj(level=6, wbits=-15)
        window = answer[starts[first] : end].encode("utf-8", "replace")
        packed += len(packer.compress(window)) + len(packer.flush())
    return min(1.0, packed / len(starts) / _RICH_BYTES_PER_TOKEN) if starts else 0.0


def _boilerplate_share(answer: str) -> float:
    lines = [line for line in answer.splitlines() if line.strip()]
    if not lines:
        return 1.0
    return sum(bool(_BOILERPLATE_LINE.match(line)) for line in lines) / len(lines)


def is_complete(answer: str, is_prose: bool) -> bool:
    """Return whether an answer ends as prose or code ends, judged by its last characters."""
    text = answer.rstrip()
    if not text:
        return False
    if is_prose:
        last = text.splitlines()[-1]
        return bool(_PROSE_END.search(text) or _LIST_LINE.match(last)) and text.count("`") % 2 == 0
    return _brackets_close(text) and text[-1] not in ",.=+-*/&|<("


def _brackets_close(text: str) -> bool:
    """Whether brackets balance outside of literals and comments."""
    depth = Counter[str]()
    for character in bare_code(text):
        if character in _OPENING:
            depth[character] += 1
        elif character in _CLOSING:
            depth[_OPENING[_CLOSING.index(character)]] -= 1
    return not any(depth.values())
