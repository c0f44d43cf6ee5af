"""Modules load without heavy libraries, apart from listed exceptions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import vox_assets

PACKAGE = Path(vox_assets.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
#: Libraries that take a second or more to import, or that a light install may lack.
HEAVY_LIBRARIES = frozenset(
    "accelerate bitsandbytes datasets deltalake gguf matplotlib openai pandas peft pyarrow ray "
    "safetensors scipy sentence_transformers torch transformers trl".split()
)
#: Modules that may import them at the top, with the reason. Other modules import these inside
#: functions.
HEAVY_MODULES = {
    "compute/generate.py": "generation, loaded together with a model",
    "compute/kv_cache.py": "a PyTorch kernel, loaded together with a model",
    "compute/nll.py": "a PyTorch kernel, loaded together with a model",
    "training/program/blocks.py": "loaded by the training process alone",
    "training/program/model.py": "loaded by the training process alone",
    "training/program/ranks.py": "loaded by the training process alone",
    "training/program/run.py": "the program of the training process",
    "training/program/stream.py": "loaded by the training process alone",
    "training/program/trainer.py": "loaded by the training process alone",
}


def imported_at_load(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the dotted names that the statements import when the module loads.

    Imports inside functions and imports for type checkers do not count.
    """
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)
        elif isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            yield from imported_at_load(statement.orelse)
        elif not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for block in ("body", "orelse", "finalbody", "handlers"):
                yield from imported_at_load(getattr(statement, block, []))


def heavy_imports(module: str) -> set[str]:
    """Return the heavy libraries and heavy modules that a module imports when it loads."""
    heavy_modules = {
        ".".join(("vox_assets", *Path(name).with_suffix("").parts)) for name in HEAVY_MODULES
    }
    names = imported_at_load(ast.parse((PACKAGE / module).read_text(encoding="utf-8")).body)
    return {
        name
        for name in names
        if name.split(".")[0] in HEAVY_LIBRARIES
        or any(f"{name}.".startswith(f"{heavy}.") for heavy in heavy_modules)
    }


@pytest.mark.parametrize("module", [name for name in MODULES if name not in HEAVY_MODULES])
def test_a_module_loads_without_heavy_libraries(module: str) -> None:
    assert heavy_imports(module) == set()


@pytest.mark.parametrize("module", HEAVY_MODULES)
def test_every_exception_is_needed(module: str) -> None:
    assert heavy_imports(module)


@pytest.mark.parametrize(
    "text",
    [
        "import torch.nn",
        "try:\n    from torch import nn\nexcept ImportError:\n    pass",
        "class Model:\n    import torch",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import torch",
        "with open('a') as file:\n    import torch",
    ],
)
def test_an_import_in_a_block_counts(text: str) -> None:
    assert any(name.split(".")[0] == "torch" for name in imported_at_load(ast.parse(text).body))


@pytest.mark.parametrize(
    "text", ["def f():\n    import torch", "if TYPE_CHECKING:\n    import torch"]
)
def test_an_import_in_a_function_or_for_types_does_not_count(text: str) -> None:
    assert list(imported_at_load(ast.parse(text).body)) == []
