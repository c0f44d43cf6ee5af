"""Tests the real `vox` compiler as a front end, if VOX_FRONTEND names one.

`conftest.py` leaves this module out if the variable is not set.
"""

from __future__ import annotations

import pytest

from vox_assets.settings import load_settings
from vox_assets.store.cache import BlobCache
from vox_assets.vox_syntax.compiler import Compiler
from vox_assets.vox_syntax.frontend import BuiltInGrammar, FrontEnd
from vox_assets_tests.vox_syntax.test_syntax_external import SYNTAX, files

pytestmark = pytest.mark.slow

#: A part of the names of examples that the compiler parses and then refuses as not yet implemented.
RESERVED = "_gate_"


@pytest.fixture(scope="module")
def vox(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    settings = load_settings()
    if settings.compiler is None:
        pytest.skip("VOX_FRONTEND names the built-in grammar")
    folder = tmp_path_factory.mktemp("verdicts")
    return Compiler(settings.compiler, settings.search_path, BlobCache(folder / "verdicts.sqlite"))


def test_the_name_contains_the_version(vox: Compiler) -> None:
    assert vox.name.startswith("vox ")


def test_syntax_errors_type_errors_and_dropped_characters_are_refused(vox: Compiler) -> None:
    good, types, drops, parse = vox.check(
        [
            "fn one() to int {\n    return 1\n}",
            'fn one() to int {\n    return "one"\n}',
            "fn no(a: bool) to bool {\n    return !a\n}",
            "fn one( to int {\n    return 1\n}",
        ]
    )
    assert good is None
    assert [fault and fault.partition(":")[0] for fault in (types, drops, parse)] == ["2", "2", "1"]
    assert not any(fault and fault.startswith("no verdict") for fault in (types, drops, parse))


def test_a_program_too_deep_for_the_parser_does_not_affect_the_next_verdict(
    vox: Compiler,
) -> None:
    deep = "fn f() { let x = " + "(" * 50_000 + "1" + ")" * 50_000 + " }"
    assert vox.check([deep, "fn f() {}"])[1] is None


@pytest.mark.skipif(not SYNTAX, reason="VOX_SYNTAX_DIR names no examples")
@pytest.mark.parametrize(("folder", "good"), [("ok", True), ("bad", False)])
def test_the_compiler_agrees_with_the_built_in_grammar(
    vox: Compiler, folder: str, good: bool
) -> None:
    paths = files(SYNTAX, f"{folder}/*")
    wrong = [path for path in paths if (good and RESERVED not in path.name) is not True]
    front_ends: list[FrontEnd] = [vox, BuiltInGrammar()]
    for front_end in front_ends:
        refused = []
        for ui_module in (False, True):
            of_kind = [path for path in paths if path.name.endswith(".vox.ui") is ui_module]
            sources = [path.read_text(encoding="utf-8") for path in of_kind]
            faults = front_end.check(sources, ui_module=ui_module)
            refused += [path for path, fault in zip(of_kind, faults, strict=True) if fault]
        assert sorted(refused) == wrong
