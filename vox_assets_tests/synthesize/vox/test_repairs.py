from __future__ import annotations

import random

import pytest

from vox_assets.profiles import Profile
from vox_assets.synthesize.vox import lexicon, programs, repairs, templates
from vox_assets.synthesize.vox.programs import Gate, Pool
from vox_assets.synthesize.vox.repairs import MISTAKES, Mistake


@pytest.fixture(scope="module")
def valid_programs(gate: Gate) -> list[programs.Program]:
    stream = programs.candidates(templates.load(), lexicon.load(), 7)
    return programs.take(stream, 420, Pool(), 7, gate)[0]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_the_gate_refuses_every_mistake_in_some_program(
    mistake: Mistake, valid_programs: list[programs.Program], gate: Gate
) -> None:
    """A mistake that fits no template, or that the gate accepts, is useless."""
    for program in valid_programs:
        broken = mistake.made_in(program.rendered.source, random.Random(1))
        if broken is not None and gate(broken) is not None:
            return
    pytest.fail(f"{mistake.name} is never refused in {len(valid_programs)} programs")


def test_a_repair_shows_the_broken_program_and_the_message_of_the_gate(
    valid_programs: list[programs.Program], profile: Profile, gate: Gate
) -> None:
    pairs, drops = repairs.make_repairs(valid_programs[:40], profile, Pool(), gate, 7)
    assert len(pairs) + len(drops) == 40
    for pair in pairs:
        broken = pair.prompt.split("```vox\n")[1].removesuffix("\n```")
        assert gate(broken) is not None
        assert str(gate(broken)) in pair.prompt
        assert gate(pair.response) is None
        assert "```" not in pair.response


def test_mistakes_are_spread_evenly(
    valid_programs: list[programs.Program], profile: Profile, gate: Gate
) -> None:
    pairs, _ = repairs.make_repairs(valid_programs[:120], profile, Pool(), gate, 7)
    mistakes = [pair.source_symbol.rpartition("::")[2] for pair in pairs]
    assert len(set(mistakes)) >= 30
    assert max(mistakes.count(name) for name in mistakes) <= 8


def test_no_mistake_is_made_inside_a_string() -> None:
    negation = next(mistake for mistake in MISTAKES if mistake.name == "bang_for_not")
    assert negation.made_in('fn f() to str { return "not here" }', random.Random(1)) is None


def test_a_program_that_allows_no_mistake_is_dropped(
    valid_programs: list[programs.Program], profile: Profile
) -> None:
    pairs, drops = repairs.make_repairs(valid_programs[:1], profile, Pool(), lambda _: None, 7)
    assert pairs == []
    assert [drop.item for drop in drops] == [valid_programs[0].symbol]


def test_a_payload_loses_its_name_only_if_a_pattern_gives_it() -> None:
    unnamed = next(mistake for mistake in MISTAKES if mistake.name == "unnamed_payload")
    without_pattern = "type A =\n    | B(n: int)"
    with_pattern = (
        without_pattern + "\n\nfn f(a: A) to int {\n    match a {\n        B(n) => n\n    }\n}"
    )
    assert "| B(int)" in (unnamed.made_in(with_pattern, random.Random(1)) or "")
    assert unnamed.made_in(without_pattern, random.Random(1)) == without_pattern
