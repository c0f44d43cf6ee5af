"""Pages become rows: lanes are pure, questions name their section, drops have a reason."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

from vox_assets.contract.rows import Pair
from vox_assets.extract.docs import mdbook, prose
from vox_assets.extract.docs import rows as rows_module
from vox_assets.profiles import Profile

LONG = "The harbour master writes down every boat that leaves, with the hour and the crew. "
EXAMPLE = "// ANCHOR: a\nfn tide() to int {\n    return 3\n}\n// ANCHOR_END: a\n"


def _read(path: str) -> str:
    if path != "examples/a.vox":
        raise mdbook.IncludeError("no such file")
    return EXAMPLE


def _rows(
    text: str, profile: Profile, check: Callable[[str], str | None] = lambda _: None
) -> rows_module.PageRows:
    path = "docs/src/how-to/page.md"
    page = mdbook.read_page(textwrap.dedent(text).lstrip("\n"))
    reading = rows_module.read(page, mdbook.Includes(path, _read))
    return rows_module.pairs(path, "Harbour guide", reading, profile, check)


def _prose(text: str, profile: Profile) -> list[Pair]:
    return [p for p in _rows(text, profile).pairs if p.response_mode == "prose_only"]


def _code(text: str, profile: Profile) -> list[Pair]:
    return [p for p in _rows(text, profile).pairs if p.response_mode == "code_only"]


def _reasons(text: str, profile: Profile) -> list[str]:
    return [drop.reason for drop in _rows(text, profile).drops]


def test_a_section_becomes_prose_and_its_question_names_the_section(profile: Profile) -> None:
    text = f"""
        ---
        title: Harbour guide
        last_updated: 2026-02-03
        ---
        # Harbour guide

        ## Leaving

        ### Context

        {LONG * 4}

        ### Decision

        {LONG * 4} So be it.
    """
    first, second = _prose(text, profile)
    assert first.response == (LONG * 4).strip()
    assert '"Leaving > Context"' in first.prompt
    assert "Harbour guide" in first.prompt
    assert "Harbour guide > Leaving" not in first.prompt
    assert first.prompt != second.prompt
    assert (first.source_start_line, first.source_end_line) == (9, 12)
    assert first.source_symbol == "Harbour guide > Leaving > Context"
    assert first.source_date == "2026-02-03"
    assert (first.lane, first.category, first.language) == ("vox_docs_qa", "how-to", "markdown")


def test_short_subsections_are_folded_all_or_none(profile: Profile) -> None:
    folded = _prose(f"# T\n\n{LONG * 2}\n\n## A\n\nOne.\n\n## B\n\nTwo.\n", profile)
    assert [p.response for p in folded] == [
        f"{(LONG * 2).strip()}\n\n**A**\n\nOne.\n\n**B**\n\nTwo."
    ]
    apart = _rows(f"# T\n\n{LONG * 2}\n\n## A\n\nOne.\n\n## B\n\n{LONG * 5}\n", profile)
    assert len(apart.pairs) == 2
    assert [drop.reason for drop in apart.drops] == ["too short to answer a question"]


def test_a_section_that_needs_its_code_gives_no_prose(profile: Profile) -> None:
    code = "```rust\n" + "let boat = harbour.leave();\n" * 9 + "```\n"
    text = f"# T\n\n{LONG * 2}\n\n{code}"
    assert _prose(text, profile) == []
    assert "needs its code" in _reasons(text, profile)


def test_fences_and_their_introductions_are_removed_from_prose(profile: Profile) -> None:
    command = "Run this:\n\n```sh\nsail\n```"
    in_a_list = "- a\n\n  ```sh\n  b\n  ```\n"
    text = f"# T\n\n{LONG * 2}\n\n{command}\n\n{LONG}\n\n{in_a_list}"
    (pair,) = _prose(text, profile)
    assert pair.response == f"{(LONG * 2).strip()}\n\n{LONG.strip()}"


def test_lists_with_code_and_unfinished_introductions_are_removed(profile: Profile) -> None:
    listed = "Steps:\n\n- one\n\n  ```sh\n  sail\n  ```"
    (pair,) = _prose(f"# T\n\n{LONG * 2}\n\n{listed}\n\nThe rest is this:\n", profile)
    assert pair.response == (LONG * 2).strip()


def test_paragraphs_that_refer_back_to_code_are_removed_with_it(profile: Profile) -> None:
    code = "```sh\nsail\n```\n\nThis sails.\n\nIt is fast.\n\n"
    (pair,) = _prose(f"# T\n\n{LONG * 2}\n\nIt is old.\n\n{code}{LONG}\n\nIt is done.\n", profile)
    assert pair.response == f"{(LONG * 2).strip()}\n\nIt is old.\n\n{LONG.strip()}\n\nIt is done."


def test_footnotes_are_left_out(profile: Profile) -> None:
    (pair,) = _prose(f"# T\n\n{LONG * 2}It is known.[^1][^log-book]\n", profile)
    assert pair.response.endswith("It is known.")


TABLE = "| Boat | Crew |\n|---|---|\n" + "".join(f"| `B{i}` | {LONG} |\n" for i in range(70))


def test_a_long_table_is_cut_between_rows_and_each_part_is_named(profile: Profile) -> None:
    parts = _prose(f"# T\n\n## Boats\n\n{TABLE}\n", profile)
    assert len(parts) == 2
    assert "\"Boats, from 'B0' to 'B" in parts[0].prompt
    assert "to 'B69'\"" in parts[1].prompt
    rows = [line for part in parts for line in part.response.split("\n")]
    assert [rows.count(line) for line in ("| Boat | Crew |", "| --- | --- |")] == [2, 2]
    assert len(rows) == 70 + 4
    assert all(len(part.response) <= prose.MAX_PROSE_CHARS for part in parts)
    first, second = ((part.source_start_line, part.source_end_line) for part in parts)
    assert (first[0], second) == (7, (first[1] + 1, 76))


def test_a_long_section_is_cut_between_paragraphs(profile: Profile) -> None:
    paragraphs = "\n\n".join(f"Boat {i} leaves. {LONG * 12}\n\n- at {i}" for i in range(9))
    parts = _prose(f"# T\n\n## S\n\n{paragraphs}\n", profile)
    assert [part.response.count("Boat") for part in parts] == [3, 3, 3]
    assert [part.response.count("- at") for part in parts] == [3, 3, 3]
    assert "from 'Boat 0 leaves" in parts[0].prompt
    assert (parts[1].source_start_line, parts[1].source_end_line) == (17, 28)
    assert len({part.prompt for part in parts}) == 3


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("Short.", "too short to answer a question"),
        (LONG * 60, "longer than 4,000 characters"),
        ("- [some page that is linked](a.md) and\n" * 6, "mostly links"),
        ("- [ ] do this some day, when there is time for it\n" * 6, "a list of work to do"),
        (LONG * 3 + "The code below counts them.", "speaks of code that is not in it"),
        (LONG * 3 + "Mend the code block above.", "speaks of code that is not in it"),
        (LONG * 2 + "{{#include}} is a directive.", "holds a template directive"),
        (LONG * 2 + "{{#include ../../x.md}}", "include: '../../x.md': no such file"),
        (LONG * 2 + "\0", "holds characters that are no text"),
    ],
)
def test_unsuitable_sections_are_dropped_with_a_reason(
    profile: Profile, body: str, reason: str
) -> None:
    text = f"# T\n\n## S\n\n{body}\n"
    assert _prose(text, profile) == []
    assert reason in _reasons(text, profile)


def test_lists_of_references_are_not_answers(profile: Profile) -> None:
    assert "a list of references" in _reasons(f"# T\n\n## 7. See also\n\n{LONG * 4}", profile)


def test_html_comments_never_reach_an_answer(profile: Profile) -> None:
    (pair,) = _prose(f"# T\n\n{LONG * 2} <!-- inline -->\n\n<!--\nblock\n-->\n", profile)
    assert "<!--" not in pair.response
    assert "block" not in pair.response


CODE = """
    # Actors

    ## Defining one

    An actor counts the boats that pass the gate.

    ```vox
    fn passed(count: int) to int {
        return count + 1
    }
    ```
