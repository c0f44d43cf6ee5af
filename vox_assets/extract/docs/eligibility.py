"""Eligibility of pages: the front matter of a page can opt it out.

The extractor and the audit `eligible_pages_only` both use this definition; each reads the front
matter on its own, so that the audit finds a page that the extractor failed to leave out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Values of `status` on a page that no longer describes the project.
RETIRED = frozenset({"deprecated", "legacy", "superseded", "obsolete", "archived"})

_YES = frozenset({"true", "yes", "on"})


def opted_out(content: Mapping[Any, Any]) -> str | None:
    """Return why front matter opts its page out, or None when the page may be read."""
    if "training_eligible" in content:
        value = content["training_eligible"]
        # An unclear value counts as a refusal: only a clear yes lets the page in.
        if value is not True and not (isinstance(value, str) and value.strip().lower() in _YES):
            return "training_eligible: false"
    status = content.get("status")
    if isinstance(status, str) and status.strip().lower() in RETIRED:
        return f"status: {status.strip().lower()}"
    return None
