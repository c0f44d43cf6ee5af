"""Runs programs on hidden calls, and draws the calls of a task from its reference.

A step of a call is a Vox expression. Beyond what a program can write, a step may call a handler as
`Actor.handler(..)`, send an event to a state as `Machine.Event(State, ..)`, show a component, and
click a button of the component that is shown: `click("label")`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from lark import Token

from vox_assets.exam.mutants import mutants
from vox_assets.exam.structure import facts
from vox_assets.exam.task import Call
from vox_assets.synthesize.vox.inputs import Inputs, combinations
from vox_assets.vox_syntax import Declaration, VoxSyntaxError, declarations
from vox_assets.vox_syntax.interpreter import FailedError, Program, Run, UnknownError
from vox_assets.vox_syntax.interpreter.tree import name_of, parameters
from vox_assets.vox_syntax.interpreter.values import MAX_STEPS

#: Outcome of a step whose `assert` is false.
FAILS = "fails"
#: Start of the outcome of a step that the interpreter cannot know; no reference has it.
UNKNOWN = "unknown"

#: A text without interpolation or a whole number.
_VALUE = re.compile(r'"(?:[^"\\{}]|\\.)*"|(?<![\w."])\d+(?![\w.])')
#: Chance that a value stays as it is in a search for other calls.
_KEPT = 0.4
#: Other calls that are tried for a mutant.
_SEARCHED = 100

_TESTS = ("test", "property")
#: A name that a step calls, with that of its actor.
_CALLED = re.compile(r"\b([A-Za-z_]\w*(?:\.\w+)?)\(")

#: Calls of a task: each tells at least one wrong program from the reference. Most tasks need four
#: to eight; with twelve, mutants of the longest programs passed that differ at one value.
MAX_CALLS = 20
#: Calls of one function that are tried, and of one that reads or changes tables.
_TRIED = 24
_TRIED_ON_TABLES = 6
#: Different outcomes of a subject that calls show, if it has so many.
_OUTCOMES = 4
#: Clicks on a component.
_CLICKS = 4
#: Steps of a wrong program, which may not end: far more than references take.
_MUTANT_STEPS = 6_000
#: Rows in the tables before a call: their number, and the number of the first.
_STORED = ((0, 0), (4, 0), (6, 6), (1, 2), (2, 3))


def outcomes(source: str, steps: Iterable[str], max_steps: int = MAX_STEPS) -> tuple[str, ...]:
    """Run steps one after another on a fresh state of a program, and write their outcomes.

    A failure is an outcome too. Never raises, and the number of steps bounds its time.
    """
    try:
        run = Run(_program(source), max_steps)
    except (VoxSyntaxError, UnknownError) as error:
        return tuple(f"{UNKNOWN}: {error}"[:200] for _ in steps)
    return tuple(_outcome(run, step) for step in steps)


@lru_cache(maxsize=256)
def _program(source: str) -> Program:
    return Program(source)


def _outcome(run: Run, step: str) -> str:
    try:
        return run.step(step)
    except FailedError:
        return FAILS
    except UnknownError as error:
        return f"{UNKNOWN}: {error}"[:200]


def is_known(outcome: str) -> bool:
    return not outcome.startswith(UNKNOWN)


@dataclass(frozen=True)
class _Tried:
    """A call that may become hidden: what it calls, its steps, and their outcomes."""

    subject: str
    steps: tuple[str, ...]
    outcomes: tuple[str, ...]
    #: The first step that tells something of the subject; those before prepare tables.
    first: int
    #: Whether other calls have to show that the outcome depends on the program.
    is_test: bool = False

    @property
    def told(self) -> tuple[str, ...]:
        return self.outcomes[self.first :]


def hidden_calls(source: str, seed: int) -> tuple[Call, ...]:
    """Draw calls that tell wrong programs from this one; empty when running decides nothing.

    Every outcome is known. The outcomes of a function that takes values differ between its calls,
    and every call tells the program from a mutant or a constant. Raises VoxSyntaxError.
    """
    tried = _known(source, seed)
    told: dict[str, set[tuple[str, ...]]] = {}
    for item in tried:
        told.setdefault(item.subject, set()).add(item.told)
    if not any(len(outcomes) > 1 for outcomes in told.values()):
        return ()
    constant = {
        item.subject
        for item in tried
        if len(told[item.subject]) < 2 and not item.is_test and not item.steps[-1].endswith("()")
    }
    tried = [item for item in tried if item.subject not in constant]
    return tuple(Call(item.steps, item.outcomes) for item in _chosen(source, tried))


def examples(source: str, seed: int, calls: Iterable[Call], amount: int) -> tuple[Call, ...]:
    """Draw calls that are not among the given ones, the first of each function and outcome."""
    hidden = {call.steps for call in calls}
    shown: dict[tuple[str, tuple[str, ...]], Call] = {}
    for item in _known(source, seed):
        if item.steps not in hidden and not item.is_test:
            shown.setdefault((item.subject, item.told), Call(item.steps, item.outcomes))
    subjects = list(dict.fromkeys(subject for subject, _ in shown))
    turns = [[call for (name, _), call in shown.items() if name == own] for own in subjects]
    rows = zip_longest(*turns)
    return tuple(call for row in rows for call in row if call is not None)[:amount]


def _known(source: str, seed: int) -> list[_Tried]:
    """List the candidates whose every outcome is known, each once."""
    found = _candidates(source, seed)
    known = (item for item in found if all(map(is_known, item.outcomes)))
    return list({item.steps: item for item in known}.values())


def decided(source: str, calls: Iterable[Call]) -> frozenset[str]:
    """Name the functions, handlers and components that calls run, also through one another.

    What a function does, or a component shows, then needs no structural fact. Tests and properties
    are left out: a test that holds may have lost its assertions.
    """
    items = declarations(source)
    by_name = {item.name: item for item in items}
    called = {name for call in calls for step in call.steps for name in _CALLED.findall(step)}
    pending = [
        by_name[name.partition(".")[0]] for name in called if name.partition(".")[0] in by_name
    ]
    reached = {item.name for item in pending}
    while pending:
        new = by_name.keys() & pending.pop().references - reached
        reached |= new
        pending += [by_name[name] for name in new]
    tests = {item.name for item in items if item.kind in _TESTS}
    handlers = {name for name in called if "." in name}
    return frozenset((reached | handlers) - tests)


def _chosen(source: str, tried: Sequence[_Tried]) -> list[_Tried]:
    """Choose calls until no call tells another wrong program from the reference."""
    tried = list(tried)
    made = [mutant.source for mutant in mutants(source)]
    told = [_telling(mutant, tried) for mutant in made]
    for item in _nearby_calls(
        source, tried, (mutant for mutant, found in zip(made, told, strict=True) if not found)
    ):
        for mutant, found in zip(made, told, strict=True):
            if outcomes(mutant, item.steps, _MUTANT_STEPS) != item.outcomes:
                found.add(len(tried))
        tried.append(item)
    missed = [found for found in told if found]
    # A body that returns one of the outcomes whatever it is given.
    for subject in dict.fromkeys(item.subject for item in tried):
        own = [index for index, item in enumerate(tried) if item.subject == subject]
        seen = list(dict.fromkeys(tried[index].told for index in own))
        apart = ({index for index in own if tried[index].told != outcome} for outcome in seen)
        missed += [found for found in apart if found]
        # A body that cannot give one of the first outcomes.
        missed += [
            {index for index in own if tried[index].told == outcome} for outcome in seen[:_OUTCOMES]
        ]
    chosen: list[int] = []
    while missed and len(chosen) < MAX_CALLS:
        best = max(
            range(len(tried)), key=lambda index: (sum(index in item for item in missed), -index)
        )
        chosen.append(best)
        missed = [item for item in missed if best not in item]
    return [tried[index] for index in sorted(chosen)]


def _nearby_calls(source: str, tried: Sequence[_Tried], missed: Iterable[str]) -> Iterator[_Tried]:
    """Search calls that tell mutants which no tried call tells, with values near the constants."""
    held = facts(source)
    rng = random.Random(source)
    for mutant in missed:
        if facts(mutant) == held:
            continue
        for _ in range(_SEARCHED):
            item = rng.choice(tried)
            steps = nearby(item.steps, source, rng)
            expected = outcomes(source, steps)
            if all(map(is_known, expected)) and outcomes(mutant, steps, _MUTANT_STEPS) != expected:
                yield replace(item, steps=steps, outcomes=expected)
                break


def nearby(steps: Iterable[str], source: str, rng: random.Random) -> tuple[str, ...]:
    """Replace values in the steps of a call by others, most of them near constants of a program."""
    found = _VALUE.findall(source)
    texts = ['""', '"north"', *(value for value in found if value.startswith('"'))]
    numbers = [0, *(int(value) for value in found if value.isdigit())]

    def other(match: re.Match[str]) -> str:
        if rng.random() < _KEPT:
            return match[0]
        if match[0].startswith('"'):
            return rng.choice(texts)
        return str(max(0, rng.choice((*numbers, int(match[0]))) + rng.choice((-1, 0, 0, 0, 1))))

    return tuple(_VALUE.sub(other, step) for step in steps)


def _telling(mutant: str, tried: Sequence[_Tried]) -> set[int]:
    """Return the calls on which a mutant differs; the first on which it runs too long ends it."""
    found = set()
    for index, item in enumerate(tried):
        given = outcomes(mutant, item.steps, _MUTANT_STEPS)
        if given != item.outcomes:
            found.add(index)
        if any("too many steps" in outcome for outcome in given):
            break
    return found


# Candidates.


def _candidates(source: str, seed: int) -> Iterator[_Tried]:
    program = _program(source)
    items = declarations(source)
    kinds = {item.name: item.kind for item in items}
    rng = random.Random(f"{seed}:{source}")
    inputs = Inputs(source, source)
    reached = _reached(items)
    for name, node in program.module.functions.items():
        # A function inside another declaration has no name that can be called.
        if name in kinds:
            is_test = kinds[name] in _TESTS
            yield from _of_function(source, name, node, inputs, reached[name], is_test)
    for actor, handlers in program.module.handlers.items():
        for name, node in handlers.items():
            subject = f"{actor}.{name}"
            yield from _of_function(source, subject, node, inputs, reached[actor], False)
    for name in program.module.constants:
        yield _try(source, name, (name,))
    for name, machine in program.module.machines.items():
        yield from _of_machine(source, name, machine, inputs)
    for name, component in program.module.components.items():
        yield from _of_component(source, name, component, inputs, rng)


@dataclass(frozen=True)
class _Reach:
    """The tables that a declaration reaches, and whether it changes them."""

    tables: tuple[str, ...]
    changes: bool


def _reached(items: Sequence[Declaration]) -> dict[str, _Reach]:
    """Follow the references of each declaration to tables."""
    by_name = {item.name: item for item in items}
    tables = [item.name for item in items if item.kind == "table"]
    reached = {}
    for item in items:
        names, pending = {item.name}, [item]
        mentioned: set[str] = set()
        while pending:
            current = pending.pop()
            mentioned |= current.references
            new = [by_name[name] for name in current.references & by_name.keys() - names]
            names |= {other.name for other in new}
            pending += new
        used = tuple(name for name in tables if name in mentioned) if "db" in mentioned else ()
        reached[item.name] = _Reach(used, bool({"insert", "delete"} & mentioned))
    return reached


def _of_function(
    source: str, name: str, node: Any, inputs: Inputs, reach: _Reach, is_test: bool
) -> Iterator[_Tried]:
    rows = _arguments(node, inputs)
    if not reach.tables:
        for row in rows[:_TRIED]:
            yield _try(source, name, (f"{name}({', '.join(row)})",), is_test=is_test)
        return
    ends = [f"db.{table}.all()" for table in reach.tables] if reach.changes else []
    for count, first in _STORED:
        stored = [
            f"db.{table}.insert({row})"
            for table in reach.tables
            for row in inputs.rows(table, count, first)
        ]
        for row in rows[:_TRIED_ON_TABLES]:
            steps = (*stored, f"{name}({', '.join(row)})", *ends)
            yield _try(source, name, steps, len(stored), is_test)


def _arguments(node: Any, inputs: Inputs) -> list[tuple[str, ...]]:
    """List rows of arguments; empty when a value of some type cannot be written."""
    expected = parameters(node)
    if not expected:
        return [()]
    generics = {
        str(item)
        for part in node.find_data("generics")
        for item in part.scan_values(lambda value: isinstance(value, Token))
    }
    choices = [_values(parameter.meta.type, inputs, generics) for parameter in expected]
    return combinations(choices, _TRIED) if all(choices) else []


def _values(kind: str, inputs: Inputs, generics: set[str]) -> list[str]:
    for name in generics:
        kind = kind.replace(name, "str") if kind == name or f"[{name}]" in kind else kind
    return inputs.of(kind)


def _of_machine(source: str, name: str, machine: Any, inputs: Inputs) -> Iterator[_Tried]:
    """Send each event to each state, with the payloads that the fields of the states suggest."""
    states: list[str] = []
    kinds: dict[str, str] = {}
    for state in machine.find_data("machine_state"):
        fields = [item for item in state.children if getattr(item, "data", "") == "machine_field"]
        kinds |= {name_of(field): field.meta.type for field in fields}
        choices = [inputs.of(field.meta.type) for field in fields]
        rows = combinations(choices, 2) if choices and all(choices) else [()]
        if all(choices):
            states += [
                f"{name_of(state)}({', '.join(row)})" if row else name_of(state) for row in rows
            ]
    taken = {name_of(item): item.meta.takes for item in machine.find_data("transition")}
    for event, takes in taken.items():
        choices = [inputs.of(kinds.get(item, "int")) for item in takes]
        rows = combinations(choices, 2) if choices and all(choices) else [()]
        for place, state in enumerate(states):
            row = rows[place % len(rows)]
            step = f"{name}.{event}({', '.join([state, *row])})"
            yield _try(source, f"{name}.{event}", (step,))


def _of_component(
    source: str, name: str, component: Any, inputs: Inputs, rng: random.Random
) -> Iterator[_Tried]:
    """Show a component with several values, and click its buttons in several orders."""
    expected = parameters(component)
    choices = []
    for parameter in expected:
        kind = parameter.meta.type
        # A function prints what it is called with, so that a click on its button shows.
        choices.append(
            ["fn(x) print(x)", 'fn() print("called")'][kind.startswith("fn()") :][:1]
            if kind.startswith("fn(")
            else inputs.of(kind)
        )
    if not all(choices):
        return
    names = [name_of(parameter) for parameter in expected]
    rows = combinations(choices, _TRIED_ON_TABLES) if choices else [()]
    for row in rows:
        given = ", ".join(f"{item}={value}" for item, value in zip(names, row, strict=True))
        shown = f"{name}({given})"
        yield _try(source, name, (shown,))
        for _ in range(2):
            clicks = _clicks(source, shown, rng)
            if clicks:
                yield _try(source, name, (shown, *clicks))


def _clicks(source: str, shown: str, rng: random.Random) -> list[str]:
    """Click buttons that are there, each at least once where the number of clicks allows."""
    run = Run(_program(source))
    clicks: list[str] = []
    if not is_known(_outcome(run, shown)):
        return []
    while len(clicks) < _CLICKS and (labels := run.screen.buttons):
        fresh = [label for label in labels if f'click("{label}")' not in clicks]
        step = f'click("{rng.choice(fresh or labels)}")'
        if not is_known(_outcome(run, step)):
            break
        clicks.append(step)
    return clicks


def _try(
    source: str, subject: str, steps: tuple[str, ...], first: int = 0, is_test: bool = False
) -> _Tried:
    return _Tried(subject, steps, outcomes(source, steps), first, is_test)
