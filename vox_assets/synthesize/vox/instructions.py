"""Words an instruction in one of five styles, from what a template says of its program.

All facts about the program appear in every style, so that nobody has to guess a name, a type or a
string. Which instruction is kept is decided by the caller.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from vox_assets.synthesize.vox.lexicon import article
from vox_assets.synthesize.vox.templates import Rendered


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(text: str) -> str:
    """A fact as a sentence; a leading code span keeps its case."""
    start = text if text.startswith("`") else _capital(text)
    return start if start.endswith((".", "?", "!", ":")) else f"{start}."


def _prose(facts: tuple[str, ...]) -> str:
    return " ".join(_sentence(fact) for fact in facts)


def _bulleted(facts: tuple[str, ...], mark: str) -> str:
    return "\n".join(f"{mark} {fact}" for fact in facts)


def _numbered(facts: tuple[str, ...]) -> str:
    return "\n".join(f"{number}. {fact}" for number, fact in enumerate(facts, 1))


def terse(told: Rendered, goal: str, rng: random.Random) -> str:
    """As an experienced colleague would put it."""
    body = "; ".join(told.facts)
    place = told.domain.place
    return rng.choice(
        (
            f"{_capital(goal)}, in Vox: {body}.",
            f"Vox, {told.domain.name.replace('_', ' ')}: {goal}. {_capital(body)}.",
            f"Need Vox code to {goal}. {_capital(body)}.",
            f"{_capital(body)}. That should {goal}. Vox only.",
            f"Vox for {place}: {body}. Purpose: {goal}.",
        )
    )


def specification(told: Rendered, goal: str, rng: random.Random) -> str:
    """A purpose and numbered requirements."""
    place = told.domain.place
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
    return f"{opening}\n{_numbered(told.facts)}"


def user_story(told: Rendered, goal: str, rng: random.Random) -> str:
    """Who wants it and what for, then the details."""
    keeper, place = article(told.domain.keeper), told.domain.place
    opening = rng.choice(
        (
            f"As {keeper} at {place}, I want a Vox program to {goal} so that {told.why}.",
            f"I work as {keeper}. I'd like Vox code to {goal}, because then {told.why}.",
            f"{_capital(keeper)} at {place} asks for Vox code to {goal}, so that {told.why}.",
        )
    )
    details = rng.choice(("", "What it holds: ", "Acceptance: ", "Details: "))
    return f"{opening} {details}{_prose(told.facts)}"


def bullets(told: Rendered, goal: str, rng: random.Random) -> str:
    """The goal as a heading and unordered requirements."""
    mark = rng.choice("-*")
    opening = rng.choice(
        (
            f"{_capital(goal)} (Vox):",
            f"Please write Vox code to {goal}. Requirements:",
            f"For {told.domain.place}: Vox code to {goal}. Points:",
            f"Task: {goal}. The Vox program has",
            f"Wanted: a piece of Vox to {goal}. It has",
            f"Vox program, used by {article(told.domain.keeper)} to {goal}:",
        )
    )
    return f"{opening}\n{_bulleted(told.facts, mark)}"


def question(told: Rendered, goal: str, rng: random.Random) -> str:
    """Somebody who learns the language asks."""
    place = told.domain.place
    body = _prose(told.facts)
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


def word(told: Rendered, style: int, rng: random.Random) -> str:
    """An instruction in style number `style`, modulo the number of styles."""
    return STYLES[style % len(STYLES)](told, rng.choice(told.goals), rng)
