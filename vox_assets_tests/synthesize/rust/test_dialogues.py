from __future__ import annotations

from collections.abc import Callable

import polars as pl

from vox_assets.profiles import Profile
from vox_assets.synthesize.rust.dialogues import rust_dialogues
from vox_assets.synthesize.rust.unit_tests import unit_tests
from vox_assets_tests.synthesize.conftest import BOAT

Reader = Callable[[str], str]


def test_a_dialogue_asks_for_a_type_its_methods_and_a_test_of_the_same_file(
    rust_rows: pl.DataFrame, profile: Profile, read_source: Reader
) -> None:
    (dialogue,), drops = rust_dialogues(rust_rows, profile, 5, read_source)
    answers = [turn["content"] for turn in dialogue.messages[1::2]]
    assert drops == []
    assert answers[0].startswith("pub struct Boat")
    assert ["fn crewed" in answers[1], "fn board" in answers[2]] == [True, True], "source order"
    assert answers[-1].startswith("#[test]\nfn nobody_without_a_name_is_crew() {\n    let mut")
    assert answers[-1].replace("\n", "\n    ") in BOAT, "verbatim except for the indentation"
    assert len(set(answers)) == len(answers)
    assert (dialogue.language, dialogue.lane) == ("rust", "vox_tooling")
    assert set(dialogue.parents) == set(rust_rows["pair_id"])


def test_the_request_for_a_test_states_its_name_calls_and_assertions(
    rust_rows: pl.DataFrame, profile: Profile, read_source: Reader
) -> None:
    (dialogue,), _ = rust_dialogues(rust_rows, profile, 5, read_source)
    for detail in ("`nobody_without_a_name_is_crew`", "`crewed` and `board`", "boat.crewed(), 1"):
        assert detail in dialogue.prompt


def test_a_later_turn_does_not_repeat_the_type_that_was_just_written(
    rust_rows: pl.DataFrame, profile: Profile, read_source: Reader
) -> None:
    (dialogue,), _ = rust_dialogues(rust_rows, profile, 5, read_source)
    first, second = (dialogue.messages[turn]["content"] for turn in (2, 4))
    shown = "These are declared already:\n\n```rust\nconst BERTHS: usize = 9;\n```"
    assert first.endswith(f"How many people are aboard.\n\n{shown}")
    assert second.endswith("Takes somebody aboard.")


def test_without_a_matching_test_the_dialogue_ends_with_a_method(
    rust_rows: pl.DataFrame, profile: Profile, read_source: Reader
) -> None:
    elsewhere = rust_rows.with_columns(source_path=pl.lit("crates/vox-mcp-boats/src/gone.rs"))
    (dialogue,), _ = rust_dialogues(elsewhere, profile, 5, read_source)
    assert "#[test]" not in dialogue.response
    assert "fn board" in dialogue.response


def test_a_type_without_methods_or_with_little_code_gives_no_dialogue(
    rust_rows: pl.DataFrame, profile: Profile, read_source: Reader
) -> None:
    type_only = rust_rows.filter(pl.col("task_family") == "define_type")
    assert rust_dialogues(type_only, profile, 5, read_source) == ([], [])
    small = rust_rows.filter(~pl.col("response").str.contains("fn board"))
    pairs, drops = rust_dialogues(small, profile, 5, read_source)
    assert pairs == []
    assert len(drops) == 1


def test_code_with_a_fence_in_a_comment_is_left_out(
    rust_rows: pl.DataFrame, profile: Profile, read_source: Reader
) -> None:
    fenced = rust_rows.with_columns(pl.col("response") + "\n/// ```")
    assert rust_dialogues(fenced, profile, 5, read_source) == ([], [])


def test_a_test_that_needs_a_helper_of_its_module_is_left_out() -> None:
    (unit_test,) = unit_tests(BOAT)
    assert unit_test.name == "nobody_without_a_name_is_crew"
    assert unit_test.methods == {"board", "crewed"}
    assert unit_test.associated == {("Vec", "new")}
    assert unit_test.assertions == ["assert_eq!(boat.crewed(), 1)"]
    assert BOAT.split("\n")[unit_test.start_line - 1].strip() == "#[test]"
    assert BOAT.split("\n")[unit_test.end_line - 1].strip() == "}"


def test_a_file_without_tests_has_none() -> None:
    assert unit_tests("fn main() {}\nmod empty {}\nmod broken {") == []
