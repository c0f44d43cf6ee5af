"""Defines the evaluation of an adapter and the verdicts that promotion requires."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import polars as pl

from vox_assets.contract.interval import Interval, share_difference, wilson
from vox_assets.contract.verdict import Verdict
from vox_assets.exam import results
from vox_assets.exam.decide import against_serving, beats_untrained
from vox_assets.profiles import Evaluation as Policy
from vox_assets.profiles import Exam as ExamPolicy
from vox_assets.training.evaluation.statistics import (
    Comparison,
    RowScore,
    Trend,
    unlearned_share,
)

#: Meaning of each column of `Evaluation.row_table`.
ROW_MEANINGS: dict[str, str] = {
    "pair_id": "id of the held-out row",
    "source_path": "file that the row comes from; intervals are over these files",
    "language": "language of the answer",
    "tokens": "tokens of the answer",
    "base_nll": "nats that the base model needs for the whole answer",
    "adapter_nll": "nats that the adapter needs for the whole answer",
    "change": "change of the loss in nats per token; below 0 the adapter is better",
}


@dataclass(frozen=True)
class Generation:
    """A greedy answer to a held-out prompt, with its measured properties."""

    pair_id: str
    language: str
    text: str
    stopped: bool
    parses: bool
    out_of_mode: bool
    copied: bool


@dataclass(frozen=True)
class Written:
    """Properties of the answers of one model, as shares of `count` answers."""

    count: int
    parse_rate: float
    out_of_mode_rate: float
    stop_rate: float
    copy_rate: float

    @staticmethod
    def of(generations: Sequence[Generation]) -> Written:
        """Compute the shares of a list of generations."""

        def share(name: str) -> float:
            return sum(getattr(item, name) for item in generations) / max(1, len(generations))

        return Written(
            len(generations), *map(share, ("parses", "out_of_mode", "stopped", "copied"))
        )

    def interval(self, name: str) -> Interval:
        """Return a share with its Wilson score interval (Wilson 1927).

        Eight answers are few: the normal approximation would give 0 % and 100 % an interval of
        width zero.
        """
        return wilson(self.hits(name), self.count)

    def hits(self, name: str) -> int:
        """Return the number of answers that a share counts."""
        return round(getattr(self, name) * self.count)

    def shown(self, name: str) -> str:
        """Format a share with its interval."""
        share = self.interval(name)
        return f"{share.value:.0%} [{share.low:.0%}, {share.high:.0%}]"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: the shares and, under `intervals`, their intervals."""
        shares = [column.name for column in fields(self) if column.name != "count"]
        return asdict(self) | {"intervals": {name: asdict(self.interval(name)) for name in shares}}


