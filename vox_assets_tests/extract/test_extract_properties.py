"""Property tests: the parsers terminate on any text, and their invariants hold."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from vox_assets import profiles
from vox_assets.extract import extract_rust
from vox_assets.extract.docs import markdown, mdbook
from vox_assets.extract.docs import rows as doc_pairs
from vox_assets.extract.rust import declarations
from vox_assets.extract.rust import items as rust
from vox_assets.extract.rust import rows as rows_module
from vox_assets.extract.rust.crates import Crate
from vox_assets.extract.rust.declarations import FileContext

PROFILE = profiles.load("sample")

RUST_BITS = st.sampled_from(
    "fn impl trait mod struct enum for where cfg(test) #[ ] #![ { } ( ) < > -> ; , :: self & 'a "
    '/// //! /** */ // " \' r#" "# a B T u8 if match => let = 1 \n # ! pub async unsafe const '
    "``` todo!() \0 \u00e9 \U0001f30a".split(" ")
)
MARKDOWN_BITS = st.sampled_from(
    [
        *"# ## - * > 1. | ``` ~~~ ```vox ~~~~vox ` ** _ [ ] ( ) [a](b) ![c](d)".split(),
        *"<!-- --> <b> & \\".split(),
        *("\n", "\n\n", "    ", "  ", "---", "===", "| a | b |\n|---|---|", "word", "vox:skip"),
        *("{{#include a.md}}", "{{#include a.md:x}}", "\\{{#include a.md}}", "{{#x", "}}", "\t"),
        *("[ ]", "\r", "\0", "\u00e9", "\U0001f30a", "the harbour master counts boats " * 6),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(RUST_BITS, max_size=60).map(" ".join))
def test_rust_parsing_never_raises_and_answers_parse(source: str) -> None:
    file = rust.parse(source)
    lines = source.split("\n")
    for item in file.items:
        assert 1 <= item.start_line <= item.end_line <= len(lines)
        assert item.name in "\n".join(lines[item.start_line - 1 : item.end_line])
    context = FileContext("crates/a/src/lib.rs", "a", Crate("crates/a", "a"), "")
    declared = declarations.index_declarations({context.path: file}, {context.path: "crates/a"})
    pairs, _ = rows_module.pairs(file, context, declared, PROFILE)
    for pair in pairs:
        if pair.response_mode == "code_only":
            assert not rust.has_errors(pair.response)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_the_parsers_accept_any_text(text: str) -> None:
    rust.parse(text)
    mdbook.read_page(text)
    markdown.sections(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(MARKDOWN_BITS, max_size=80).map("".join))
def test_pages_keep_their_lanes_pure(text: str) -> None:
    def read(path: str) -> str:
        if path != "docs/src/a.md":
            raise mdbook.IncludeError("no such file")
        return text

    page = mdbook.read_page(text)
    path = "docs/src/page.md"
    reading = doc_pairs.read(page, mdbook.Includes(path, read))
    rows = doc_pairs.pairs(path, "Page", reading, PROFILE, lambda _: None)
    for pair in rows.pairs:
        assert "{{#" not in pair.response
        assert "{{#" not in pair.prompt
        assert "<!--" not in pair.response or pair.response_mode == "code_only"
        if pair.response_mode == "prose_only":
            assert "```" not in pair.response
            assert "~~~" not in pair.response
        else:
            # Match whole words: `skipvox:skip` is not a marker.
            assert not re.search(r"\bvox:skip\b", pair.response)
    prompts = [pair.prompt for pair in rows.pairs]
    assert len(prompts) == len(set(prompts))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["..", ".", "/", "a", "\0", "~", "//", "%2e%2e", " ", ":"]), max_size=9
    )
)
def test_no_include_path_leaves_the_root(parts: list[str]) -> None:
    requested: list[str] = []

    def read(path: str) -> str:
        requested.append(path)
        raise mdbook.IncludeError("nothing")

    mdbook.Includes("docs/src/x/page.md", read).expand(f"{{{{#include {'/'.join(parts)}}}}}")
    assert not any(path.startswith(("/", "../")) or path == ".." for path in requested)


@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=400))
def test_a_file_with_any_bytes_is_accounted_for(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "crates" / "a" / "src"
        source.mkdir(parents=True)
        (source / "lib.rs").write_bytes(data)
        files = extract_rust(Path(folder), PROFILE, commit=None).files
        assert files["path"].to_list() == ["crates/a/src/lib.rs"]
