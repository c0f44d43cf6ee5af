"""Judges texts as copies: what two copies have in common, what sets them apart, which is cleaner.

Dedup compares texts by these definitions, so that white space, wrapping and characters that nobody
sees hide no copy, and a changed number hides behind no similarity.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from itertools import islice, pairwise

from vox_assets.contract.answers import FENCED_BLOCK
from vox_assets.curate.features import is_complete
from vox_assets.curate.trim import without_chatter

#: Answers with fewer letters are labels, numbers and short facts: equal ones say nothing about
#: their rows, and different ones to one prompt contradict each other.
SHORT_LETTERS = 80
#: Letters of Latin script per sign of Chinese, Japanese or Korean, roughly.
_LETTERS_PER_SIGN = 3
#: Letters of a text in capitals from which on it counts as shouted, and the letters that it takes.
_SHOUTED_SHARE, _SHOUTED_LETTERS = 0.7, 24

# Control and format characters, fillers and variation selectors: removed before a comparison.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U000e0000-\U000e0fff]+"
)
# Characters that a clean copy does not have. The joiners of Persian, Hindi and emoji and the wide
# blank of Japanese belong to their texts.
_ODD = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00a0\u00ad\u200b\u200e\u200f\u2000-\u200a"
    "\u2028-\u202f\u205f-\u206f\ufeff\ufff0-\uffff\U000e0000-\U000e0fff]"
)
_QUOTED_LINE = re.compile(r"^[ \t]*>[ \t]?", re.MULTILINE)

_NUMBER = r"\d+(?:[.,]\d+)*"
# Words, numbers with their sign, and signs that carry a meaning of their own; other marks are left
# out, so that case, punctuation and Markdown markup make no difference.
_BARE = re.compile(
    rf"(?<!\w)-(?=\d)|{_NUMBER}|\w+|[^\w\s.,;:!?\"'()\[\]{{}}*`#\u2026\u201c\u201d\u2018\u2019«»\u2013\u2014-]"
)
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_UNIT = (
    r"(?:%|°|[numµ]?s|min|sec|h|d|[kmgt]i?b?|b|[kmg]?hz|px|pt|em|[nmcdk]?m|[mk]?g|m?l|[mk]?[vw])"
)
# A number, with its sign and the unit behind it.
_FACT_NUMBER = re.compile(rf"(?:(?<![\w.])-?{_NUMBER}|\d+)(?: ?{_UNIT}(?!\w))?", re.IGNORECASE)
# A name: in a code span, with an underscore, or with a capital or digit inside.
_NAME = re.compile(
    r"`([^`\n]{1,80})`|\b(\w+_\w+|[A-Za-z]+\d\w*|[a-z]+[A-Z]\w*|[A-Z]+[a-z]+[A-Z]\w*)\b"
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|cannot|without|neither|nor|nothing|nobody)\b|n['\u2019]t\b",
    re.IGNORECASE,
)
#: Words of which one says the opposite of another; their first letters tell them apart.
_POLAR = re.compile(
    r"\b(?:true|false|yes|enabl|disabl|always|before|after|min|max|above|below|increas|decreas"
    r"|allow|den(?:y|ie)|forb|requir|optional|ascend|descend|synchron|asynchron)[a-z]*\b",
    re.IGNORECASE,
)
_POLAR_LETTERS = 4
_POLITE = frozenset("please pls plz kindly thanks thank you".split())
_CODE_LINE = re.compile(
    r"[{};]\s*$|^\s*[})\]]|^\s*(?:pub |async |const |export )*"
    r"(?:def|fn|func|function|class|struct|enum|impl|let|var|const|import|from|return|if|for|while"
    r"|#include|use|SELECT)\b.*[:;{=(]"
)


def normalise(text: str) -> str:
    """Normalise a text for comparison.

    Invisible characters, chatter and a wrapper around the whole text (a fence, quote marks) go,
    Unicode is NFKC, and each run of white space is one space.
    """
    return " ".join(unicodedata.normalize("NFKC", _content(text)).split())


def _content(text: str) -> str:
    """Return a text without invisible characters, chatter and a wrapper around the whole."""
    return unwrapped(without_chatter(_INVISIBLE.sub("", text)))


def unwrapped(text: str) -> str:
    """Return the code of a text that is one fenced block, and a quoted text without its marks."""
    code = _whole_block(text)
    if code is not None:
        return code.strip("\n")
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and all(line.lstrip().startswith(">") for line in lines):
        return _QUOTED_LINE.sub("", text)
    return text


def _whole_block(text: str) -> str | None:
    """Return the code of a text that is one fenced block and nothing else."""
    stripped = text.strip()
    # The first closing fence counts: a full match would run over several blocks.
    block = FENCED_BLOCK.match(stripped)
    return block["code"] if block and block.end() == len(stripped) else None


def bare(text: str) -> str:
    """Reduce prose to its words, numbers and signs: case, punctuation and markup are left out."""
    return " ".join(_BARE.findall(_GROUPED.sub("", normalise(text).casefold())))


def bare_prompt(text: str) -> str:
    """Reduce a prompt as `bare` does, and leave out words of politeness."""
    return " ".join(word for word in bare(text).split() if word not in _POLITE)


def is_short(text: str) -> bool:
    """Return whether a text has too few letters for an equal one to prove copying."""
    weights = (1 if sign < "\u2e80" else _LETTERS_PER_SIGN for sign in text if sign.isalnum())
    return sum(islice(weights, SHORT_LETTERS)) < SHORT_LETTERS


def numbers_of(text: str) -> list[str]:
    """Return the numbers in a text, sorted, without separators of thousands."""
    return sorted(_FACT_NUMBER.findall(_GROUPED.sub("", text)))


def stance_of(text: str) -> list[str]:
    """Return what a text says besides its numbers: names, negations and polar words, sorted."""
    names = {(span or name).casefold() for span, name in _NAME.findall(text)}
    polar = Counter(word[:_POLAR_LETTERS].casefold() for word in _POLAR.findall(text))
    negations = len(_NEGATION.findall(text))
    return [
        *sorted(names),
        f"not {negations}",
        *(f"{word} {n}" for word, n in sorted(polar.items())),
    ]


def digest(parts: list[str]) -> int:
    """Compute a 63-bit digest of strings, so that arrays of them can be compared."""
    joined = "\0".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(joined, digest_size=8).digest()) >> 1


def defects(text: str, is_prose: bool) -> tuple[int, int]:
    """Rate a copy, lower is better: whether it is cut off, and how many other defects it has."""
    visible = _INVISIBLE.sub("", text)
    content = unwrapped(without_chatter(visible))
    letters = sum(map(str.isalpha, content))
    capitals = sum(map(str.isupper, content))
    count = len(_ODD.findall(text)) + (content.strip() != visible.strip())
    if is_prose and letters >= _SHOUTED_LETTERS and capitals > _SHOUTED_SHARE * letters:
        count += 1
    # Prose that ends with a colon announces what was cut off.
    cut = not is_complete(content, is_prose) or (is_prose and content.rstrip().endswith(":"))
    return int(cut), count


def beyond_latin(text: str) -> bool:
    """Return whether most letters are outside the Latin script, which the models here read."""
    letters = [character for character in text if character.isalpha()]
    # Latin letters end at U+024F, apart from the letters with several accents.
    latin = sum(c <= "\u024f" or "\u1e00" <= c <= "\u1eff" for c in letters)
    return 2 * latin < len(letters)


def signs_in_common(one: str, other: str) -> float:
    """Compute the Jaccard similarity of the pairs of neighbouring signs of two texts."""
    pairs, others = (set(pairwise(text)) for text in (one, other))
    return len(pairs & others) / max(1, len(pairs | others))


def looks_like_code(text: str) -> bool:
    """Guess whether an answer is code: one fenced block, or lines of which half read as code."""
    visible = without_chatter(text)
    if _whole_block(visible) is not None:
        return True
    lines = [line[:400] for line in unwrapped(visible).splitlines() if line.strip()]
    return bool(lines) and 2 * sum(bool(_CODE_LINE.search(line)) for line in lines) >= len(lines)
