from __future__ import annotations

import polars as pl

from vox_assets.profiles import Profile
from vox_assets.synthesize import dialogues, lexicon
from vox_assets.synthesize.programs import Gate, Pool


def test_a_rust_dialogue_goes_from_the_type_over_its_methods_to_a_test(
    rust_rows: pl.DataFrame, profile: Profile
) -> None:
    (talk,), drops = dialogues.rust_dialogues(rust_rows, profile, 5)
    answers = [turn["content"] for turn in talk.messages[1::2]]
    assert drops == []
    assert answers[0].startswith("pub struct Boat")
    assert ["fn crewed" in answers[1], "fn board" in answers[2]] == [True, True], "source order"
    assert answers[-1] == (
        "#[test]\nfn crewed_as_documented() {\n    let mut boat = Boat::default();\n"
        '    boat.board("Ada");\n    assert_eq!(boat.crewed(), 1);\n}'
    )
    assert len(set(answers)) == len(answers)
    assert (talk.language, talk.lane) == ("rust", "vox_tooling")
    assert set(talk.parents) == set(rust_rows["pair_id"])


def test_a_later_turn_does_not_repeat_the_type_that_was_just_written(
    rust_rows: pl.DataFrame, profile: Profile
) -> None:
    (talk,), _ = dialogues.rust_dialogues(rust_rows, profile, 5)
    assert "How many people are aboard." in talk.messages[2]["content"]
    assert "Types it works with" not in talk.messages[2]["content"]


def test_a_type_without_methods_or_with_next_to_no_code_gives_no_dialogue(
    rust_rows: pl.DataFrame, profile: Profile
) -> None:
    alone = rust_rows.filter(pl.col("task_family") == "define_type")
    assert dialogues.rust_dialogues(alone, profile, 5) == ([], [])
    small = rust_rows.filter(~pl.col("response").str.contains("fn board|#|assert_eq"))
    pairs, drops = dialogues.rust_dialogues(small, profile, 5)
    assert pairs == []
    assert len(drops) == 1


def test_code_with_a_fence_in_a_comment_stays_out(
    rust_rows: pl.DataFrame, profile: Profile
) -> None:
    fenced = rust_rows.with_columns(pl.col("response") + "\n/// ```")
    assert dialogues.rust_dialogues(fenced, profile, 5) == ([], [])


def test_vox_dialogues_differ_in_script_length_and_words(profile: Profile, gate: Gate) -> None:
    pairs, _ = dialogues.vox_dialogues(
        dialogues.scripts(), lexicon.load(), profile, Pool(), gate, 60
    )
    assert len(pairs) == 60
    lengths = {len(pair.messages) // 2 for pair in pairs}
    assert lengths <= {2, 3, 4, 5}
    assert len(lengths) >= 3
    assert len({pair.prompt for pair in pairs}) == 60, "no two rows ask the same last question"
    for pair in pairs:
        answers = [turn["content"] for turn in pair.messages[1::2]]
        assert len(set(answers)) == len(answers)
        assert [gate(answer) for answer in answers] == [None] * len(answers)


def test_what_the_gate_refuses_is_a_drop(profile: Profile) -> None:
    pairs, drops = dialogues.vox_dialogues(
        dialogues.scripts()[:1], lexicon.load()[:1], profile, Pool(), lambda _: "1:1: no", 1
    )
    assert pairs == []
    assert drops[0].reason == "refused by the syntax gate: 1:1: no"


def test_rust_takes_no_more_than_its_share(
    rust_rows: pl.DataFrame, profile: Profile, gate: Gate
) -> None:
    few = profile.synthesis.model_copy(update={"dialogues": 2})
    smaller = profile.model_copy(update={"synthesis": few})
    pairs, _ = dialogues.make_dialogues(rust_rows, lexicon.load(), smaller, Pool(), gate)
    assert [pair.language for pair in pairs] == ["vox", "vox"]
