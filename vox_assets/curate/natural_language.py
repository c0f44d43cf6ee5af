"""Finds text in other natural languages than English, by its letters and its commonest words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
#: The commonest words of languages, none of them a common English word.
_FUNCTION_WORDS: Mapping[str, frozenset[str]] = {
    "English": frozenset(
        "the of and to a in is that for it as with on by are this be at or from an not "
        "but which have has can when if its will no each all only one so than then into "
        "any these must should does".split()
    ),
    "German": frozenset(
        "der das und ist nicht ein eine einen einem einer mit für auf von zu den dem des "
        "sich wird werden auch als aus bei oder nach wenn wie nur im zum zur über durch "
        "sind dass".split()
    ),
    "French": frozenset(
        "le la les et est une un des du de pas dans pour qui que sur avec ce cette il "
        "elle nous vous sont par aux ou mais leur être ces au lorsque".split()
    ),
    "Spanish": frozenset(
        "el la los las y es una un de del que en por para con se su al lo como más pero "
        "sus este esta cuando cada son ser entre".split()
    ),
    "Italian": frozenset(
        "il lo la gli le è una un di del della che con non si su al come più ma questo "
        "questa quando ogni sono essere nel".split()
    ),
    "Portuguese": frozenset(
        "os é uma um de da que em por para com não se na como mais ou mas este esta "
        "quando cada são ser entre pelo pela".split()
    ),
    "Polish": frozenset(
        "nie że się jest jak ale przez dla są oraz lub gdy jeśli ich jego który która które być"
        " może jako tylko albo".split()
    ),
    "Swedish": frozenset(
        "och att det som en på är av för med till inte ett sig från eller när ska också".split()
    ),
    "Danish": frozenset(
        "og det som en på er af med til ikke et sig fra eller når skal ved også bliver".split()
    ),
    "Turkish": frozenset(
        "ve bir bu için ile da de ise olarak daha gibi olan en kadar sonra değil veya ama çok her"
        " ne eğer onu".split()
    ),
    "Czech": frozenset(
        "že jako ale nebo jen jsou aby když pokud není být jeho která který které jinak".split()
    ),
    "Indonesian": frozenset(
        "yang dan di dari ke untuk dengan ini itu tidak jika adalah akan pada oleh atau sebagai"
        " dalam juga sudah bisa harus ketika".split()
    ),
    "Dutch": frozenset(
        "de het een en niet van op met voor dat zijn aan te bij maar ook als uit naar "
        "wordt worden door om wanneer elke deze".split()
    ),
}
_LEAST_WORDS = 8
_FOREIGN_LETTERS = 0.3
#: Share of words with other letters than English has, from which prose without English words is
#: in another language: names and loan words are fewer.
_FOREIGN_WORDS = 0.12


def foreign(text: str) -> str | None:
    """Return the language of a text in another natural language than English, or a sign of it."""
    letters = [sign for sign in text if sign.isalpha()]
    if letters and len(letters) >= 2 * _LEAST_WORDS:
        latin = sum(ord(sign) < 0x250 for sign in letters)
        if latin < (1 - _FOREIGN_LETTERS) * len(letters):
            other = next(sign for sign in letters if ord(sign) >= 0x250)
            return unicodedata.name(other, "another script").split(" ")[0].title()
    # Single letters are variables.
    words = [word.casefold() for word in _WORD.findall(text) if len(word) > 1]
    if len(words) < _LEAST_WORDS:
        return None
    counts = {name: sum(w in known for w in words) for name, known in _FUNCTION_WORDS.items()}
    best = max(counts, key=lambda name: counts[name])
    is_clear = counts[best] >= 3 and counts[best] >= 2 * counts["English"]
    if best != "English" and is_clear:
        return best
    accented = [word for word in words if not word.replace("\u2019", "'").isascii()]
    has_english = counts["English"] > len(words) * _FOREIGN_WORDS / 2
    if len(accented) > _FOREIGN_WORDS * len(words) and not has_english:
        return accented[0]
    return None
