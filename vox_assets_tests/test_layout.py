"""The package's shape: what may be imported when a module loads."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import vox_assets

PACKAGE = Path(vox_assets.__file__).parent
#: Libraries that take a second or more to import, or that a light install may lack.
HEAVY = frozenset(
    "accelerate bitsandbytes datasets deltalake gguf matplotlib openai pandas peft pyarrow ray "
    "safetensors scipy sentence_transformers torch transformers trl".split()
)
#: Loaded by the training process alone, or imported inside functions by their users.
LOADED_LATE = ("compute/nll.py", "training/program/")


@pytest.mark.parametrize(
    "module", sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))
)
def test_a_module_loads_no_heavy_library(module: str) -> None:
    body = ast.parse((PACKAGE / module).read_text(encoding="utf-8")).body
    names = {
        name.split(".")[0]
        for statement in body
        for name in (
            [alias.name for alias in statement.names]
            if isinstance(statement, ast.Import)
            else [statement.module or ""]
            if isinstance(statement, ast.ImportFrom)
            else []
        )
    }
    assert not names & HEAVY or module.startswith(LOADED_LATE)
