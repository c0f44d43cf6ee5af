"""Finds private keys, signed tokens and addresses with credentials."""

from __future__ import annotations

import base64
import binascii
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

from vox_assets.curate.secrets.examples import is_local
from vox_assets.curate.secrets.patterns import compiled
from vox_assets.curate.secrets.values import is_placeholder, is_random

_MARK = "PRIVATE KEY"
# Between the mark and the key: headers, line ends (also as `\n`), quotes and comments of a source.
_PRIVATE_KEY = compiled(
    r"-----BEGIN[ A-Z0-9_-]{0,60}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[\s\"'+,#*>]|\\[nr]|//[/!]?[ \t]|(?:Proc-Type|DEK-Info|Version|Comment):[^\n\\]*)*"
    r"((?:MII|b3Bl|lQ)?[A-Za-z0-9+/=]*)(\.\.|…)?"
)
# The first characters of a key in PEM, OpenSSH and PGP form.
_BEGINNING = ("MII", "b3Bl", "lQ")
_KEY_CHARACTERS = 16

_JWT = compiled(r"\b(ey[A-Za-z0-9_-]{10,})\.(ey[A-Za-z0-9_-]{4,}|[A-Za-z0-9_-]{10,})\.[\w-]{10,}")
# Claims of the samples at jwt.io and in RFC 7519.
_SAMPLES = (("name", "John Doe"), ("iss", "joe"))

_WITH_PASSWORD = compiled(
    r"[A-Za-z][A-Za-z0-9+.-]{1,30}://([^\s/@:\"'<>`]{0,80}):([^\s/@\"'<>`]{1,200})@"
    r"(\[[0-9a-f:]+\]|[^\s/:\"'<>`?#,)]{1,200})"
)
# Passwords of addresses in documentation.
_EXAMPLES = frozenset(
    "password passwd pass secret pwd changeme user token test guest mypassword mypass tiger "
    "hunter2 password123 s3cret example".split()
)
# The form of Go's driver for MySQL, without a scheme: `user:password@tcp(host:3306)/base`.
_OF_A_DRIVER = compiled(r"\b([\w.-]{1,60}):([^\s/:@\"'`]{4,100})@(?:tcp|unix)\(([^\s:)]{1,200})")
_WITH_TOKEN = compiled(r"[A-Za-z][A-Za-z0-9+.-]{1,30}://([^\s/@:\"'<>`]{16,200})@[\w.-]+")


def tokens_in(text: str) -> Iterator[str]:
    """Yield the kinds of private keys, signed tokens and addresses with credentials."""
    if _MARK in text and any(_is_key(match) for match in _PRIVATE_KEY.finditer(text)):
        yield "private key"
    if "ey" in text and any(_is_signed(match) for match in _JWT.finditer(text)):
        yield "json web token"
    if "@" in text and any(_holds_password(match) for match in _OF_A_DRIVER.finditer(text)):
        yield "password in an address"
    if "://" in text and "@" in text:
        if any(_holds_password(match) for match in _WITH_PASSWORD.finditer(text)):
            yield "password in an address"
        if any(is_random(match.group(1)) for match in _WITH_TOKEN.finditer(text)):
            yield "token in an address"


def _is_key(match: Any) -> bool:
    body, cut = match.groups()
    if cut or is_placeholder(body):
        return False
    return body.startswith(_BEGINNING) or len(body) >= _KEY_CHARACTERS


def _is_signed(match: Any) -> bool:
    header, claims = _decoded(match.group(1)), _decoded(match.group(2))
    if not isinstance(header, dict) or not {"alg", "enc", "typ"} & header.keys():
        return False
    return not isinstance(claims, dict) or all(claims.get(name) != of for name, of in _SAMPLES)


def _decoded(part: str) -> Any:
    try:
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None


def _holds_password(match: Any) -> bool:
    user, password, host = match.groups()
    password = urllib.parse.unquote(password)
    if is_placeholder(password) or password.startswith(("{", "$", "[", ":")):
        return False
    if is_local(host):
        return is_random(password)
    return password.lower() not in _EXAMPLES and password != user and len(password) >= 4
