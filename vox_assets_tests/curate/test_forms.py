"""Rows of the common formats become rows of the stages; what has no answer is passed over."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vox_assets.curate.forms import Reading, read_rows, repeats
from vox_assets.curate.tables import TableError, read_table

ASK, REPLY = "Why two queues?", "One is for retries."


def read(tmp_path: Path, *rows: dict[str, Any], needed: tuple[str, ...] = ()) -> Reading:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_rows(read_table(path), needed)


def said(*turns: tuple[str, Any], names: tuple[str, str] = ("role", "content")) -> list[dict]:
    return [dict(zip(names, turn, strict=True)) for turn in turns]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": ASK, "response": REPLY},
        {"prompt": ASK, "completion": REPLY},
        {"instruction": ASK, "input": "", "output": REPLY},
        {"instruction": ASK, "context": None, "response": REPLY},
        {"question": ASK, "answer": REPLY},
        {"input": ASK, "output": REPLY},
        {"messages": said(("user", ASK), ("assistant", REPLY))},
        {"messages": json.dumps(said(("user", ASK), ("assistant", REPLY)))},
        {"messages": None, "prompt": ASK, "response": REPLY},
        {"messages": [], "prompt": ASK, "response": REPLY},
        {"prompt": None, "response": None, "instruction": ASK, "output": REPLY},
        {"conversations": said(("human", ASK), ("gpt", REPLY), names=("from", "value"))},
        {"conversations": said(("Human", ASK), ("GPT", REPLY), names=("from", "value"))},
        {"prompt": said(("user", ASK)), "completion": said(("assistant", REPLY))},
        {"prompt": [{"type": "text", "text": ASK}], "response": [REPLY]},
        {"messages": said(("user", [{"type": "text", "text": ASK}]), ("assistant", REPLY))},
    ],
)
def test_every_form_gives_the_same_row(tmp_path: Path, row: dict) -> None:
    rows = read(tmp_path, row).rows
    assert rows.select("prompt", "response").rows() == [(ASK, REPLY)]
    assert rows["messages"][0].to_list() == said(("user", ASK), ("assistant", REPLY))
    assert rows["pair_id"].to_list() == read(tmp_path, {"prompt": ASK, "response": REPLY}).ids


def test_an_instruction_is_read_with_the_text_that_it_is_about(tmp_path: Path) -> None:
    rows = read(tmp_path, {"instruction": "Shorten.", "input": "A long text.", "output": "A."}).rows
    assert rows["prompt"].to_list() == ["Shorten.\n\nA long text."]


def test_system_and_tool_turns_are_part_of_what_the_model_reads(tmp_path: Path) -> None:
    call = [{"function": {"name": "look", "arguments": "{}"}}]
    messages = [
        *said(("system", "Be terse."), ("user", ASK)),
        {"role": "assistant", "content": None, "tool_calls": call},
        *said(("tool", "two files"), ("assistant", REPLY)),
    ]
    rows = read(tmp_path, {"messages": messages}, {"messages": messages[:2] + messages[4:]}).rows
    roles = [turn["role"] for turn in rows["messages"][0].to_list()]
    assert roles == ["user", "assistant", "user", "assistant"]
    assert rows["messages"][0][0]["content"] == f"Be terse.\n\n{ASK}"
    assert "look" in rows["messages"][0][1]["content"]
    assert rows["pair_id"].n_unique() == 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": ASK, "response": None}, "response is null"),
        ({"prompt": None, "response": REPLY}, "prompt is null"),
        ({"messages": [], "prompt": None, "response": REPLY}, "prompt is null"),
        ({"messages": said(("user", ASK), ("assistant", None))}, "a turn of the assistant has no"),
        ({"messages": said(("user", ASK))}, "the dialogue ends with a question"),
        ({"messages": said(("assistant", REPLY))}, "the dialogue starts with an answer"),
        (
            {"messages": said(("user", [{"type": "image_url"}]), ("assistant", REPLY))},
            "a turn holds a part that is no text: image_url",
        ),
    ],
)
def test_a_row_without_an_answer_to_judge_is_passed_over(
    tmp_path: Path, row: dict, reason: str
) -> None:
    full = {"prompt": ASK, "response": REPLY, "messages": None}
    found = read(tmp_path, full, row, full)
    assert found.rows["position"].to_list() == [0, 2]
    assert list(found.passed_over) == [1]
    assert found.passed_over[1].startswith(reason)
    assert len(found.ids) == len(set(found.unique_ids)) == 3


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"prompt": ASK, "response": 42}, ":2: column 'response': expected text, is a number"),
        ({"prompt": ASK, "response": {"a": 1}}, ":2: column 'response': expected text, is an obj"),
        ({"messages": "not JSON"}, ":2: column 'messages': expected an array of turns, is text"),
        ({"messages": 3}, ":2: column 'messages': expected an array of turns, is a number"),
        ({"messages": ["x"]}, ":2: column 'messages': turn 1: expected an object with role"),
        ({"messages": said(("narrator", "x"))}, ":2: column 'messages': turn 1: expected a role"),
        ({"messages": [{"content": "x"}]}, ":2: column 'messages': turn 1: expected a role"),
        ({"prompt": ASK, "response": REPLY, "pair_id": [1]}, ":2: column 'pair_id': expected text"),
    ],
)
def test_a_wrong_cell_is_named_with_its_line(tmp_path: Path, row: dict, fault: str) -> None:
    with pytest.raises(TableError) as refused:
        read(tmp_path, {"prompt": ASK, "response": REPLY, "messages": None}, row)
    assert fault in str(refused.value)


def test_a_missing_column_is_named_with_the_forms_that_are_read(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="column 'response' is missing: expected prompt and"):
        read(tmp_path, {"prompt": ASK})
    with pytest.raises(TableError, match="column 'prompt' is missing"):
        read(tmp_path, {"text": ASK})
    with pytest.raises(TableError, match="column 'lane' is missing"):
        read(tmp_path, {"prompt": ASK, "response": REPLY}, needed=("lane",))
    with pytest.raises(TableError, match=r":1: column 'lane': expected text in every row, is null"):
        read(tmp_path, {"prompt": ASK, "response": REPLY, "lane": None}, needed=("lane",))


def test_columns_of_others_are_not_taken_for_ours(tmp_path: Path) -> None:
    row = {"prompt": ASK, "response": REPLY, "embedding": [1], "lane": 3, "documented": "yes"}
    found = read(
        tmp_path, {**row, "source_date": "yesterday"}, {**row, "source_date": "2026-02-03T"}
    )
    assert "embedding" not in found.rows.columns
    assert found.rows["lane"].to_list() == ["vox_codegen"] * 2
    assert found.rows["documented"].to_list() == [False] * 2
    assert found.rows["source_date"].to_list() == [None, "2026-02-03"]
    assert found.notes == ["source_date is no ISO date and counts as unknown: 1 times"]


def test_dates_and_numbers_of_parquet_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame(
        {"pair_id": [7], "question": [ASK], "answer": [REPLY], "source_date": [date(2026, 2, 3)]}
    ).write_parquet(path)
    found = read_rows(read_table(path))
    assert found.ids == [7]
    assert found.rows["pair_id"].to_list() == ["7"]
    assert found.rows["source_date"].to_list() == ["2026-02-03"]


def test_two_rows_of_one_id_are_two_rows_whatever_their_order(tmp_path: Path) -> None:
    first = {"pair_id": 1, "prompt": ASK, "response": REPLY}
    second = {"pair_id": "1", "prompt": "What is a token?", "response": "A word of the lexer."}
    one, other = read(tmp_path, first, second), read(tmp_path, second, first)
    assert sorted(one.unique_ids) == ["1", "1#2"]
    assert one.unique_ids == other.unique_ids[::-1]
    assert "pair_id '1' names different rows: " in one.notes[0]
    assert read(tmp_path, first, first).notes == []


def test_only_rows_that_are_equal_in_every_column_repeat(tmp_path: Path) -> None:
    row = {"prompt": ASK, "response": REPLY}
    found = read(tmp_path, row, {**row, "note": 1}, row, {**row, "note": 1})
    assert repeats(read_table(tmp_path / "rows.jsonl"), found) == [2, 3]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                name: st.none()
                | st.text(max_size=5)
                | st.integers()
                | st.lists(
                    st.text(max_size=2)
                    | st.dictionaries(
                        st.sampled_from(["role", "from", "content", "value", "text", "type"]),
                        st.none() | st.sampled_from(["user", "assistant", "x"]) | st.integers(),
                    ),
                    max_size=3,
                )
                for name in ("messages", "prompt", "response", "instruction", "output", "pair_id")
            },
        ),
        max_size=4,
    )
)
def test_every_row_is_read_or_passed_over_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict]
) -> None:
    try:
        found = read(tmp_path_factory.mktemp("any"), *rows)
    except TableError as error:
        assert "\n" not in str(error)
    else:
        assert found.rows.height + len(found.passed_over) == len(rows)
        assert len(set(found.unique_ids)) == len(rows)
