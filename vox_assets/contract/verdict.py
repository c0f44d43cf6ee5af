"""The verdict of a check: pass, fail or undecided, one line for a person, and the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# Number of examples in a verdict: enough to find the fault, few enough to read.
EXAMPLES = 5


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check: a pure predicate over tables.

    An undecided verdict has not passed, and nothing shows that it should fail: the data are too few
    for an interval on one side of the limit.
    """

    passed: bool
    summary: str
    figures: Mapping[str, int | float | str] = field(default_factory=dict)
    undecided: bool = False

    @property
    def outcome(self) -> str:
        """Name the outcome: passed, undecided or failed."""
        return "passed" if self.passed else "undecided" if self.undecided else "failed"

    @staticmethod
    def none_of(faults: Sequence[str], what: str, looked_at: int) -> Verdict:
        """Pass when `faults` is empty; `what` names the faults among `looked_at` candidates."""
        shown = "; ".join(faults[:EXAMPLES])
        return Verdict(
            passed=not faults,
            summary=f"no {what} in {looked_at:,}"
            if not faults
            else f"{len(faults):,} {what} in {looked_at:,}: {shown}",
            figures={"faults": len(faults), "looked_at": looked_at},
        )

    @staticmethod
    def at_least(floor: float, found: float, what: str) -> Verdict:
        """Pass when `found` reaches `floor`."""
        relation = ">=" if found >= floor else "<"
        return Verdict(
            passed=found >= floor,
            summary=f"{what}: {found:,} {relation} {floor:,}",
            figures={"found": found, "floor": floor},
        )
