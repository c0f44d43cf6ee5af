"""Converts verdicts to check results of Dagster."""

from __future__ import annotations

import dagster as dg

from vox_assets.contract.verdict import Verdict


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
        metadata=dict(verdict.figures),
    )


def warn(verdict: Verdict) -> dg.AssetCheckResult:
    """Convert a verdict to a result that only warns when it fails."""
    return report(verdict, dg.AssetCheckSeverity.WARN)
