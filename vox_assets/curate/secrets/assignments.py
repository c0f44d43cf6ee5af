"""Finds values by the name that they are given: `API_KEY=...`, `.password("...")`, `--token ...`.

The name says that a value is a secret, and the value must look like one: `values` judges it. Text
that is read around one name has a fixed limit, so that the work is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vox_assets.curate.secrets.patterns import compiled
from vox_assets.curate.secrets.values import (
    RANDOM_CHARACTERS,
    is_hex,
    is_password,
    is_placeholder,
    is_random,
    is_uuid,
)

# Names of passwords, which people choose; `pass` and `pwd` only as a word of their own.
_PASSWORD = (
    r"passw(?:or)?d|passwort|kennwort|contrase(?:ñ|n)a|mot_?de_?passe|senha|passphrase|passcode|"
    r"identified +by|\bpass\b|_pass\b|\bpwd\b|_pwd\b|userpass"
)
# Names of random values.
_RANDOM = (
    r"secret|token|api[-_. ]?key|access[-_. ]?key|account[-_. ]?key|auth[-_. ]?key|app[-_. ]?key|"
    r"private[-_. ]?key|signing[-_. ]?key|encryption[-_. ]?key|master[-_. ]?key|shared[-_. ]?key|"
    r"session[-_. ]?key|hmac[-_. ]?key|license[-_. ]?key|service[-_. ]?key|role[-_. ]?key|"
    r"deploy[-_. ]?key|admin[-_. ]?key|root[-_. ]?key|server[-_. ]?key|webhook[-_. ]?key|"
    r"storage[-_. ]?key|client[-_. ]?key|consumer[-_. ]?key|credential|bearer|authorization|"
    r"\bauth\b|_auth\b|basic_auth|\bdsn\b"
)
# A name that is often used for other things: only long random values count.
_VENDORS = (
    "mistral|cohere|openai|anthropic|replicate|groq|deepseek|twilio|algolia|datadog|cloudflare|"
    "vercel|heroku|supabase|sendgrid|stripe|gitea|wandb"
)
_WEAK = rf"\bkey\b|_key\b|[a-z]Key\b|\bKEY\b|_KEY\b|(?i:{_VENDORS})"
_NAME = compiled(rf"(?i)({_PASSWORD})|({_RANDOM})|(?-i:({_WEAK}))")
# The keywords of `_NAME` in small letters: a text without them is not searched.
_KEYWORDS = (
    "pass", "pwd", "kennwort", "contrase", "senha", "identified", "secret", "token", "key",
    "credential", "bearer", "auth", "dsn",
    *_VENDORS.split("|"),
)  # fmt: skip

# Parts of a name that say that its value is no secret: a digest, a public or a cache key, the
# name or the place of a secret.
_OTHER = re.compile(
    r"hash|digest|sha(?:1|2|256|384|512)|md5|checksum|fingerprint|public|pub_?key|count|len(?:gth)?|"
    r"size|limit|budget|type|kind|name|path|file|dir|url|uri|endpoint|header|prefix|suffix|"
    r"pattern|regex|format|field|label|title|ttl|expir|index|offset|policy|level|version|cache|"
    r"sort|primary|foreign|partition|idempoten|cursor|next|page|csrf|commit|manager|provider|"
    r"(?:^|[-_.])ids?$|_ids?_|[a-z]Id$|placeholder|example|issuer|stream|tree|color|design|"
    r"css|tokeni[sz]|hint|help|error|message|_at$|_len|verify|schema|column|trace|arn|reference|ref$",
    re.IGNORECASE,
)
_BEFORE, _AFTER = 48, 32
_IN_NAME = re.compile(r"[\w-]").match

# What may stand between a name and a quoted value: types, calls, operators, words of a sentence.
_GAP = re.compile(
    r"([\"'`\])]{0,2}(?:[^\"'`;{}\\]|'(?:static|_|a)\b|\\(?=\")|;\s?\w{1,20}\]){0,90}?)"
    r"(?:\b[bru]{1,2}\#{0,2})?(\\?(?:[\"`]|'(?!static\b|_\b|a\b)))"
)
# A comma only directly after the name; prose has others.
_OPERATOR = re.compile(r"[:=(>]|^[\"'`\])]{0,2}\s{0,4},|\b(?:is|was|with|by|to|use)\b|^\s{1,4}$")
_TIGHT = re.compile(r"[\"'`]?\s{0,4}[:=,(>]")
# A gap ends on the line where it begins, or the value is all that its last line begins with.
_LAST_LINE = re.compile(r"[\s(\[]*(?:-\s*)?(?:value[\"']?\s{0,4}[:=]\s{0,4})?(?:Some\()?")
# A name or a call after the operator: the quoted value belongs to it.
_FAR = re.compile(
    r"\.(?:get|var|env|contains|starts_with|ends_with|join|expect|split|trim\w*|strip_prefix|"
    r"context|with_context|ok_or|replace|find|matches)\(|"
    r"\b(?:env!|getenv|env::var|env\.get|var_os|println!|bail!|panic!|error!|expect)\b"
)
# The name itself is the value of another call: `hash("secret") == "..."`.
_ARGUMENT = re.compile(r"[\"'`]\)(?!\.?(?:unwrap_or|or_else|default))")
# Characters of a value that are read.
_CHARACTERS = 512

# A colon or an equals sign ends a bare value: in `token:token:token` each name has a value that the
# next one ends, so that no character is judged more than once. `base64:` is a prefix.
_PLAIN = r"[^\s\"'`,;&<>(){}\[\]|\\:=]"
_BARE = re.compile(
    r"[\"'`]?(?:[ \t]{0,8}(?:=>|:=|\?=|=|:(?!:))[ \t]{0,8}|>|[ \t]{1,3}(?:is|was)[ \t:]{1,3}|"
    r"[ \t]{1,4}(?=\S)|[ \t]{0,4}\r?\n[ \t/#*-]{0,40}value[ \t]{0,4}:[ \t]{0,8})"
    r"(?:!{1,2}\w{1,12}[ \t])?"
    rf"((?:base64:)?{_PLAIN}{{8,512}}(?:={{1,2}}(?!{_PLAIN})|[:=]{_PLAIN}{{1,512}})?)"
)
_HEX_KEYS = re.compile(
    r"hmac|aes|encrypt|sign|secret|token|api|auth|access|private|master|pass|admin|root|server|hook",
    re.I,
)
_UUID_KEYS = re.compile(r"api|auth|access|secret|pass|client|license|heroku", re.I)
_FILE = re.compile(r"^[\w.-]+\.(?:rs|py|js|ts|md|json|ya?ml|toml|txt|pem|key|env|lock|vox)$")


def assignments_in(text: str, lower: str) -> Iterator[str]:
    """Yield the kinds of values that a text gives to names of secrets."""
    if not any(keyword in lower for keyword in _KEYWORDS):
        return
    for match in _NAME.finditer(text):
        if kind := _assigned(
            text, match.start(), match.end(), bool(match.group(1)), bool(match.group(3))
        ):
            yield kind


def _assigned(text: str, start: int, end: int, password: bool, weak: bool) -> str | None:
    left, right = start, end
    while left > max(0, start - _BEFORE) and _IN_NAME(text[left - 1]):
        left -= 1
    while right < min(len(text), end + _AFTER) and _IN_NAME(text[right]):
        right += 1
    name = text[left:right]
    # The public key in a decentralised identifier.
    if _OTHER.search(name) or (weak and text[max(0, start - 4) : start] == "did:"):
        return None
    # The verb `pass`, and a working directory, take no operator.
    if text[start:end].lower().strip("_") in ("pass", "pwd") and not _TIGHT.match(text, right):
        return None
    for value in _values(text, right):
        if _is_secret(name, value, password, weak):
            named = password and not is_random(value)
            return "value named as a password" if named else "random string named as a secret"
    return None


def _values(text: str, end: int) -> Iterator[str]:
    """Yield the quoted and the bare value that follow a name."""
    gap = _GAP.match(text, end)
    if (
        gap
        and _joins(gap.group(1))
        and not _ARGUMENT.match(text, end)
        and not _FAR.search(text[max(0, end - 12) : gap.end()])
    ):
        value = text[gap.end() : gap.end() + _CHARACTERS].partition(gap.group(2))[0]
        if not re.search(r"\s", value):
            yield value
    bare = _BARE.match(text, end)
    # The argument follows a call, a macro or an index.
    if bare and text[bare.end() : bare.end() + 1] not in ("(", "[", "{"):
        yield bare.group(1)


def _joins(gap: str) -> bool:
    _, line, last = gap.rpartition("\n")
    return bool(_OPERATOR.search(gap)) and (not line or bool(_LAST_LINE.fullmatch(last)))


def _is_secret(name: str, value: str, password: bool, weak: bool) -> bool:
    value = value.removeprefix("base64:")
    if is_placeholder(value) or _FILE.match(value):
        return False
    if is_uuid(value):
        return bool(_UUID_KEYS.search(name)) or password
    if is_hex(value):
        return is_random(value) and bool(_HEX_KEYS.search(name))
    if password:
        return is_password(value)
    return is_random(value, RANDOM_CHARACTERS + 8 * weak)
