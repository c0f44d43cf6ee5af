"""The built-in grammar as a front end."""

from __future__ import annotations

from vox_assets.vox_syntax import check
from vox_assets.vox_syntax.frontend import BuiltInGrammar, FrontEnd, one_by_one

GOOD = "fn one() to int {\n    return 1\n}"
BAD = "fn one() to int {\n    ret 1\n}"
SCREEN = "state n: int = 0"


def test_verdicts_are_in_the_order_of_the_programs() -> None:
    front_end: FrontEnd = BuiltInGrammar()
    assert front_end.check([BAD, GOOD, BAD]) == [str(check(BAD)[0]), None, str(check(BAD)[0])]


def test_the_verdict_depends_on_the_kind_of_the_file() -> None:
    front_end = BuiltInGrammar()
    assert front_end.check([SCREEN], ui_module=True) == [None]
    assert front_end.check([SCREEN]) != [None]


def test_what_the_compiler_reserves_is_refused_although_it_parses() -> None:
    program = "workflow settle(c: str) to str {\n    return c\n}"
    assert check(program) == []
    (fault,) = BuiltInGrammar().check([program])
    assert fault is not None
    assert fault.startswith("1:1: `workflow` is reserved for a future release (E028, ADR-028)")
    assert BuiltInGrammar().check([program], ui_module=True) == [fault]


def test_one_by_one_gives_the_same_verdicts() -> None:
    judge = one_by_one(BuiltInGrammar())
    assert [judge(BAD), judge(GOOD)] == BuiltInGrammar().check([BAD, GOOD])


def test_the_name_ends_with_a_digest_of_the_grammar() -> None:
    name = BuiltInGrammar().name
    assert name.startswith("built-in grammar ")
    assert len(name.split()[-1]) == 12
    assert int(name.split()[-1], 16)
