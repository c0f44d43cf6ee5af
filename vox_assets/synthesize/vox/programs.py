"""Programs from templates: renders variants in domains and selects those to keep.

The stream visits every variant once before it repeats a variant, so that a small corpus covers as
many constructs as a large corpus. A candidate is refused when its program or its instruction is
too similar to a kept program or instruction.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vox_assets.contract.answers import without_fenced_blocks
from vox_assets.contract.rows import Drop, Pair, Reason, turns
from vox_assets.profiles import Profile
from vox_assets.synthesize.alike import Instructions, Programs
from vox_assets.synthesize.shared import STAGE
from vox_assets.synthesize.vox import instructions, templates
from vox_assets.synthesize.vox.lexicon import Domain
from vox_assets.synthesize.vox.reserved import is_exam_template
from vox_assets.synthesize.vox.templates import Rendered, Variant

TASK_FAMILY = "write_construct"

#: The threshold of near-duplicate removal, which would drop closer candidates later.
NEAR_PROGRAM = 0.8
#: Self-Instruct keeps an instruction whose ROUGE-L to all others is below this.
NEAR_INSTRUCTION = 0.7
#: Wordings tried for a program: each style with two draws of its phrases.
WORDINGS = 2 * len(instructions.STYLES)

Gate = Callable[[str], str | None]


@dataclass
class Pool:
    """The programs and instructions kept so far, against which candidates are compared."""

    programs: Programs = field(default_factory=Programs)
    instructions: dict[str, Instructions] = field(default_factory=lambda: defaultdict(Instructions))
    #: The last questions of dialogues, each of which is the prompt of a row.
    last_questions: set[str] = field(default_factory=set)

    def wording(self, rendered: Rendered, first_style: int, rng: random.Random) -> str | None:
        """Find a wording that differs enough from the others of its construct, or return None."""
        kept = self.instructions[rendered.variant.construct]
        for attempt in range(WORDINGS):
            text = instructions.word(rendered, first_style + attempt, rng)
            if kept.nearest(text, NEAR_INSTRUCTION) < NEAR_INSTRUCTION:
                return text
        return None

    def least_alike(self, group: str, texts: Iterable[str]) -> str:
        """Return the wording that is least similar to the earlier wordings of the group.

        The comparison ignores quoted code, which is not part of the wording.
        """
        kept = self.instructions[group]
        best = min(texts, key=lambda text: kept.nearest(without_code(text), 0))
        kept.add(without_code(best))
        return best


def without_code(text: str) -> str:
    """Remove the fenced code from a request."""
    return without_fenced_blocks(text)


@dataclass(frozen=True)
class Program:
    """A rendered variant and the instruction that asks for it."""

    rendered: Rendered
    instruction: str

    @property
    def symbol(self) -> str:
        return symbol(self.rendered)


def symbol(rendered: Rendered) -> str:
    """Return `construct::variant::domain`, the name of a program within its template file."""
    return f"{rendered.variant.construct}::{rendered.variant.name}::{rendered.domain.name}"


#: Domains in which a variant of a weak construct is rendered per lap, instead of one: enough to
#: shift the mix, too few to crowd out what the adapter already writes.
WEAK_TURNS = 2


def candidates(
    variants: Sequence[Variant],
    domains: Sequence[Domain],
    seed: int,
    weak: Collection[str] = (),
) -> Iterator[tuple[int, Rendered]]:
    """Yield every variant in every domain once, with a number that counts from 0.

    Variants of the constructs in `weak` come earlier: WEAK_TURNS times per lap. A variant of a
    template file that the exam keeps from training is rendered in one domain only: its rows are
    never trained, and would take the places of rows that are.
    """
    rng = random.Random(f"{seed}:order")
    routes = {}
    for variant in variants:
        route = list(domains)
        rng.shuffle(route)
        routes[variant.source_path, variant.name] = iter(route)
    order = list(variants)
    for variant in variants:
        if variant.construct in weak and not is_exam_template(variant):
            order += [variant] * (WEAK_TURNS - 1)
    number = 0
    for lap in range(len(domains)):
        rng.shuffle(order)
        for variant in order:
            if lap and is_exam_template(variant):
                continue
            domain = next(routes[variant.source_path, variant.name], None)
            if domain is None:
                continue
            own = random.Random(f"{seed}:{variant.construct}:{variant.name}:{domain.name}")
            yield number, templates.render(variant, domain, own)
            number += 1


def admit(
    number: int, rendered: Rendered, pool: Pool, seed: int, check_vox: Gate
) -> tuple[Program | None, Drop | None]:
    """Add a candidate to the pool as a program, or return the reason why it is dropped."""

    def refused(
        reason: Reason | str, lost_to: str | None = None, similarity: float | None = None
    ) -> Drop:
        return Drop(
            stage=STAGE,
            why=reason,
            source_path=rendered.variant.source_path,
            line=rendered.variant.start_line,
            item=symbol(rendered),
            lost_to=lost_to,
            similarity=similarity,
        )

    nearest, similarity = pool.programs.nearest(rendered.source)
    if similarity >= NEAR_PROGRAM:
        return None, refused("near-duplicate of an earlier program", nearest, similarity)
    rng = random.Random(f"{seed}:words:{symbol(rendered)}")
    text = pool.wording(rendered, number, rng)
    if text is None:
        return None, refused("no wording differs enough from those of its construct")
    message = check_vox(rendered.source)
    if message is not None:
        return None, refused(Reason("refused by the syntax gate", message))
    pool.programs.add(symbol(rendered), rendered.source)
    pool.instructions[rendered.variant.construct].add(text)
    return Program(rendered, text), None


def take(
    stream: Iterator[tuple[int, Rendered]], amount: int, pool: Pool, seed: int, check_vox: Gate
) -> tuple[list[Program], list[Drop]]:
    """Take the next `amount` programs that the pool admits; fewer when the stream ends."""
    kept: list[Program] = []
    drops: list[Drop] = []
    while len(kept) < amount:
        try:
            number, rendered = next(stream)
        except StopIteration:
            break
        program, drop = admit(number, rendered, pool, seed, check_vox)
        if program:
            kept.append(program)
        if drop:
            drops.append(drop)
    return kept, drops


def difficulty(level: int, *sources: str) -> int:
    """Rate the difficulty from 1 to 10: mostly by the level, then by the lines of code."""
    lines = sum(source.count("\n") + 1 for source in sources)
    return min(10, 2 * level + lines // 16)


def pair(program: Program, profile: Profile) -> Pair:
    """Make the row of a program."""
    variant = program.rendered.variant
    return Pair(
        messages=turns(program.instruction, program.rendered.source),
        lane=profile.lane_for("synthetic", "code_only", variant.source_path),
        response_mode="code_only",
        task_family=TASK_FAMILY,
        language="vox",
        origin="synthetic",
        category=variant.construct,
        difficulty=difficulty(variant.level, program.rendered.source),
        source_kind="synthetic",
        source_path=variant.source_path,
        source_start_line=variant.start_line,
        source_end_line=variant.end_line,
        source_symbol=program.symbol,
    )
