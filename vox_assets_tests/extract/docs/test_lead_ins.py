"""Lead-ins go with the block that they introduce, and other sentences stay."""

from __future__ import annotations

import pytest

from vox_assets.extract.docs.lead_ins import as_statement, without_lead_in


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Examples:", ""),
        ("For example:", ""),
        ("**Output:**", ""),
        ("_Example_:", ""),
        ("**Usage**", ""),
        ("For example", ""),
        ("Boats are counted. For example:", "Boats are counted."),
        ("Boats are counted as follows:", ""),
        ("The following code counts boats:", ""),
        ("- A boat leaves.\n- Count it:", "- A boat leaves."),
        ("- Count it:", ""),
        ("1. Sail. Then count:", "1. Sail."),
        ("Steps:\n1. First sail:", ""),
        ("Steps:\n1. Sail.\n2. Count:", "Steps:\n1. Sail."),
        ("> A boat leaves. Count it:", "> A boat leaves."),
        ("Boats are counted.", "Boats are counted."),
        ("See `Boat::`", "See `Boat::`"),
        ("**Boats are always counted at the gate.**", "**Boats are always counted at the gate.**"),
    ],
)
@pytest.mark.parametrize("before_code", [True, False])
def test_the_end_that_introduces_a_missing_block_is_removed(
    text: str, rest: str, before_code: bool
) -> None:
    assert without_lead_in(text, before_code) == rest


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("Boats are counted. The following code does it.", "Boats are counted."),
        ("The command below counts boats.", ""),
        ("**Sketch.**", ""),
        ("Boats are counted at the gate.", "Boats are counted at the gate."),
    ],
)
def test_a_sentence_about_code_below_is_removed_before_code_only(text: str, rest: str) -> None:
    assert without_lead_in(text, before_code=True) == rest
    assert without_lead_in(text, before_code=False) == text


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("An actor that counts boats:", "An actor that counts boats."),
        ("An actor that counts boats.", "An actor that counts boats."),
        ("It counts boats. For example:", "It counts boats."),
        ("The following code counts boats:", ""),
        ("Output:", ""),
        ("It counts boats:\n\nFor example:", "It counts boats."),
        ("- **Goal**: Counts boats.\n- **Usage**:", "- **Goal**: Counts boats."),
        ("It **counts boats:**", "It **counts boats.**"),
    ],
)
def test_a_description_of_a_snippet_never_ends_in_a_lead_in(text: str, statement: str) -> None:
    assert as_statement(text) == statement
