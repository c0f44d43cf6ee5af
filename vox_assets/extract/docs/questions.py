"""The wording of questions about documentation."""

from __future__ import annotations

import re

from vox_assets.extract.questions import choose

#: Number of declarations of a snippet that its question names.
MAX_NAMED = 6

NOT_WORDS = re.compile(r"\W+")

NUMBERING = re.compile(r"^(?:\d+(?:\.\d+)*[.):]?|[A-Z]\.)\s+")

#: A declaration in a snippet: the whole head where it has parameters, else the kind and name.
DECLARED = re.compile(
    r"^\s*(?:pub\s+|async\s+|@[\w.]+(?:\([^()\n]*\)|\s+\"[^\"\n]*\")?\s+)*"
    r"((?:fn|component|fragment|workflow|activity)\s+\w+[^{\n]*|(?:type|actor|state_machine|url)\s+\w+)",
    re.MULTILINE,
)


def prose_question(project: str, label: str, trail: tuple[str, ...], text: str) -> str:
    """Ask for a section by the page and the heading path, in one of several wordings."""
    key = label + text
    if not trail:
        return choose(
            key,
            f'What is "{label}" in the {project} documentation about?',
            f'Give the introduction to "{label}" from the {project} documentation.',
            f'How does the {project} documentation page "{label}" begin?',
            f'Introduce a reader to "{label}", as the {project} documentation does.',
        )
    heading = " > ".join(trail)
    topic = NUMBERING.sub("", trail[-1])
    if topic.endswith("?"):
        return f'{topic} ({project} documentation, "{label}", under "{heading}")'
    if text.startswith("1. "):
        return choose(
            key,
            f'Which points does the {project} page "{label}" list under "{heading}", in order?',
            f'Go through "{heading}" point by point, as "{label}" in the {project} documentation '
            "does.",
        )
    if text.startswith("| "):
        return choose(
            key,
            f'What does the table under "{heading}" on the {project} page "{label}" say?',
            f'Tabulate "{heading}" as in "{label}" of the {project} documentation.',
        )
    return choose(
        key,
        f'What does the {project} documentation say about "{heading}" on the page "{label}"?',
        f'Explain "{heading}" as the {project} page "{label}" does.',
        f'I am reading "{label}" in the {project} documentation. What is there to know about '
        f'"{heading}"?',
        f'According to "{label}" ({project} documentation), what matters about "{heading}"?',
        f'Tell me about "{heading}". The {project} page "{label}" covers it.',
    )


def code_question(
    language: str,
    project: str,
    label: str,
    trail: tuple[str, ...],
    context: str,
    declared: list[str],
) -> str:
    """Ask for the code below a heading, in one of several wordings.

    Where the project is not named after its language, the question names both.
    """
    heading = " > ".join(trail) or label
    names = f" Declare {', '.join(declared)}." if declared else ""
    about = f"\n\n{context}" if context else ""
    page = f'"{label}"' if project == language else f'"{label}" of the {project} documentation'
    return choose(
        label + heading + context + names,
        f'Write {language} code for "{heading}", as on the page {page}.{names}{about}',
        f'Show "{heading}" from {page} in {language}.{names}{about}',
        f'Give the {language} program that the page {page} describes under "{heading}".'
        f"{names}{about}",
    )
