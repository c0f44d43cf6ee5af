"""A verdict as Dagster's check result."""

from __future__ import annotations

import dagster as dg

from vox_assets.contract.verdict import Verdict


def report(
    verdict: Verdict, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
) -> dg.AssetCheckResult:
    """The summary is what a maintainer reads first; the figures make the chart."""
    return dg.AssetCheckResult(
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.WARN if verdict.undecided else severity,
        description=f"undecided: {verdict.summary}" if verdict.undecided else verdict.summary,
        metadata=dict(verdict.figures),
    )


def warn(verdict: Verdict) -> dg.AssetCheckResult:
    """Report a verdict as a warning, which stops nothing."""
    return report(verdict, dg.AssetCheckSeverity.WARN)
