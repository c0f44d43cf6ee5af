"""Tests that rewrites change the text of a program and nothing else."""

from __future__ import annotations

import random

import pytest

from vox_assets.exam.grade import grade
from vox_assets.exam.rewrites import KINDS, rewrites
from vox_assets.exam.running import hidden_calls
from vox_assets.exam.structure import declared, facts
from vox_assets.exam.task import Task
from vox_assets.synthesize.vox import lexicon, templates
from vox_assets.vox_syntax import check

PROGRAM = """fn bit(yes: bool) to int {
    return if yes { 1 } else { 0 }
}

fn spoken(amount: int, names: list[str]) to str {
    let first = names.get(0)
    match amount {
        0 => "none"
        1 => {
            let note = "one {amount}"
            return note
        }
        _ => return str(amount)
    }
}

fn over(values: list[int], limit: int) to list[int] {
    let mut seen = []
    for value, place in values {
        if value > limit {
            seen = seen.push(value + place)
        }
    }
    if limit is 3 { go() } else { stop() }
    return seen.filter(fn(item) item.size >= 3).map(one => "{one.size}: {limit}")
}"""
MADE = dict(rewrites(PROGRAM))


def test_every_kind_of_rewrite_applies_and_parses() -> None:
    assert tuple(MADE) == KINDS
    assert not [kind for kind, source in MADE.items() if check(source)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_rewrite_keeps_declarations_and_the_normal_form(kind: str) -> None:
    assert sorted(map(str, declared(MADE[kind]))) == sorted(map(str, declared(PROGRAM)))
    assert facts(MADE[kind]) == facts(PROGRAM)


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("comments", "fn bit(yes: bool) to int { // note"),
        ("layout", "\n\n  return if yes"),
        ("renamed", "for value_here, place_here in values {"),
        ("renamed", 'let note_here = "one {amount}"'),
        ("renamed", '(one_here => "{one_here.size}: {limit}")'),
        ("renamed", "filter(fn(item_here) item_here.size >= 3)"),
        ("reordered", "return seen.filter(fn(item) item.size >= 3)"),
        ("mirrored", "limit < value"),
        ("mirrored", "3 is limit"),
        ("if_for_match", 'if amount is 0 { "none" } else if amount is 1 {'),
        ("match_for_if", "match limit {\n3 => { go() }\n_ => { stop() }\n}"),
        ("named_value", "let result_here = note\nreturn result_here"),
    ],
)
def test_a_rewrite_writes_the_program_otherwise(kind: str, part: str) -> None:
    assert part in MADE[kind]


def test_parameters_fields_and_states_keep_their_names() -> None:
    source = """component A(n: int) {
    state seen: int = 0

    view: column() {
        for n in rows {
            button(on_click={seen = seen + n}) { "{seen}" }
        }
    }
}"""
    assert "renamed" not in dict(rewrites(source))


def test_declarations_change_places() -> None:
    changed = MADE["reordered"]
    assert changed.index("fn over") < changed.index("fn spoken") < changed.index("fn bit")


def test_rewritten_templates_pass_as_answers() -> None:
    domain = lexicon.load()[1]
    for variant in templates.load()[::7]:
        source = templates.render(variant, domain, random.Random(2)).source
        task = Task(
            prompt="",
            reference=source,
            construct=variant.construct,
            variant=variant.name,
            domain=domain.name,
            level=1,
            kind="familiar",
            source_path="",
            declarations=declared(source),
            facts=facts(source),
            calls=hidden_calls(source, 1),
        )
        for kind, changed in rewrites(source):
            assert grade(task, changed, True).passed, (variant.construct, variant.name, kind)
