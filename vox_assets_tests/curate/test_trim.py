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
    ],
)
def test_each_rule_takes_out_what_it_names(
    language: str, before: str, after: str, rule: str
) -> None:
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
def test_code_that_has_nothing_to_spare_is_left_alone(code: str) -> None:
    assert trim(code, "rust")[0] == code


def test_prose_that_only_sounds_like_chatter_stays() -> None:
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
# What a rule might take out, and what only looks like it.
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
def test_trimming_leaves_the_parse_tree_as_it_was(language: str, data: st.DataObject) -> None:
    """Comments and empty lines strewn anywhere, also into quoted text."""
    pieces = data.draw(st.lists(st.sampled_from(PROGRAMS[language]), min_size=1, max_size=3))
    lines = "\n".join(pieces).split("\n")
    strewn = data.draw(
        st.lists(st.tuples(st.integers(0, len(lines)), st.sampled_from(NOISE)), max_size=12)
    )
    for place, noise in sorted(strewn, reverse=True):
        lines.insert(place, noise)
    text = "\n".join(lines)
    before = tree(language, text)
    assume(before is not None)
    shorter, saved = trim(text, language)
    assert tree(language, shorter) == before
    assert tokens(text) - tokens(shorter) == saved.total()


def test_the_tree_tells_code_from_code_and_not_from_its_comments() -> None:
    assert tree("rust", "fn f() { 1 } // one") == tree("rust", "fn f() {\n    1\n}")
    assert tree("rust", "fn f() { 1 }") != tree("rust", "fn f() { 2 }")
    assert tree("rust", 'fn f() { "a\n\nb" }') != tree("rust", 'fn f() { "a\nb" }')
    assert tree("vox", "fn f() to int {\n    return 1\n}") != tree(
        "vox", "fn f() to int {\n    return 2\n}"
    )
    assert tree("rust", "fn f( {") is None


def test_code_that_does_not_parse_is_left_alone() -> None:
    assert trim("fn f( {\n\n\n\n// end\n", "rust")[0] == "fn f( {\n\n\n\n// end\n"


def test_savings_are_counted_in_tokens() -> None:
    assert trim("fn f() {}\n// one two three", "rust")[1] == {"trailing comments": 5}


def test_no_tokeniser_makes_fewer_tokens(base_model: LocalModel) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base_model.path)
    for text in (text for texts in PROGRAMS.values() for text in texts):
        assert 0 < tokens(text) <= len(tokenizer(text)["input_ids"])


@given(st.text())
def test_no_text_grows_or_breaks_the_trimmer(text: str) -> None:
    for language in ("rust", "markdown"):
        once = trim(text, language)[0]
        assert len(once) <= len(text)


def test_ids_follow_the_text_and_rows_made_equal_are_accounted_for() -> None:
    long, short = make_pair("p", "fn f() {}\n\n"), make_pair("p", "fn f() {}")
    beaten = drops_to_frame([Drop("extract_rust", "says the same", lost_to=long.pair_id)])
    rows, drops, saved = trim_rows(to_frame([long, short]), beaten, "raw_rust_fns")
    assert rows["pair_id"].to_list() == [pair_id("vox_codegen", short.messages)]
    assert rows["response"].to_list() == ["fn f() {}"]
    assert drops["stage"].to_list() == ["extract_rust", "raw_rust_fns"]
    assert drops["lost_to"].to_list() == [short.pair_id, short.pair_id]
    assert saved.total() > 0
