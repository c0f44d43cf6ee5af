"""Links of doc comments: every form of link becomes its words, and code spans stay as they are."""

from __future__ import annotations

import re

from vox_assets.extract.docs.code_spans import MASK, masked, unmasked

#: Links inside the words of links, such as a badge, are replaced from the inside out.
_MAX_NESTED = 3

_DESTINATION = r"(?:<[^<>\n]*>|[^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)"
_TITLE = r"(?:\"[^\"]*\"|'[^']*'|\([^()]*\))"

#: A definition of a link, which has nothing after its destination but a title.
_DEFINITION = re.compile(
    rf"^ {{0,3}}\[(?!\^)(?P<label>[^\[\]\n]+)\]:[ \t]*\n?[ \t]*(?:<[^<>\n]*>|[^\s<]\S*)"
    rf"(?:[ \t]*\n?[ \t]+{_TITLE})?[ \t]*(?:\n|\Z)",
    re.MULTILINE,
)

#: A link or image: inline, full reference, collapsed, shortcut. Not `a[0]`, `f()[0]` or `\[a]`.
_LINK = re.compile(
    r"(?<![\w\])\\])(?P<image>!?)\[(?P<words>[^\[\]]*)\]"
    rf"(?:(?P<inline>\(\s*{_DESTINATION}(?:\s+{_TITLE})?\s*\))|\[(?P<label>[^\[\]]*)\])?"
)

_AUTOLINK = re.compile(r"<((?:https?|ftp|mailto):[^<>\s]*|[\w.+-]+@[\w.-]+\.\w+)>")

_FOOTNOTE = re.compile(r"[ \t]?\[\^[^\[\]\s]+\]")

#: A path to an item, which rustdoc links: `Other`, `map::Tile`, `struct@Tile`, `cut()`, `vec!`.
_PATH = re.compile(r"(?:[a-z]+@)?((?:\w+::)+\w+|[A-Za-z_]\w+)(?:!|\(\))?(?:<[\w\s,:]*>)?")

_DISAMBIGUATOR = re.compile(r"^[a-z]+@(?=[A-Za-z_])")


def words_of_links(text: str) -> str:
    """Replace links by their words, and remove definitions of links and marks of footnotes."""
    if "[" not in text and "<" not in text:
        return text
    plain, spans = masked(text)
    labels: set[str] = set()

    def define(match: re.Match[str]) -> str:
        labels.add(_normal(unmasked(match["label"], spans)))
        return ""

    def words(match: re.Match[str]) -> str:
        shown, label = match["words"], match["label"]
        if match["inline"] is not None or match["image"]:
            return shown
        if label:
            # `[words][label]`: also the link of rustdoc to an item.
            is_link = _is_label(unmasked(label, spans), labels)
            return shown if is_link else match.group()
        name = unmasked(shown, spans)
        is_link = MASK.fullmatch(shown) is not None or _is_label(name, labels)
        return _DISAMBIGUATOR.sub("", shown) if is_link else match.group()

    if "]:" in plain:
        plain = _DEFINITION.sub(define, plain)
    plain = _FOOTNOTE.sub("", plain)
    for _ in range(_MAX_NESTED):
        replaced = _LINK.sub(words, plain)
        if replaced == plain:
            break
        plain = replaced
    return unmasked(_AUTOLINK.sub(r"\1", plain), spans)


def _is_label(label: str, labels: set[str]) -> bool:
    label = label.strip()
    return _normal(label) in labels or _PATH.fullmatch(label.strip("`")) is not None


def _normal(label: str) -> str:
    """Return a label as definitions and links are compared."""
    return " ".join(label.casefold().split())
