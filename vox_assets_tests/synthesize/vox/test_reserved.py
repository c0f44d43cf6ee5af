"""What the exam keeps from training exists, and each construct still has something to train."""

from __future__ import annotations

import itertools
import random
from collections import Counter

from vox_assets.synthesize.vox import lexicon, programs, reserved, templates
from vox_assets.synthesize.vox.reserved import EXAM_DOMAINS, EXAM_TEMPLATES, EXAM_VARIANTS
from vox_assets.synthesize.vox.templates import Variant
from vox_assets.vox_syntax import constructs

DOMAINS = lexicon.load()
VARIANTS = templates.load()
#: Constructs with fewer variants would have too few left to train.
MIN_VARIANTS = 3


def test_six_domains_and_every_reserved_template_and_variant_exist() -> None:
    assert len(reserved.exam_domains(DOMAINS)) == len(EXAM_DOMAINS) == 6
    assert len(reserved.open_domains(DOMAINS)) == len(DOMAINS) - 6
    assert {variant.construct for variant in VARIANTS if reserved.is_exam_template(variant)} == (
        EXAM_TEMPLATES
    )
    known = {(variant.construct, variant.name) for variant in VARIANTS}
    named = {(construct, name) for construct, names in EXAM_VARIANTS.items() for name in names}
    assert named <= known
    assert len(VARIANTS) - len(reserved.open_variants(VARIANTS)) == len(named)


def test_each_trained_construct_with_three_variants_keeps_one_for_the_exam_and_two_to_train() -> (
    None
):
    counts = Counter(variant.construct for variant in VARIANTS)
    large = {construct for construct, count in counts.items() if count >= MIN_VARIANTS}
    assert large - EXAM_TEMPLATES == set(EXAM_VARIANTS)
    assert all(counts[construct] - len(names) >= 2 for construct, names in EXAM_VARIANTS.items())


def _constructs(variants: list[Variant]) -> set[str]:
    rendered = (
        templates.render(variant, domain, random.Random(domain.name)).source
        for variant in variants
        for domain in DOMAINS[::8]
    )
    return {name for source in rendered for name in constructs(source)}


def test_no_construct_is_shown_by_an_exam_variant_alone() -> None:
    assert _constructs(list(reserved.open_variants(VARIANTS))) == _constructs(list(VARIANTS))


def test_a_variant_of_an_exam_template_is_rendered_in_one_domain_only() -> None:
    open_variants = reserved.open_variants(VARIANTS)
    stream = programs.candidates(open_variants, DOMAINS[:3], 5)
    counts = Counter(
        rendered.variant for _, rendered in itertools.islice(stream, 3 * len(VARIANTS))
    )
    assert set(counts) == set(open_variants)
    assert all(
        count == (1 if reserved.is_exam_template(variant) else 3)
        for variant, count in counts.items()
    )
