from __future__ import annotations

import itertools
import random

import pytest

from vox_assets.profiles import Profile
from vox_assets.synthesize.alike import Programs, share_alike
from vox_assets.synthesize.vox import instructions, lexicon, programs, templates
from vox_assets.synthesize.vox.programs import NEAR_INSTRUCTION, NEAR_PROGRAM, Gate, Pool
from vox_assets.synthesize.vox.reserved import is_exam_template

DOMAINS = lexicon.load()
VARIANTS = templates.load()


def test_the_stream_yields_every_variant_once_before_it_repeats_any() -> None:
    variants = [variant for variant in VARIANTS if not is_exam_template(variant)]
    stream = programs.candidates(variants, DOMAINS[:2], 5)
    lap = [rendered.variant for _, rendered in itertools.islice(stream, len(variants))]
    assert set(lap) == set(variants)
    assert len(list(stream)) == len(variants)


def test_variants_of_a_weak_construct_come_twice_per_lap_and_never_in_a_domain_again() -> None:
    weak = "lambdas"
    plain = [rendered for _, rendered in programs.candidates(VARIANTS, DOMAINS[:4], 5)]
    shifted = [rendered for _, rendered in programs.candidates(VARIANTS, DOMAINS[:4], 5, {weak})]
    assert sorted(map(programs.symbol, plain)) == sorted(map(programs.symbol, shifted))
    half = len(plain) // 2
    counts = [
        sum(rendered.variant.construct == weak for rendered in stream[:half])
        for stream in (plain, shifted)
    ]
    assert counts[1] > 1.5 * counts[0] > 0
    again = [rendered for _, rendered in programs.candidates(VARIANTS, DOMAINS[:4], 5, {weak})]
    assert [item.source for item in again] == [item.source for item in shifted]


def test_kept_programs_are_similar_neither_in_code_nor_in_instruction(gate: Gate) -> None:
    few = [variant for variant in VARIANTS if variant.construct in ("contracts", "properties")]
    kept, drops = programs.take(programs.candidates(few, DOMAINS, 5), 10**6, Pool(), 5, gate)
    seen = Programs()
    for program in kept:
        assert seen.nearest(program.rendered.source)[1] < NEAR_PROGRAM
        seen.add(program.symbol, program.rendered.source)
    for construct in ("contracts", "properties"):
        texts = [
            program.instruction
            for program in kept
            if program.rendered.variant.construct == construct
        ]
        assert share_alike(texts, NEAR_INSTRUCTION) == 0
    assert len(kept) + len(drops) == len(few) * len(DOMAINS)
    duplicates = [drop for drop in drops if "near-duplicate" in drop.reason]
    assert duplicates
    assert all(drop.lost_to in {program.symbol for program in kept} for drop in duplicates)


def test_a_program_that_the_gate_refuses_is_dropped_with_the_reason() -> None:
    stream = programs.candidates(VARIANTS[:1], DOMAINS[:1], 5)
    kept, drops = programs.take(stream, 1, Pool(), 5, lambda _: "1:1: no")
    assert kept == []
    assert [drop.reason for drop in drops] == ["refused by the syntax gate: 1:1: no"]


@pytest.mark.parametrize("style", range(len(instructions.STYLES)))
def test_every_style_names_the_language_and_states_every_fact(style: int) -> None:
    for number, variant in enumerate(VARIANTS):
        rendered = templates.render(variant, DOMAINS[number % len(DOMAINS)], random.Random(number))
        text = instructions.word(rendered, style, random.Random(number))
        assert "Vox" in text
        assert all(fact[1:] in text for fact in rendered.facts)


def test_a_row_points_at_the_lines_of_its_template(gate: Gate, profile: Profile) -> None:
    stream = programs.candidates(VARIANTS, DOMAINS, 5)
    (program,), _ = programs.take(stream, 1, Pool(), 5, gate)
    row = programs.pair(program, profile)
    assert row.source_path == f"synthesize/templates/{row.category}.vox.j2"
    assert row.source_start_line < row.source_end_line
    assert (row.origin, row.lane, row.response_mode) == ("synthetic", "vox_codegen", "code_only")


@pytest.mark.parametrize(("level", "lines", "expected"), [(1, 3, 2), (2, 33, 6), (3, 400, 10)])
def test_difficulty_grows_with_level_and_length(level: int, lines: int, expected: int) -> None:
    assert programs.difficulty(level, "x\n" * (lines - 1)) == expected