"""


def test_a_fence_becomes_code_and_its_question_describes_it(profile: Profile) -> None:
    (pair,) = _code(CODE, profile)
    assert pair.response == "fn passed(count: int) to int {\n    return count + 1\n}"
    assert "An actor counts the boats that pass the gate." in pair.prompt
    assert '"Defining one"' in pair.prompt
    assert "`fn passed(count: int) to int`" in pair.prompt
    assert (pair.lane, pair.language) == ("vox_codegen", "vox")
    assert (pair.source_start_line, pair.source_end_line) == (7, 11)


def test_code_that_fails_the_check_is_dropped_with_the_message(profile: Profile) -> None:
    rows = _rows(CODE, profile, lambda _: "1:4: unexpected\n `x`")
    assert [p for p in rows.pairs if p.response_mode == "code_only"] == []
    assert "not today's vox: 1:4: unexpected `x`" in [drop.reason for drop in rows.drops]


@pytest.mark.parametrize(
    "fence",
    [
        "```vox\n// vox:skip\nfn a() { b() }\n```",
        "```vox\nfn a() { b() }\n    // vox:skip - why\n```",
        "```vox vox:skip\nfn a() { b() }\n```",
        "```vox,skip\nfn a() { b() }\n```",
        "```vox,ignore\nfn a() { b() }\n```",
        "~~~~vox:skip\nfn a() { b() }\n~~~~",
    ],
)
def test_skipped_snippets_never_become_code(profile: Profile, fence: str) -> None:
    text = f"# T\n\n{fence}\n"
    assert _code(text, profile) == []
    assert "vox:skip" in _reasons(text, profile)


def test_includes_become_code_without_anchors(profile: Profile) -> None:
    text = "# T\n\n```vox\n{{#include ../../../examples/a.vox:a}}\n```\n"
    (pair,) = _code(text, profile)
    assert pair.response == "fn tide() to int {\n    return 3\n}"
    text = "# T\n\n```vox\nfn a() {}\n{{#include ../../../examples/a.vox:b}}\n```\n"
    assert _code(text, profile) == []
    assert _reasons(text, profile) == ["include: '../../../examples/a.vox:b': no anchor b"]


def test_a_training_prompt_in_the_header_becomes_the_question(profile: Profile) -> None:
    header = "// ---\n// title: x\n// ---\n// @training_prompt: Count the boats of a day.\n"
    (pair,) = _code(f"# T\n\n```vox\n{header}fn a() to int {{ return 1 }}\n```\n", profile)
    assert pair.response == "fn a() to int { return 1 }"
    assert "Count the boats of a day." in pair.prompt


def test_an_example_file_may_opt_out(profile: Profile) -> None:
    text = "# T\n\n```vox\n// ---\n// training_eligible: false\n// ---\nfn a() { b() }\n```\n"
    assert _code(text, profile) == []


def test_comments_that_are_not_a_header_stay(profile: Profile) -> None:
    (pair,) = _code("# T\n\n```vox\n// note: kept\nfn a() to int { return 1 }\n```\n", profile)
    assert pair.response.startswith("// note: kept")


def test_code_in_other_languages_is_dropped_with_a_reason(profile: Profile) -> None:
    assert "code that is not vox: rust" in _reasons("# T\n\n```rust\nfn a() {}\n```\n", profile)
    assert "code that is not vox: untagged" in _reasons("# T\n\n```\nx\n```\n", profile)


def test_a_repeated_heading_gives_one_question(profile: Profile) -> None:
    text = f"# T\n\n## A\n\n{LONG * 4}\n\n## A\n\n{LONG * 4}\n"
    rows = _rows(text, profile)
    assert len(rows.pairs) == 1
    assert [drop.reason for drop in rows.drops] == [
        "the page asks the same under this heading already"
    ]


def test_questions_have_several_wordings(profile: Profile) -> None:
    text = "# T\n\n" + "\n\n".join(f"## Part {i}\n\n{LONG * 4}{i}" for i in range(30))
    prompts = [pair.prompt for pair in _prose(text, profile)]
    assert len(set(prompts)) == 30
    assert len({prompt.split()[0] for prompt in prompts}) >= 3


@pytest.mark.parametrize(
    "other",
    [
        "{{#playground ../../x.rs editable}}",
        "{{#playpen ../../x.rs}}",
        "An escaped \\{{#include a.md}} shows itself.",
        "The form `{{#include file}}` includes a file.",
        "- one {{#custom a b}}\n- two",
        "Inline <!-- note\n\nof two paragraphs --> comment.",
    ],
)
def test_a_block_that_is_no_prose_does_not_cost_its_section(profile: Profile, other: str) -> None:
    text = f"# T\n\n{LONG * 2}\n\nIt goes like this:\n\n{other}\n\n{LONG}\n"
    (pair,) = _prose(text, profile)
    assert pair.response == f"{(LONG * 2).strip()}\n\n{LONG.strip()}"


def test_a_comment_in_a_code_span_costs_its_paragraph_only(profile: Profile) -> None:
    text = f"# T\n\n{LONG * 2}\n\nWrite `<!-- note` for a note.\n\n{LONG}\n"
    (pair,) = _prose(text, profile)
    assert pair.response == f"{(LONG * 2).strip()}\n\n{LONG.strip()}"


def test_an_arrow_is_no_end_of_a_comment(profile: Profile) -> None:
    (pair,) = _prose(f"# T\n\n{LONG * 2} Gate --> sea.\n", profile)
    assert pair.response.endswith("Gate --> sea.")


def test_a_title_for_the_window_does_not_cost_the_first_heading(profile: Profile) -> None:
    (pair,) = _prose(f"{{{{#title The long title}}}}\n# T\n\n{LONG * 2}\n", profile)
    assert pair.response == (LONG * 2).strip()
    assert _rows(f"{{{{#title The long title}}}}\n# T\n\n{LONG * 2}\n", profile).drops == []


def test_every_block_that_is_left_out_is_accounted_for(profile: Profile) -> None:
    text = f"# T\n\n{LONG * 2}\n\n{{{{#playground x.rs}}}}\n\n<!-- a\n\n{LONG} -->\n"
    reasons = _reasons(text.replace("<!-- a", "Inline <!-- a"), profile)
    assert reasons == ["holds a template directive", *["holds an HTML comment"] * 2]


def test_sections_of_one_path_are_asked_for_by_number_and_first_words(profile: Profile) -> None:
    text = f"# T\n\n## A\n\nFirst, {LONG * 4}\n\n## a\n\nSecond, {LONG * 4}\n\n## B\n\n{LONG * 4}\n"
    first, second, other = _prose(text, profile)
    assert (
        "T > A (1 of 2, which begins with 'First, The harbour master writes down')" in first.prompt
    )
    assert "T > a (2 of 2, which begins with 'Second, The harbour" in second.prompt
    assert '"B"' in other.prompt


def test_headings_of_one_name_under_different_parents_are_told_apart_by_path(
    profile: Profile,
) -> None:
    text = f"# T\n\n## A\n\n### X\n\n{LONG * 4}1\n\n## B\n\n### X\n\n{LONG * 4}2\n"
    first, second = _prose(text, profile)
    assert '"A > X"' in first.prompt
    assert '"B > X"' in second.prompt


@pytest.mark.parametrize("lead", ["For example:", "The following code counts boats:", "**Usage**:"])
def test_a_question_for_code_never_ends_in_a_lead_in(profile: Profile, lead: str) -> None:
    text = f"# T\n\nBoats are counted.\n\n{lead}\n\n```vox\nfn a() to int {{ return 1 }}\n```\n"
    (pair,) = _code(text, profile)
    assert pair.prompt.endswith("Boats are counted.")


def test_an_example_may_opt_out_by_any_value_that_a_page_may_have(profile: Profile) -> None:
    for field in ("training_eligible: no", "status: archived"):
        text = f"# T\n\n```vox\n// ---\n// {field}\n// ---\nfn a() {{ b() }}\n```\n"
        assert _code(text, profile) == []
        assert "the included file opted out" in _reasons(text, profile)[0]
