"""Hidden calls tell wrong programs from the reference, and every outcome is known."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from vox_assets.exam.mutants import mutants
from vox_assets.exam.running import (
    FAILS,
    MAX_CALLS,
    decided,
    hidden_calls,
    is_known,
    outcomes,
)
from vox_assets.exam.task import Call
from vox_assets.synthesize.vox import lexicon, reserved, templates

BAND = """\
fn band(value: int) to str {
    if value < 10 {
        return "low"
    }
    return if value <= 20 { "normal" } else { "high" }
}
"""

STORE = """\
@table type Boat {
    name: str
    crew: int
}

fn allowed(crew: int) to bool {
    return crew > 2
}

@endpoint(kind: mutation)
fn launch(name: str, crew: int) to Result[int] {
    if not allowed(crew) {
        return Error("too few")
    }
    return db.Boat.insert({ name: name, crew: crew })
}

@endpoint(kind: query)
fn manned(name: str) to int {
    match db.Boat.all() {
        Ok(rows) => return rows.filter(fn(row) row.name is name and row.crew > 2).length()
        Error(_) => return 0
    }
}
"""

COMPONENT = """\
component Counter(limit: int) {
    state seen: int = 0

    view: column() {
        text() { "{seen} of {limit}" }
        button(on_click={seen = seen + 2}) { "More" }
        button(on_click={seen = 0}) { "Again" }
    }
}
"""


def passes(source: str, calls: tuple[Call, ...]) -> bool:
    return all(outcomes(source, call.steps) == call.outcomes for call in calls)


def test_outcomes_are_written_step_by_step_and_failures_are_outcomes() -> None:
    source = (
        "@test\nfn t() to Unit {\n    assert(1 is 2)\n}\n\nfn f(n: int) to int {\n    return n\n}"
    )
    assert outcomes(source, ["f(2)", "t()", "f(3)"]) == ("2", FAILS, "3")
    unknown = outcomes(source, ["f(1 / 0)", "nobody()", "fn"])
    assert not any(map(is_known, unknown))
    assert all(is_known(outcome) for outcome in ("2", FAILS))


@pytest.mark.parametrize("source", ["", "fn f(", "fn f() to int { return f() }", "]" * 500])
@pytest.mark.parametrize("step", ["f()", "(", "f(" * 50, "x" * 30_000, 'click("")'])
def test_no_program_and_no_step_raises(source: str, step: str) -> None:
    (outcome,) = outcomes(source, [step])
    assert len(outcome) <= 200
    assert not is_known(outcome)


@pytest.mark.parametrize("source", [BAND, STORE, COMPONENT])
def test_the_reference_passes_its_calls_and_each_outcome_is_known(source: str) -> None:
    calls = hidden_calls(source, 1)
    assert 2 <= len(calls) <= MAX_CALLS
    assert passes(source, calls)
    assert all(is_known(outcome) for call in calls for outcome in call.outcomes)
    assert len({call.steps for call in calls}) == len(calls)


@pytest.mark.parametrize(
    ("source", "wrong", "right"),
    [
        (BAND, 'return "normal"', "if value < 10 {"),
        (BAND, "value < 11", "value < 10"),
        (BAND, "value <= 10", "value < 10"),
        (BAND, "value < 20", "value <= 20"),
        (STORE, "crew > 3\n", "crew > 2\n"),
        (STORE, "row.crew > 3", "row.crew > 2"),
        (STORE, "row.name isnt name", "row.name is name"),
        (STORE, "return Ok(1)", "return db.Boat.insert({ name: name, crew: crew })"),
        (STORE, "name: name, crew: 3 }", "name: name, crew: crew }"),
        (COMPONENT, "seen + 1", "seen + 2"),
        (COMPONENT, "seen = 1}", "seen = 0}"),
        (COMPONENT, "{limit} of {seen}", "{seen} of {limit}"),
    ],
)
def test_a_wrong_program_fails_a_call(source: str, wrong: str, right: str) -> None:
    assert right in source
    changed = source.replace(
        right, wrong if wrong != 'return "normal"' else f"{wrong}\n    {right}"
    )
    assert not passes(changed, hidden_calls(source, 1))


def test_an_equivalent_program_passes_every_call() -> None:
    other = """\
// The other way round, with a match and other names.
fn band(amount: int) to str {
    let word = if amount > 20 { "high" } else if 10 <= amount { "normal" } else { "low" }
    match word {
        "high" => "hi" + "gh"
        same => same
    }
}
"""
    assert passes(other, hidden_calls(BAND, 1))


@pytest.mark.parametrize(
    "source",
    [
        'fn fixed() to str {\n    return "a"\n}',
        "fn same(n: int) to int {\n    return 1\n}",
        "fn remote(url: str) uses net to Result[str] {\n    return std.http.get_text(url)\n}",
        "@table type Boat {\n    name: str\n}",
        "@ai\nfn told(text: str) to str",
    ],
)
def test_a_program_that_running_does_not_decide_has_no_calls(source: str) -> None:
    assert hidden_calls(source, 1) == ()


def test_the_calls_of_a_program_do_not_depend_on_the_process() -> None:
    script = (
        "from vox_assets.exam.running import hidden_calls; import sys;"
        "print(hidden_calls(sys.argv[1], 3))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", script, STORE],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert told == {f"{hidden_calls(STORE, 3)}\n"}


def test_what_calls_run_is_decided_and_tests_are_not() -> None:
    source = STORE + "\n@test\nfn few() to Unit {\n    assert(not allowed(2))\n}\n\n" + COMPONENT
    assert decided(source, [Call(('launch("a", 1)',), ("",))]) == {"launch", "allowed", "Boat"}
    assert decided(source, [Call(("few()",), ("",))]) == {"allowed"}
    assert decided(source, [Call(("Counter(limit=1)", 'click("More")'), ("", ""))]) == {"Counter"}
    actor = "actor Desk {\n    on due(n: int) to int {\n        return n\n    }\n}"
    assert decided(actor, [Call(("Desk.due(1)",), ("",))]) == {"Desk", "Desk.due"}


def test_most_mutants_of_the_references_of_the_exam_fail_a_call() -> None:
    """Some mutants behave like the program, and some are in what structural facts decide."""
    domains = reserved.exam_domains(lexicon.load())
    found = total = 0
    for number, variant in enumerate(templates.load()[::12]):
        domain = domains[number % len(domains)]
        source = templates.render(variant, domain, random.Random(number)).source
        calls = hidden_calls(source, 1)
        for mutant in mutants(source) if calls else ():
            found += not passes(mutant.source, calls)
            total += 1
    assert total > 100
    assert found / total > 0.85


def test_a_search_near_the_constants_finds_calls_that_tell_limits_apart() -> None:
    source = """@table type Boat {
    name: str
    seats: int
}

fn roomy() to list[str] {
    match db.Boat.all() {
        Ok(rows) => return rows.filter(fn(row) row.seats > 37).map(fn(row) row.name)
        Error(_) => return []
    }
}"""
    calls = hidden_calls(source, 1)
    for wrong in (source.replace("> 37", ">= 37"), source.replace("> 37", "> 36")):
        assert any(outcomes(wrong, call.steps) != call.outcomes for call in calls)
