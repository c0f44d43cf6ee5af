"""Choice of the wording of a question, for both extractors."""

from __future__ import annotations

import zlib
from typing import TypeVar

#: A question, or the paragraphs of a question.
Form = TypeVar("Form", str, tuple[str, ...])


def choose(key: str, *forms: Form) -> Form:
    """Choose one of `forms` by a checksum of `key`, so that a rebuild asks in the same words."""
    return forms[zlib.crc32(key.encode("utf-8", "surrogatepass")) % len(forms)]
