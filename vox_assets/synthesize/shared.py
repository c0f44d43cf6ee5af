"""Definitions that Rust and Vox synthesis share, so that neither imports the other."""

from __future__ import annotations

#: The stage that drops of both name.
STAGE = "synthesize"


def enumerated(parts: list[str]) -> str:
    """Join parts as prose does: `a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
