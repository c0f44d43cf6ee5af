"""Eligibility of pages: which values in the front matter of a page exclude it.

`mdbook.read_page` applies this definition, for the extractor and for the audit
`eligible_pages_only`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Values of `status` on a page that no longer describes the project.
RETIRED = frozenset({"deprecated", "legacy", "superseded", "obsolete", "archived"})

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
