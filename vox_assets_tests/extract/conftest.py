"""Fixtures: a source tree written for one test, and the profile of the tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from vox_assets import profiles
from vox_assets.profiles import Profile

# The tests on a real tree run only if VOX_REAL_DIR names one.
collect_ignore = [] if os.environ.get("VOX_REAL_DIR") else ["test_real_tree.py"]

WriteTree = Callable[[Mapping[str, str | bytes]], Path]


@pytest.fixture(scope="session")
def profile() -> Profile:
    return profiles.load("sample")


@pytest.fixture
def write_tree(tmp_path: Path) -> WriteTree:
    """Write files below a fresh root and return it."""

    def write(files: Mapping[str, str | bytes]) -> Path:
        root = tmp_path / "root"
        for path, content in files.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            data = content.encode() if isinstance(content, str) else content
            target.write_bytes(data)
        return root

    return write
