"""Grades an answer of the exam: the rungs that it reaches, and the first fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vox_assets.contract.answers import out_of_mode
from vox_assets.exam.running import outcomes
from vox_assets.exam.structure import declared, facts, subject
from vox_assets.exam.task import RUNGS, Call, Declared, Rung, Task
from vox_assets.vox_syntax import VoxSyntaxError
from vox_assets.vox_syntax.frontend import BuiltInGrammar, one_by_one

#: Longer answers are refused unread, which bounds the time of a grade. The longest reference has
#: about 2,000 characters, and the context of a model leaves room for a few thousand.
MAX_CHARACTERS = 10_000
#: Characters of a fault, an expected text or a given text.
_MAX_SHOWN = 300

Checks = Callable[[str], str | None]
_grammar = one_by_one(BuiltInGrammar())


@dataclass(frozen=True)
class Grade:
    """What an answer reached.

    A rung holds only if all before it hold. None is a rung that does not apply: `checks` without a
    compiler, and `behaves` for a task with neither hidden calls nor structural facts.
    """

    rungs: dict[Rung, bool | None]
    #: Why the next rung does not hold, in one line; empty for an answer that passed.
    fault: str = ""
    #: The first hidden call or structural fact that is not as in the reference.
    call: str = ""
    expected: str = ""
    got: str = ""

    @property
    def passed(self) -> bool:
        """Whether the last rung that applies holds."""
        return next(holds for rung in reversed(RUNGS) if (holds := self.rungs[rung]) is not None)

    @property
    def reached(self) -> str:
        """The highest rung that holds, empty if none does."""
        return next((rung for rung in reversed(RUNGS) if self.rungs[rung]), "")


@dataclass(frozen=True)
class _Fault:
    text: str
    call: str = ""
    expected: str = ""
    got: str = ""


def grade(task: Task, answer: str, ended: bool, checks: Checks | None = None) -> Grade:
    """Grade an answer; `checks` returns why the real compiler refuses a program, or None.

    `ended` says whether the answer ended by itself. Never raises, and the limits on the length of
    the answer and on the steps of a run bound its time.
    """
    rungs: dict[Rung, bool | None] = dict.fromkeys(RUNGS, False)
    if checks is None:
        rungs["checks"] = None
    if not task.calls and not task.facts:
        rungs["behaves"] = None
    for rung, fault in _climb(task, answer, ended, checks):
        if fault is not None:
            shown = (
                _one_line(part) for part in (fault.text, fault.call, fault.expected, fault.got)
            )
            return Grade(rungs, *shown)
        rungs[rung] = True
    return Grade(rungs)


def _climb(
    task: Task, answer: str, ended: bool, checks: Checks | None
) -> Iterator[tuple[Rung, _Fault | None]]:
    """Yield the rungs that apply in their order, each with its fault or None."""
    yield "ends", None if ended else _Fault("the answer does not end by itself")
    yield "code_only", _more_than_code(answer)
    yield "parses", _refused(answer)
    if checks is not None:
        message = checks(answer)
        yield "checks", _Fault(message) if message is not None else None
    try:
        yield "declares", _undeclared(task, declared(answer))
        if task.calls or task.facts:
            yield "behaves", _misbehaves(task, answer)
    except VoxSyntaxError as error:
        # The grammar accepts more than can be read: code that nests too deeply.
        yield "declares", _Fault(str(error))


def _more_than_code(answer: str) -> _Fault | None:
    if not answer.strip():
        return _Fault("the answer is empty")
    if len(answer) > MAX_CHARACTERS:
        return _Fault(f"the answer has more than {MAX_CHARACTERS:,} characters")
    return _Fault("the answer holds more than code") if out_of_mode(answer, "code_only") else None


def _refused(answer: str) -> _Fault | None:
    try:
        answer.encode()
    except UnicodeEncodeError:
        return _Fault("the answer has half of a surrogate pair, which no file can hold")
    message = _grammar(answer)
    return None if message is None else _Fault(message)


# ------------------------------------------------------------------ declarations


def _undeclared(task: Task, found: tuple[Declared, ...]) -> _Fault | None:
    """Return a name that is declared twice, or else the first declaration that is not as asked."""
    times = Counter(item.name for item in found if item.name and item.kind != "import")
    asked = Counter(item.name for item in task.declarations)
    for name in times:
        # Of two declarations of a name, each could satisfy a part of the task.
        if times[name] > max(1, asked[name]):
            return _Fault(f"`{name}` is declared more than once", name)
    for item in task.declarations:
        alike = [other for other in found if other.name == item.name]
        own = [other for other in alike if other.kind == item.kind]
        label = f"{item.kind} `{item.name}`" if item.name else item.kind
        if not own:
            kinds = ", ".join(sorted({other.kind for other in alike})) or "nothing"
            return _Fault(f"{label} is not declared", label, _signature(item), kinds)
        if _signature(item) not in map(_signature, own):
            return _Fault(
                f"{label} has another signature", label, _signature(item), _signature(own[0])
            )
    return None


def _signature(item: Declared) -> str:
    parameters = ", ".join(f"{name}: {kind}" if kind else name for name, kind in item.parameters)
    # A function without a result type gives a Unit.
    result = "" if item.result == "Unit" else item.result
    return f"{item.kind} {item.name}({parameters}){' to ' if result else ''}{result}"


# ------------------------------------------------------------------ behaviour


def _misbehaves(task: Task, answer: str) -> _Fault | None:
    for call in task.calls:
        fault = _differs(call, outcomes(answer, call.steps))
        if fault is not None:
            return fault
    found = facts(answer) if task.facts else ()
    missing = next((fact for fact in task.facts if fact not in found), None)
    if missing is None:
        return None
    about = subject(missing)
    near = [fact for fact in found if subject(fact) == about and fact not in task.facts]
    return _Fault(
        f"{about} is not as asked",
        about,
        missing.removeprefix(f"{about}: "),
        "; ".join(fact.removeprefix(f"{about}: ") for fact in near),
    )


def _differs(call: Call, got: tuple[str, ...]) -> _Fault | None:
    for index, (step, expected, given) in enumerate(
        zip(call.steps, call.outcomes, got, strict=True)
    ):
        if expected != given:
            shown = "; ".join(call.steps[: index + 1])
            return _Fault(f"`{step}` gives another outcome", shown, expected, given)
    return None


def _one_line(text: str) -> str:
    # A table cannot hold half of a surrogate pair.
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return line if len(line) <= _MAX_SHOWN else line[: _MAX_SHOWN - 1] + "…"
