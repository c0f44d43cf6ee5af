"""Finds the id that a prefix stands for, and defines the error for bad input."""

from __future__ import annotations

from collections.abc import Iterable

#: Ids that the error for an ambiguous prefix shows.
SHOWN = 3


class UsageError(ValueError):
    """Wrong arguments or input files; the message is one line."""


def full_id(prefix: str, known: Iterable[str], noun: str) -> str:
    """Return the only id of `known` that starts with `prefix`, or `prefix` where none does.

    An id that is complete stands for itself, even where a longer id starts with it. The caller
    reports an unknown id. Raises UsageError for a prefix of several ids and for an empty one.
    """
    if not prefix:
        raise UsageError(f"the id of the {noun} is empty: expected its first characters at least")
    matches = sorted({name for name in known if name.startswith(prefix)})
    if len(matches) < 2 or prefix in matches:
        return prefix if prefix in matches or not matches else matches[0]
    more = ", ..." if len(matches) > SHOWN else ""
    raise UsageError(
        f"{prefix}: {len(matches):,} {noun}s start with it: expected more characters of one of "
        f"{', '.join(matches[:SHOWN])}{more}"
    )
