"""Live fences and golden programs are read from a tree, and a drift of the grammar is reported."""

from __future__ import annotations

from pathlib import Path

from vox_assets.extract.audit import grammar_drift
from vox_assets.extract.live_programs import LiveProgram, live_programs


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def found(root: Path) -> list[tuple[str, int, str]]:
    return [(item.path, item.first_line, item.text.strip()) for item in live_programs(root, "vox")]


def test_live_fences_are_those_that_no_mark_and_no_page_leaves_out(tmp_path: Path) -> None:
    page = (
        "# Ovens\n\n```vox\nfn warm() { }\n```\n\n```vox,ignore\nfn old() { }\n```\n\n"
        "```vox\n// vox:skip\nfn later() { }\n```\n\n```rust\nfn main() {}\n```\n\n"
        "```vox\n{{#include absent.vox}}\n```\n"
    )
    write(tmp_path, "docs/src/ovens.md", page)
    write(tmp_path, "docs/src/gone.md", f"---\ntraining_eligible: false\n---\n{page}")
    assert found(tmp_path) == [("docs/src/ovens.md", 4, "fn warm() { }")]


def test_golden_programs_are_those_below_examples(tmp_path: Path) -> None:
    for path in ("golden/a.vox", "golden/deep/b.vox.ui", "golden-ts/c.vox"):
        write(tmp_path, f"examples/{path}", "fn a() { }")
    for path in ("a.vox", "inventory/a.vox", "golden/notes.md", "golden/a.voxel"):
        write(tmp_path, f"examples/{path}", "no program")
    programs = list(live_programs(tmp_path, "vox"))
    assert [program.path.removeprefix("examples/") for program in programs] == [
        "golden-ts/c.vox",
        "golden/a.vox",
        "golden/deep/b.vox.ui",
    ]
    assert [program.is_ui_module for program in programs] == [False, False, True]


def test_a_tree_without_documentation_and_examples_has_no_live_programs(tmp_path: Path) -> None:
    assert found(tmp_path) == []


def test_a_line_of_included_text_is_that_of_its_fence(tmp_path: Path) -> None:
    write(tmp_path, "docs/src/oven.vox", "fn a() { }\nfn b() { }\n")
    write(
        tmp_path,
        "docs/src/page.md",
        "# A\n\n- item\n\n  ```vox\n  fn c() { }\n  fn d() { }\n  ```\n\n"
        "```vox\n{{#include oven.vox}}\n```\n",
    )
    in_place, included = live_programs(tmp_path, "vox")
    assert in_place.line(2) == 7
    assert [included.line(line) for line in (1, 2)] == [10, 10]


def test_refused_programs_are_listed_and_those_by_design_are_counted() -> None:
    programs = {
        "one/": [LiveProgram("a.md", 5, "good"), LiveProgram("a.md", 20, "new")],
        "": [LiveProgram("b.vox", 1, "sign"), LiveProgram("c.vox", 9, "new", in_place=False)],
    }
    refused = {"good": None, "new": (3, "unexpected `try`", ""), "sign": (1, "no `;`", ";")}
    verdict = grammar_drift(programs, lambda program: refused[program.text])
    assert not verdict.passed
    assert verdict.summary.startswith("2 live programs that the grammar refuses in 4: ")
    assert verdict.figures == {
        "faults": 2,
        "looked_at": 4,
        "share": 0.5,
        "by_design": 1,
        "refused": "one/a.md:22: unexpected `try`\nc.vox:9: unexpected `try`",
    }


def test_no_programs_and_programs_refused_by_design_pass() -> None:
    assert grammar_drift({}, lambda _: None).passed
    verdict = grammar_drift({"": [LiveProgram("a.vox", 1, "x")]}, lambda _: (1, "no `!`", "!"))
    assert (verdict.passed, verdict.figures["share"], verdict.figures["by_design"]) == (True, 0, 1)
