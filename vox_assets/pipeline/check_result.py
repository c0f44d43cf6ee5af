"""Converts verdicts to check results of Dagster."""

from __future__ import annotations

import dagster as dg

from vox_assets.contract.verdict import Verdict

#: Significant digits of a figure in the UI: more than any interval of a build distinguishes.
DIGITS = 4


def report(
    verdict: Verdict, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
) -> dg.AssetCheckResult:
    """Convert a verdict: its summary becomes the description, its figures the metadata.

    The UI plots the figures over time.
    """
    return dg.AssetCheckResult(
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.WARN if verdict.undecided else severity,
        description=f"undecided: {verdict.summary}" if verdict.undecided else verdict.summary,
        metadata={name: _rounded(figure) for name, figure in verdict.figures.items()},
    )


def _rounded(figure: int | float | str) -> int | float | str:
    return float(f"{figure:.{DIGITS}g}") if isinstance(figure, float) else figure


def warn(verdict: Verdict) -> dg.AssetCheckResult:
    """Convert a verdict to a result that only warns when it fails."""
    return report(verdict, dg.AssetCheckSeverity.WARN)
