"""Decides by the exam whether an adapter is better than its base and no worse than another adapter.

Both decisions read differences of pass rates between two arms, paired by task, with intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vox_assets.contract.interval import Interval
from vox_assets.contract.verdict import Verdict
from vox_assets.profiles import Exam as Policy

#: Arms of the exam: the base model, the base model with a syntax sheet and examples in its prompt,
#: the adapter that is evaluated, the promoted adapter, and a model behind an endpoint.
Arm = Literal["base", "base_with_help", "adapter", "serving", "served"]
#: What somebody has who does not train.
UNTRAINED: tuple[Arm, ...] = ("base", "base_with_help")
NAMES: Mapping[Arm, str] = {
    "base": "base",
    "base_with_help": "base with help",
    "adapter": "adapter",
    "serving": "serving adapter",
    "served": "served model",
}


@dataclass(frozen=True)
class Difference:
    """Share of tasks on which the adapter reaches a rung, minus that of another arm."""

    other: Arm
    rung: str
    #: Tasks that both arms answered.
    tasks: int
    interval: Interval

    def __str__(self) -> str:
        return (
            f"{self.rung} {self.interval.value:+.0%} [{self.interval.low:+.0%}, "
            f"{self.interval.high:+.0%}] against {NAMES[self.other]}"
        )


def beats_untrained(differences: list[Difference], policy: Policy) -> Verdict:
    """Check that the adapter is better than the base model, with and without help.

    It passes if the whole interval is above zero on each rung that the profile names, fails if one
    interval is not above zero anywhere, and is undecided otherwise.
    """
    compared = [
        item for item in differences if item.other in UNTRAINED and item.rung in policy.rungs
    ]
    expected = {(arm, rung) for arm in UNTRAINED for rung in policy.rungs}
    missing = expected - {(item.other, item.rung) for item in compared}
    if missing:
        named = ", ".join(f"{rung} against {NAMES[arm]}" for arm, rung in sorted(missing))
        raise ValueError(f"exam: no difference of {named}")
    failed = any(item.interval.high <= 0 for item in compared)
    passed = all(item.interval.low > 0 for item in compared)
    return Verdict(
        passed=passed,
        undecided=not passed and not failed,
        summary=f"{'; '.join(map(str, compared))}; {compared[0].tasks} tasks (each interval above "
        f"0 required)",
        figures={
            **{f"{item.rung}_over_{item.other}": item.interval.value for item in compared},
            **{f"{item.rung}_over_{item.other}_low": item.interval.low for item in compared},
            "tasks": compared[0].tasks,
        },
    )


def against_serving(digest: str, differences: list[Difference], policy: Policy) -> dict[str, Any]:
    """Compare the adapter with the promoted adapter `digest` on the rungs of the profile.

    The outcome is `not_worse` if every interval is above the margin, `worse` if one is below it,
    and `undecided` otherwise; plain JSON values.
    """
    compared = [
        item for item in differences if item.other == "serving" and item.rung in policy.rungs
    ]
    holds = [item.interval.at_least(-policy.margin) for item in compared]
    not_worse = bool(compared) and all(holds)
    outcome = "worse" if False in holds else "not_worse" if not_worse else "undecided"
    tasks = compared[0].tasks if compared else 0
    return {
        "digest": digest,
        "outcome": outcome,
        "summary": f"{'; '.join(map(str, compared)) or 'no task that its training did not see'}; "
        f"{tasks} tasks (at most {policy.margin:.0%} lower)",
    }
