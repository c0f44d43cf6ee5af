"""Trimming saves tokens and never changes what code means."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vox_assets.compute.models import LocalModel
from vox_assets.contract.rows import Drop, drops_to_frame, pair_id, to_frame
from vox_assets.curate.trim import tokens, trim, trim_rows
from vox_assets.vox_syntax.parsers import tree
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
        ("markdown", "A table of nodes (OP-0055, OP-56).", "A table of nodes.", "project ids"),
        ("markdown", "TASK-6.4 \u2014 Checks blocks.", "Checks blocks.", "project ids"),
        ("markdown", "It waits (Phase 5). Then?", "It waits. Then?", "project ids"),
    ],
)
def test_each_rule_removes_what_it_names(language: str, before: str, after: str, rule: str) -> None:
    text, saved = trim(before, language)
    assert text == after
    assert list(saved) == [rule]


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
def test_code_without_removable_text_is_unchanged(code: str) -> None:
    assert trim(code, "rust")[0] == code


@pytest.mark.parametrize(
    "text",
    [
        "Text is UTF-8 (RFC-2119, SHA-256, FNV-1a) under AGPL-3.0.",
        "As ADR-032 says, a phase has three steps (see it).",
        "Phase 2 follows what OP-0055 found.",
    ],
)
def test_ids_of_standards_and_ids_within_a_sentence_stay(text: str) -> None:
    assert trim(text, "markdown")[0] == text


def test_prose_that_only_resembles_chatter_is_unchanged() -> None:
    text = "Here are the rules that hold for tables, one by one and in order."
    assert trim(text, "markdown")[0] == text


PROGRAMS = {
    "rust": [
        "#[derive(Debug)]\npub struct Span {\n    /// First byte.\n    pub start: usize,\n}",
        'fn page() -> &\'static str {\n    r#"one\n\n\n\n// two   \n"#\n}',
        'impl Span {\n    fn url(&self) -> String {\n        format!("http://{}/#a", 1)\n    }\n}',
        "macro_rules! twice {\n    ($a:expr) => {\n        $a + $a\n    };\n}",
    ],
    "vox": [
        "type Span {\n    start: int\n}",
        'fn url(name: str) to str {\n    return "http://" + name + "/#top"\n}',
        'component Page() {\n    view: text() { "Nothing // here   " }\n}',
    ],
}
# Lines that a rule may remove, and lines that only resemble them.
NOISE = [
    "",
    "   ",
    "\t",
    "// SPDX-License-Identifier: MIT",
    "// Copyright us",
    "// aside",
    "    // x",
]


@pytest.mark.parametrize("language", PROGRAMS)
@given(data=st.data())
def test_trimming_does_not_change_the_parse_tree(language: str, data: st.DataObject) -> None:
    """Insert comments and blank lines anywhere, also inside strings."""
    pieces = data.draw(st.lists(st.sampled_from(PROGRAMS[language]), min_size=1, max_size=3))
    lines = "\n".join(pieces).split("\n")
    insertions = data.draw(
        st.lists(st.tuples(st.integers(0, len(lines)), st.sampled_from(NOISE)), max_size=12)
    )
    for position, noise in sorted(insertions, reverse=True):
        lines.insert(position, noise)
    text = "\n".join(lines)
    before = tree(language, text)
    assume(before is not None)
    shorter, saved = trim(text, language)
    assert tree(language, shorter) == before
    assert tokens(text) - tokens(shorter) == saved.total()


def test_trees_differ_by_code_and_not_by_comments() -> None:
    assert tree("rust", "fn f() { 1 } // one") == tree("rust", "fn f() {\n    1\n}")
    assert tree("rust", "fn f() { 1 }") != tree("rust", "fn f() { 2 }")
    assert tree("rust", 'fn f() { "a\n\nb" }') != tree("rust", 'fn f() { "a\nb" }')
    assert tree("vox", "fn f() to int {\n    return 1\n}") != tree(
        "vox", "fn f() to int {\n    return 2\n}"
    )
    assert tree("rust", "fn f( {") is None


def test_code_that_does_not_parse_is_unchanged() -> None:
    assert trim("fn f( {\n\n\n\n// end\n", "rust")[0] == "fn f( {\n\n\n\n// end\n"


def test_savings_are_counted_in_tokens() -> None:
    assert trim("fn f() {}\n// one two three", "rust")[1] == {"trailing comments": 5}


def test_the_token_count_is_a_lower_bound_of_a_real_tokeniser(base_model: LocalModel) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base_model.path)
    for text in (text for texts in PROGRAMS.values() for text in texts):
        assert 0 < tokens(text) <= len(tokenizer(text)["input_ids"])


@given(st.text())
def test_trimming_never_fails_and_never_lengthens_a_text(text: str) -> None:
    for language in ("rust", "markdown"):
        trimmed = trim(text, language)[0]
        assert len(trimmed) <= len(text)


def test_ids_are_recomputed_and_rows_that_become_equal_are_dropped() -> None:
    long, short = make_pair("p", "fn f() {}\n\n"), make_pair("p", "fn f() {}")
    earlier_drops = drops_to_frame([Drop("extract_rust", "says the same", lost_to=long.pair_id)])
    rows, drops, saved = trim_rows(to_frame([long, short]), earlier_drops, "raw_rust_fns")
    assert rows["pair_id"].to_list() == [pair_id("vox_codegen", short.messages)]
    assert rows["response"].to_list() == ["fn f() {}"]
    assert drops["stage"].to_list() == ["extract_rust", "raw_rust_fns"]
    assert drops["lost_to"].to_list() == [short.pair_id, short.pair_id]
    assert saved.total() > 0
