"""Finds credentials by what carries them: headers, cookies, commands, calls with a user first."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from vox_assets.curate.secrets.patterns import compiled
from vox_assets.curate.secrets.values import is_password, is_placeholder, is_random

# A text without these words is not searched.
_KEYWORDS = (
    "auth", "bearer", "basic", "cookie", "login", "credential", "userpass", "curl", "upload",
    "mysql", "psql", "sshpass", "redis-cli",
)  # fmt: skip
_AUTHORIZATION = compiled(
    r"(?i)auth[a-z-]{0,20}[\"'`]?[ \t]{0,4}[:=,][ \t]{0,4}(?:Some\()?[\"'`]?"
    r"(?:(basic|bearer|token|apikey|api-key|bot|digest)[ \t]{1,4})?([^\s\"'`,;<>(){}\[\]\\]{8,})"
)
_BEARER = compiled(r"(?i)\b(bearer|basic)[ \t]{1,4}([\w.~+/=-]{8,})")
_COOKIE = compiled(r"(?i)\bcookie[\"']?\s?[:=,]\s?[\"']?[\w.-]{1,60}=([\w.%+/=-]{20,})")
# Shorter values of cookies are ids of pages and preferences.
_COOKIE_CHARACTERS = 24
# The second argument of a call with a user and a password.
_PAIR = compiled(
    r"(?i)(?:basic_auth|login|authenticate|credentials(?:::new)?|with_auth|userpass\w{0,20})\(\s{0,20}"
    r"[\"'][^\"'\n]{0,80}[\"'](?:\.\w+\(\))?\s{0,20},\s{0,20}(?:Some\()?[\"']([^\"'\s]{8,200})[\"']"
)
_COMMANDS = (
    # User and password in one argument of curl; a password after its flag; a token after `login`.
    compiled(r"\bcurl\b[^\n]{0,300}?\s(?:-u|--user)[ =]['\"]?[^\s:'\"]{1,80}:([^\s'\"]{6,200})"),
    compiled(
        r"\b(?:login|upload|mysql|psql|sshpass)\b[^\n]{0,120}?\s-p[ =]?['\"]?([^\s'\"]{8,200})"
    ),
    compiled(r"\bredis-cli\b[^\n]{0,80}?\s-a ['\"]?([^\s'\"]{8,200})"),
    compiled(r"\b[a-z]{2,20}(?: auth)? login (?:--\w{1,20}[ =])?([^\s'\"]{20,200})"),
)


def credentials_in(text: str, lower: str) -> Iterator[str]:
    """Yield the kinds of credentials in a text; `lower` is the text in small letters."""
    if not any(keyword in lower for keyword in _KEYWORDS):
        return
    for pattern in (_AUTHORIZATION, _BEARER):
        if any(_is_credential(*match.groups("")) for match in pattern.finditer(text)):
            yield "credential in a header"
    if any(is_random(match.group(1), _COOKIE_CHARACTERS) for match in _COOKIE.finditer(text)):
        yield "credential in a header"
    if any(is_password(match.group(1)) for match in _PAIR.finditer(text)):
        yield "password in a call"
    if any(is_password(match.group(1)) for rule in _COMMANDS for match in rule.finditer(text)):
        yield "password in a command"


def _is_credential(scheme: str, value: str) -> bool:
    if is_placeholder(value):
        return False
    try:
        plain = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        plain = ""
    if ":" in plain and plain.isprintable():
        password = plain.partition(":")[2]
        return is_password(password)
    return scheme.lower() != "basic" and is_random(value)