@dataclass(frozen=True)
class Evaluation:
    """All measurements of one adapter, and the verdicts."""

    digest: str
    eval_digest: str
    held_out: Comparison
    trained: Comparison
    other_lanes: Comparison | None
    trend: Trend
    base_writes: Written
    adapter_writes: Written
    verdicts: dict[str, Verdict]
    rows: list[RowScore] = field(default_factory=list)
    generations: list[Generation] = field(default_factory=list)
    base_generations: list[Generation] = field(default_factory=list)
    #: The figures of `exam.results`, the verdict against the base model, and the comparison with
    #: the promoted adapter.
    exam: Mapping[str, Any] | None = None

    @property
    def passed(self) -> bool:
        """True if every verdict passed."""
        return all(verdict.passed for verdict in self.verdicts.values())

    @property
    def total_nll(self) -> float:
        """Sum of nats over all judged answers: comparable between adapters on one held-out set."""
        return sum(row.adapter_nll for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; the verdicts are a list."""
        content = asdict(self)
        content["base_writes"] = self.base_writes.to_json()
        content["adapter_writes"] = self.adapter_writes.to_json()
        content["verdicts"] = [_plain(name, verdict) for name, verdict in self.verdicts.items()]
        return dict(_finite(content | {"passed": self.passed, "total_nll": self.total_nll}))

    def row_table(self) -> pl.DataFrame:
        """Return one line per held-out row: NLL under both models, and the change per token."""
        return pl.DataFrame([asdict(row) for row in self.rows]).with_columns(
            ((pl.col("adapter_nll") - pl.col("base_nll")) / pl.col("tokens")).alias("change")
        )


#: The verdict of the exam; promotion requires it if the exam decides.
EXAM_VERDICT = "exam_beats_base"


def with_exam(evaluation: Evaluation, answers: pl.DataFrame, policy: ExamPolicy) -> Evaluation:
    """Add the results of the exam to an evaluation.

    `answers` (`exam.answer.ANSWER_SCHEMA`) has the arms base, base_with_help and adapter, and
    serving if another adapter is promoted. If the exam decides, its verdict is one of those that
    promotion requires.
    """
    differences = results.differences(answers, policy.rungs)
    verdict = beats_untrained(differences, policy)
    serving = answers.filter(arm="serving")["model"].unique().to_list()
    exam = {
        **results.figures(answers, policy.rungs),
        "decides": policy.decides,
        "reason": policy.reason,
        "verdict": _plain(EXAM_VERDICT, verdict),
        "serving": against_serving(serving[0], differences, policy) if serving else None,
    }
    required = {EXAM_VERDICT: verdict} if policy.decides == "exam" else {}
    return replace(evaluation, exam=exam, verdicts={**evaluation.verdicts, **required})


def _plain(name: str, verdict: Verdict) -> dict[str, Any]:
    """Convert a verdict to plain JSON values."""
    return {
        "name": name,
        "passed": verdict.passed,
        "undecided": verdict.undecided,
        "reason": verdict.summary,
        "figures": dict(verdict.figures),
    }


def verdicts(
    held_out: Comparison,
    trained: Comparison,
    base_writes: Written,
    adapter_writes: Written,
    policy: Policy,
    trend: Trend,
    other_lanes: Comparison | None = None,
) -> dict[str, Verdict]:
    """Compute the verdicts that promotion requires, each with its figures.

    A verdict is decided by an interval: it passes if the whole interval meets the limit, fails if
    no part of it does, and is undecided otherwise.
    """
    return {
        "beats_base": _beats_base(held_out),
        "not_overfit": _not_overfit(held_out, trained, adapter_writes, policy, trend),
        "no_forgetting": _no_forgetting(other_lanes, policy.max_forgetting),
        "lane_discipline": _lane_discipline(base_writes, adapter_writes, policy),
    }


def _decided(*claims: bool | None) -> dict[str, bool]:
    """Combine claims: all must hold; without a claim that fails, one open claim leaves it open."""
    failed = any(claim is False for claim in claims)
    return {"passed": all(claims), "undecided": not failed and not all(claims)}


def _beats_base(held_out: Comparison) -> Verdict:
    ratio = held_out.ratio
    return Verdict(
        **_decided(ratio.at_most(1.0)),
        summary=f"held-out loss {held_out.base_nll:.3f} -> {held_out.adapter_nll:.3f}, ratio "
        f"{ratio} over {held_out.rows} rows of {held_out.sources} sources (upper bound below 1 "
        f"required); perplexity {held_out.perplexity_change.value:+.1%}",
        figures={
            "base_nll": held_out.base_nll,
            "adapter_nll": held_out.adapter_nll,
            **bounded("ratio", ratio),
            "perplexity_change": held_out.perplexity_change.value,
            "rows": held_out.rows,
            "sources": held_out.sources,
            "tokens": held_out.tokens,
        },
    )


def _not_overfit(
    held_out: Comparison,
    trained: Comparison,
    adapter_writes: Written,
    policy: Policy,
    trend: Trend,
) -> Verdict:
    unlearned = unlearned_share(held_out, trained)
    return Verdict(
        **_decided(unlearned.at_most(policy.max_overfit_gap)),
        summary=f"{unlearned.value:.0%} [{unlearned.low:.0%}, {unlearned.high:.0%}] of the gain on "
        f"training rows does not carry over (at most {policy.max_overfit_gap:.0%}): training rows "
        f"{trained.base_nll:.3f} -> {trained.adapter_nll:.3f}, {adapter_writes.shown('copy_rate')} "
        f"of {adapter_writes.count} answers copy a training answer; {trend}",
        figures={
            **bounded("unlearned_share", unlearned),
            "limit": policy.max_overfit_gap,
            "train_base_nll": trained.base_nll,
            "train_adapter_nll": trained.adapter_nll,
            "train_rows": trained.rows,
            "copy_rate": adapter_writes.copy_rate,
            **({} if trend.slope is None else {"gap_slope": trend.slope}),
        },
    )


def _no_forgetting(other_lanes: Comparison | None, limit: float) -> Verdict:
    """Check that the loss on rows of other lanes has not risen beyond the limit."""
    if other_lanes is None:
        return Verdict(True, "not measured: no rows of other lanes", {"rows": 0})
    ratio = other_lanes.ratio
    return Verdict(
        **_decided(ratio.at_most(1 + limit)),
        summary=f"loss on {other_lanes.rows} rows of other lanes {other_lanes.base_nll:.3f} -> "
        f"{other_lanes.adapter_nll:.3f}, ratio {ratio} (at most {1 + limit:.2f})",
        figures={**bounded("ratio", ratio), "limit": 1 + limit, "rows": other_lanes.rows},
    )


def _lane_discipline(base_writes: Written, adapter_writes: Written, policy: Policy) -> Verdict:
    outside = adapter_writes.interval("out_of_mode_rate")
    gain = share_difference(
        adapter_writes.hits("parse_rate"),
        adapter_writes.count,
        base_writes.hits("parse_rate"),
        base_writes.count,
    )
    return Verdict(
        **_decided(
            outside.at_most(policy.max_prose_share), gain.at_least(policy.min_parse_rate_gain)
        ),
        summary=f"{adapter_writes.shown('out_of_mode_rate')} of {adapter_writes.count} answers "
        f"leave their mode (base {base_writes.out_of_mode_rate:.0%}, at most "
        f"{policy.max_prose_share:.0%}); {adapter_writes.shown('parse_rate')} parse (base "
        f"{base_writes.parse_rate:.0%}, difference {gain.value:+.0%} [{gain.low:+.0%}, "
        f"{gain.high:+.0%}], at least {policy.min_parse_rate_gain:+.0%}); "
        f"{adapter_writes.shown('stop_rate')} stop by themselves",
        figures={
            **bounded("out_of_mode_rate", outside),
            "limit": policy.max_prose_share,
            **bounded("parse_rate_gain", gain),
            "parse_rate": adapter_writes.parse_rate,
            "base_parse_rate": base_writes.parse_rate,
            "stop_rate": adapter_writes.stop_rate,
            "answers": adapter_writes.count,
        },
    )


def bounded(name: str, interval: Interval) -> dict[str, float]:
    """Return the figures of an interval; infinite bounds are left out."""
    figures = {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return {key: value for key, value in figures.items() if math.isfinite(value)}


def _finite(content: Any) -> Any:
    """Replace infinite numbers, which JSON does not have, by None."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
