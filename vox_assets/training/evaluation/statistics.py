"""Intervals and comparisons: bootstrap over sources, Wilson intervals, overfitting trend."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Resamples of the bootstrap: the 2.5 % quantile is then known to about a tenth of its distance.
RESAMPLES = 2000


CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A figure and its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Comparison:
    """Token-weighted NLL (nats per answer token) of base and adapter on the same rows.

    `ratio` is adapter over base, `perplexity_change` the relative change of perplexity.
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
    """One row under both models: summed NLL in nats over its answer tokens."""

    pair_id: str
    source_path: str
    language: str
    tokens: int
    base_nll: float
    adapter_nll: float


@dataclass(frozen=True)
class Trend:
    """Gap of held-out loss over training loss along a run: a growing gap means overfitting.

    `gaps` is (step, watched NLL less the mean training loss since the look before) per look;
    `slope` is nats per 100 steps by least squares, None with fewer than two looks.
    """

    gaps: list[tuple[int, float]]
    slope: float | None

    def __str__(self) -> str:
        if self.slope is None:
            return "too few looks for a trend"
        first, last = self.gaps[0][1], self.gaps[-1][1]
        return (
            f"held-out less training loss {first:+.3f} -> {last:+.3f} nats in {len(self.gaps)} "
            f"looks ({self.slope:+.3f} per 100 steps)"
        )


def compare_scores(scores: Sequence[RowScore], seed: int) -> Comparison:
    """Token-weighted means and paired bootstrap intervals (percentile; Efron 1979).

    Whole sources are resampled, since rows of one file resemble one another and counting them as
    independent would make the interval too narrow. Raises ValueError without rows.
    """
    if not scores:
        raise ValueError("no held-out rows: nothing can be shown about the adapter")
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
    """The share `hits` of `count` and its Wilson score interval; 0 to 1 when nothing was counted.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference (1927).
    """
    if not count:
        return Interval(0.0, 0.0, 1.0)
    from scipy.stats import binomtest

    low, high = binomtest(hits, count).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(hits / count, float(low), float(high))


def overfit_trend(curve: Sequence[Mapping[str, Any]]) -> Trend:
    """The gap between watched and training loss at each evaluation step of a training curve."""
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
    """Share of the gain on training rows that held-out rows do not share; 0 without a gain.

    0 means that everything learned carries over, 1 that nothing does, more that learning harms.
    """
    gain = trained.base_nll - trained.adapter_nll
    carried = held_out.base_nll - held_out.adapter_nll
    return max(0.0, 1 - carried / gain) if gain > 0 else 0.0
