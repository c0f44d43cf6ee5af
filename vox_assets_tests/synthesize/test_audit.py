"""Each audit of synthetic rows reports its fault."""

from __future__ import annotations

import polars as pl

from vox_assets.contract.rows import Pair, to_frame, turns
from vox_assets.synthesize import audit
from vox_assets.synthesize.vox.coverage import table
from vox_assets.vox_syntax.parsers import vox_fault
from vox_assets_tests.conftest import make_pair

GOOD = "fn double(n: int) to int {\n    return n * 2\n}"
ACTOR = 'actor Gate {\n    on greet() to str {\n        return "hello"\n    }\n}'


def program(*answers: str) -> Pair:
    contents = [text for i, answer in enumerate(answers) for text in (f"step {i}", answer)]
    return make_pair(
        "", "", messages=turns(*contents), language="vox", task_family="write_construct"
    )


def test_an_answer_that_does_not_parse_is_reported_in_any_turn() -> None:
    assert audit.answers_parse(to_frame([program(GOOD)]), vox_fault).passed
    verdict = audit.answers_parse(to_frame([program("fn broken( {", GOOD)]), vox_fault)
    assert not verdict.passed
    assert verdict.figures["looked_at"] == 2


def test_a_live_construct_without_a_template_is_named() -> None:
    live = to_frame([program(ACTOR)])
    assert audit.constructs_covered(table(live, live)).passed
    verdict = audit.constructs_covered(table(live, to_frame([program(GOOD)])))
    assert "actor" in verdict.summary


def test_a_template_whose_construct_is_no_longer_live_is_reported() -> None:
    synthetic = to_frame([program(ACTOR)]).with_columns(
        source_path=pl.lit("templates/actors.vox.j2")
    )
    assert audit.templates_still_live(synthetic, table(synthetic, synthetic)).passed
    verdict = audit.templates_still_live(synthetic, table(to_frame([program(GOOD)]), synthetic))
    assert "templates/actors.vox.j2 needs" in verdict.summary


def test_similarity_of_instructions_ignores_quoted_code() -> None:
    same = "Write the test that belongs to this code, please.\n\n```vox\n{}\n```"
    other = "Which name would you give a function that doubles a number?"
    rows = to_frame(
        make_pair(prompt, GOOD + "\n" * index, language="vox")
        for index, prompt in enumerate((same.format(GOOD), same.format(ACTOR), other))
    )
    assert audit.instructions_alike(rows) == 1 / 3
    assert audit.instructions_alike(rows.filter(pl.col("prompt") == other)) == 0
    assert audit.instructions_alike(rows.clear()) == 0
