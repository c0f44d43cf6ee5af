"""Front matter can opt a page out; includes never leave the source root."""

from __future__ import annotations

import pytest

from vox_assets.contract.rows import Reason
from vox_assets.extract.docs import mdbook
from vox_assets.extract.docs.mdbook import INCLUDE, IncludeError, Includes, includable, why


def test_front_matter_is_read_and_lines_are_counted() -> None:
    page = mdbook.read_page(
        '---\ntitle: "Tides  and\n  moons"\nlast_updated: 2026-03-04\nstatus: current\n---\n# A'
    )
    assert page.front_matter.title == "Tides and moons"
    assert page.front_matter.last_updated == "2026-03-04"
    assert page.front_matter.opted_out is None
    assert (page.body, page.first_line) == ("# A", 7)


def test_a_page_without_front_matter_is_eligible() -> None:
    page = mdbook.read_page("# A\n\n---\ntraining_eligible: false\n---\n")
    assert page.front_matter.opted_out is None
    assert page.first_line == 1


@pytest.mark.parametrize(
    "head",
    [
        "training_eligible: false",
        "training_eligible: 'no'",
        "training_eligible: maybe",
        "training_eligible:",
        "training_eligible: 0",
        "status: deprecated",
        "status: Legacy",
        "status: superseded\ntraining_eligible: true",
        "title: [unclosed",
        "title: a: b",
        "a: 1\na: 2",
        "training_eligible: false\ntraining_eligible: true",
        "- a list",
        "just words",
        "!!python/object/apply:os.system [x]",
        "<<: *nowhere",
        "? [a]\n: b",
        "[" * 10_000,
        "a: \x01",
    ],
)
def test_front_matter_may_opt_a_page_out(head: str) -> None:
    assert mdbook.read_page(f"---\n{head}\n---\n# A").front_matter.opted_out is not None


@pytest.mark.parametrize(
    "head", ["", "# only a comment", "status: research", "training_eligible: yes", "title: 3"]
)
def test_other_front_matter_leaves_a_page_eligible(head: str) -> None:
    assert mdbook.read_page(f"---\n{head}\n---\n# A").front_matter.opted_out is None


def test_front_matter_that_never_ends_opts_out() -> None:
    assert mdbook.read_page("---\ntitle: a\n\n# A").front_matter.opted_out is not None
    assert mdbook.read_page("---\n" + "a\n" * 20_000 + "---\n").front_matter.opted_out is not None


@pytest.mark.parametrize("value", ["soon", "2026-13-01x", "12", "[2026]"])
def test_invalid_dates_are_ignored(value: str) -> None:
    page = mdbook.read_page(f"---\nlast_updated: '{value}'\n---\n")
    assert page.front_matter.last_updated is None


ANCHORED = "zero\n// ANCHOR: a\none\n// ANCHOR: b\ntwo\n// ANCHOR_END: a\nthree\n// ANCHOR_END: b\n"


@pytest.mark.parametrize(
    ("selector", "lines"),
    [
        ("", "zero\none\ntwo\nthree"),
        ("a", "one\ntwo"),
        ("b", "two\nthree"),
        ("1", "zero"),
        ("3:5", "one\ntwo"),
        (":3", "zero\none"),
        ("5:", "two\nthree"),
        ("3:99", "one\ntwo\nthree"),
    ],
)
def test_a_selector_picks_lines_or_an_anchor(selector: str, lines: str) -> None:
    assert mdbook.select(ANCHORED, selector) == lines


@pytest.mark.parametrize("selector", ["c", "99", "2", "5:3", "1:x", "99:"])
def test_a_selector_without_lines_is_an_error(selector: str) -> None:
    with pytest.raises(IncludeError):
        mdbook.select(ANCHORED, selector)


FILES = {
    "examples/a.vox": ANCHORED,
    "docs/src/part.md": "part {{#include deep/more.md}}",
    "docs/src/deep/more.md": "more {{#include ../end.md}}",
    "docs/src/end.md": "end",
    "docs/src/self.md": "x {{#include self.md}} {{#include self.md}}",
}


def _read(path: str) -> str:
    if path not in FILES:
        raise IncludeError("no such file")
    return FILES[path]


def _includes() -> Includes:
    return Includes("docs/src/page.md", _read)


def test_includes_are_replaced_in_place() -> None:
    text = "<{{#include ../../examples/a.vox:a}}|{{ #rustdoc_include ../../examples/a.vox:1 }}>"
    assert _includes().expand(text) == "<one\ntwo|zero>"
    assert _includes().expand("{{#include part.md}}") == "part more end"


@pytest.mark.parametrize(
    "target",
    [
        "missing.md",
        "../../../outside.md",
        "/etc/passwd",
        "../../examples/a.vox:nowhere",
        "self.md",
        "..",
    ],
)
def test_unresolved_includes_remain_and_have_a_reason(target: str) -> None:
    includes = _includes()
    text = includes.expand(f"{{{{#include {target}}}}}")
    reason = why(text, includes.failures)
    assert isinstance(reason, Reason) and reason.kind == INCLUDE
    assert reason.detail.startswith(repr(target))


def test_all_included_files_can_be_listed_in_advance() -> None:
    text = (
        "{{#include part.md}} {{#include self.md}} {{#include missing.md}} {{#include ../../../x}}"
    )
    contents = includable("docs/src/page.md", text, _read)
    refused = contents.pop("docs/src/missing.md")
    assert isinstance(refused, IncludeError)
    assert str(refused) == "no such file"
    assert contents == {path: FILES[path] for path in FILES if path.startswith("docs/")}


