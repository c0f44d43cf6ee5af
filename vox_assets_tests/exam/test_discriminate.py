"""Tests that weak tasks do not pass the check of the exam, and that cheating passes no task."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache

import pytest

from vox_assets.exam.discriminate import (
    PER_KIND,
    WRONG_KINDS,
    Discrimination,
    Tally,
    discriminate,
    exam_discriminates,
    judged,
)
from vox_assets.exam.grade import grade
from vox_assets.exam.running import hidden_calls
from vox_assets.exam.structure import declared, facts
from vox_assets.exam.task import Task
from vox_assets.synthesize.vox import lexicon, reserved, templates

RULES = """fn due(days: int, rate: int, member: bool) to int {
    let mut total = days * rate
    if days > 14 and not member {
        total += 5
    }
    return limited(total, 900)
}

fn limited(value: int, most: int) to int {
    return if value > most { most } else { value }
}

fn named(kind: str) to str {
    match kind {
        "a" => "first"
        "b" => "second"
        _ => "other"
    }
}"""
PAGE = """fragment Line(name: str, many: int) {
    row() {
        text() { "{name}: {many}" }
        if many > 3 { text() { "many" } } else { text() { "few" } }
    }
}

routes {
    "/" to Line
    "/all" to Line
    not_found: Line
}"""


def task(source: str, runs: bool = True) -> Task:
    calls = hidden_calls(source, 1) if runs else ()
    return Task(
        prompt="Write `due`, `limited` and `named`, or the page, in Vox.",
        reference=source,
        construct="functions",
        variant="rules",
        domain="harbour",
        level=2,
        kind="familiar",
        source_path="synthesize/templates/functions.vox.j2",
        declarations=declared(source),
        facts=facts(source, {"due", "limited", "named"} if runs else ()),
        calls=calls,
    )


TASKS = [task(RULES), task(PAGE, runs=False)]


def test_a_sound_exam_discriminates() -> None:
    verdict = exam_discriminates(TASKS)
    assert verdict.passed, verdict.summary
    assert "2/2 references pass" in verdict.summary
    assert {f"{kind}_fails" for kind in WRONG_KINDS} <= set(verdict.figures)


def test_every_kind_of_wrong_answer_is_made_and_at_most_a_few_of_a_task() -> None:
    found = discriminate(TASKS)
    assert all(0 < item.graded <= PER_KIND * len(TASKS) for item in found.wrong)
    assert discriminate(TASKS) == found


@pytest.mark.parametrize(
    "weak",
    [
        # Nothing decides what the program does.
        replace(TASKS[0], calls=()),
        # One call alone does not tell wrong programs apart.
        replace(TASKS[0], calls=TASKS[0].calls[:1]),
        # The reference itself fails.
        replace(TASKS[0], reference=RULES.replace("> 14", "> 15")),
        replace(TASKS[0], reference=RULES.replace("to int {", "{")),
        # The answer has to be written like the reference.
        replace(TASKS[1], facts=(*TASKS[1].facts, "routes: has 7 routes")),
    ],
)
def test_a_weak_exam_does_not_discriminate(weak: Task) -> None:
    verdict = exam_discriminates([weak])
    assert not verdict.passed
    assert weak.task_id in verdict.summary


def test_no_task_decides_nothing() -> None:
    assert exam_discriminates([]).outcome == "undecided"


@pytest.mark.parametrize(
    ("failed", "passed", "outcome"),
    [
        (100, 50, "passed"),
        # 94 % and 96 %, of too few to tell.
        (94, 50, "undecided"),
        (100, 48, "undecided"),
        (80, 50, "failed"),
        (100, 40, "failed"),
    ],
)
def test_the_shares_decide_with_their_intervals(failed: int, passed: int, outcome: str) -> None:
    found = Discrimination(
        references=Tally("reference", 20, 20),
        wrong=(Tally("constant", failed, 100),),
        rewritten=(Tally("layout", passed, 50),),
        faults=("0f0f: constant passes",) if failed < 100 else (),
    )
    verdict = judged(found)
    assert verdict.outcome == outcome
    assert ("0f0f" in verdict.summary) is (failed < 100)
    assert not judged(replace(found, references=Tally("reference", 19, 20))).passed


def test_a_function_that_no_call_runs_is_found() -> None:
    calls = tuple(call for call in TASKS[0].calls if not call.steps[0].startswith("due("))
    found = discriminate([replace(TASKS[0], calls=calls)])
    assert any("days" in fault for fault in found.faults)


def test_a_wrong_answer_that_nothing_tells_from_the_reference_is_left_out_and_counted() -> None:
    # At the limit, both branches give the same value.
    clamp = "return if value > most { most } else { value }"
    found = discriminate([task(f"fn limited(value: int, most: int) to int {{\n    {clamp}\n}}")])
    (comparison,) = (item for item in found.wrong if item.kind == "comparison")
    assert comparison.alike and comparison.right == comparison.graded
    assert not found.faults


@cache
def exam() -> list[Task]:
    """Return tasks of several constructs, each with its domain and prompt."""
    domain = reserved.exam_domains(lexicon.load())[0]
    tasks = []
    for variant in templates.load()[5::19]:
        rendered = templates.render(variant, domain, random.Random(3))
        made = task(rendered.source)
        facts_held = facts(rendered.source)
        prompt = " ".join((rendered.goals[0], *rendered.facts))
        tasks.append(replace(made, prompt=prompt, facts=facts_held, variant=variant.name))
    return tasks


def test_a_model_that_cheats_passes_no_task() -> None:
    tasks = exam()
    trained = [
        templates.render(variant, domain, random.Random(4)).source
        for domain in reserved.open_domains(lexicon.load())[:1]
        for variant in templates.load()
    ]
    for asked in tasks:
        answers = [asked.prompt, *trained, "", "fn f() to int {\n    return 0\n}"]
        assert grade(asked, asked.reference, True).passed
        assert not [answer for answer in answers if grade(asked, answer, True).passed], (
            asked.variant
        )


def test_a_constant_body_passes_no_task() -> None:
    found = discriminate(exam())
    (constant,) = (item for item in found.wrong if item.kind == "constant_body")
    assert constant.graded >= 8 and constant.right == constant.graded
