"""The work of the extractors grows with the length of a file, not with its square."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import pytest

from vox_assets.extract.docs import mdbook
from vox_assets.extract.docs import rows as doc_rows
from vox_assets.extract.rust import declarations, items, rows
from vox_assets.extract.rust.crates import Crate
from vox_assets.extract.rust.declarations import FileContext
from vox_assets.profiles import Profile

#: A processor time is no unit test: it runs with the slow tests.
pytestmark = pytest.mark.slow

#: Six times the input takes six times as long if the work is linear, and 36 times if quadratic.
SMALL, TIMES, MOST = 400, 6, 16

DOC = "/// Counts the boats that pass the gate in one hour, by day and by night.\n"


def _page(text: str, profile: Profile, included: str = "") -> None:
    page = mdbook.read_page(text)
    reading = doc_rows.read(page, mdbook.Includes("docs/src/a.md", lambda _: included))
    doc_rows.pairs("docs/src/a.md", "A", reading, profile, lambda _: None)


def _rust(text: str, profile: Profile) -> None:
    file = items.parse(text)
    context = FileContext("crates/a/src/lib.rs", "a", Crate("crates/a", "a"), "")
    declared = declarations.index_declarations({context.path: file}, {context.path: "crates/a"})
    rows.pairs(file, context, declared, profile)


def _table(count: int, profile: Profile) -> None:
    body = "".join(f"| boat {i} | leaves at {i} |\n" for i in range(4 * count))
    _page(f"# T\n\n| a | b |\n|---|---|\n{body}", profile)


def _anchors(count: int, profile: Profile) -> None:
    count //= 4
    anchors = "".join(
        f"// ANCHOR: a{i}\nfn f{i}() {{}}\n// ANCHOR_END: a{i}\n" for i in range(count)
    )
    fences = "".join(f"```vox\n{{{{#include x.vox:a{i}}}}}\n```\n\n" for i in range(count))
    _page(f"# T\n\n{fences}", profile, anchors)


def _fences(count: int, profile: Profile) -> None:
    _page("# T\n\n" + "Like this:\n\n```vox\nfn a() {}\n```\n\n" * count, profile)


def _associated_types(count: int, profile: Profile) -> None:
    methods = "".join(
        f"type A{i} = u8;\n{DOC}fn m{i}(&self) -> u8 {{ {i} }}\n" for i in range(count)
    )
    _rust(f"impl T for S {{\n{methods}}}\n", profile)


def _constants(count: int, profile: Profile) -> None:
    _rust(
        "".join(f"const C{i}: u8 = 1;\n{DOC}fn m{i}() -> u8 {{ C{i} }}\n" for i in range(count)),
        profile,
    )


def _equal_names(count: int, profile: Profile) -> None:
    pair = f"{DOC}pub fn x() -> u8 {{ y() }}\n{DOC}pub fn y() -> u8 {{ x() }}\n"
    _rust("".join(f"mod m{i} {{\n{pair}}}\n" for i in range(count)), profile)


def _broken_items(count: int, profile: Profile) -> None:
    _rust("".join(f"{DOC}fn m{i}() -> u8 {{ 1 }}\nfn (\n" for i in range(count)), profile)


def _broken_tests(count: int, profile: Profile) -> None:
    _rust("#[test]\n#[a]\n" * count + "use a;\nfn (", profile)


def _doc_examples(count: int, profile: Profile) -> None:
    _rust("/// Like this:\n/// ```\n/// a();\n/// ```\n" * count + "fn a() {}", profile)


def _lead_ins(count: int, profile: Profile) -> None:
    _rust("/// Like this:\n///\n/// # Examples\n///\n" * (8 * count) + "fn a() {}", profile)


@pytest.mark.parametrize(
    "work",
    [
        _table,
        _anchors,
        _fences,
        _associated_types,
        _constants,
        _equal_names,
        _broken_items,
        _broken_tests,
        _doc_examples,
        _lead_ins,
    ],
)
def test_the_work_grows_with_the_input(
    work: Callable[[int, Profile], None], profile: Profile
) -> None:
    def seconds(count: int) -> float:
        # The processor time of this process; the best of three, because caches start empty.
        times = []
        # The extractors disable the garbage collector too.
        gc.disable()
        try:
            for _ in range(3):
                start = time.process_time()
                work(count, profile)
                times.append(time.process_time() - start)
        finally:
            gc.enable()
        return min(times)

    ratio = seconds(TIMES * SMALL) / seconds(SMALL)
    assert ratio < MOST
