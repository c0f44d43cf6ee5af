"""Sections, blocks and fences of a page are those of the Markdown standard."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vox_assets.extract.docs import markdown
from vox_assets.extract.docs.markdown import Fence, Section


def _sections(text: str) -> list[Section]:
    return markdown.sections(textwrap.dedent(text).lstrip("\n"))


def _fences(text: str) -> list[Fence]:
    return [fence for section in _sections(text) for fence in section.fences]


def test_headings_are_found_only_where_markdown_has_them() -> None:
    sections = _sections(
        """
        Before.

        # One

        ```sh
        # not a heading
        ```

        Two
        ---

            # code

        ### Three `x` [y](z.md)

        > # quoted

        # One
        """
    )
    assert [(s.level, s.path) for s in sections] == [
        (0, ()),
        (1, ("One",)),
        (2, ("One", "Two")),
        (3, ("One", "Two", "Three `x` y")),
        (1, ("One",)),
    ]
    assert [(s.start_line, s.end_line) for s in sections] == [
        (1, 2),
        (3, 8),
        (9, 13),
        (14, 17),
        (18, 18),
    ]


@pytest.mark.parametrize(
    ("text", "language", "content"),
    [
        ("```vox\na\n```", "vox", "a\n"),
        ("~~~~ vox title=x\na\n~~~\nb\n~~~~", "vox", "a\n~~~\nb\n"),
        ("``````vox,ignore\n```\n``````", "vox", "```\n"),
        ("- item\n\n  ```vox {.c}\n  a\n    b\n  ```", "vox", "a\n  b\n"),
        ("> > ```{.vox}\n> > a\n> > ```", "vox", "a\n"),
        ("1. a\n   - b\n     ~~~VOX\n     c\n     ~~~", "vox", "c\n"),
        ("```\na\n```", "", "a\n"),
        ("```vox\nnever closed", "vox", "never closed"),
    ],
)
def test_fences_of_every_kind_are_read(text: str, language: str, content: str) -> None:
    (fence,) = _fences(text)
    assert (fence.language, fence.content) == (language, content)


def test_a_fence_has_its_lines_and_the_text_before_it() -> None:
    (fence,) = _fences("# H\n\nfar\n\nnear\n\n- item\n\n  ```vox\n  a\n  ```\n")
    assert (fence.start_line, fence.end_line) == (9, 11)
    assert fence.before == ("far", "near", "item")


def test_blocks_are_rendered_without_links_and_html() -> None:
    (section,) = _sections(
        """
        See [the `map`](../map.md "t"), [ref][r] and ![chart](c.png), <b>now</b> &amp; *then*.
        <!-- not this -->

        1. one
           two

           three
           - deep
        2. [last](x)

        > quoted
        > on

        | a | b |
        |---|:-:|
        | `x|y` | [l](k) |

        ***

        [r]: elsewhere.md
        """
    )
    assert [block.kind for block in section.blocks] == ["paragraph", "list", "quote", "table"]
    paragraph, items, quote, table = (block.text for block in section.blocks)
    assert paragraph == "See the `map`, ref and chart, now & *then*."
    assert items == "1. one two\n\n   three\n   - deep\n2. last"
    assert quote == "> quoted on"
    assert table.startswith("| a | b |\n| --- | --- |\n|")
    assert section.blocks[0].linked == len("the `map`") + len("ref")


def test_lines_that_start_in_bold_stay_separate() -> None:
    (section,) = _sections("**What**: a\nmore\n**Why**: b\n")
    assert section.blocks[0].text == "**What**: a more\n**Why**: b"


def test_checkboxes_and_code_of_a_block_are_recorded() -> None:
    (section,) = _sections("- [ ] a\n- [x] b\n\n  ```\n  c\n  ```\n")
    (block,) = section.blocks
    assert (block.boxes, block.holds_code) == (2, True)


def test_sections_of_an_included_page_have_the_line_of_the_include() -> None:
    sections = markdown.sections("# A\n\n{{x}}\n", expand=lambda _: "text\n\n## B\n\nmore")
    assert [(s.path, s.start_line) for s in sections] == [((), 1), (("A",), 1), (("A", "B"), 3)]


def test_code_is_split_from_prose() -> None:
    prose, fences = markdown.split_code("a\n\n```\nb\n```\n\nc\n\n    d\n\n- e\n\n  f")
    assert prose == "a\n\nc\n\n- e\n\n  f"
    assert [fence.content for fence in fences] == ["b\n", "d\n"]
    assert [fence.start_line for fence in fences] == [3, 9]


def test_carriage_returns_end_lines() -> None:
    assert [s.path for s in markdown.sections("# A\rtext\r\n# B\r")] == [(), ("A",), ("B",)]


@pytest.mark.parametrize(
    "text",
    [
        ">" * 20_000 + " x",
        "- " * 20_000,
        "[" * 20_000,
        "**a" * 6_000,
        "```\n" * 5_001,
        "a|" * 2_000 + "\n" + "-|" * 2_000,
        "# a\n" * 3_000,
        "<!--" * 5_000,
        "\0",
        "".join("  " * i + "- a\n" for i in range(200)),
    ],
)
def test_parsing_terminates_on_hostile_pages(text: str) -> None:
    markdown.sections(text)


@settings(deadline=None)
@given(st.text(alphabet="ab 1.`\n\t!]>#-:/é\u00a0", max_size=24))
def test_the_shortcut_for_plain_text_agrees_with_the_parser(text: str) -> None:
    renderer = markdown._Renderer({})
    # A lone `&` is plain text too, but the shortcut leaves it to the parser.
    assert renderer.inline(f"x{text}x&") == f"{renderer.inline(f'x{text}x')}&"


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["# A", "  # B #", "## C", "text", "", "    # d", "E\n===", "# `f` x"])
    )
)
def test_the_title_is_the_first_heading_of_level_one(lines: list[str]) -> None:
    page = "\n".join(lines)
    first = [section.path[0] for section in markdown.sections(page) if section.level == 1][:1]
    assert [markdown.title(page)] == (first or [""])


@pytest.mark.parametrize(
    ("included", "paths", "texts"),
    [
        ("# B\ntext", [("B",)], ["text"]),
        ("## B\n- one\n- two", [("A", "B")], ["- one\n- two"]),
        ("one\n\ntwo", [], ["one", "two"]),
        ("| a |\n|---|\n| b |", [], ["| a |\n| --- |\n| b |"]),
        ("```vox\nx\n```", [], [""]),
        ("one line", [], ["one line"]),
        ("", [], []),
    ],
)
def test_an_include_is_read_as_the_page_that_it_is(
    included: str, paths: list[tuple[str, ...]], texts: list[str]
) -> None:
    sections = markdown.sections(
        "# A\n\n{{x}}\n", expand=lambda text: text.replace("{{x}}", included)
    )
    assert [section.path for section in sections[1:]] == [("A",), *paths]
    assert [block.text for section in sections for block in section.blocks] == texts
    assert {block.start_line for section in sections for block in section.blocks} <= {3}


def test_an_include_in_a_list_or_quote_stays_in_it() -> None:
    sections = markdown.sections(
        "- {{x}}\n- last\n\n> {{x}}\n", expand=lambda text: text.replace("{{x}}", "one\n\ntwo")
    )
    assert [block.text for block in sections[0].blocks] == [
        "- one\n\n  two\n- last",
        "> one\n\n> two",
    ]


@pytest.mark.parametrize("kind", ["NOTE", "TIP", "IMPORTANT", "WARNING", "CAUTION", "note"])
def test_an_alert_begins_with_its_word(kind: str) -> None:
    (section,) = _sections(
        f"> [!{kind}]\n> Take care.\n\n> [!{kind}] Here.\n\n> [!{kind}]\n> - a\n"
    )
    word = kind.capitalize()
    assert [block.text for block in section.blocks] == [
        f"> **{word}:** Take care.",
        f"> **{word}:** Here.",
        f"> **{word}**\n> - a",
    ]


def test_quotes_that_are_no_alerts_keep_their_words() -> None:
    (section,) = _sections("> [!HARBOUR]\n> Text.\n\n[!NOTE] Text.\n")
    assert [block.text for block in section.blocks] == ["> [!HARBOUR] Text.", "[!NOTE] Text."]


def test_code_spans_keep_their_backticks() -> None:
    (section,) = _sections("A `` `b` `` and ``` ``c`` ``` and `d[0](e)`.\n")
    assert section.blocks[0].text == "A `` `b` `` and ``` ``c`` ``` and `d[0](e)`."


@pytest.mark.parametrize(
    ("text", "prose"),
    [
        ("Counts.\n\nFor example:\n\n```\na\n```\n\nThe end.", "Counts.\n\nThe end."),
        ("Counts. As follows:\n```\na\n```", "Counts."),
        ("- one\n- two:\n  ```\n  a\n  ```\n- three", "- one\n\n- three"),
        ("Counts:\n\n    a\n", ""),
        ("Counts:\n\n```\na\n```\n\n```\nb\n```", ""),
        ("# Examples:\n\n```\na\n```", "# Examples:"),
    ],
)
def test_code_takes_its_lead_in_with_it(text: str, prose: str) -> None:
    assert markdown.split_code(text)[0] == prose
