"""Code spans are found where Markdown has them, in linear time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from vox_assets.extract.docs.code_spans import code_spans, masked, unmasked, without_code_spans


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("`a` and ``b`c``", ["`a`", "``b`c``"]),
        ("`never closed", []),
        ("`one\n\ntwo`", []),
        ("`a\nb`", ["`a\nb`"]),
        (r"\`a` b`", ["` b`"]),
        ("``a` b` c", ["` b`"]),
    ],
)
def test_code_spans_are_those_of_markdown(text: str, spans: list[str]) -> None:
    assert [text[start:end] for start, end in code_spans(text)] == spans


@given(st.text(alphabet="a`b [](x)", max_size=30))
def test_as_many_code_spans_as_the_parser_finds(text: str) -> None:
    inline = MarkdownIt("commonmark").disable(["link", "image", "autolink", "html_inline"])
    tokens = inline.parseInline(text)[0].children or []
    assert len(code_spans(text)) == sum(token.type == "code_inline" for token in tokens)


@given(st.text(alphabet="a`\0\n1", max_size=30))
def test_masked_spans_return_to_their_places(text: str) -> None:
    plain, spans = masked(text)
    assert unmasked(plain, spans) == text.replace("\0", "\ufffd") or "\0" in "".join(spans)
    assert without_code_spans("x `y` z") == "x  z"


def test_runs_of_many_lengths_take_linear_time() -> None:
    text = "".join("`" * length + " " for length in range(1, 1_200))
    assert code_spans(text) == []
