from __future__ import annotations

import random
import re

import pytest

from vox_assets.synthesize.vox import dialogues, lexicon, templates
from vox_assets.synthesize.vox.programs import Gate
from vox_assets.synthesize.vox.templates import TEMPLATE_DIR, TemplateError, Variant

DOMAINS = lexicon.load()
VARIANTS = templates.load()


def _rendered(variant: Variant, domain_number: int) -> templates.Rendered:
    domain = DOMAINS[domain_number % len(DOMAINS)]
    return templates.render(variant, domain, random.Random(f"{variant.name}:{domain.name}"))


def test_at_least_thirty_five_constructs_with_several_variants() -> None:
    constructs = [variant.construct for variant in VARIANTS]
    assert len(set(constructs)) >= 35
    assert all(constructs.count(name) >= 2 for name in constructs)
    assert {variant.level for variant in VARIANTS} == {1, 2, 3}


@pytest.mark.parametrize(
    "variant", VARIANTS, ids=lambda variant: f"{variant.construct}-{variant.name}"
)
def test_every_variant_passes_the_gate_in_every_fourth_domain(variant: Variant, gate: Gate) -> None:
    first = VARIANTS.index(variant)
    for number in range(first, first + len(DOMAINS), 4):
        rendered = _rendered(variant, number)
        assert gate(rendered.source) is None, rendered.source


@pytest.mark.parametrize(
    "variant", VARIANTS, ids=lambda variant: f"{variant.construct}-{variant.name}"
)
def test_facts_name_everything_that_a_program_declares(variant: Variant) -> None:
    """A model cannot guess a name: each function, type and component is in the instruction."""
    rendered = _rendered(variant, VARIANTS.index(variant))
    instruction = "\n".join((*rendered.facts, *rendered.goals))
    declared = re.findall(
        r"\b(?:fn|type|component|actor|state_machine|fragment|url|@form) (\w+)", rendered.source
    )
    # A helper whose name follows from another (`find_loan_label`) is spelled out as well.
    assert [name for name in declared if name not in instruction] == []


def test_a_variant_has_its_lines_in_the_template_file() -> None:
    for variant in VARIANTS:
        text = (TEMPLATE_DIR / variant.source_path.rpartition("/")[2]).read_text().splitlines()
        assert text[variant.start_line - 1].startswith(f"=== {variant.name} (level")
        assert text[variant.end_line - 1].strip()


def test_the_same_seed_renders_the_same_text() -> None:
    assert _rendered(VARIANTS[0], 3) == _rendered(VARIANTS[0], 3)


def test_rendered_text_contains_no_template_syntax() -> None:
    for number, variant in enumerate(VARIANTS):
        rendered = _rendered(variant, number)
        text = "\n".join((rendered.source, *rendered.facts, *rendered.goals, rendered.why))
        assert not re.search(r"<<|>>|%%|\[\[[^\]]*\||~~~", text), variant.name


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("goal: a\nwhy: b\nfn f() {}", "needs goal"),
        ("why: b\n~~~\nfn f() {}", "needs goal"),
        ("goal: << nothing >>\nwhy: b\n~~~\nfn f() {}", "nothing"),
        ("goal: << e\nwhy: b\n~~~\nfn f() {}", "few.j2: odd"),
    ],
)
def test_an_error_names_the_variant_with_a_wrong_layout(body: str, message: str) -> None:
    variant = Variant("few", "odd", 1, f"\n{body}\n", "few.j2", 1, 5)
    with pytest.raises(TemplateError, match=message):
        templates.render(variant, DOMAINS[0], random.Random(1))


def test_tidy_puts_one_blank_line_between_declarations_but_not_before_a_style() -> None:
    crowded = "type A =\n    | B\nfn f() {\n}\n\n\n@test\nfn g() {\n}\nstyle {\n}\n"
    assert templates.tidy(crowded) == (
        "type A =\n    | B\n\nfn f() {\n}\n\n@test\nfn g() {\n}\nstyle {\n}"
    )


def test_a_file_without_a_heading_is_refused() -> None:
    with pytest.raises(TemplateError, match=r"few\.j2"):
        templates.split("fn f() {}", "few", "few.j2")


@pytest.mark.parametrize("script", dialogues.scripts(), ids=lambda script: script.name)
def test_every_answer_of_a_script_is_distinct_and_passes_the_gate(
    script: Variant, gate: Gate
) -> None:
    for domain in DOMAINS[::5]:
        dialogue = dialogues.render(script, domain, random.Random(domain.name))
        assert 2 <= len(dialogue.answers) <= 5
        assert len(set(dialogue.answers)) == len(dialogue.answers)
        assert [gate(answer) for answer in dialogue.answers] == [None] * len(dialogue.answers)
        assert all("Vox" in ask for ask in dialogue.asks[0]), "the first turn names the language"
