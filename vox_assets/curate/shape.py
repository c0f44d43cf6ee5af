"""Describes the shape of code: the text with every name replaced by its order of appearance.

Two programs of one shape differ by a consistent renaming of names (a type-2 clone). Dedup and the
split share this definition, so that what dedup removes can never leak.
"""

from __future__ import annotations

import hashlib
import re

#: Code shorter than this (in lexical tokens) has too few shapes for an equal one to prove copying.
MIN_SHAPE_TOKENS = 30

#: Words that keep their place in a shape with literals: a renaming cannot change them.
_FIXED = frozenset(
    """true false none null nil undefined some ok err self this super
    if elif else for while loop match switch case when break continue return yield try catch except
    finally raise throw async await and or not in is as
    fn func def function fun let var const val mut type struct enum class trait impl interface
    pub use import from mod where ref move static extern unsafe dyn
    bool int float str string char byte void list dict map set tuple usize isize
    u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64 dec""".split()
)

#: The mark of a literal in a shape. No lexeme has two characters that begin with this one.
_LITERAL = "="

# A string is read up to a bound: a line of escaped quotes would be read again from each of them.
_LEXEME = re.compile(r"[A-Za-z_]\w*+|\d[\w.]*+|\"(?:\\.|[^\"\\\n]){0,1000}+\"|\S")
_WORDS = re.compile(r"[\w\s]+")


def lexemes(code: str) -> list[str]:
    """Split code into names, numbers, strings within a line, and single signs."""
    return _LEXEME.findall(code)


def shape(code: str, *, literals: bool = False) -> str | None:
    """Return the shape of code, or None when it is short.

    With `literals`, these are kept, and so are keywords and primitive types.
    """
    found = lexemes(code)
    return None if len(found) < MIN_SHAPE_TOKENS else _replaced(found, {}, literals)


def named_alike(code: str, text: str) -> str:
    """Replace the names of `code` in another text as `shape` replaces them in the code.

    Instructions for two programs of one shape are equal after this when they ask for the same.
    """
    order: dict[str, int] = {}
    _replaced(lexemes(code), order, literals=True)
    return " ".join(f"#{order[word]}" if word in order else word for word in lexemes(text))


def shape_digest(code: str) -> str | None:
    """Compute a digest of the shape without literals; None when the code is short."""
    found = shape(code)
    return None if found is None else _hashed(found)


def skeleton(code: str) -> str:
    """Compute a digest of the signs of code, quickly: equal for all code of one shape."""
    return _hashed(_WORDS.sub("", code))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _replaced(found: list[str], order: dict[str, int], literals: bool) -> str:
    """Join lexemes with names replaced by their number in `order`, which learns new names."""
    parts = []
    for lexeme in found:
        if lexeme[0].isdigit() or (lexeme[0] == '"' and len(lexeme) > 1):
            parts.append(f"{_LITERAL}{lexeme}" if literals else _LITERAL)
        elif literals and lexeme.lower() in _FIXED:
            parts.append(lexeme)
        elif lexeme[0].isalpha() or lexeme[0] == "_":
            parts.append(str(order.setdefault(lexeme, len(order))))
        else:
            parts.append(lexeme)
    return " ".join(parts)
