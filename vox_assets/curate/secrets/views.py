"""Makes hidden text readable: joined literals, escapes, percent signs, base64, lists of bytes."""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from collections.abc import Iterator

from vox_assets.curate.secrets.patterns import compiled

# The end of a literal, what joins it to the next, and the beginning of that.
_ENDED = r"[\"'](?:\.(?:to_owned|to_string|into)\(\)|\))?"
_PLUS = compiled(rf"{_ENDED}\s{{0,40}}(?:[+.&]|\\)?\s{{0,40}}&?(?:format!\()?[bru]?[\"']")
# Literals between commas, which a macro or a method joins.
_LITERAL = r"[bru]?\"[^\"\n]*\"(?:\.(?:to_owned|to_string|into)\(\))?"
_LIST = rf"((?:\s{{0,40}}{_LITERAL}\s{{0,40}},?)+)\s{{0,40}}"
_JOINED = compiled(
    rf"(?:concat!\s?[(\[{{]|format!\(\s{{0,40}}\"(?:\{{\w*\}}|[-_.])+\",){_LIST}[)\]}}]|"
    rf"\[{_LIST}\](?:\.iter\(\))?\.(?:concat|join|collect)"
)
_BETWEEN = re.compile(r"\"(?:\.\w+\(\))?\s*,\s*[bru]?\"")
_JOINS = ("concat", "join(", "format!", ".collect")
_LINE_JOIN = compiled(r"\\\r?\n\s{0,80}")

# Leaders of comments: a value goes on behind that of the next line.
_LEADER = compiled(r"\n[ \t]{0,40}(?://[/!]?|#|\*)[ \t]?")

_ESCAPE = re.compile(
    r"\\x([0-9a-fA-F]{2})|\\u\{?00([0-9a-fA-F]{2})\}?|&#x?([0-9a-fA-F]{2,3});|\\([\\\"'nrt])"
)
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}
_BYTES = compiled(
    r"(?:(?:0x[0-9a-fA-F]{2}|\d{2,3}|b'[^']')(?:u8)?\s{0,4},\s{0,20}){15,}(?:0x[0-9a-fA-F]{2}|\d{2,3}|b'[^']')"
)
_BYTE = re.compile(r"0x([0-9a-fA-F]{2})|(\d{2,3})|b'([^'])'")
_BASE64 = compiled(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_HEX = compiled(r"\b(?:0x)?((?:[0-9a-fA-F]{2}){16,})\b")
# A decoded text shorter than a key is not searched.
_SHORTEST = 16
# Base64 of base64 is read, and no more.
_DEPTH = 2


def joined(text: str) -> str | None:
    """Return the text with joined literals in one piece; None when there are none."""
    if '"' not in text and "'" not in text:
        return None
    bare = _LEADER.sub("\n", text) if "//" in text or "#" in text or "*" in text else text
    plain = _LINE_JOIN.sub("", bare) if "\\\n" in bare or "\\\r" in bare else bare
    plain = _PLUS.sub("", plain)
    if any(word in plain for word in _JOINS):
        plain = _JOINED.sub(lambda match: _BETWEEN.sub("", match.group()), plain)
    return plain if plain != bare else None


def unescaped(text: str) -> str | None:
    """Return the text without percent encoding and escapes; None when there are none."""
    plain = text
    if "%" in plain:
        plain = urllib.parse.unquote(plain, errors="replace")
    if "\\" in plain or "&#" in plain:
        plain = _ESCAPE.sub(_character, plain)
    return plain if plain != text else None


def decoded(text: str, depth: int = _DEPTH) -> Iterator[str]:
    """Yield what base64, hexadecimal digits and lists of bytes in a text decode to, if text."""
    for match in _BASE64.finditer(text):
        body = match.group().rstrip("=").replace("-", "+").replace("_", "/")
        body = body[: len(body) - (len(body) % 4 == 1)]
        yield from _readable(base64.b64decode(body + "=" * (-len(body) % 4)), depth)
    for match in _HEX.finditer(text):
        yield from _readable(binascii.unhexlify(match.group(1)), depth)
    if "," in text:
        for match in _BYTES.finditer(text):
            yield from _readable(bytes(_octets(match.group())), depth)


def _readable(raw: bytes, depth: int) -> Iterator[str]:
    if len(raw) < _SHORTEST or not raw.isascii():
        return
    text = raw.decode("ascii")
    if not text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        return
    yield text
    if depth > 1:
        yield from decoded(text, depth - 1)


def _octets(text: str) -> Iterator[int]:
    for match in _BYTE.finditer(text):
        in_hex, in_decimal, character = match.groups()
        yield (
            int(in_hex, 16) if in_hex else int(in_decimal) if in_decimal else ord(character)
        ) % 256


def _character(match: re.Match[str]) -> str:
    escape, code, entity, sign = match.groups()
    if sign:
        return _CONTROLS.get(sign, sign)
    if entity:
        number = int(entity, 16) if match.group().startswith("&#x") else _decimal(entity)
        return chr(number)
    return chr(int(escape or code, 16))


def _decimal(digits: str) -> int:
    return int(digits) if digits.isdigit() else 0xFFFD
