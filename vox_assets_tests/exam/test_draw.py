"""Tasks of templates are spread, unlike each other and unlike what synthesis renders."""

from __future__ import annotations

from collections import Counter

import pytest

from vox_assets.exam.draw import template_tasks
from vox_assets.exam.running import outcomes
from vox_assets.exam.sealed import reveals
from vox_assets.exam.task import Task, from_frame, to_frame
from vox_assets.mix.leakage import EVIDENCE, RENAMED, Leak
from vox_assets.profiles import load
from vox_assets.synthesize.alike import Programs
from vox_assets.synthesize.vox.programs import NEAR_PROGRAM
from vox_assets.synthesize.vox.reserved import EXAM_DOMAINS, EXAM_TEMPLATES, EXAM_VARIANTS
from vox_assets.vox_syntax.parsers import vox_fault

PROFILE = load("vox")
POLICY = PROFILE.exam.model_copy(update={"familiar": 20, "new_variant": 12, "new_construct": 10})


def draw() -> list[Task]:
    return template_tasks(POLICY, PROFILE.synthesis.seed, vox_fault, PROFILE.dedup)


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    return draw()


def test_the_policy_decides_the_number_of_tasks_of_each_kind(tasks: list[Task]) -> None:
    assert Counter(task.kind for task in tasks) == {
        "familiar": 20,
        "new_variant": 12,
        "new_construct": 10,
    }
    assert len({task.task_id for task in tasks}) == len(tasks)


def test_every_task_is_in_an_exam_domain_and_of_the_variants_of_its_kind(
    tasks: list[Task],
) -> None:
    for task in tasks:
        assert task.domain in EXAM_DOMAINS
        is_variant = task.variant in EXAM_VARIANTS.get(task.construct, ())
        is_template = task.construct in EXAM_TEMPLATES
        assert task.kind == (
            "new_construct" if is_template else "new_variant" if is_variant else "familiar"
        )


def test_the_tasks_of_a_kind_are_spread_over_constructs_and_domains(tasks: list[Task]) -> None:
    for kind, most in (("familiar", 2), ("new_variant", 1), ("new_construct", 2)):
        of_kind = [task for task in tasks if task.kind == kind]
        assert max(Counter(task.construct for task in of_kind).values()) <= most
        assert len({task.domain for task in of_kind}) >= 4


def test_no_two_tasks_are_near_duplicates(tasks: list[Task]) -> None:
    seen = Programs()
    for task in tasks:
        assert seen.nearest(task.reference)[1] < NEAR_PROGRAM
        seen.add(task.task_id, task.reference)


def test_each_task_says_what_is_declared_and_its_reference_passes(tasks: list[Task]) -> None:
    for task in tasks:
        assert vox_fault(task.reference) is None
        assert task.declarations
        assert all(item.name.partition(".")[2] in task.prompt for item in task.declarations)
        assert task.calls or task.facts
        for call in task.calls:
            assert outcomes(task.reference, call.steps) == call.outcomes


def test_running_decides_most_tasks(tasks: list[Task]) -> None:
    running = sum(task.decided_by == "running" for task in tasks)
    assert running / len(tasks) >= 0.7


def test_the_same_seed_draws_the_same_tasks_and_the_table_keeps_them(tasks: list[Task]) -> None:
    assert from_frame(to_frame(draw())) == tasks


@pytest.mark.parametrize("evidence", EVIDENCE)
def test_only_a_familiar_task_may_be_trained_under_other_names(evidence: str) -> None:
    leak = Leak("task", "row", f"a training row {evidence}", 1.0)
    assert reveals(leak, "new_variant")
    assert reveals(leak, "new_construct")
    assert reveals(leak, "familiar") == (evidence != RENAMED)
