"""Checks synthesis on a real tree: set VOX_REAL_DIR to a checkout of vox-foundation/vox.

No model endpoint is used.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from vox_assets import profiles
from vox_assets.extract import Extraction, extract_docs, extract_rust, source_reader
from vox_assets.synthesize import Synthesis, audit, synthesize
from vox_assets.synthesize.vox import coverage
from vox_assets.vox_syntax.parsers import vox_fault

pytestmark = pytest.mark.slow

ROOT = Path(os.environ["VOX_REAL_DIR"])
PROFILE = profiles.load("vox")

#: Limit of two minutes; synthesis does not run in parallel, so this is processor time of one core.
PROCESSOR_SECONDS = 120


@pytest.fixture(scope="module")
def rust() -> Extraction:
    return extract_rust(ROOT, PROFILE, commit=None)


@pytest.fixture(scope="module")
def docs() -> Extraction:
    return extract_docs(ROOT, PROFILE, commit=None, check_vox=vox_fault)


def _synthesise(rust: Extraction, docs: Extraction) -> Synthesis:
    return synthesize(
        rust.rows, docs.rows, PROFILE, check_vox=vox_fault, read_source=source_reader(ROOT)
    )


@pytest.fixture(scope="module")
def timed_synthesis(rust: Extraction, docs: Extraction) -> tuple[Synthesis, float]:
    start = time.process_time()
    synthesis = _synthesise(rust, docs)
    return synthesis, time.process_time() - start


@pytest.fixture(scope="module")
def rows(timed_synthesis: tuple[Synthesis, float]) -> pl.DataFrame:
    return timed_synthesis[0].rows


def _rows_with_answers(rows: pl.DataFrame) -> Iterator[tuple[dict[str, Any], list[str]]]:
    for row in rows.iter_rows(named=True):
        yield row, [turn["content"] for turn in row["messages"] if turn["role"] == "assistant"]


def test_there_are_two_thousand_distinct_rows(rows: pl.DataFrame) -> None:
    assert rows.height >= 2_000
    assert rows["pair_id"].is_unique().all()
    assert rows["prompt"].is_unique().all()


def test_five_hundred_dialogues_of_two_to_five_turns_repeat_no_answer(rows: pl.DataFrame) -> None:
    dialogues = rows.filter(pl.col("task_family") == "dialogue")
    sound = [
        row
        for row, answers in _rows_with_answers(dialogues)
        if len(set(answers)) == len(answers) and 2 <= len(answers) <= 5
    ]
    assert len(sound) == dialogues.height >= 500
    assert {"rust", "vox"} <= set(dialogues["language"])


def test_half_of_the_rust_dialogues_end_in_a_test_from_the_tree(rows: pl.DataFrame) -> None:
    dialogues = rows.filter((pl.col("task_family") == "dialogue") & (pl.col("language") == "rust"))
    tested = dialogues.filter(pl.col("response").str.starts_with("#[test]"))
    assert tested.height >= dialogues.height / 2
    for path, response in tested.select("source_path", "response").iter_rows():
        source = (ROOT / path).read_text(encoding="utf-8-sig")
        assert all(line.strip() in source for line in response.split("\n"))


def test_thirty_five_constructs_are_synthesised(timed_synthesis: tuple[Synthesis, float]) -> None:
    table = timed_synthesis[0].coverage
    assert table.filter(pl.col("synthetic_count") > 0).height >= 35
    assert coverage.missing(table) == []


def test_every_vox_answer_passes_the_gate(rows: pl.DataFrame) -> None:
    assert audit.answers_parse(rows, vox_fault).passed


def test_every_repair_shows_a_program_that_the_gate_refuses_and_why(rows: pl.DataFrame) -> None:
    repairs = rows.filter(pl.col("task_family") == "repair_syntax")
    assert repairs.height >= 200
    for prompt in repairs["prompt"]:
        broken = prompt.split("```vox\n")[1].removesuffix("\n```")
        fault = vox_fault(broken)
        assert fault is not None
        assert fault in prompt


def test_every_kind_of_live_task_has_rows_that_name_their_parents(
    rows: pl.DataFrame, docs: Extraction
) -> None:
    live = rows.filter(pl.col("parents").list.len() > 0).filter(pl.col("language") == "vox")
    assert set(live["task_family"]) == {
        "rename_domain",
        "complete_body",
        "extend_program",
        "write_test",
    }
    assert set(live["parents"].explode()) <= set(docs.rows["pair_id"])


def test_few_instructions_resemble_an_earlier_one_of_their_construct(rows: pl.DataFrame) -> None:
    share = audit.instructions_alike(rows)
    print(f"{share:.2%} of the instructions resemble an earlier one")
    assert share <= audit.MAX_ALIKE
    written = rows.filter(pl.col("task_family") == "write_construct")
    assert audit.instructions_alike(written) == 0


def test_the_same_tree_gives_the_same_rows(
    rows: pl.DataFrame, rust: Extraction, docs: Extraction
) -> None:
    assert _synthesise(rust, docs).rows.equals(rows)


def test_synthesis_takes_less_than_two_minutes(timed_synthesis: tuple[Synthesis, float]) -> None:
    print(f"{timed_synthesis[1]:.1f} s of one core")
    assert timed_synthesis[1] < PROCESSOR_SECONDS
