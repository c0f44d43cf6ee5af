from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.contract import rows
from vox_assets.contract.rows import Pair
from vox_assets.profiles import Profile
from vox_assets.synthesize.vox import lexicon, live_code
from vox_assets.synthesize.vox.live_tasks import rename as live_tasks
from vox_assets.synthesize.vox.programs import Gate, Pool
from vox_assets_tests.synthesize.conftest import live_pair

Reader = Callable[[str], str]


@pytest.fixture(scope="module")
def expanded(
    doc_rows: pl.DataFrame, profile: Profile, gate: Gate, read_source: Reader
) -> list[Pair]:
    return live_code.expand_live_code(
        doc_rows, lexicon.load(), profile, Pool(), gate, 300, read_source
    )[0]


def _first_of(expanded: list[Pair], family: str) -> Pair:
    return next(pair for pair in expanded if pair.task_family == family)


def test_two_small_programs_give_rows_of_every_task(expanded: list[Pair]) -> None:
    assert {pair.task_family for pair in expanded} == {
        "rename_domain",
        "complete_body",
        "write_test",
        "extend_program",
    }


def test_every_row_names_its_parent_and_its_source_file(
    expanded: list[Pair], doc_rows: pl.DataFrame, gate: Gate
) -> None:
    parents = {row["pair_id"]: row for row in doc_rows.iter_rows(named=True)}
    for pair in expanded:
        (parent,) = pair.parents
        assert pair.source_path == parents[parent]["source_path"]
        assert pair.source_commit == "c0ffee"
        assert gate(pair.response) is None


def test_a_new_field_reaches_table_endpoint_and_view(expanded: list[Pair]) -> None:
    pair = _first_of(expanded, "extend_program")
    field, kind = (
        pair.prompt.split("`")[1].split(": ")
        if ": " in pair.prompt.split("`")[1]
        else (pair.prompt.split("`")[3].split(": "))
    )
    assert f"    done: bool\n    {field}: {kind}\n}}" in pair.response
    assert f"room: str, {field}: {kind}) to Result[int]" in pair.response
    assert f"done: false, {field}: {field} }})" in pair.response
    assert f"text() {{ c.task }}\n            text() {{ c.{field} }}" in pair.response


def test_a_renamed_program_keeps_its_line_count_and_none_of_the_old_names(
    expanded: list[Pair],
) -> None:
    pair = _first_of(expanded, "rename_domain")
    assert "Chore" not in pair.response
    assert "chore" not in pair.response
    assert pair.response.count("\n") == pair.prompt.split("```vox\n")[1].count("\n") - 1


def test_a_completion_is_the_declaration_whose_body_the_prompt_omits(expanded: list[Pair]) -> None:
    pair = _first_of(expanded, "complete_body")
    assert pair.response.startswith("fn longest(words: list[str]) to str {")
    assert "to be completed" in pair.prompt
    assert "return best" not in pair.prompt
    assert "`longest` keeps the longest word." in pair.prompt, (
        "the description of the parent is kept"
    )


def test_rows_for_tests_have_the_documented_test_and_a_test_with_computed_results(
    expanded: list[Pair],
) -> None:
    answers = [pair.response for pair in expanded if pair.task_family == "write_test"]
    assert any(answer.startswith('@test("one and two have words")') for answer in answers)
    assert (
        "@test\nfn word_for_is_right() to Unit {\n"
        '    assert(word_for(1) is "one")\n    assert(word_for(2) is "two")\n'
        '    assert(word_for(3) is "many")\n    assert(word_for(0) is "many")\n}'
    ) in answers


def test_a_function_that_ignores_its_input_gets_no_test(
    profile: Profile, gate: Gate, read_source: Reader
) -> None:
    frame = rows.to_frame([live_pair('fn same(n: int) to str {\n    return "x"\n}', "same")])
    expanded = live_code.expand_live_code(
        frame, lexicon.load(), profile, Pool(), gate, 9, read_source
    )
    assert expanded == ([], [])


def test_a_fence_that_includes_a_part_gives_the_whole_file(
    profile: Profile, gate: Gate, read_source: Reader
) -> None:
    shown = live_pair("fn doubled(n: int) to int {\n    return n * 2\n}", "counts")
    (live,) = live_code.programs(rows.to_frame([shown]), read_source, profile)
    assert [declaration.name for declaration in live.declared] == ["doubled", "rated"]
    assert live.parents == (shown.pair_id,)
    pairs, _ = live_code.expand_live_code(
        rows.to_frame([shown]), lexicon.load(), profile, Pool(), gate, 30, read_source
    )
    (test,) = [pair for pair in pairs if "test_rated" in pair.source_symbol]
    assert 'assert(rated(10) is "high")' in test.response
    assert "fn doubled" in test.prompt, "what the function calls is shown with it"


def test_the_prompt_lists_the_strings_of_the_missing_part(
    profile: Profile, gate: Gate, read_source: Reader
) -> None:
    shown = live_pair("fn doubled(n: int) to int {\n    return n * 2\n}", "counts")
    pairs, _ = live_code.expand_live_code(
        rows.to_frame([shown]), lexicon.load(), profile, Pool(), gate, 30, read_source
    )
    (completed,) = [pair for pair in pairs if "body_of_rated" in pair.source_symbol]
    assert 'The missing part uses `"low"`.' in completed.prompt


def test_the_existing_test_is_not_shown_in_the_prompt(expanded: list[Pair]) -> None:
    pair = next(pair for pair in expanded if "small_numbers" in pair.source_symbol)
    assert "fn small_numbers" not in pair.prompt
    assert '`word_for(1) is "one"`' in pair.prompt


def test_renaming_changes_interpolations_but_no_other_text_of_a_string() -> None:
    source = 'fn boat() to str { return "boat {boat} is boat" } // boat'
    assert live_tasks.renamed(source, {"boat": "tram"}) == (
        'fn tram() to str { return "boat {tram} is boat" } // boat'
    )


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_renaming_nothing_changes_nothing(text: str) -> None:
    assert live_tasks.renamed(text, {}) == text


def test_a_program_with_phrases_in_strings_is_not_renamed_to_another_domain(
    profile: Profile, gate: Gate, read_source: Reader
) -> None:
    source = (
        "type Boat {\n    hull: str\n    crew: int\n}\n\n"
        'fn note(b: Boat) to str {\n    return b.hull + " is at sea"\n}'
    )
    pairs, _ = live_code.expand_live_code(
        rows.to_frame([live_pair(source, "sea")]),
        lexicon.load(),
        profile,
        Pool(),
        gate,
        100,
        read_source,
    )
    assert all(pair.task_family != "rename_domain" for pair in pairs)


def test_live_rows_are_limited_to_a_third_of_the_budget(
    doc_rows: pl.DataFrame, profile: Profile, gate: Gate, read_source: Reader
) -> None:
    pairs, _ = live_code.expand_live_code(
        doc_rows, lexicon.load(), profile, Pool(), gate, 6, read_source
    )
    assert len(pairs) == 2


def test_broken_code_is_not_a_parent(profile: Profile, gate: Gate, read_source: Reader) -> None:
    frame = rows.to_frame([live_pair("fn broken( {", "broken")])
    expanded = live_code.expand_live_code(
        frame, lexicon.load(), profile, Pool(), gate, 9, read_source
    )
    assert expanded == ([], [])
