"""Tests that training rows which reveal a task are found, in whatever part of a row they are."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from vox_assets.contract.rows import turns
from vox_assets.exam.sealed import exam_sealed, sealed, seen_tasks
from vox_assets.exam.task import Kind, Task
from vox_assets.profiles import load

DEDUP = load("vox").dedup
REFERENCE = """fn penalty_for(faults: int) to int {
    if faults <= 6 {
        return 0
    }
    return (faults - 6) * 2
}

fn points_for(length: int, faults: int) to int {
    let share = length * 100 / 180
    let penalty = penalty_for(faults)
    return share - penalty
}"""
RENAMED = (
    REFERENCE.replace("penalty", "fee").replace("faults", "days").replace("points", "sum")
    .replace("length", "size").replace("share", "part")
)  # fmt: skip
OTHER = """component Greeting(name: str) {
    view: column() {
        heading(level=1) { "Welcome" }
        text() { "Good morning {name}, nice to see you again" }
    }
}"""
TASK = Task(
    prompt="In Vox, how do I rate a climb from its length and its faults? A function "
    "`penalty_for(faults: int) to int` doubles the faults above six, and "
    "`points_for(length: int, faults: int) to int` subtracts it from the share of the length.",
    reference=REFERENCE,
    construct="functions",
    variant="bounded_score",
    domain="climbing_gym",
    level=2,
    kind="new_variant",
    source_path="synthesize/templates/functions.vox.j2",
)


def rows(prompt: str, answer: str, **columns: str) -> pl.DataFrame:
    line = {"pair_id": "one", "messages": turns(prompt, answer), "split": "train", **columns}
    return pl.DataFrame([line])


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("Rate a climb.", REFERENCE),
        ("Rate a climb.", f"{OTHER}\n\n{REFERENCE}"),
        ("Rate a climb.", f"// rates a climb\n{REFERENCE.replace('    ', ' ')}"),
        ("Rate a climb.", REFERENCE.replace("* 2", "* 3")),
        (f"What does this do?\n```vox\n{REFERENCE}\n```", OTHER),
        ("Rate a climb.", RENAMED),
        (TASK.prompt, OTHER),
        (f"Please. {TASK.prompt} Thanks.", OTHER),
    ],
)
def test_a_row_that_reveals_the_reference_or_the_prompt_is_found(prompt: str, answer: str) -> None:
    verdict = exam_sealed([TASK], rows(prompt, answer), DEDUP)
    assert not verdict.passed
    assert TASK.task_id in verdict.summary
    assert seen_tasks([TASK], rows(prompt, answer), DEDUP) == {TASK.task_id}


def test_unrelated_rows_reveal_nothing() -> None:
    unrelated = rows("Write a component that greets somebody.", OTHER)
    assert exam_sealed([TASK], unrelated, DEDUP).passed
    assert not seen_tasks([TASK], unrelated, DEDUP)


def test_held_out_rows_reveal_nothing() -> None:
    held_out = rows("Rate a climb.", REFERENCE).with_columns(split=pl.lit("eval"))
    assert exam_sealed([TASK], held_out, DEDUP).passed


def test_only_a_familiar_task_may_have_the_shape_of_a_trained_answer() -> None:
    trained = rows("Rate something.", RENAMED)
    assert not sealed([replace(TASK, kind="familiar")], trained, DEDUP)
    assert sealed([TASK], trained, DEDUP)


@pytest.mark.parametrize(
    ("kind", "symbol", "seen"),
    [
        ("familiar", "functions::bounded_score::climbing_gym", True),
        ("familiar", "functions::bounded_score::bike_shop", False),
        ("new_variant", "functions::bounded_score::bike_shop", True),
        ("new_variant", "functions::share::climbing_gym", False),
        ("new_construct", "functions::share::bike_shop", True),
        ("live", "functions::share::bike_shop", True),
    ],
)
def test_a_list_of_rows_without_texts_tells_what_was_trained(
    kind: Kind, symbol: str, seen: bool
) -> None:
    listed = pl.DataFrame(
        {
            "pair_id": ["one"],
            "split": ["train"],
            "source_path": [TASK.source_path],
            "source_symbol": [symbol],
        }
    )
    task = replace(TASK, kind=kind)
    assert seen_tasks([task], listed, DEDUP) == ({task.task_id} if seen else set())
    elsewhere = listed.with_columns(source_path=pl.lit("elsewhere"), source_symbol=pl.lit("x"))
    assert not seen_tasks([task], elsewhere, DEDUP)


def test_a_list_without_symbols_counts_every_task_of_a_trained_file_as_seen() -> None:
    listed = pl.DataFrame({"pair_id": ["one"], "source_path": [TASK.source_path]})
    assert seen_tasks([TASK], listed, DEDUP) == {TASK.task_id}
