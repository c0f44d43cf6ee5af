"""Formats the figures of an evaluation as table lines, for both the model card and the report.

The input is the evaluation in a manifest, so the base model is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vox_assets.exam.decide import NAMES

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


#: What an answer of each line of a ladder does; a line counts only answers of the line above.
RUNG_NAMES = {
    "ends": "ends by itself",
    "code_only": "has nothing but code",
    "parses": "parses",
    "checks": "is accepted by the compiler",
    "declares": "declares what was asked",
    "behaves": "behaves as the reference",
    "passed": "passes its task",
}


def ladder_table(exam: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Format the share of answers that reach each rung, per arm: header and lines."""
    arms = list(dict.fromkeys(line["arm"] for line in exam["shares"]))
    cells = {(line["rung"], line["arm"]): line for line in exam["shares"]}
    header = ("answer that", *(f"{NAMES[arm]} [95 %]" for arm in arms))
    lines = [
        (
            label,
            *(_counted(cells[rung, arm]) if (rung, arm) in cells else "-" for arm in arms),
        )
        for rung, label in RUNG_NAMES.items()
        if any((rung, arm) in cells for arm in arms)
    ]
    return header, lines


def kind_table(exam: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Format the share of passed tasks of each kind, per arm: header and lines."""
    passed = [line for line in exam["kinds"] if line["rung"] == "passed"]
    arms = list(dict.fromkeys(line["arm"] for line in passed))
    kinds = list(dict.fromkeys(line["kind"] for line in passed))
    cells = {(line["kind"], line["arm"]): line for line in passed}
    return ("tasks passed", *(f"{NAMES[arm]} [95 %]" for arm in arms)), [
        (
            kind.replace("_", " "),
            *(_counted(cells[kind, arm]) if (kind, arm) in cells else "-" for arm in arms),
        )
        for kind in kinds
    ]


def sample_table(
    rates: Sequence[Mapping[str, Any]],
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Format the share of tasks that one of k samples passes (pass@k), per arm: header and lines.

    There are no lines without samples.
    """
    arms = list(dict.fromkeys(line["arm"] for line in rates))
    cells = {(line["k"], line["arm"]): line for line in rates}
    return ("one of k samples passes", *(f"{NAMES[arm]} [95 %]" for arm in arms)), [
        (
            f"pass@{k}",
            *(_bounded(cells[k, arm], ".1%") if (k, arm) in cells else "-" for arm in arms),
        )
        for k in dict.fromkeys(line["k"] for line in rates)
    ]


def _counted(line: Mapping[str, Any]) -> str:
    return f"{line['reached']} of {line['tasks']} [{line['low']:.0%}, {line['high']:.0%}]"


def _bounded(interval: Mapping[str, float | None], form: str) -> str:
    value, low, high = (interval[key] for key in ("value", "low", "high"))
    if low is None or high is None:
        return f"{value:{form}} [unknown]"
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def _share(written: Mapping[str, Any], name: str) -> str:
    return _bounded(written["intervals"][name], ".0%")
