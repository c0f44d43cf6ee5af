"""Documentation as prose: no heading without text, no lead-in without its block."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.extract.docs import markdown
from vox_assets.extract.docs.lead_ins import leads_in
from vox_assets.extract.rust.doc_comment import MAX_DOC_CHARS, prose_of, shorten


def _prose(doc: str) -> str:
    return prose_of(markdown.split_code(textwrap.dedent(doc).strip("\n"))[0])


CODE = "```\nlet a = 1;\n```"


@pytest.mark.parametrize(
    ("doc", "prose"),
    [
        (f"Counts.\n\n# Examples\n\n{CODE}", "Counts."),
        (
            f"Counts.\n\n###### Examples ##\n\n{CODE}\n\n# Errors\n\nNever.",
            "Counts.\n\nErrors:\n\nNever.",
        ),
        (f"Counts.\n\n# Examples\n\nFor example:\n\n{CODE}", "Counts."),
        (f"Counts.\n\n# A\n\n## B\n\n{CODE}\n\n# C\n\nText.", "Counts.\n\nC:\n\nText."),
        (f"Counts.\n\n# A\n\n## B\n\nText.\n\n## C\n\n{CODE}", "Counts.\n\nA:\n\nB:\n\nText."),
        (f"Counts.\n\nExamples\n--------\n\n{CODE}", "Counts."),
        (f"Counts.\n\nExamples\n========\n\nText.\n\n{CODE}", "Counts.\n\nExamples:\n\nText."),
        (f"Counts. As follows:\n\n{CODE}\n\nThen it ends.", "Counts.\n\nThen it ends."),
        (f"Counts.\n\nOutput:\n\n{CODE}\n\nIn full:\n\n{CODE}", "Counts."),
        (f"Counts.\n\nThe following code counts:\n\n{CODE}", "Counts."),
        (f"Counts.\n\n**Example**\n\n{CODE}", "Counts."),
        ("Counts.\n\n# Links\n\n[a]: https://x.org\n", "Counts."),
        ("Counts.\n\n# Notes\n\n[^1]: A note.\n", "Counts."),
        ("Counts.\n\nSee below:", "Counts."),
        (
            "Counts.\n\n# Panics\n\nAt zero:\n\n- a\n- b",
            "Counts.\n\nPanics:\n\nAt zero:\n\n- a\n- b",
        ),
        ("# Title\n\nCounts.", "Counts."),
        ("#", ""),
        ("Counts `#` and #1.\n#hash", "Counts `#` and #1.\n#hash"),
        ("Counts.\n\n> [!WARNING]\n> Slow.", "Counts.\n\n> Warning:\n> Slow."),
    ],
)
def test_prose_has_no_heading_or_lead_in_whose_block_went(doc: str, prose: str) -> None:
    assert _prose(doc) == prose


@given(
    st.lists(
        st.sampled_from(
            [
                "Counts.",
                "As follows:",
                "# Examples",
                "## Errors",
                CODE,
                "- one:",
                "Text. So:",
                "> q:",
            ]
        ),
        max_size=9,
    )
)
def test_prose_never_ends_in_a_lead_in(blocks: list[str]) -> None:
    prose = _prose("\n\n".join(blocks))
    assert not leads_in(prose)


def test_a_shortened_text_does_not_end_in_a_lead_in() -> None:
    long = "The harbour master counts boats. " * 40
    text = f"{long.strip()}\n\nErrors:\n\n{long}"
    assert shorten(text) == long.strip()
    assert len(shorten(text)) < MAX_DOC_CHARS