@pytest.mark.parametrize("text", [r"\{{#include a}}", "{{#include}}", "{{#title x}}", "{{#if a}}"])
def test_other_directives_are_reported(text: str) -> None:
    includes = _includes()
    assert why(includes.expand(text), includes.failures) is not None
    assert why("{{ plain braces }}", includes.failures) is None


@pytest.mark.parametrize("padding", [0, mdbook.MAX_QUICK_YAML_CHARS])
def test_both_yaml_loaders_read_front_matter_alike(padding: int) -> None:
    def opted_out(head: str) -> str | None:
        return mdbook.read_page(f"---\n{head}{' ' * padding}\n---\n").front_matter.opted_out

    assert opted_out("title: A") is None
    assert opted_out("training_eligible: false") == "training_eligible: false"
    assert opted_out("title: A\ntitle: B") == "its front matter is not YAML: title is given twice"


OPTED_OUT = {
    "docs/src/out.md": "---\ntraining_eligible: false\n---\n# Out\n<!-- ANCHOR: a -->\nkept out\n",
    "docs/src/old.markdown": "---\nstatus: archived\n---\nkept out\n",
    "docs/src/broken.md": "---\na: b: c\n---\nkept out\n",
    "docs/src/text.txt": "--- \ntraining_eligible: no\n---\nkept out\n",
    "examples/out.vox": "// ---\n// training_eligible: false\n// ---\n// ANCHOR: a\nkept out\n",
    "examples/old.vox": "// ---\n// title: x\n// status: legacy\n// ---\nkept out\n",
    "examples/out.py": "#!/usr/bin/env python\n# training_eligible: 'no'\nkept_out = 1\n",
    "examples/out.sql": "-- ---\n-- training_eligible: false\n-- ---\nkept out;\n",
    "examples/out.html": "<!-- training_eligible: false -->\nkept out\n",
    "examples/out.c": "/*\n * training_eligible: false\n */\nkept out\n",
}


@pytest.mark.parametrize("path", OPTED_OUT)
@pytest.mark.parametrize("selector", ["", ":1:9", ":5", "::9"])
@pytest.mark.parametrize("directive", ["include", "rustdoc_include"])
def test_no_include_shows_a_file_that_opted_out(path: str, selector: str, directive: str) -> None:
    includes = Includes("docs/src/page.md", lambda wanted: OPTED_OUT[wanted])
    text = includes.expand(f"{{{{#{directive} ../../{path}{selector}}}}}")
    assert "kept" not in text
    reason = why(text, includes.failures)
    assert isinstance(reason, Reason)
    assert reason.kind == mdbook.OPTED_OUT


def test_a_file_that_opted_out_is_not_shown_through_another() -> None:
    files = {**OPTED_OUT, "docs/src/between.md": "before {{#include out.md:a}} after"}
    includes = Includes("docs/src/page.md", lambda wanted: files[wanted])
    text = includes.expand("{{#include between.md}}")
    assert "kept out" not in text
    assert why(text, includes.failures) == Reason(mdbook.OPTED_OUT, "training_eligible: false")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.vox", "// ---\n// training_eligible: true\n// status: current\n// ---\nfn a() {}"),
        ("a.vox", "// The status: archived boats are listed.\nfn a() {}"),
        ("a.vox", "// status: archived\nfn a() {}"),
        ("a.vox", "fn a() {}\n// training_eligible: false\n"),
        ("a.rs", "#[cfg(a)]\n// training_eligible: false\n"),
        ("a.md", "# A\n\ntraining_eligible: false\n"),
    ],
)
def test_files_that_did_not_opt_out(path: str, text: str) -> None:
    assert mdbook.opted_out(path, text) is None


def test_the_front_matter_of_an_included_page_is_not_text() -> None:
    page = "---\ntitle: Tides\n---\n# Tides\nHigh.\n"
    includes = Includes("docs/src/page.md", lambda _: page)
    assert includes.expand("{{#include a.md}}") == "# Tides\nHigh."
    assert includes.expand("{{#include a.md:5}}") == "High."
    assert includes.expand("{{#include a.md:2:4}}") == "# Tides"
    with pytest.raises(IncludeError):
        mdbook.select("\n\n", "1")


def test_anchors_are_found_once_for_all_includes_of_a_file() -> None:
    anchors = "".join(f"// ANCHOR: a{i}\nline {i}\n// ANCHOR_END: a{i}\n" for i in range(500))
    mdbook._source.cache_clear()
    for i in range(500):
        assert mdbook.select(anchors, f"a{i}") == f"line {i}"
    assert mdbook._source.cache_info().misses == 1


def test_a_page_includes_a_limited_amount_of_text() -> None:
    long = "x" * 600_000
    includes = Includes("docs/src/page.md", lambda _: long)
    text = includes.expand("{{#include a.md}}\n" * 400)
    assert len(text) < 2 * mdbook.MAX_INCLUDED_CHARS_PER_PAGE


def test_a_title_for_the_window_is_no_text() -> None:
    assert mdbook.without_titles("{{#title Tides}}\n# A\n") == "\n# A\n"
    assert mdbook.without_titles("\\{{#title Tides}}") == "\\{{#title Tides}}"
