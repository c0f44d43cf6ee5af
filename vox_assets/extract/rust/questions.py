"""The words for Rust items in questions."""

from __future__ import annotations

import re

from vox_assets.extract.rust.items import Item

MENTION = re.compile(r"`(?:[\w:]*?(\w+)::)?([a-z_]\w+)(?:\(\))?`")


def module_noun(path: str) -> str:
    """Return the noun for a file: crate roots share the crate's name and differ by the noun."""
    folder, _, name = path.rpartition("/")
    if name == "build.rs" and not folder.endswith("/src"):
        return "build script"
    if name == "main.rs" or folder.endswith(("/src/bin", "/examples")):
        return "program"
    return "library" if name == "lib.rs" else "module"


def noun_of(item: Item) -> str:
    """Return the noun for an item, for a function with its modifiers."""
    if item.kind != "function":
        return item.kind
    words = [word for word in ("const", "async", "unsafe") if _has_modifier(item, word)]
    if item.container is None:
        words.append("function")
    elif any("self" in parameter.split(":")[0] for parameter in item.parameters[:1]):
        words.append("method")
    else:
        words.append("associated function")
    return " ".join(words)


def _has_modifier(item: Item, word: str) -> bool:
    return f"{word} " in item.signature.split("fn ", 1)[0]


def article_for(noun: str) -> str:
    """Return `noun` after its indefinite article."""
    return f"{'an' if noun[0] in 'aeiou' and not noun.startswith('union') else 'a'} {noun}"
