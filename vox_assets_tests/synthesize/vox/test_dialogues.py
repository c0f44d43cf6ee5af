from __future__ import annotations

import random
from collections.abc import Callable

import polars as pl

from vox_assets.contract.rows import to_frame, turns
from vox_assets.profiles import Profile
from vox_assets.synthesize import synthesize
from vox_assets.synthesize.vox import dialogues, lexicon
from vox_assets.synthesize.vox.programs import Gate, Pool
from vox_assets.vox_syntax.answers import answer_faults
from vox_assets.vox_syntax.frontend import BuiltInGrammar
from vox_assets_tests.conftest import make_pair


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


def test_every_answer_of_every_script_fits_the_turns_before_it() -> None:
    domains = lexicon.load()
    talks = [
        dialogues.render(script, domain, random.Random(1))
        for script in dialogues.scripts()
        for domain in domains[::8]
    ]
    rows = to_frame(
        [
            make_pair(
                "",
                "",
                messages=turns(*(text for answer in talk.answers for text in ("Go on.", answer))),
                language="vox",
                source_symbol=talk.symbol,
            )
            for talk in talks
        ]
    )
    assert answer_faults(rows, BuiltInGrammar()) == []


def test_a_dialogue_that_the_gate_refuses_is_dropped(profile: Profile) -> None:
    pairs, drops = dialogues.vox_dialogues(
        dialogues.scripts()[:1], lexicon.load()[:1], profile, Pool(), lambda _: "1:1: no", 1
    )
    assert pairs == []
    assert drops[0].reason == "refused by the syntax gate: 1:1: no"


def test_rust_dialogues_are_limited_to_their_share(
    rust_rows: pl.DataFrame, profile: Profile, gate: Gate, read_source: Callable[[str], str]
) -> None:
    few = profile.synthesis.model_copy(update={"dialogues": 2, "programs": 0, "repairs": 0})
    smaller = profile.model_copy(update={"synthesis": few})
    synthesis = synthesize(
        rust_rows, rust_rows.clear(), smaller, check_vox=gate, read_source=read_source
    )
    assert synthesis.rows["language"].to_list() == ["vox", "vox"]
