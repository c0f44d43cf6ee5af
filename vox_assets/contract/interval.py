"""A value with its confidence interval, and the interval of a share.

Verdicts of all packages are decided on these intervals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval; infinite bounds where the data give none."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def at_most(self, limit: float) -> bool | None:
        """Whether the true value is at most `limit`; None if the interval contains both sides."""
        if self.high <= limit:
            return True
        return False if self.low > limit else None

    def at_least(self, limit: float) -> bool | None:
        """Whether the true value is at least `limit`; None if the interval contains both sides."""
        if self.low >= limit:
            return True
        return False if self.high < limit else None


def wilson(hits: int, count: int) -> Interval:
    """Return the share `hits` / `count` with its Wilson score interval; 0 to 1 if `count` is 0.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    if not count:
        return Interval(0.0, 0.0, 1.0)
    from scipy.stats import binomtest

    low, high = binomtest(hits, count).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(hits / count, float(low), float(high))


def share_difference(hits: int, count: int, other_hits: int, other_count: int) -> Interval:
    """Estimate `hits / count - other_hits / other_count` with its interval.

    R. G. Newcombe, Interval estimation for the difference between independent proportions:
    comparison of eleven methods (1998), method 10. For answers to the same prompts it is cautious,
    because their results agree more often than independent ones.
    """
    first, second = wilson(hits, count), wilson(other_hits, other_count)
    value = first.value - second.value
    return Interval(
        value,
        value - math.hypot(first.value - first.low, second.high - second.value),
        value + math.hypot(first.high - first.value, second.value - second.low),
    )


def area_under_curve(area: float, positives: int, negatives: int) -> Interval:
    """Return an area under the ROC curve with its interval; it has a width at 0 and 1 too.

    R. G. Newcombe, Confidence intervals for an effect size measure based on the Mann-Whitney
    statistic, part 2 (2006), method 5.
    """
    if not positives or not negatives:
        return Interval(area, 0.0, 1.0)
    from scipy.optimize import brentq
    from scipy.stats import norm

    z = float(norm.ppf((1 + CONFIDENCE) / 2))
    mean = (positives + negatives) / 2 - 1

    def distance(bound: float) -> float:
        spread = 1 + mean * ((1 - bound) / (2 - bound) + bound / (1 + bound))
        return (area - bound) ** 2 - z**2 * bound * (1 - bound) * spread / positives / negatives

    # The distance is negative at the estimate, except that an estimate of 0 or 1 is a root itself.
    inside = min(max(area, _NEXT_TO_A_BOUND), 1 - _NEXT_TO_A_BOUND)
    low = float(brentq(distance, 0.0, inside)) if area > 0 else 0.0
    high = float(brentq(distance, inside, 1.0)) if area < 1 else 1.0
    return Interval(area, low, high)


_NEXT_TO_A_BOUND = 1e-9
