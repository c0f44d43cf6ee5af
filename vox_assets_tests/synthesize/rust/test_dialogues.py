from __future__ import annotations

from collections.abc import Callable

import polars as pl

from vox_assets.profiles import Profile
from vox_assets.synthesize.rust.dialogues import rust_dialogues
from vox_assets.synthesize.rust.unit_tests import unit_tests
from vox_assets_tests.synthesize.conftest import BOAT

Reader = Callable[[str], str]


def test_a_dialogue_goes_from_the_type_over_its_methods_to_a_test_of_the_same_file(
    rust_rows: pl.DataFrame, profile: Profile, read_source: Reader
) -> None:
    (talk,), drops = rust_dialogues(rust_rows, profile, 5, read_source)
    answers = [turn["content"] for turn in talk.messages[1::2]]
    assert drops == []
    assert answers[0].startswith("pub struct Boat")
    assert ["fn crewed" in answers[1], "fn board" in answers[2]] == [True, True], "source order"
    assert answers[-1].startswith("#[test]\nfn nobody_without_a_name_is_crew() {\n    let mut")
    assert answers[-1].replace("\n", "\n    ") in BOAT, "word for word, less its indentation"
    assert len(set(answers)) == len(answers)
    assert (talk.language, talk.lane) == ("rust", "vox_tooling")
    assert set(talk.parents) == set(rust_rows["pair_id"])


def test_the_request_for_a_test_names_it_what_it_calls_and_what_it_asserts(
    rust_rows: pl.DataFrame, profile: Profile, read_source: Reader
) -> None:
    (talk,), _ = rust_dialogues(rust_rows, profile, 5, read_source)
    for told in ("`nobody_without_a_name_is_crew`", "`crewed` and `board`", "boat.crewed(), 1"):
        assert told in talk.prompt


def test_a_later_turn_does_not_repeat_the_type_that_was_just_written(
    rust_rows: pl.DataFrame, profile: Profile, read_source: Reader
) -> None:
    (talk,), _ = rust_dialogues(rust_rows, profile, 5, read_source)
    first, second = (talk.messages[turn]["content"] for turn in (2, 4))
    shown = "These are declared already:\n\n```rust\nconst BERTHS: usize = 9;\n```"
    assert first.endswith(f"How many people are aboard.\n\n{shown}")
    assert second.endswith("Takes somebody aboard.")


def test_without_a_test_that_fits_the_methods_make_the_dialogue(
    rust_rows: pl.DataFrame, profile: Profile, read_source: Reader
) -> None:
    elsewhere = rust_rows.with_columns(source_path=pl.lit("crates/vox-mcp-boats/src/gone.rs"))
    (talk,), _ = rust_dialogues(elsewhere, profile, 5, read_source)
    assert "#[test]" not in talk.response
    assert "fn board" in talk.response


def test_a_type_without_methods_or_with_next_to_no_code_gives_no_dialogue(
    rust_rows: pl.DataFrame, profile: Profile, read_source: Reader
) -> None:
    alone = rust_rows.filter(pl.col("task_family") == "define_type")
    assert rust_dialogues(alone, profile, 5, read_source) == ([], [])
    small = rust_rows.filter(~pl.col("response").str.contains("fn board"))
    pairs, drops = rust_dialogues(small, profile, 5, read_source)
    assert pairs == []
    assert len(drops) == 1


def test_code_with_a_fence_in_a_comment_stays_out(
    rust_rows: pl.DataFrame, profile: Profile, read_source: Reader
) -> None:
    fenced = rust_rows.with_columns(pl.col("response") + "\n/// ```")
    assert rust_dialogues(fenced, profile, 5, read_source) == ([], [])


def test_a_test_that_needs_a_helper_of_its_module_is_left_out() -> None:
    (only,) = unit_tests(BOAT)
    assert only.name == "nobody_without_a_name_is_crew"
    assert only.methods == {"board", "crewed"}
    assert only.associated == {("Vec", "new")}
    assert only.assertions == ["assert_eq!(boat.crewed(), 1)"]
    assert BOAT.split("\n")[only.start_line - 1].strip() == "#[test]"
    assert BOAT.split("\n")[only.end_line - 1].strip() == "}"


def test_a_file_without_tests_has_none() -> None:
    assert unit_tests("fn main() {}\nmod empty {}\nmod broken {") == []
