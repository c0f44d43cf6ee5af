"""Dialogues of two to five turns; every answer is new and builds on the answer before it.

Vox dialogues are rendered from scripts in `templates/dialogues/`. A script is a variant whose body
alternates between a question and, between `~~~` lines, its answer.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vox_assets.contract.rows import Drop, Pair, Reason, turns
from vox_assets.profiles import Profile
from vox_assets.synthesize.shared import STAGE
from vox_assets.synthesize.vox import templates
from vox_assets.synthesize.vox.lexicon import Domain
from vox_assets.synthesize.vox.programs import (
    NEAR_INSTRUCTION,
    NEAR_PROGRAM,
    Gate,
    Pool,
    difficulty,
)
from vox_assets.synthesize.vox.templates import TEMPLATE_DIR, TemplateError, Variant, tidy

TASK_FAMILY = "dialogue"
SCRIPT_DIR = TEMPLATE_DIR / "dialogues"

#: Smallest number of turns of a dialogue.
MIN_TURNS = 2
#: Wordings tried for a dialogue.
WORDINGS = 16

_CODE_MARK = re.compile(r"^~~~$", re.MULTILINE)


@dataclass(frozen=True)
class Talk:
    """A script in a domain: wordings of the question of each turn, and the answers."""

    script: Variant
    domain: Domain
    asks: tuple[tuple[str, ...], ...]
    facts: tuple[tuple[str, ...], ...]
    answers: tuple[str, ...]

    @property
    def symbol(self) -> str:
        return f"dialogues/{self.script.construct}::{self.script.name}::{self.domain.name}"


def render(script: Variant, domain: Domain, rng: random.Random) -> Talk:
    """Render a script; raises TemplateError when a turn has no question or no answer."""
    text = templates.render_text(script, domain, rng)
    parts = _CODE_MARK.split(text)
    if len(parts) % 2 or len(parts) < 4:
        raise TemplateError(f"{script.source_path}: {script.name}: a turn without an answer")
    asked = [templates.alternatives(part, rng).strip().splitlines() for part in parts[::2]]
    asks = [tuple(line[5:] for line in lines if line.startswith("ask: ")) for lines in asked]
    if not all(asks):
        raise TemplateError(f"{script.source_path}: {script.name}: a turn without ask:")
    return Talk(
        script=script,
        domain=domain,
        asks=tuple(asks),
        facts=tuple(tuple(line[2:] for line in lines if line.startswith("- ")) for lines in asked),
        answers=tuple(tidy(part) for part in parts[1::2]),
    )


def _question(asks: Sequence[str], facts: Sequence[str], rng: random.Random) -> str:
    """Word a turn of the user: a way to ask, and the facts as bullets or as sentences."""
    ask = rng.choice(asks)
    if not facts:
        return ask
    if rng.random() < 0.5:
        mark = rng.choice("-*")
        return "\n".join([ask, *(f"{mark} {fact}" for fact in facts)])
    sentences = (fact if fact.startswith("`") else fact[:1].upper() + fact[1:] for fact in facts)
    return " ".join([ask, *(f"{sentence}." for sentence in sentences)])


def _worded(talk: Talk, pool: Pool, rng: random.Random) -> list[str] | None:
    """Word the user's turns unlike the script's other dialogues, or return None.

    A dialogue may end early: its length is drawn too.
    """
    kept = pool.instructions[f"dialogues/{talk.script.construct}/{talk.script.name}"]
    whole = list(zip(talk.asks, talk.facts, strict=True))
    lengths = rng.sample(range(MIN_TURNS, len(whole) + 1), k=len(whole) + 1 - MIN_TURNS)
    for attempt in range(WORDINGS):
        length = lengths[attempt % len(lengths)]
        questions = [_question(asks, facts, rng) for asks, facts in whole[:length]]
        text = "\n".join(questions)
        if questions[-1] in pool.last_questions:
            continue
        if kept.nearest(text, NEAR_INSTRUCTION) < NEAR_INSTRUCTION:
            kept.add(text)
            pool.last_questions.add(questions[-1])
            return questions
    return None


def vox_dialogues(
    scripts: Sequence[Variant],
    domains: Sequence[Domain],
    profile: Profile,
    pool: Pool,
    check_vox: Gate,
    amount: int,
) -> tuple[list[Pair], list[Drop]]:
    """Make up to `amount` dialogues; every script is used once before any is used again."""
    seed = profile.synthesis.seed
    pairs: list[Pair] = []
    drops: list[Drop] = []
    for script, domain in laps(scripts, domains, seed):
        if len(pairs) >= amount:
            break
        rng = own_choices(script, domain, seed)
        talk = render(script, domain, rng)
        reason = _refusal(talk, pool, check_vox)
        questions = None if reason else _worded(talk, pool, rng)
        if questions is None:
            drops.append(_drop(talk, reason or "no wording differs enough from its script's"))
            continue
        pool.programs.add(talk.symbol, "\n\n".join(talk.answers[: len(questions)]))
        pairs.append(_vox_pair(talk, questions, profile))
    return pairs, drops


def own_choices(script: Variant, domain: Domain, seed: int) -> random.Random:
    """Return the random choices of a script in a domain."""
    return random.Random(f"{seed}:{script.construct}:{script.name}:{domain.name}")


def laps(
    scripts: Sequence[Variant], domains: Sequence[Domain], seed: int
) -> Iterator[tuple[Variant, Domain]]:
    """Yield every script in every domain; every script once before any is repeated."""
    rng = random.Random(f"{seed}:dialogues")
    routes = [rng.sample(domains, k=len(domains)) for _ in scripts]
    for lap in range(len(domains)):
        for script, route in zip(scripts, routes, strict=True):
            yield script, route[lap]


def _refusal(talk: Talk, pool: Pool, check_vox: Gate) -> Reason | str | None:
    if len(set(talk.answers)) < len(talk.answers):
        return "an answer repeats an earlier one"
    for answer in talk.answers:
        message = check_vox(answer)
        if message is not None:
            return Reason("refused by the syntax gate", message)
    _, similarity = pool.programs.nearest("\n\n".join(talk.answers))
    return "near-duplicate of an earlier dialogue" if similarity >= NEAR_PROGRAM else None


def _drop(talk: Talk, reason: Reason | str) -> Drop:
    return Drop(
        stage=STAGE,
        why=reason,
        source_path=talk.script.source_path,
        line=talk.script.start_line,
        item=talk.symbol,
    )


def _vox_pair(talk: Talk, questions: Sequence[str], profile: Profile) -> Pair:
    script = talk.script
    answers = talk.answers[: len(questions)]
    contents = [text for turn in zip(questions, answers, strict=True) for text in turn]
    return Pair(
        messages=turns(*contents),
        lane=profile.lane_for("synthetic", "code_only", script.source_path),
        response_mode="code_only",
        task_family=TASK_FAMILY,
        language="vox",
        origin="synthetic",
        category=script.construct,
        difficulty=difficulty(script.level, *answers),
        source_kind="synthetic",
        source_path=script.source_path,
        source_start_line=script.start_line,
        source_end_line=script.end_line,
        source_symbol=talk.symbol,
    )


def scripts() -> tuple[Variant, ...]:
    """Load every dialogue script; the source path includes the folder."""
    return tuple(
        variant
        for path in sorted(SCRIPT_DIR.glob("*.vox.j2"))
        for variant in templates.split(
            path.read_text(encoding="utf-8"),
            path.name.removesuffix(".vox.j2"),
            f"{templates.SOURCE_PREFIX}dialogues/{path.name}",
        )
    )
