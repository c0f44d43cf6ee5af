"""A value with its confidence interval, and the interval of a share.

Verdicts of all packages are decided on these intervals.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
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


def wilson(hits: float, count: float) -> Interval:
    """Return the share `hits` / `count` with its Wilson score interval; 0 to 1 if `count` is 0.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927).
    Counts may be fractions, such as an effective number of observations.
    """
    if not count:
        return Interval(0.0, 0.0, 1.0)
    from scipy.stats import norm

    share, z = hits / count, float(norm.ppf((1 + CONFIDENCE) / 2))
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return Interval(
        share,
        0.0 if hits == 0 else centre - half,
        1.0 if hits == count else centre + half,
    )


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


def paired_difference(
    both: float, first_only: float, second_only: float, neither: float
) -> Interval:
    """Estimate the difference of two shares of the same observations, first minus second.

    The counts are of observations on which both, only one, or neither succeeded; they may be
    fractions, such as effective numbers of observations. R. G. Newcombe, Improved confidence
    intervals for the difference between binomial proportions based on paired data (1998), method
    10. Unlike an interval from the variance alone, it has a width if all observations agree.
    """
    count = both + first_only + second_only + neither
    first, second = wilson(both + first_only, count), wilson(both + second_only, count)
    excess = both * neither - first_only * second_only
    if excess > 0:
        excess = max(0.0, excess - count / 2)
    margins = (both + first_only) * (second_only + neither)
    margins *= (both + second_only) * (first_only + neither)
    phi = excess / math.sqrt(margins) if margins else 0.0

    def distance(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))

    value = first.value - second.value
    return Interval(
        value,
        value - distance(first.value - first.low, second.high - second.value),
        value + distance(first.high - first.value, second.value - second.low),
    )


def clustered_difference(
    pairs: Sequence[tuple[bool, bool]], clusters: Sequence[Hashable]
) -> Interval:
    """Estimate the difference of two shares of the same observations in groups, as above.

    `clusters` has the group of each pair. Pairs of a group are alike, so their number is divided by
    the design effect (L. Kish, Survey Sampling, 1965): the variance over groups relative to that of
    independent pairs, at least 1, times the square of Student's t over the normal quantile. The
    interval is -1 to 1 with fewer than two groups.
    """
    outcomes = ((True, True), (True, False), (False, True), (False, False))
    counts = [sum(tuple(pair) == outcome for pair in pairs) for outcome in outcomes]
    if len(set(clusters)) < 2:
        return Interval((counts[1] - counts[2]) / max(1, len(pairs)), -1.0, 1.0)
    changes = [float(first) - second for first, second in pairs]
    mean = sum(changes) / len(changes)
    effect = _design_effect(changes, clusters, sum((change - mean) ** 2 for change in changes))
    return paired_difference(*(count / effect for count in counts))


def share_of_groups(values: Sequence[float], groups: Sequence[Hashable]) -> Interval:
    """Estimate the mean of shares, each between 0 and 1, with an interval over their groups.

    It is Wilson's interval for the effective number of observations, their number divided by the
    design effect as above, relative to observations that are 0 or 1. So it has a width where all
    values are equal, and is cautious where values vary less. It is 0 to 1 with fewer than two
    groups.
    """
    count, mean = len(values), sum(values) / max(1, len(values))
    if len(set(groups)) < 2:
        return Interval(mean, 0.0, 1.0)
    effect = _design_effect(values, groups, count * mean * (1 - mean))
    return wilson(mean * (count / effect), count / effect)


def _design_effect(
    values: Sequence[float], clusters: Sequence[Hashable], independent: float
) -> float:
    """Compare the sum of squares over groups with that of independent observations."""
    from scipy.stats import norm

    sums: dict[Hashable, list[float]] = defaultdict(list)
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster].append(value)
    groups = list(sums.values())
    count, mean = len(values), sum(values) / len(values)
    over_groups = sum((sum(group) - mean * len(group)) ** 2 for group in groups)
    over_groups *= len(groups) / (len(groups) - 1)
    independent *= count / (count - 1)
    normal_quantile = float(norm.ppf((1 + CONFIDENCE) / 2))
    small_sample = (student_quantile(len(groups) - 1) / normal_quantile) ** 2
    return max(1.0, over_groups / independent if independent else 1.0) * small_sample


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


def ratio_of_sums(top: Sequence[float], bottom: Sequence[float]) -> Interval:
    """Estimate sum(top) / sum(bottom) with its interval; both have one value per group.

    A single group has no spread, so its interval is unbounded.
    """
    count, total = len(top), sum(bottom)
    ratio = sum(top) / total
    if count < 2:
        return Interval(ratio, -math.inf, math.inf)
    squares = sum((one - ratio * other) ** 2 for one, other in zip(top, bottom, strict=True))
    error = math.sqrt(count / (count - 1) * squares) / abs(total)
    return student(ratio, error, count - 1)


def student(value: float, error: float, freedom: float) -> Interval:
    """Return a value with the interval of Student's t around it; `error` is its standard error."""
    half = student_quantile(freedom) * error
    return Interval(value, value - half, value + half)


def student_quantile(freedom: float) -> float:
    """Return the two-sided quantile of Student's t for CONFIDENCE."""
    from scipy.stats import t

    return float(t.ppf((1 + CONFIDENCE) / 2, freedom))
