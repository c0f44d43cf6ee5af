"""Rules of `.gitignore`: which paths they exclude, as git has it.

A pattern is matched without a regular expression: one for a hostile pattern with many stars
searches for hours, and pathspec compiles patterns to regular expressions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

#: Longer lines are no patterns of people; each costs time for every file.
MAX_PATTERN_CHARS = 1_000

#: One element of a pattern: whether it matches a character, or None for a star.
_Element = Callable[[str], bool] | None

_ONE_ITEM = re.compile(
    r"\[:(?P<name>\w+):\]|(?:\\(?P<escaped>.)|(?P<first>.))(?:-(?:\\(?P<end>.)|(?P<last>[^\]])))?",
    re.DOTALL,
)

_NAMED: dict[str, Callable[[str], bool]] = {
    "alnum": str.isalnum,
    "alpha": str.isalpha,
    "digit": str.isdigit,
    "lower": str.islower,
    "upper": str.isupper,
    "space": str.isspace,
    "punct": lambda character: character.isprintable() and not character.isalnum(),
    "xdigit": lambda character: character in "0123456789abcdefABCDEF",
}

_Pattern = TypeVar("_Pattern")
_Value = TypeVar("_Value")


class _InvalidPatternError(ValueError):
    """A line is no pattern; git passes over it too."""


@dataclass(frozen=True, slots=True)
class _Rule:
    #: The elements of each segment of the pattern, or None for `**`.
    segments: tuple[tuple[_Element, ...] | None, ...]
    negated: bool
    folders_only: bool


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules of one file `.gitignore`."""

    rules: tuple[_Rule, ...]

    @classmethod
    def parse(cls, text: str) -> IgnoreRules:
        """Read the lines of a file; comments and invalid patterns are left out."""
        found = (_rule(line) for line in text.split("\n") if len(line) <= MAX_PATTERN_CHARS)
        return cls(tuple(rule for rule in found if rule is not None))

    def verdict(self, path: str, is_folder: bool) -> bool | None:
        """Return whether the rules exclude a path below their folder, or None if none matches."""
        parts = path.split("/")
        for rule in reversed(self.rules):
            if (is_folder or not rule.folders_only) and _matches(rule.segments, parts, _segment):
                return not rule.negated
        return None


def _rule(line: str) -> _Rule | None:
    pattern = line.rstrip("\r")
    while pattern.endswith(" ") and not pattern.endswith("\\ "):
        pattern = pattern[:-1]
    negated = pattern.startswith("!")
    pattern = pattern[negated:]
    if not pattern or (line.startswith("#")):
        return None
    folders_only = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    is_anchored = "/" in pattern
    parts = pattern.removeprefix("/").split("/")
    # A pattern without a slash matches a name at any depth.
    parts = parts if is_anchored else ["**", *parts]
    if not all(parts):
        return None
    try:
        segments = [None if part == "**" else _elements(part) for part in parts]
    except _InvalidPatternError:
        return None
    if is_anchored and segments[-1] is None:
        # `a/**` matches what is inside of `a`, not `a` itself.
        segments.append(_elements("*"))
    return _Rule(tuple(segments), negated, folders_only)


def _elements(part: str) -> tuple[_Element, ...]:
    """Read one segment of a pattern."""
    found: list[_Element] = []
    index = 0
    while index < len(part):
        character = part[index]
        index += 1
        if character == "*":
            if not found or found[-1] is not None:
                found.append(None)
        elif character == "?":
            found.append(lambda _: True)
        elif character == "[":
            matches, index = _class(part, index)
            found.append(matches)
        else:
            if character == "\\":
                if index == len(part):
                    raise _InvalidPatternError(part)
                character = part[index]
                index += 1
            found.append(character.__eq__)
    return tuple(found)


def _class(part: str, index: int) -> tuple[Callable[[str], bool], int]:
    """Read a class such as `[!a-z]`, whose bracket opens before `index`."""
    negated = part[index : index + 1] in ("!", "^") and part[index : index + 1] != ""
    index += negated
    tests: list[Callable[[str], bool]] = []
    while not tests or part[index : index + 1] != "]":
        item = _ONE_ITEM.match(part, index)
        if item is None:
            raise _InvalidPatternError(part)
        tests.append(_test(item))
        index = item.end()
    return (lambda character: any(test(character) for test in tests) != negated), index + 1


def _test(item: re.Match[str]) -> Callable[[str], bool]:
    if item["name"] is not None:
        if item["name"] not in _NAMED:
            raise _InvalidPatternError(item.group())
        return _NAMED[item["name"]]
    low = item["escaped"] or item["first"]
    high = item["end"] or item["last"] or low
    return lambda character: low <= character <= high


def _segment(elements: tuple[_Element, ...], name: str) -> bool:
    return _matches(elements, name, lambda element, character: element(character))


def _matches(
    pattern: Sequence[_Pattern | None],
    values: Sequence[_Value],
    matches: Callable[[_Pattern, _Value], bool],
) -> bool:
    """Match values to a pattern, in which None matches any number of values.

    Only the last None is tried again, so that the time is at most the product of both lengths.
    """
    at = value = 0
    star: tuple[int, int] | None = None
    while value < len(values):
        element = pattern[at] if at < len(pattern) else None
        if at < len(pattern) and element is None:
            star = (at, value)
            at += 1
        elif element is not None and matches(element, values[value]):
            at += 1
            value += 1
        elif star is not None:
            star = (star[0], star[1] + 1)
            at, value = star[0] + 1, star[1]
        else:
            return False
    return all(element is None for element in pattern[at:])
