"""The text of doc comments and doc attributes, without their marks."""

from __future__ import annotations

import re

from vox_assets.extract.rust.attributes import ATTRIBUTE

_DOC_STRING = re.compile(r'=\s*(r#*)?"(.*)"#*\s*\]\s*\Z', re.DOTALL)

_ESCAPE = re.compile(r"\\(?:(\n)\s*|u\{([0-9a-fA-F_]+)\}|x([0-7][0-9a-fA-F])|(.))", re.DOTALL)

_ESCAPED = {"n": "\n", "t": "\t", "r": "", "0": ""}

#: `#[doc = include_str!("x.md")]`, `#![doc = concat!(..)]`: the text is in another place.
_DOC_MACRO = re.compile(r"=\s*((?:\w+\s*::\s*)*\w+)\s*!")


def is_doc_comment(text: str) -> bool:
    """Return whether a comment documents the item after it."""
    if text.startswith("///"):
        return not text.startswith("////")
    return text.startswith("/**") and not text.startswith(("/***", "/**/"))


def comment_body(text: str) -> str:
    """Return the text of a doc comment without its marks; lines keep their indentation."""
    if text.startswith("//"):
        return text[3:].rstrip("\n")
    lines = text[3:].removesuffix("*/").split("\n")
    # Stars at the left edge are decoration only if every line has a star.
    rest = [line.lstrip() for line in lines[1:] if line.strip()]
    if rest and all(line.startswith("*") for line in rest):
        lines[1:] = [line.lstrip()[1:] for line in lines[1:]]
    elif rest:
        margin = min(len(line) - len(line.lstrip()) for line in lines[1:] if line.strip())
        lines = [lines[0].strip(), *(line[margin:] for line in lines[1:])]
    return "\n".join(lines).strip("\n")


def doc_attribute(attribute: str) -> str | None:
    """Return the text of `#[doc = "..."]` or `#![doc = "..."]`, or None for other attributes.

    Its lines are indented as those of a comment are after their mark, so that both can be joined.
    """
    name = ATTRIBUTE.match(attribute)
    if name is None or name.group(1) != "doc":
        return None
    value = _DOC_STRING.match(attribute, name.end())
    if value is None:
        return None
    is_raw, content = value.groups()
    text = content if is_raw else _ESCAPE.sub(_unescape, content)
    return "\n".join(f" {line}" if line else "" for line in text.split("\n"))


def doc_macro(text: str) -> str | None:
    """Return the macro that gives a doc attribute its text, such as `include_str`, or None."""
    name = ATTRIBUTE.match(text)
    if name is None or name.group(1) != "doc":
        return None
    macro = _DOC_MACRO.match(text, name.end())
    return "".join(macro.group(1).split()) if macro else None


def unindent(fragments: list[str]) -> str:
    """Join doc fragments into one text without the indentation that all lines share."""
    if not fragments:
        return ""
    lines = [line.rstrip() for line in "\n".join(fragments).split("\n")]
    margin = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return "\n".join(line[margin:] for line in lines).strip("\n")


def _unescape(match: re.Match[str]) -> str:
    continuation, unicode, byte, character = match.groups()
    if continuation:
        return ""
    if digits := unicode or byte:
        point = int(digits.replace("_", "") or "0", 16)
        return chr(point) if point < 0x110000 and not 0xD800 <= point < 0xE000 else "\ufffd"
    return _ESCAPED.get(character, character)
