"""Tables and summaries of an asset's page are readable, and text of rows is no markup."""

from __future__ import annotations

import polars as pl

from vox_assets.pipeline.metadata import counted, short, wide_table


def test_a_wide_table_is_markdown_with_formatted_counts() -> None:
    frame = pl.DataFrame({"lane": ["vox_codegen"], "rows": [1312], "note": [None]})
    assert str(wide_table(frame).value).splitlines() == [
        "| lane | rows | note |",
        "| --- | --- | --- |",
        "| vox\\_codegen | 1,312 |  |",
    ]


def test_text_of_a_row_cannot_leave_its_cell_or_become_markup() -> None:
    hostile = "a | b\n\n# head ![x](http://x) <script>`"
    [_, _, line] = str(wide_table(pl.DataFrame({"prompt": [hostile]})).value).splitlines()
    assert line == "| a \\| b \\# head \\!\\[x\\]\\(http://x\\) \\<script\\>\\` |"


def test_counts_are_named_after_their_sum() -> None:
    assert counted({"raw_rust_fns": 1083, "doc_qa_pairs": 576}) == (
        "1,659: raw_rust_fns 1,083, doc_qa_pairs 576"
    )


def test_commits_and_digests_are_shortened_and_other_text_is_not() -> None:
    commit = "8f1f2200aee83d91bc4c3e82211a6d0b81219400"
    assert short(f"main {commit}, other {commit}") == "main 8f1f2200aee8, other 8f1f2200aee8"
    assert short("not in git") == "not in git"
