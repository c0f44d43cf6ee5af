"""Notes are no text of their page, and marks of notes leave no trace."""

from __future__ import annotations

import pytest

from vox_assets.extract.docs import markdown


def _texts(page: str) -> list[str]:
    return [block.text for section in markdown.sections(page) for block in section.blocks]


@pytest.mark.parametrize(
    "notes",
    [
        "[^1]: A note.",
        "[^1]: A note\nthat goes on.",
        "[^1]: https://example.org/why\n[^b]: Another.",
        "[^long]: First.\n\n    Second paragraph.\n\n        code\n\n    - list",
        "[^1]:\n    ```sh\n    sail\n    ```",
        "> [^1]: In a quote.",
    ],
)
def test_notes_are_left_out_with_all_their_paragraphs(notes: str) -> None:
    assert _texts(f"# A\n\nBoats leave.[^1] They come [^b] back.\n\n{notes}\n\nThe end.\n") == [
        "Boats leave. They come back.",
        "The end.",
    ]
    assert not [f for s in markdown.sections(f"# A\n\n{notes}\n") for f in s.fences]


def test_a_note_ends_a_paragraph_and_a_heading_ends_a_note() -> None:
    sections = markdown.sections("Boats leave.\n[^1]: A note.\n# B\n\nText.\n")
    assert [section.path for section in sections] == [(), ("B",)]
    assert [block.text for block in sections[0].blocks] == ["Boats leave."]


def test_a_class_of_characters_in_code_is_no_mark() -> None:
    assert _texts("A `[^a-z]` matches.\n") == ["A `[^a-z]` matches."]


def test_notes_of_doc_comments_are_neither_prose_nor_code() -> None:
    prose, fences = markdown.split_code("Counts.[^1]\n\n[^1]: First.\n\n    Second.\n\nThe end.")
    assert (prose, fences) == ("Counts.[^1]\n\nThe end.", ())


def test_many_notes_take_linear_time() -> None:
    markdown.sections("[^1]: a\n" * 20_000)
    markdown.sections("text [^" * 5_000)
