"""Judges a value by itself: random, a password, a placeholder, or words of a program."""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from itertools import pairwise

from vox_assets.curate.secrets.examples import is_documented
from vox_assets.curate.secrets.patterns import compiled

# The 200 most frequent pairs of letters in the documentation and the sources of Python's standard
# library, as first letter and what follows it. They are 90% of the pairs in words and names, and
# 30% of those in random letters.
_PAIRS = {
    first + second
    for group in (
        "a:bcdgilmnprstuy b:aeilou c:aehiklortu d:adeiosu e:acdefglmnprstvx f:aefiloru g:einrs "
        "h:aeio i:abcdefglmnoprstvz k:es l:adeilostuy m:aeiopsu n:acdefginostuv "
        "o:bcdlmnoprstuvw p:aeiloprt q:u r:acdegimnorstuy s:acehilopstuy t:acehilorstuy "
        "u:abceilmnprst v:aei w:aeir x:t z:e"
    ).split()
    for first, seconds in [group.split(":")]
    for second in seconds
}
# Of 5,000 random values of 20 letters and digits, 3% have a larger share of frequent pairs.
_WORDS = 0.6
# Names of letters alone, such as `VoxDiscordWebhookUrl`, have more than half.
_LETTERS = 0.42
# Changes from small to capital letter, and between letters and digits, per character: 0.4 to 0.5
# in random values, up to 0.25 in names.
_FEW_CHANGES, _MANY_CHANGES = 0.12, 0.36
# Shannon bits per character. Random hexadecimal digits have 3.5 or more, repeated ones fewer.
_RANDOM_BITS = 2.9
#: Shortest random value: shorter ones are abbreviations, versions and ids of a page.
RANDOM_CHARACTERS = 16
#: Shortest password.
PASSWORD_CHARACTERS = 8
# Characters of a value that are judged: no key is longer, and a text can be one value.
_JUDGED = 2_048
#: Fewest hexadecimal digits of a key: 128 bits.
HEX_CHARACTERS = 32

# A shorter run that counts up, such as `abc123`, occurs in keys that people make up.
_COUNTED = 6

_HEX = re.compile(r"(?:0x)?[0-9a-f]+|(?:0x)?[0-9A-F]+")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_REFERENCE = re.compile(
    # A variable, a command or a template in place of the value.
    r"^\$|\$\{|\$\(|\{\{|^\{|\{\w*\}|<[^<>]*>|^%[A-Za-z_]+%$|^%[a-z]$|^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$"
    # A name of the value in a store of secrets, a path or an address.
    r"|^(?:op|vault|env|file|arn|https?|ref|aws|gcp|keyring|secretsmanager|ssm):|^(?:\.{0,2}|~)/[a-z._-]+(?:/[\w.-]+)+$"
    # A regular expression.
    r"|\[[^\[\]]{0,40}[a-zA-Z0-9]-[a-zA-Z0-9][^\[\]]{0,40}\]|\{\d+,?\d*\}|\\[bdws]|\(\?"
    # A digest of the value, or an encrypted value.
    r"|^\$(?:2[aby]|argon2|5|6|pbkdf2)|^ENC\[|^sha\d+[-:]|^\{SHA"
    # Characters that stand for others.
    r"|\*{3}|\.{3}|…|[xX]{4}|_{4}|#{3}|\?{3}|-{4}|•"
)
# Words of placeholders. Random values of 40 characters contain one of them in 1 of 2,000 cases.
_PLACEHOLDER = re.compile(
    r"example|sample|placehold|changeme|change[-_ ]?(?:me|this|it)|your[-_ ]?|replace|redacted|"
    r"dummy|fake|foobar|lorem|todo|fixme|invalid|mock|insert|deadbeef|goes[-_]here|"
    r"qwerty|letmein|not[-_]?(?:a[-_]?)?(?:real|secret)|hidden|censored|masked|"
    r"123456789|abcdef[gh]",
    re.IGNORECASE,
)
# Weak passwords of examples and local set-ups consist of such words, digits and signs alone.
_WEAK = compiled(
    r"(?i)(?:passw(?:or)?ds?|passwort|passphrase|pass|pw|pwd|secrets?|tests?|testing|tester|admin|demo|login|guest|"
    r"default|welcome|hunter|foo|bar|baz|root|postgres|postgresql|mysql|mongo|redis|rabbit(?:mq)?|minio|user|"
    r"username|token|keys?|api|iloveyou|monkey|dragon|correct|horse|battery|staple|wrong|strong|weak|"
    r"hello|world|abc|abcd|xyz|local|localhost|staging|docker|value|string|none|null|true|false|"
    r"empty|my|your|the|super|very|new|old|for|is|an?|not|some|any|long|short|db|app|dev|prod|"
    r"ci|me|here|this|that|in|of|by|to|and|with|from|only|must|should|be|valid|missing|required|"
    r"optional|plain|text|placeholder|[\d\W_])+"
)
# The same with digits and signs in place of letters, and a published joke.
_WEAK_LEET = re.compile(r"(?:pass(?:word|wort)?|secret|admin|test|welcome|hello|letmein)|troubador")
_LEET = str.maketrans("013457@$!", "oieastasi")
_TAIL = re.compile(r"[\d\W_]+$")
_STRONG_SIGN = re.compile(r"[!#$%^&*?~+@=]")
_NAME = re.compile(r"[A-Za-z_]\w*(?:(?:::|->|[./:-])[A-Za-z_]\w*)*")


