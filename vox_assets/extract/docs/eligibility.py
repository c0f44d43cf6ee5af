"""Eligibility of pages and of files that they include: which values of their heads exclude them.

`mdbook.read_page` and `mdbook.opted_out` apply this definition, for the extractor and for the audit
`eligible_pages_only`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: Values of `status` on a page that no longer describes the project.
RETIRED = frozenset({"deprecated", "legacy", "superseded", "obsolete", "archived"})

#: The comments of an example begin with its fields; later lines are not read.
MAX_COMMENT_LINES = 100

_YES = frozenset({"true", "yes", "on"})


def opted_out(content: Mapping[Any, Any]) -> str | None:
    """Return why the front matter `content` excludes its page, or None when it is eligible."""
    if "training_eligible" in content:
        value = content["training_eligible"]
        # An unclear value counts as a refusal: only a clear yes lets the page in.
        if value is not True and not (isinstance(value, str) and value.strip().lower() in _YES):
            return "training_eligible: false"
    status = content.get("status")
    if isinstance(status, str) and status.strip().lower() in RETIRED:
        return f"status: {status.strip().lower()}"
    return None


#: A line of the comments at the start of a file, in the languages of examples.
_COMMENT = re.compile(r"\s*(?://[/!]?|#(?!\[)|--(?!-)|;+|%+|<!--|/?\*+)\s?(.*)")

_FIELD = re.compile(r"(@?\w+)\s*:\s*(.*)")


def fields_of_comments(text: str) -> dict[str, str]:
    """Return the fields in the comments at the start of a file, the first of each name.

    `training_eligible` counts wherever it is in these comments; the other fields count between
    lines of three dashes, because a sentence may start with such a word.
    """
    fields: dict[str, str] = {}
    in_matter = False
    for line in text.split("\n", MAX_COMMENT_LINES)[:MAX_COMMENT_LINES]:
        comment = _COMMENT.match(line)
        if comment is None:
            if line.strip() and not line.startswith("#!"):
                break
            continue
        content = comment.group(1).removesuffix("-->").removesuffix("*/").strip()
        if content == "---":
            in_matter = not in_matter
        elif (field := _FIELD.match(content)) and (in_matter or field[1] == "training_eligible"):
            fields.setdefault(field[1], field[2].strip().strip("'\""))
    return fields
