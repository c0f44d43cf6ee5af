"""A mutant is the program with one change, and each kind of change is made."""

from __future__ import annotations

from vox_assets.exam.mutants import mutants, structural_mutants
from vox_assets.exam.structure import facts
from vox_assets.vox_syntax import check

SOURCE = """\
fn due(days: int, rate: int, member: bool) to int {
    let mut total = days * rate
    if days > 14 and not member {
        total += 5
    }
    return limited(total, 40)
}

fn limited(value: int, most: int) to int {
    return if value > most { most } else { value }
}

fn named(kind: str) to str {
    match kind {
        "a" => "first"
        _ => "other"
    }
}
"""


def test_each_mutant_parses_and_differs_from_the_program_and_from_the_others() -> None:
    made = mutants(SOURCE)
    texts = [mutant.source for mutant in made]
    assert len(set(texts)) == len(texts) >= 30
    assert SOURCE not in texts
    assert [text for text in texts if check(text)] == []
    assert mutants(SOURCE) == made


def test_every_kind_of_change_is_made() -> None:
    changed: dict[str, set[str]] = {}
    lines = set(SOURCE.splitlines())
    for kind, text in mutants(SOURCE):
        changed.setdefault(kind, set()).update(set(text.splitlines()) - lines)
    assert "    if days > 15 and not member {" in changed["constant"]
    assert '        "ax" => "first"' in changed["constant"]
    assert "    let mut total = days + rate" in changed["operator"]
    assert "    if days > 14 or not member {" in changed["operator"]
    assert "    if days > 14 and member {" in changed["operator"]
    assert "    if days >= 14 and not member {" in changed["comparison"]
    assert "    return if not (value > most) { most } else { value }" in changed["branch"]
    assert '        "a" => "other"' in changed["branch"]
    assert "        " in changed["dropped"]
    assert "    return limited(40, total)" in changed["swapped"]


def test_a_program_without_code_has_no_mutants() -> None:
    assert mutants("@table type Boat {\n    name: str\n}") == []


STRUCTURE = """\
@table type Boat {
    name: str
    seats: int
}

@endpoint(kind: query)
@rate_limit(by: ip, window_secs: 60, max: 9)
fn all_boats() to list[Boat] {
    return []
}

component Page(waiting: int) {
    view: column() {
        text() { "boats" }
        if waiting > 3 { text() { "busy" } } else { text() { "calm" } }
    }
}

routes {
    "/boats" to Page with loader: all_boats
    not_found: Page
}
"""


def test_what_does_not_run_is_changed_too() -> None:
    made = structural_mutants(STRUCTURE)
    changed: dict[str, str] = {}
    for mutant in made:
        changed[mutant.kind] = changed.get(mutant.kind, "") + mutant.source
    assert "max: 10" in changed["constant"] and '"/boatsx" to Page' in changed["constant"]
    assert any("seats" not in source for kind, source in made if kind == "dropped")
    assert any("@rate_limit" not in source for kind, source in made if kind == "dropped")
    assert '{ text() { "calm" } } else { text() { "busy" } }' in changed["branch"]
    assert made and not set(made) & set(mutants(STRUCTURE))


def test_every_structural_mutant_that_parses_has_other_facts() -> None:
    held = facts(STRUCTURE)
    assert [
        source
        for _, source in structural_mutants(STRUCTURE)
        if not check(source) and facts(source) == held
    ] == []
