"""Reads the evaluation in a manifest, whichever version of this program recorded it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def recorded_evaluation(manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the evaluation in a manifest with the fields of this version; None without one.

    Earlier versions knew no undecided verdict and no exam. The manifest itself stays as it is,
    because its seal covers what it has.
    """
    evaluation = manifest["evaluation"]
    if evaluation is None:
        return None
    verdicts = [{"undecided": False, **verdict} for verdict in evaluation["verdicts"]]
    return {"exam": None, **evaluation, "verdicts": verdicts}
