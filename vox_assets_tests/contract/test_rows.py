"""The id of a row depends on its content, and tables contain the fields of rows."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.contract.rows import (
    SCHEMA,
    Drop,
    Reason,
    SchemaError,
    check_schema,
    drops_to_frame,
    hash_order,
    in_hash_order,
    keep_first,
    pair_id,
    reason_text,
    to_frame,
    turns,
)
from vox_assets_tests.conftest import make_pair


def test_an_id_depends_only_on_lane_and_messages() -> None:
    original = make_pair("Write f.", "fn f() {}", source_path="crates/a/src/lib.rs")
    moved = make_pair("Write f.", "fn f() {}", source_path="crates/b/src/lib.rs", difficulty=9)
    assert original.pair_id == moved.pair_id
    assert original.pair_id != make_pair("Write f.", "fn f() {}", lane="vox_tooling").pair_id
    assert original.pair_id != make_pair("Write g.", "fn f() {}").pair_id


@given(st.lists(st.text(), min_size=2, max_size=2), st.lists(st.text(), min_size=2, max_size=2))
def test_different_dialogues_have_different_ids(left: list[str], right: list[str]) -> None:
    same = pair_id("vox_codegen", turns(*left)) == pair_id("vox_codegen", turns(*right))
    assert same == (left == right)


def test_a_dialogue_ends_with_an_answer() -> None:
    with pytest.raises(ValueError, match="ends with an answer"):
        turns("a question", "an answer", "another question")


def test_a_table_has_the_schema_columns_and_the_last_turns() -> None:
    pair = make_pair("", "", messages=turns("type", "type A", "fn", "fn f"), parents=("p",))
    table = to_frame([pair])
    assert table.schema == pl.Schema(SCHEMA)
    row = table.row(0, named=True)
    assert (row["prompt"], row["response"]) == ("fn", "fn f")
    assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"] * 2
    assert row["parents"] == ["p"]


def test_an_empty_table_still_has_its_columns() -> None:
    assert to_frame([]).schema == pl.Schema(SCHEMA)
    assert drops_to_frame([]).height == 0


def test_a_repeated_row_is_dropped_and_the_drop_names_the_first_row() -> None:
    first, second = make_pair("a", "b"), make_pair("a", "b", source_path="elsewhere.rs")
    kept, drops = keep_first([first, second], "raw_rust_fns")
    assert kept == [first]
    assert drops == [
        Drop(
            stage="raw_rust_fns",
            why="repeats an earlier row word for word",
            source_path="elsewhere.rs",
            line=1,
            item="vox_sample::item",
            lost_to=first.pair_id,
            similarity=1.0,
        )
    ]


def test_drops_of_the_same_kind_keep_their_details() -> None:
    drops = drops_to_frame(
        [
            Drop("doc_qa_pairs", Reason("include", "'x': no such file")),
            Drop("doc_qa_pairs", Reason("include", "'y': no anchor b")),
            Drop("doc_qa_pairs", "vox:skip"),
        ]
    )
    assert drops["kind"].to_list() == ["include", "include", "vox:skip"]
    assert drops["detail"].to_list() == ["'x': no such file", "'y': no anchor b", ""]
    assert drops["reason"][0] == "include: 'x': no such file"
    assert drops["reason"][2] == "vox:skip"


def test_the_text_of_a_reason_is_the_same_for_columns_and_for_drops() -> None:
    reasons = [Reason("score below 7", "5.0 by parses 0.00"), Reason("vox:skip")]
    frame = pl.DataFrame(reasons, schema=["kind", "detail"], orient="row")
    texts = frame.select(reason_text(pl.col("kind"), pl.col("detail")).alias("text"))["text"]
    assert texts.to_list() == [reason.text for reason in reasons]


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (
            lambda rows: rows.drop("lane"),
            "column 5: expected lane of type String: is response_mode",
        ),
        (lambda rows: rows.drop("parents"), "expected parents of type List(String), but there are"),
        (
            lambda rows: rows.with_columns(pl.col("difficulty").cast(pl.Int32)),
            "expected difficulty of type Int64: is difficulty of type Int32",
        ),
        (lambda rows: rows.select(pl.all().reverse().reverse(), x=1).select("x", *SCHEMA), "is x"),
    ],
)
def test_a_table_with_another_schema_is_refused_with_its_first_fault(
    damage: Callable[[pl.DataFrame], pl.DataFrame], fault: str
) -> None:
    rows = to_frame([make_pair("a", "b")])
    check_schema(rows.with_columns(score=pl.lit(1.0)), SCHEMA, "raw_rust_fns")
    with pytest.raises(SchemaError, match=r"^raw_rust_fns: column ") as refused:
        check_schema(damage(rows), SCHEMA, "raw_rust_fns")
    assert fault in str(refused.value)


def test_hash_order_is_the_same_in_every_run_and_differs_between_salts() -> None:
    names = ["a", "b", "c", "d"]
    assert sorted(names, key=lambda name: hash_order("split", name)) == ["c", "a", "d", "b"]
    assert sorted(names, key=lambda name: hash_order(8, name)) == ["a", "c", "d", "b"]


def test_hash_order_does_not_depend_on_the_order_of_rows() -> None:
    rows = pl.DataFrame({"pair_id": ["d", "b", "a", "c"], "score": [4, 2, 1, 3]})
    ordered = in_hash_order(rows, 8)
    assert ordered["pair_id"].to_list() == ["a", "c", "d", "b"]
    assert ordered.equals(in_hash_order(rows.reverse(), 8))
