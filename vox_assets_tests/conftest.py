"""Fixtures that the tests of several packages share: source trees, rows and the real models."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vox_assets.compute.models import LocalModel, resolve_base_model, resolve_embedding_model
from vox_assets.contract.rows import Pair, turns

SAMPLE = Path("data/sample_workspace")

#: Fixtures of a small scored corpus and a tiny model, for mix, training and publishing.
pytest_plugins = ["vox_assets_tests.small_corpus"]


#: The file that builds the whole graph takes longest, so one of two processes begins with it.
LONGEST = "pipeline/test_build.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.path.match(LONGEST))


@pytest.fixture
def own_data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the results of the commands in a folder of the test, whatever the shell has set."""
    for name in ("VOX_SOURCE_DIR", "VOX_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VOX_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder where the packaged GGUF is dequantised, once for all tests."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def base_model(model_dir: Path) -> LocalModel:
    return resolve_base_model(None, model_dir)


@pytest.fixture(scope="session")
def embedding_model() -> LocalModel:
    return resolve_embedding_model(None)


@pytest.fixture(scope="session")
def package_cache(pytestconfig: pytest.Config) -> Path:
    """Return the folder of the packages that single tests install, kept for later runs."""
    assert pytestconfig.cache is not None
    return pytestconfig.cache.mkdir("packages")


@pytest.fixture(scope="session")
def small_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a tree of two crates, one part of the documentation, and the programs it includes."""
    root = tmp_path_factory.mktemp("tree")
    for crate in ("vox-units", "vox-mcp-tools"):
        shutil.copytree(SAMPLE / "crates" / crate, root / "crates" / crate)
    shutil.copytree(SAMPLE / "docs" / "src" / "cookbook", root / "docs" / "src" / "cookbook")
    shutil.copytree(SAMPLE / "examples", root / "examples")
    return root


def make_pair(prompt: str, response: str, **changes: object) -> Pair:
    """Make a row with plausible provenance; `changes` are fields of `Pair`."""
    fields: dict = {
        "messages": turns(prompt, response),
        "lane": "vox_codegen",
        "response_mode": "code_only",
        "task_family": "implement_from_doc",
        "language": "rust",
        "origin": "human",
        "category": "vox-sample",
        "difficulty": 3,
        "source_kind": "rust",
        "source_path": "crates/vox-sample/src/lib.rs",
        "source_start_line": 1,
        "source_end_line": 9,
        "source_symbol": "vox_sample::item",
    }
    return Pair(**{**fields, **changes})
