"""Computes comparisons and intervals: bootstrap over sources, Wilson, overfitting trend."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Number of bootstrap resamples. The error of the 2.5 % quantile is then about a tenth of its
#: distance from the estimate.
RESAMPLES = 2000

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A value with its confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Comparison:
    """Token-weighted NLL (nats per answer token) of base and adapter on the same rows.

    `ratio` is the adapter's NLL over the base's, `perplexity_change` the relative change.
    """

    rows: int
    sources: int
    tokens: int
    base_nll: float
    adapter_nll: float
    ratio: Interval
    perplexity_change: Interval


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


def compare_scores(scores: Sequence[RowScore], seed: int) -> Comparison:
    """Compute token-weighted means and paired bootstrap intervals (percentile; Efron 1979).

    Resamples whole sources: rows of one file resemble one another, and treating them as independent
    would make the intervals too narrow. Raises ValueError without rows.
    """
    if not scores:
        raise ValueError("no held-out rows: the adapter cannot be compared with its base")
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for row in scores:
        for index, value in enumerate((row.base_nll, row.adapter_nll, row.tokens)):
            sums[row.source_path][index] += value
    by_source = np.array([sums[source] for source in sorted(sums)])
    count = len(by_source)
    drawn = np.random.default_rng(seed).multinomial(count, [1 / count] * count, size=RESAMPLES)
    base, adapted, tokens = by_source.sum(axis=0)
    bases, adapteds, token_sums = (drawn @ by_source).T
    return Comparison(
        rows=len(scores),
        sources=count,
        tokens=int(tokens),
        base_nll=float(base / tokens),
        adapter_nll=float(adapted / tokens),
        ratio=_interval(adapted / base, adapteds / bases),
        perplexity_change=_interval(
            math.expm1((adapted - base) / tokens), np.expm1((adapteds - bases) / token_sums)
        ),
    )


def _interval(value: float, resampled: np.ndarray) -> Interval:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))


def wilson(hits: int, count: int) -> Interval:
    """Return the share `hits` / `count` with its Wilson score interval; 0 to 1 if `count` is 0.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    if not count:
        return Interval(0.0, 0.0, 1.0)
    from scipy.stats import binomtest

    low, high = binomtest(hits, count).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(hits / count, float(low), float(high))


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


def unlearned_share(held_out: Comparison, trained: Comparison) -> float:
    """Return the share of the gain on training rows that is missing on held-out rows.

    0 means that the whole gain carries over or that there is no gain, 1 that nothing carries over.
    Above 1, the held-out loss has risen.
    """
    gain = trained.base_nll - trained.adapter_nll
    carried = held_out.base_nll - held_out.adapter_nll
    return max(0.0, 1 - carried / gain) if gain > 0 else 0.0
