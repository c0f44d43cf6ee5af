from __future__ import annotations

import random

import pytest

from vox_assets.profiles import Profile
from vox_assets.synthesize.vox import lexicon, programs, repairs, templates
from vox_assets.synthesize.vox.programs import Gate, Pool
from vox_assets.synthesize.vox.repairs import MISTAKES, Mistake


@pytest.fixture(scope="module")
def sound(gate: Gate) -> list[programs.Program]:
    stream = programs.candidates(templates.load(), lexicon.load(), 7)
    return programs.take(stream, 420, Pool(), 7, gate)[0]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.name)
def test_every_mistake_is_made_somewhere_and_refused(
    mistake: Mistake, sound: list[programs.Program], gate: Gate
) -> None:
    """A mistake that no template offers, or that the gate lets pass, is dead weight."""
    for one in sound:
        broken = mistake.made_in(one.rendered.source, random.Random(1))
        if broken is not None and gate(broken) is not None:
            return
    pytest.fail(f"{mistake.name} is never refused in {len(sound)} programs")


def test_a_repair_shows_the_broken_text_and_the_gates_own_words(
    sound: list[programs.Program], profile: Profile, gate: Gate
) -> None:
    pairs, drops = repairs.make_repairs(sound[:40], profile, Pool(), gate, 7)
    assert len(pairs) + len(drops) == 40
    for pair in pairs:
        broken = pair.prompt.split("```vox\n")[1].removesuffix("\n```")
        assert gate(broken) is not None
        assert str(gate(broken)) in pair.prompt
        assert gate(pair.response) is None
        assert "```" not in pair.response


def test_no_mistake_is_made_much_more_often_than_it_need_be(
    sound: list[programs.Program], profile: Profile, gate: Gate
) -> None:
    pairs, _ = repairs.make_repairs(sound[:120], profile, Pool(), gate, 7)
    made = [pair.source_symbol.rpartition("::")[2] for pair in pairs]
    assert len(set(made)) >= 30
    assert max(made.count(name) for name in made) <= 8


def test_words_in_strings_are_no_place_for_a_mistake() -> None:
    negation = next(one for one in MISTAKES if one.name == "bang_for_not")
    assert negation.made_in('fn f() to str { return "not here" }', random.Random(1)) is None


def test_a_program_that_allows_no_mistake_is_a_drop(
    sound: list[programs.Program], profile: Profile
) -> None:
    pairs, drops = repairs.make_repairs(sound[:1], profile, Pool(), lambda _: None, 7)
    assert pairs == []
    assert [drop.item for drop in drops] == [sound[0].symbol]


def test_a_payload_loses_its_name_only_where_a_pattern_tells_it() -> None:
    unnamed = next(one for one in MISTAKES if one.name == "unnamed_payload")
    untold = "type A =\n    | B(n: int)"
    told = untold + "\n\nfn f(a: A) to int {\n    match a {\n        B(n) => n\n    }\n}"
    assert "| B(int)" in (unnamed.made_in(told, random.Random(1)) or "")
    assert unnamed.made_in(untold, random.Random(1)) == untold
