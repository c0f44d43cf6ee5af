"""Formats the figures of an evaluation as table lines, for both the model card and the report.

The input is the evaluation in a manifest, so the base model is not needed. `verify` renders the
card again: a change of a label makes existing adapters fail verification.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LOSS_HEADER = (
    *("rows of", "rows", "sources", "tokens", "base loss", "adapter loss", "ratio [95 %]"),
    "perplexity change [95 %]",
)
ANSWER_HEADER = ("greedy answers that", "base [95 %]", "adapter [95 %]", "of")

_COMPARISONS = (
    ("held_out", "held-out sources"),
    ("trained", "the training set"),
    ("other_lanes", "lanes that were not trained"),
)
_SHARES = (
    ("parse_rate", "end and parse"),
    ("out_of_mode_rate", "leave their mode (prose or fences)"),
    ("stop_rate", "stop by themselves"),
    ("copy_rate", "copy a training answer word for word"),
)


def loss_lines(evaluation: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Format the token-weighted loss of base and adapter per set of rows, with its intervals."""
    lines = []
    for key, label in _COMPARISONS:
        comparison = evaluation.get(key)
        if comparison is None:
            continue
        ratio, change = comparison["ratio"], comparison["perplexity_change"]
        lines.append(
            (
                label,
                *(f"{comparison[count]:,}" for count in ("rows", "sources", "tokens")),
                f"{comparison['base_nll']:.3f}",
                f"{comparison['adapter_nll']:.3f}",
                _bounded(ratio, ".3f"),
                _bounded(change, "+.1%"),
            )
        )
    return lines


def answer_lines(evaluation: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Format the shares of the greedy answers of base and adapter, with Wilson intervals."""
    base, adapted = evaluation["base_writes"], evaluation["adapter_writes"]
    return [
        (label, _share(base, name), _share(adapted, name), f"{adapted['count']}")
        for name, label in _SHARES
    ]


def _bounded(interval: Mapping[str, float | None], form: str) -> str:
    value, low, high = (interval[key] for key in ("value", "low", "high"))
    if low is None or high is None:
        return f"{value:{form}} [unknown]"
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def _share(written: Mapping[str, Any], name: str) -> str:
    return _bounded(written["intervals"][name], ".0%")
