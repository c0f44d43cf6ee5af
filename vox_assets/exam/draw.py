"""Draws the tasks of templates.

The templates, the lexicon, the seed and the interpreter decide the tasks of templates; no source
tree takes part, so that the adapters of two builds sit the same exam.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

import polars as pl

from vox_assets.contract.rows import turns
from vox_assets.exam.running import decided, hidden_calls
from vox_assets.exam.sealed import reveals
from vox_assets.exam.structure import declared, facts
from vox_assets.exam.task import Kind, Task
from vox_assets.mix.leakage import leaks
from vox_assets.profiles import Dedup
from vox_assets.profiles import Exam as Policy
from vox_assets.synthesize.vox import dialogues, lexicon, programs, reserved, templates
from vox_assets.synthesize.vox.lexicon import Domain
from vox_assets.synthesize.vox.programs import Gate, Pool, Program
from vox_assets.synthesize.vox.templates import Rendered, Variant


def template_tasks(policy: Policy, seed: int, check_vox: Gate, dedup: Dedup) -> list[Task]:
    """Draw the tasks of the kinds `familiar`, `new_variant` and `new_construct`.

    `seed` is that of synthesis: a candidate that resembles a program that synthesis may render for
    training is passed over, by the measures that compare held-out with trained rows. The tasks of a
    kind alternate between constructs, and no two are near duplicates.
    """
    domains = lexicon.load()
    pool = Pool()
    candidates = {
        kind: _renderings(kind, variants, reserved.exam_domains(domains), seed)
        for kind, variants in _variants().items()
    }
    seen = _seen(candidates, reserved.open_domains(domains), seed, dedup)
    return [
        _task(kind, program, seed)
        for kind, rendered in candidates.items()
        for program in _admitted(
            [item for item in rendered if programs.symbol(item) not in seen],
            pool,
            getattr(policy, kind),
            seed,
            check_vox,
        )
    ]


def _variants() -> Mapping[Kind, list[Variant]]:
    """Group the variants by the kind of task that they give."""
    found: dict[Kind, list[Variant]] = {"familiar": [], "new_variant": [], "new_construct": []}
    for variant in templates.load():
        if reserved.is_exam_template(variant):
            found["new_construct"].append(variant)
        elif reserved.is_exam_variant(variant):
            found["new_variant"].append(variant)
        else:
            found["familiar"].append(variant)
    return found


def _renderings(
    kind: Kind, variants: Iterable[Variant], domains: Sequence[Domain], seed: int
) -> list[Rendered]:
    """Render every variant in every domain; constructs take turns, and so do their variants."""
    by_construct: dict[str, list[list[Rendered]]] = {}
    for variant in variants:
        rng = random.Random(f"{seed}:exam:{variant.construct}:{variant.name}")
        route = rng.sample(list(domains), k=len(domains))
        rendered = [templates.render(variant, domain, rng) for domain in route]
        by_construct.setdefault(variant.construct, []).append(rendered)
    rng = random.Random(f"{seed}:exam:{kind}")
    order = rng.sample(sorted(by_construct), k=len(by_construct))
    return list(_in_turns([list(_in_turns(by_construct[name])) for name in order]))


def _in_turns(queues: Sequence[Sequence[Rendered]]) -> Iterator[Rendered]:
    for row in zip_longest(*queues):
        yield from (item for item in row if item is not None)


def _seen(
    candidates: Mapping[Kind, Sequence[Rendered]],
    domains: Sequence[Domain],
    seed: int,
    dedup: Dedup,
) -> set[str]:
    """Return the candidates that a program reveals which synthesis may render for training."""
    kinds = {programs.symbol(item): kind for kind, items in candidates.items() for item in items}
    asked = {
        programs.symbol(item): [item.source] for items in candidates.values() for item in items
    }
    variants = reserved.open_variants(templates.load())
    trained = {
        programs.symbol(item): [item.source]
        for _, item in programs.candidates(variants, domains, seed)
        if not reserved.is_exam_template(item.variant)
    }
    for script, domain in dialogues.laps(dialogues.scripts(), domains, seed):
        talk = dialogues.render(script, domain, dialogues.own_choices(script, domain, seed))
        trained[talk.symbol] = list(talk.answers)
    found = leaks(_answers(asked), _answers(trained), dedup)
    return {leak.held_out for leak in found if reveals(leak, kinds[leak.held_out])}


def _answers(texts: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Make the columns that `mix.leakage` compares, of answers by name."""
    return pl.DataFrame(
        {
            "pair_id": list(texts),
            "messages": [
                list(turns(*(part for answer in answers for part in ("", answer))))
                for answers in texts.values()
            ],
            "response_mode": ["code_only"] * len(texts),
        }
    )


def _admitted(
    candidates: Iterable[Rendered], pool: Pool, amount: int, seed: int, check_vox: Gate
) -> list[Program]:
    """Admit candidates that resemble no earlier task, in program or in prompt."""
    numbered = enumerate(candidates)
    kept, _ = programs.take(numbered, amount, pool, seed, check_vox)
    return kept


def _task(kind: Kind, program: Program, seed: int) -> Task:
    """Make a task, with hidden calls, and structural facts of what they do not decide."""
    rendered = program.rendered
    source = rendered.source
    calls = hidden_calls(source, seed)
    return Task(
        prompt=program.instruction,
        reference=source,
        construct=rendered.variant.construct,
        variant=rendered.variant.name,
        domain=rendered.domain.name,
        level=rendered.variant.level,
        kind=kind,
        source_path=rendered.variant.source_path,
        declarations=declared(source),
        facts=facts(source, decided(source, calls)),
        calls=calls,
    )
