"""Tasks that complete a function whose statements were cut."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from vox_assets.synthesize.vox.lexicon import Domain
from vox_assets.synthesize.vox.live_tasks.task import (
    BODIED_KINDS,
    MAX_SHOWN_CHARS,
    Live,
    Task,
    fenced,
    lead_ins,
    mentions,
    needed,
    paragraphs,
)

#: A body with fewer statements has nothing to complete.
MIN_STATEMENTS = 2


#: Above this share of the program, completing a body would repeat the parent.
MAX_COMPLETED_SHARE = 0.7


# Completing a body that was cut.

_COMPLETE_LEADS = (
    "The body of `{name}` is cut off. Write the whole function.",
    "Complete `{name}` in this Vox program and return just that declaration.",
    "Finish `{name}`, whose beginning is given.",
    "What comes after the comment in `{name}`? Answer with the complete declaration.",
    "I stopped in the middle of `{name}`. Please go on, and return all of it.",
    "Given the rest of this Vox program, how does `{name}` end?",
    "Only the first lines of `{name}` were saved. Restore the declaration.",
)


_RESULT = re.compile(r"^[^{]*\bfn \w+\([^{]*\) (?:uses [^{]+ )?to (?!Unit\b)", re.MULTILINE)


_CUT = "    // to be completed"


#: A line that is indented once and does not end a block, call or list from above.
_STATEMENT = re.compile(r" {4}[^\s})\]]")


def cut(declaration: str) -> tuple[str, str] | None:
    """Cut the second half of the statements: the short declaration and that half, or None."""
    lines = declaration.split("\n")
    opening = next((index for index, line in enumerate(lines) if line.endswith("{")), None)
    if opening is None or lines[-1] != "}":
        return None
    body = lines[opening + 1 : -1]
    starts = [index for index, line in enumerate(body) if _STATEMENT.match(line)]
    if len(starts) < MIN_STATEMENTS:
        return None
    half = starts[len(starts) // 2]
    kept = [*lines[: opening + 1], *body[:half], _CUT, "}"]
    return "\n".join(kept), "\n".join(body[half:])


def completions(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    """Yield tasks that complete a body, for functions whose result determines the rest."""
    for item in live.declared:
        text = item.text
        if item.kind not in BODIED_KINDS or len(text) > MAX_COMPLETED_SHARE * len(live.source):
            continue
        # The beginning of a function without a result does not determine the rest.
        if not _RESULT.search(text):
            continue
        parts = cut(text)
        around = live.around(item)
        if parts is None or len(around) > MAX_SHOWN_CHARS:
            continue
        shortened, missing = parts
        shown = around.replace(text, shortened, 1)
        mentioning = mentions(live.row["prompt"], item.name)
        details = paragraphs(mentioning, needed(missing, shown), fenced(shown))
        leads = lead_ins(_COMPLETE_LEADS, name=item.name)
        yield Task("complete_body", f"body_of_{item.name}", leads, details, text)
