"""Trimming saves tokens and never changes what code means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.curate.trim import trim, trim_rows
from vox_assets.rows import pair_id, to_frame
from vox_assets_tests.conftest import make_pair


@pytest.mark.parametrize(
    ("language", "before", "after", "rule"),
    [
        (
            "rust",
            "// Copyright 2026 Us\n// All rights.\n\nfn f() {}",
            "fn f() {}",
            "licence header",
        ),
        ("rust", "fn f() {}\n// see elsewhere\n", "fn f() {}", "trailing comments"),
        ("rust", "fn f() {\n    1;\n\n\n\n    2\n}", "fn f() {\n    1;\n\n    2\n}", "blank lines"),
        ("vox", "fn f() {  \n}", "fn f() {\n}", "trailing space"),
        ("vox", "fn f() {\n}\n# done", "fn f() {\n}", "trailing comments"),
        ("markdown", "Sure, here is how:\n\nUse a table.", "Use a table.", "preamble"),
        ("markdown", "Use a table.\n\nI hope this helps!", "Use a table.", "closing chatter"),
    ],
)
def test_each_rule_takes_out_what_it_names(
    language: str, before: str, after: str, rule: str
) -> None:
    text, saved = trim(before, language)
    assert text == after
    assert saved[rule] > 0


@pytest.mark.parametrize(
    "code",
    [
        'fn f() -> &\'static str {\n    "a\n\n\n\nb"\n}',
        'fn f() -> &\'static str {\n    r#"x   \n\n\n\ny"#\n}',
        "// What it does matters.\nfn f() {}",
        "#[inline]\nfn f() {}",
        'fn url() -> &\'static str {\n    "https://example.org"\n}',
    ],
)
def test_code_that_has_nothing_to_spare_is_left_alone(code: str) -> None:
    assert trim(code, "rust")[0] == code


def test_prose_that_only_sounds_like_chatter_stays() -> None:
    text = "Here are the rules that hold for tables, one by one and in order."
    assert trim(text, "markdown")[0] == text


@given(st.text())
def test_trimming_twice_changes_nothing_more(text: str) -> None:
    for language in ("rust", "markdown"):
        once = trim(text, language)[0]
        assert len(once) <= len(text)


def test_ids_follow_the_text_and_rows_made_equal_are_accounted_for() -> None:
    long, short = make_pair("p", "fn f() {}\n\n"), make_pair("p", "fn f() {}")
    rows, drops, saved = trim_rows(to_frame([long, short]), "raw_rust_fns")
    assert rows["pair_id"].to_list() == [pair_id("vox_codegen", short.messages)]
    assert rows["response"].to_list() == ["fn f() {}"]
    assert drops["lost_to"].to_list() == [short.pair_id]
    assert saved.total() > 0
