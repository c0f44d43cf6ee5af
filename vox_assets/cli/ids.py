"""Finds what the first characters of an id stand for, and defines the error for bad input."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vox_assets.compute.models import LocalModel

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


def adapter_directory(digest: str, root: Path, base: LocalModel) -> Path:
    """Return the directory below `root` of an adapter that can answer with `base`.

    `digest` may be its first characters. Raises UsageError if there is none, or if it is damaged or
    was trained on another base.
    """
    from vox_assets.training.evaluation.load import obstacle
    from vox_assets.training.promote import known_adapters

    known = known_adapters(root)
    digest = full_id(digest, known, "adapter")
    if digest not in known:
        raise UsageError(f"{digest}: no such adapter below {root}")
    if fault := obstacle(root / digest, base):
        raise UsageError(f"adapter {digest} cannot answer: {fault}")
    return root / digest
