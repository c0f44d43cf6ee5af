"""Examines the exam: wrong answers have to fail, and rewritten references have to pass."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lark import Token, Tree

from vox_assets.contract.interval import Interval, wilson
from vox_assets.contract.verdict import EXAMPLES, Verdict
from vox_assets.exam import mutants, rewrites
from vox_assets.exam.code_tree import plain_name
from vox_assets.exam.grade import Grade, grade
from vox_assets.exam.rewrites import Rewrite
from vox_assets.exam.running import hidden_calls, is_known, nearby, outcomes
from vox_assets.exam.structure import facts
from vox_assets.exam.task import Task
from vox_assets.vox_syntax import check, parse

#: Kinds of wrong answers: those of `mutants`, and a body that returns the outcome of one call.
CONSTANT_BODY = "constant_body"
WRONG_KINDS = ("constant", "operator", "comparison", "branch", "dropped", "swapped", CONSTANT_BODY)

#: Wrong answers of a kind that are graded per task.
PER_KIND = 2
#: Share of the wrong answers that have to fail, of each kind and together.
MIN_FAIL = 0.95
#: Share of the rewritten references that have to pass.
MIN_PASS = 0.98
#: Other values with which each hidden call of a passing mutant is repeated.
_ROUNDS = 60
#: Seed of further calls, which may differ from those of the task.
_OTHER_SEED = 7


@dataclass(frozen=True)
class Tally:
    """Answers of one kind: how many were graded, and how many got the right verdict."""

    kind: str
    right: int
    graded: int
    #: Wrong answers left out because nothing tells them from the reference.
    alike: int = 0

    @property
    def interval(self) -> Interval:
        """The share of right verdicts with its Wilson interval."""
        return wilson(self.right, self.graded)

    def __str__(self) -> str:
        return f"{self.kind} {self.right}/{self.graded}"


@dataclass(frozen=True)
class Discrimination:
    """How well the exam tells wrong answers from right ones."""

    references: Tally
    wrong: tuple[Tally, ...]
    rewritten: tuple[Tally, ...]
    #: Answers with a wrong verdict, as `task: kind: what`.
    faults: tuple[str, ...]


def discriminate(tasks: Sequence[Task]) -> Discrimination:
    """Grade each reference, wrong answers of every kind made from it, and its rewrites.

    A wrong answer has to parse. It is left out if it equals the reference in the normal form, or if
    it passes and calls with other values find no difference either: then it is not wrong.
    """
    right: Counter[str] = Counter()
    graded: Counter[str] = Counter()
    alike: Counter[str] = Counter()
    faults = []
    for task in tasks:
        for kind, source in _right(task):
            graded[kind] += 1
            found = grade(task, source, True)
            right[kind] += found.passed
            if not found.passed:
                faults.append(f"{_label(task)}: {kind} fails: {found.fault}")
        for kind, verdicts in _wrong(task):
            graded[kind] += len(verdicts.failed) + len(verdicts.passed)
            right[kind] += len(verdicts.failed)
            alike[kind] += verdicts.alike
            faults += [f"{_label(task)}: {kind} passes: {change}" for change in verdicts.passed]

    def tally(kind: str) -> Tally:
        return Tally(kind, right[kind], graded[kind], alike[kind])

    return Discrimination(
        references=tally(_REFERENCE),
        wrong=tuple(tally(kind) for kind in WRONG_KINDS),
        rewritten=tuple(tally(kind) for kind in rewrites.KINDS),
        faults=tuple(faults),
    )


def exam_discriminates(tasks: Sequence[Task]) -> Verdict:
    """Check that references and their rewrites pass, and that wrong answers fail."""
    return judged(discriminate(tasks))


def judged(found: Discrimination) -> Verdict:
    """Decide from the shares whether the exam tells wrong answers from right ones.

    It fails if a reference fails, or if a share is below its limit by its whole interval. A share
    below its limit whose interval reaches the limit leaves it undecided: too few answers tell.
    """
    wrong, rewritten = _sum("wrong answers", found.wrong), _sum("rewrites", found.rewritten)
    limits = [*((item, MIN_FAIL) for item in (*found.wrong, wrong)), (rewritten, MIN_PASS)]
    low = [item for item, limit in limits if item.interval.at_least(limit) is False]
    low += [item for item in (found.references,) if item.right < item.graded]
    unclear = [
        item
        for item, limit in ((wrong, MIN_FAIL), (rewritten, MIN_PASS))
        if item not in low and item.interval.value < limit
    ]
    summary = (
        f"{found.references.right}/{found.references.graded} references pass, "
        f"{wrong.right}/{wrong.graded} wrong answers fail (>= {MIN_FAIL:.0%} required), "
        f"{rewritten.right}/{rewritten.graded} rewrites pass (>= {MIN_PASS:.0%} required)"
    )
    if low:
        summary += f"; too low: {', '.join(map(str, low))}"
    if low or unclear:
        summary += f"; {'; '.join(found.faults[:EXAMPLES])}"
    figures: dict[str, int | float | str] = {}
    for name, tallies in (("fails", found.wrong), ("passes", found.rewritten)):
        for item in tallies:
            if item.graded:
                shown = f"{item.right}/{item.graded} = {item.interval}"
                left_out = f", {item.alike} like the reference" if item.alike else ""
                figures[f"{item.kind}_{name}"] = shown + left_out
    return Verdict(
        passed=not low and not unclear,
        undecided=bool(unclear) and not low,
        summary=summary,
        figures=figures,
    )


def _sum(kind: str, tallies: Sequence[Tally]) -> Tally:
    right, graded = sum(item.right for item in tallies), sum(item.graded for item in tallies)
    return Tally(kind, right, graded)


def _label(task: Task) -> str:
    return f"{task.task_id} {task.construct}::{task.variant}"


# ------------------------------------------------------------------ right answers

_REFERENCE = "reference"


def _right(task: Task) -> Iterator[Rewrite]:
    yield Rewrite(_REFERENCE, task.reference)
    yield from rewrites.rewrites(task.reference)


# ------------------------------------------------------------------ wrong answers


@dataclass
class _Verdicts:
    """Verdicts on the wrong answers of one kind from one reference."""

    failed: list[Grade]
    #: What was changed in the answers that passed.
    passed: list[str]
    alike: int = 0


def _wrong(task: Task) -> Iterator[tuple[str, _Verdicts]]:
    """Grade up to PER_KIND wrong answers of each kind, chosen by the reference."""
    held = facts(task.reference)
    made: list[tuple[str, str]] = [
        *mutants.mutants(task.reference),
        *mutants.structural_mutants(task.reference),
        *((CONSTANT_BODY, source) for source in _constant_bodies(task)),
    ]
    for kind in WRONG_KINDS:
        sources = [source for own, source in made if own == kind]
        random.Random(f"{kind}:{task.reference}").shuffle(sources)
        verdicts = _Verdicts([], [])
        for source in sources:
            if len(verdicts.failed) + len(verdicts.passed) == PER_KIND:
                break
            if check(source):
                continue
            if facts(source) == held:
                verdicts.alike += 1
                continue
            found = grade(task, source, True)
            if not found.passed:
                verdicts.failed.append(found)
            elif task.calls and not _differs_nearby(task, source):
                verdicts.alike += 1
            else:
                verdicts.passed.append(_change(task.reference, source))
        yield kind, verdicts


def _change(reference: str, source: str) -> str:
    """Return the first line that differs, before and after."""
    pairs = zip(reference.split("\n"), source.split("\n"), strict=False)
    before, after = next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))
    return f"`{before.strip()}` became `{after.strip()}`"


def _constant_bodies(task: Task) -> Iterator[str]:
    """Replace the body of a function that calls run by one of its outcomes."""
    told: dict[str, set[str]] = {}
    for call in task.calls:
        for step, outcome in zip(call.steps, call.outcomes, strict=True):
            told.setdefault(step.partition("(")[0], set()).add(outcome)
    for node in parse(task.reference).iter_subtrees():
        if node.data not in ("function", "handler"):
            continue
        names = [child for child in node.children if isinstance(child, Token)]
        name = str(names[0]) if names else plain_name(node)
        alike = [own for own in told if own == name or own.endswith(f".{name}")]
        outcomes_of = sorted(set().union(*(told[own] for own in alike)))
        block = node.children[-1]
        # A function with one outcome is right when it returns it.
        if len(outcomes_of) > 1 and isinstance(block, Tree) and block.data == "block":
            start, end = block.meta.start_pos, block.meta.end_pos
            for outcome in outcomes_of:
                changed = f"{{\n    return {outcome}\n}}"
                yield task.reference[:start] + changed + task.reference[end:]


def _differs_nearby(task: Task, source: str) -> bool:
    """Search calls like the hidden ones, with other values, for a difference to the reference."""
    rng = random.Random(f"difference:{source}")
    # The task may have no call of the changed function: this does not make the change right.
    for call in (*task.calls, *hidden_calls(task.reference, _OTHER_SEED)):
        for _ in range(_ROUNDS):
            steps = nearby(call.steps, task.reference, rng)
            expected = outcomes(task.reference, steps)
            if all(map(is_known, expected)) and outcomes(source, steps) != expected:
                return True
    return False