def is_placeholder(value: str) -> bool:
    """Return whether a value is a documented example, a placeholder or a pattern."""
    value = value[:_JUDGED]
    return bool(
        _REFERENCE.search(value)
        or _PLACEHOLDER.search(value)
        or is_patterned(value)
        or is_documented(value)
    )


def is_random(value: str, least: int = RANDOM_CHARACTERS) -> bool:
    """Tell whether a value is drawn at random: no words, no pattern, many different characters."""
    value = value[:_JUDGED]
    core = re.sub(r"[^A-Za-z0-9]", "", value)
    if len(core) < least or is_placeholder(value) or is_uuid(value):
        return False
    if _HEX.fullmatch(value):
        return len(core) >= HEX_CHARACTERS and bits(core) >= _RANDOM_BITS
    if core.isdigit() or bits(core) < min(_RANDOM_BITS, math.log2(len(core)) - 0.6):
        return False
    changes = _changes(core)
    if core.isalpha():
        return _wordiness(core) < _LETTERS
    if changes < _FEW_CHANGES or _encodes_words(value):
        return False
    return changes >= _MANY_CHANGES or _wordiness(core) < _WORDS


def is_password(value: str) -> bool:
    """Tell whether a value after the name of a password is one, even if a person chose it."""
    value = value[:_JUDGED]
    if len(value) < PASSWORD_CHARACTERS or is_placeholder(value):
        return False
    if is_weak(value):
        return False
    if is_random(value, PASSWORD_CHARACTERS):
        return True
    has_digit = any(character.isdigit() for character in value)
    has_letter = any(character.isalpha() for character in value)
    signs = len(_STRONG_SIGN.findall(value))
    return has_letter and has_digit and bool(signs) and not _NAME.fullmatch(value)


def is_hex(value: str) -> bool:
    """Tell whether a value is of the form of a digest or a commit."""
    return bool(_HEX.fullmatch(value))


def is_uuid(value: str) -> bool:
    """Tell whether a value has the form of a UUID."""
    return bool(_UUID.fullmatch(value))


def is_words(value: str) -> bool:
    """Tell whether a value consists of words, as in `this-is-a-key-for-tests`."""
    core = re.sub(r"[^A-Za-z0-9]", "", value[:_JUDGED])
    if len(core) < 2:
        return True
    return _changes(core) < _FEW_CHANGES * 2 and _wordiness(core) >= _WORDS


def is_weak(value: str) -> bool:
    """Return whether a password is common in examples and local set-ups, such as `P@ssw0rd!`."""
    plain = _TAIL.sub("", value.lower()).translate(_LEET)
    return bool(_WEAK.fullmatch(value) or _WEAK_LEET.fullmatch(plain))


def is_patterned(value: str) -> bool:
    """Tell whether a value repeats a character or a block, or counts up."""
    core = re.sub(r"[^A-Za-z0-9]", "", value[:_JUDGED])
    if len(core) < 8:
        return False
    if len(set(core)) <= 3 or Counter(core).most_common(1)[0][1] > 0.45 * len(core):
        return True
    if _counted(core.lower()) > 0.5 * len(core):
        return True
    if _HEX.fullmatch(core) and len(core) % 2 == 0:
        octets = bytes.fromhex(core)
        if len({b - a for a, b in pairwise(octets)}) == 1:
            return True
    # A text that repeats a block occurs in its double before the end.
    return (core + core).find(core, 1) < len(core)


def _counted(core: str) -> int:
    """Count the characters in runs that count up, such as `456789abcdef`."""
    counted, run = 0, 1
    for first, second in pairwise(core + "\0"):
        # A letter may follow a digit, as in hexadecimal counting.
        if ord(second) - ord(first) == 1 or first + second in ("9a", "90", "0a"):
            run += 1
        else:
            counted += run if run >= _COUNTED else 0
            run = 1
    return counted


def bits(text: str) -> float:
    """Compute the Shannon entropy per character."""
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


def _encodes_words(value: str) -> bool:
    """Tell whether a value is the base64 form of words, such as a token of a demonstration."""
    try:
        plain = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode("ascii")
    except ValueError:
        return False
    return plain.isprintable() and is_words(plain) and not re.search(r"\d", plain)


def _kind(character: str) -> str:
    return "d" if character.isdigit() else "u" if character.isupper() else "l"


def _changes(core: str) -> float:
    kinds = [_kind(character) for character in core]
    # A capital letter before small ones begins a word.
    changes = sum(a != b and (a, b) != ("u", "l") for a, b in pairwise(kinds))
    return changes / (len(core) - 1)


def _wordiness(core: str) -> float:
    pairs = [a + b for a, b in pairwise(core.lower()) if a.isalpha() and b.isalpha()]
    return sum(pair in _PAIRS for pair in pairs) / len(pairs) if pairs else 0.0
