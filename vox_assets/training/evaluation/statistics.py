"""Compares adapter and base: ratios of losses over sources, overfitting."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vox_assets.contract.interval import Interval, ratio_of_sums, student, student_quantile


@dataclass(frozen=True)
class Comparison:
    """Token-weighted NLL (nats per answer token) of base and adapter on the same rows.

    `ratio` is the adapter's NLL over the base's, `perplexity_change` the relative change, and
    `gain` the base's NLL minus the adapter's.
    """

    rows: int
    sources: int
    tokens: int
    base_nll: float
    adapter_nll: float
    ratio: Interval
    perplexity_change: Interval
    gain: Interval


@dataclass(frozen=True)
class RowScore:
    """Scores of a row under both models: NLL in nats, summed over its answer tokens."""

    pair_id: str
    source_path: str
    language: str
    tokens: int
    base_nll: float
    adapter_nll: float


@dataclass(frozen=True)
class Trend:
    """Gap between held-out and training loss during a run: a growing gap means overfitting.

    `gaps` has (step, watched NLL minus mean training loss since the previous evaluation) for each
    evaluation. `slope` is in nats per 100 steps by least squares; None with fewer than two
    evaluations.
    """

    gaps: list[tuple[int, float]]
    slope: float | None

    def __str__(self) -> str:
        if self.slope is None:
            return "too few evaluations for a trend"
        first, last = self.gaps[0][1], self.gaps[-1][1]
        return (
            f"held-out minus training loss {first:+.3f} -> {last:+.3f} nats in {len(self.gaps)} "
            f"evaluations ({self.slope:+.3f} per 100 steps)"
        )


def compare_scores(scores: Sequence[RowScore]) -> Comparison:
    """Compute token-weighted means and their intervals over sources.

    Rows of one file resemble one another, so sources are the units of observation. Ratios of sums
    have linearised variances and Student's t with one degree of freedom fewer than sources (W. G.
    Cochran, Sampling Techniques, 1977, chapter 6). In simulations without an effect, 4 to 6 % of
    these intervals exclude 1, from two sources upwards; percentile bootstrap intervals exclude it
    in up to 30 %. Raises ValueError without rows.
    """
    if not scores:
        raise ValueError("no held-out rows: the adapter cannot be compared with its base")
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for row in scores:
        for index, value in enumerate((row.base_nll, row.adapter_nll, row.tokens)):
            sums[row.source_path][index] += value
    base, adapted, tokens = np.array([sums[source] for source in sorted(sums)]).T
    change = ratio_of_sums(list(adapted - base), list(tokens))
    return Comparison(
        rows=len(scores),
        sources=len(sums),
        tokens=int(tokens.sum()),
        base_nll=float(base.sum() / tokens.sum()),
        adapter_nll=float(adapted.sum() / tokens.sum()),
        ratio=ratio_of_sums(list(adapted), list(base)),
        perplexity_change=Interval(*(_expm1(v) for v in (change.value, change.low, change.high))),
        gain=Interval(-change.value, -change.high, -change.low),
    )


def _expm1(value: float) -> float:
    return math.expm1(value) if value < math.inf else math.inf


def paired_ratio(
    reference: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]
) -> Interval:
    """Estimate the ratio of the loss of one adapter to that of a reference, paired by row.

    Both are the rows of evaluations (fields of RowScore) on the same held-out rows.
    """
    losses = {row["pair_id"]: row["adapter_nll"] for row in reference}
    scores = [RowScore(**{**row, "base_nll": losses[row["pair_id"]]}) for row in other]
    return compare_scores(scores).ratio


def overfit_trend(curve: Sequence[Mapping[str, Any]]) -> Trend:
    """Compute the gap between watched and training loss at each evaluation of a training curve."""
    gaps: list[tuple[int, float]] = []
    losses: list[float] = []
    for line in curve:
        if "loss" in line:
            losses.append(line["loss"])
        elif "watched_nll" in line and losses:
            gaps.append((line["step"], line["watched_nll"] - sum(losses) / len(losses)))
            losses = []
    if len({step for step, _ in gaps}) < 2:
        return Trend(gaps, None)
    steps, values = zip(*gaps, strict=True)
    return Trend(gaps, float(np.polyfit(steps, values, 1)[0]) * 100)


def unlearned_share(held_out: Comparison, trained: Comparison) -> Interval:
    """Estimate the share of the gain on training rows that is missing on held-out rows.

    0 means that the whole gain carries over, 1 that nothing does; above 1, the held-out loss has
    risen. The interval is the delta method's, with Welch's degrees of freedom. It is unbounded
    where the interval of the gain on training rows contains 0.
    """
    gain, carried = trained.gain, held_out.gain
    if gain.low <= 0 or min(held_out.sources, trained.sources) < 2:
        share = 1 - carried.value / gain.value if gain.value > 0 else 0.0
        return Interval(share, -math.inf, math.inf)
    ratio = carried.value / gain.value
    freedoms = held_out.sources - 1, trained.sources - 1
    variances = [
        (scale * (gained.high - gained.low) / 2 / student_quantile(freedom) / gain.value) ** 2
        for gained, scale, freedom in zip((carried, gain), (1.0, ratio), freedoms, strict=True)
    ]
    total = sum(variances)
    if total == 0:
        return Interval(1 - ratio, 1 - ratio, 1 - ratio)
    welch = total**2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    return student(1 - ratio, math.sqrt(total), welch)
