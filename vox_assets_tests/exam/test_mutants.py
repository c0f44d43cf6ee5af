"""A mutant is the program with one change, and each kind of change is made."""

from __future__ import annotations

from vox_assets.exam.mutants import mutants
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
