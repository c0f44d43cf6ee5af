"""Words an instruction in one of five styles, from the goals and facts of a template.

All facts about the program appear in every style, so that the reader need not guess a name, a type
or a string. The caller decides which instruction is kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from vox_assets.synthesize.vox.lexicon import article
from vox_assets.synthesize.vox.templates import Rendered


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(text: str) -> str:
    """Format a fact as a sentence; a leading code span keeps its case."""
    start = text if text.startswith("`") else _capital(text)
    return start if start.endswith((".", "?", "!", ":")) else f"{start}."


def _prose(facts: tuple[str, ...]) -> str:
    return " ".join(_sentence(fact) for fact in facts)


def _bulleted(facts: tuple[str, ...], mark: str) -> str:
    return "\n".join(f"{mark} {fact}" for fact in facts)


def _numbered(facts: tuple[str, ...]) -> str:
    return "\n".join(f"{number}. {fact}" for number, fact in enumerate(facts, 1))


def terse(rendered: Rendered, goal: str, rng: random.Random) -> str:
    """Word the instruction briefly, as an experienced colleague would."""
    body = "; ".join(rendered.facts)
    place = rendered.domain.place
    return rng.choice(
        (
            f"{_capital(goal)}, in Vox: {body}.",
            f"Vox, {rendered.domain.name.replace('_', ' ')}: {goal}. {_capital(body)}.",
            f"Need Vox code to {goal}. {_capital(body)}.",
            f"{_capital(body)}. That should {goal}. Vox only.",
            f"Vox for {place}: {body}. Purpose: {goal}.",
        )
    )


def specification(rendered: Rendered, goal: str, rng: random.Random) -> str:
    """Word the instruction as a purpose and numbered requirements."""
    place = rendered.domain.place
    opening = rng.choice(
        (
            f"Write Vox code for {place}. Purpose: {goal}.",
            f"Specification of a Vox module that must {goal}.",
            f"Implement the following in Vox; {place} uses it to {goal}.",
            f"Module for {place}, in Vox.\nIt has one job: {goal}.",
            f"Vox source wanted. It has to {goal}. In detail:",
            f"{_capital(place)} wants to {goal}. Write the Vox code to this list.",
            f"Goal: {goal}. Language: Vox. Points to meet, in order:",
        )
    )
    return f"{opening}\n{_numbered(rendered.facts)}"


def user_story(rendered: Rendered, goal: str, rng: random.Random) -> str:
    """Word the instruction as a user story: who wants what and why, then the details."""
    keeper, place = article(rendered.domain.keeper), rendered.domain.place
    opening = rng.choice(
        (
            f"As {keeper} at {place}, I want a Vox program to {goal} so that {rendered.why}.",
            f"I work as {keeper}. I'd like Vox code to {goal}, because then {rendered.why}.",
            f"{_capital(keeper)} at {place} asks for Vox code to {goal}, so that {rendered.why}.",
        )
    )
    details = rng.choice(("", "What it holds: ", "Acceptance: ", "Details: "))
    return f"{opening} {details}{_prose(rendered.facts)}"


def bullets(rendered: Rendered, goal: str, rng: random.Random) -> str:
    """Word the instruction as a goal and bulleted requirements."""
    mark = rng.choice("-*")
    opening = rng.choice(
        (
            f"{_capital(goal)} (Vox):",
            f"Please write Vox code to {goal}. Requirements:",
            f"For {rendered.domain.place}: Vox code to {goal}. Points:",
            f"Task: {goal}. The Vox program has",
            f"Wanted: a piece of Vox to {goal}. It has",
            f"Vox program, used by {article(rendered.domain.keeper)} to {goal}:",
        )
    )
    return f"{opening}\n{_bulleted(rendered.facts, mark)}"


def question(rendered: Rendered, goal: str, rng: random.Random) -> str:
    """Word the instruction as a question of a person who learns the language."""
    place = rendered.domain.place
    body = _prose(rendered.facts)
    return rng.choice(
        (
            f"In Vox, how do I {goal}? {body}",
            f"What does Vox code look like that should {goal}? {body}",
            f"{body} How would you {goal} like that in Vox?",
            f"We run {place} and have to {goal}. What would that be in Vox? {body}",
            f"Can you show me, in Vox, how to {goal}? {body}",
        )
    )


STYLES: tuple[Callable[[Rendered, str, random.Random], str], ...] = (
    terse,
    specification,
    user_story,
    bullets,
    question,
)


def word(rendered: Rendered, style: int, rng: random.Random) -> str:
    """Word an instruction in style number `style`, modulo the number of styles."""
    return STYLES[style % len(STYLES)](rendered, rng.choice(rendered.goals), rng)
