"""A row is kept if the front end accepts all its Vox answers, each after the earlier turns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vox_assets.contract.rows import Pair, to_frame, turns
from vox_assets.vox_syntax.answers import answer_faults, drop_refused, faults_by_answer
from vox_assets.vox_syntax.compiler import Compiler
from vox_assets.vox_syntax.frontend import BuiltInGrammar
from vox_assets_tests.conftest import make_pair

GOOD = "fn one() to int {\n    return 1\n}"
BAD = "fn one() to int {\n    ret 1\n}"


def dialogue(*contents: str, language: str = "vox") -> Pair:
    return make_pair("", "", messages=turns(*contents), language=language)


@pytest.fixture
def needs_helper(tmp_path: Path) -> Compiler:
    """Write a compiler that refuses a use of `helper` unless the program declares it."""
    program = tmp_path / "vox"
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo "vox 1"; exit; fi\n'
        'grep -q "fn helper" "$3" || ! grep -q helper "$3"; code=$?\n'
        "[ $code = 0 ] && ok=true || ok=false\n"
        'printf \'{"envelope_version": 1, "ok": %s, "diagnostics": [{"severity": "Error", \' $ok\n'
        'printf \'"message": "Undefined variable: helper", "span": {}}]}\\n\'\n'
        "exit $code\n"
    )
    program.chmod(0o755)
    return Compiler(program, os.defpath)


def test_every_answer_of_a_dialogue_is_checked() -> None:
    rows = to_frame([dialogue("a", GOOD), dialogue("b", BAD, "c", GOOD), dialogue("d", GOOD)])
    (fault,) = answer_faults(rows, BuiltInGrammar())
    assert (fault.row, fault.answer) == (1, BAD)
    assert fault.fault.startswith("2:")


def test_answers_in_other_languages_are_not_checked() -> None:
    rows = to_frame([dialogue("a", "not Vox; at all", language="rust")])
    assert answer_faults(rows, BuiltInGrammar()) == []


def test_an_answer_may_use_declarations_of_earlier_answers(needs_helper: Compiler) -> None:
    uses, declares = "fn use_it() { helper() }", "fn helper() {}"
    rows = to_frame([dialogue("a", declares, "b", "fn other() {}", "c", uses), dialogue("d", uses)])
    faults = answer_faults(rows, needs_helper)
    assert [(fault.row, fault.fault) for fault in faults] == [
        (1, "1:1: Undefined variable: helper")
    ]


def test_an_answer_may_use_declarations_that_the_user_shows(needs_helper: Compiler) -> None:
    shown = "Write a test for this.\n\n```vox\nfn helper() {}\n```\n"
    uses = "@test fn t() { helper() }"
    assert answer_faults(to_frame([dialogue(shown, uses)]), needs_helper) == []
    rows = to_frame([dialogue("Call helper.", uses)])
    assert faults_by_answer(rows, needs_helper) == {uses: "1:1: Undefined variable: helper"}


def test_an_answer_that_passes_alone_may_fail_with_the_turns_before_it() -> None:
    declares = "fn summary(a: int) to int {\n    return a\n}"
    uses = "fn shown() {\n    let x = 1\n    let y = summary()\n}"
    rows = to_frame([dialogue("a", declares, "b", uses), dialogue("c", uses)])
    (fault,) = answer_faults(rows, BuiltInGrammar())
    assert (fault.row, fault.answer) == (0, uses)
    assert fault.fault.startswith("3:13: `summary(..)`"), "the line is that of the answer"


def test_a_fault_in_the_turns_before_is_reported_as_such() -> None:
    uses = "fn shown() { let y = summary() }"
    declares = "fn summary(a: int) to int {\n    return a\n}"
    rows = to_frame([dialogue("a", uses, "b", declares)])
    (fault,) = answer_faults(rows, BuiltInGrammar())
    assert fault.answer == declares
    assert fault.fault.startswith("after the turns before it: `summary(..)`")


def test_a_later_declaration_replaces_an_earlier_one(tmp_path: Path) -> None:
    program = tmp_path / "vox"
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo "vox 1"; exit; fi\n'
        f'cp "$3" "$(mktemp {tmp_path}/checked.XXXXXX)"\n'
        'echo \'{"envelope_version": 1, "ok": true, "diagnostics": []}\'\n'
    )
    program.chmod(0o755)
    first = 'import std.json\n\n// The first.\nfn one() { }\n\nroutes { "/" to Home }'
    second = 'fn one(a: int) { }\n\nroutes { "/" to Start }'
    rows = to_frame([dialogue("a", first, "b", second, "c", "fn two() { }")])
    assert answer_faults(rows, Compiler(program, os.defpath)) == []
    assert {file.read_text() for file in tmp_path.glob("checked.*")} == {
        first,
        f"import std.json\n\n{second}",
        'import std.json\n\nfn one(a: int) { }\n\nroutes { "/" to Start }\n\nfn two() { }',
    }


def test_code_that_the_user_shows_to_be_corrected_is_left_out() -> None:
    shown = f"Correct this.\n\n```vox\n{BAD}\n```\n"
    assert answer_faults(to_frame([dialogue(shown, GOOD)]), BuiltInGrammar()) == []


def test_a_refused_row_is_dropped_with_its_line_and_the_first_fault(
    needs_helper: Compiler,
) -> None:
    rows = to_frame([dialogue("a", "helper()", "b", "helper(2)"), dialogue("c", GOOD)])
    kept, drops = drop_refused(rows, needs_helper, "synthetic_pairs")
    assert kept["prompt"].to_list() == ["c"]
    (drop,) = drops.to_dicts()
    assert drop["reason"] == "refused by vox 1: 1:1: Undefined variable: helper"
    assert (drop["stage"], drop["line"], drop["item"]) == (
        "synthetic_pairs",
        rows["source_start_line"][0],
        rows["source_symbol"][0],
    )
