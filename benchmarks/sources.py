"""Builds the input of the benchmarks from pinned packages and the bundled workspace.

pip downloads the packages from its configured index as source distributions. Each is verified
against its SHA-256 before it is read. The packages were chosen because pip can download their
sources without a compiler, because their licences (Apache-2.0, BSD, MIT) allow the use, and because
together they resemble a real repository in kind and size:

- five releases of qiskit, 22 MB of Rust, with near-duplicates as in copied and old crates;
- rustworkx, tokenizers and cryptography, 3 MB of Rust by other authors;
- the manual of openai-agents, 2 MB of Markdown. Its translations opt out of training here, so that
  the share that opts out is that of the Vox repository (56 % of the bytes);
- all Rust of the sample, and every fourth page, so that there are about as many Vox programs to
  check as in the Vox repository (64 on 743 pages).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vox_assets.settings import SAMPLE_WORKSPACE
from vox_assets.store.files import file_sha256

#: One page of the sample in so many is used.
SAMPLE_PAGES = 4
TRANSLATIONS = ("ja", "ko", "zh")


class InputError(Exception):
    """Raised if an input is not available; the message is one line."""


@dataclass(frozen=True)
class Package:
    """A source distribution and the folders that are read."""

    name: str
    version: str
    sha256: str
    #: Patterns of folders; each folder becomes a crate.
    rust: tuple[str, ...] = ()
    docs: str | None = None

    @property
    def label(self) -> str:
        return f"{self.name}-{self.version}"


_QISKIT = (
    ("2.6.1", "3e915793167541b4045665230421785485d4dfd845ce5050a41bc9aa4868a906"),
    ("2.4.2", "b9844e28336fdbed0d53f8cf82a681d0365574dd68d04ef877d1619971462ad6"),
    ("2.3.0", "e0a00c6681b8d04171c5cdb928837d992676f8aa4a07c390d446e54babaf6c1e"),
    ("2.2.3", "ec597bf021fe5fa5e44600b142e6de00fc873207dfbd750d4e1cf19a1a905592"),
    ("2.0.3", "fa016bc34619f9f58af06be79a6f2634eacc095f0a3e2e29cef9f00b451ca267"),
)
PACKAGES = (
    *(Package("qiskit", version, digest, rust=("crates/*",)) for version, digest in _QISKIT),
    Package(
        "rustworkx",
        "0.16.0",
        "9f0dcb83f38d5ca2c3a683eb9b6951c8aec3262fbfe5141946a7ee5ba37e0bb6",
        rust=("rustworkx-core", "src"),
    ),
    Package(
        "tokenizers",
        "0.13.3",
        "2e546dbb68b623008a5442353137fbb0123d311a6d7ba52f2667c8862a75af2e",
        rust=("tokenizers-lib", "src"),
    ),
    Package(
        "cryptography",
        "42.0.8",
        "8d09d05439ce7baa8e9e95b07ec5b6c886f548deb7e0f69ef25f64b3bce842f2",
        rust=("src/rust",),
    ),
    Package(
        "openai-agents",
        "0.24.0",
        "4b4b285f4fed81fdf1b4ac426a9101658d9cd29b4fb1aaeee18f639b77e704e3",
        docs="docs",
    ),
)
SOURCE = "the sample, " + ", ".join(package.label for package in PACKAGES)


def lay_out(target: Path, cache: Path) -> Path:
    """Write a source tree (`crates/`, `docs/src/`) to `target`; archives are cached in `cache`.

    Raises InputError.
    """
    for package in PACKAGES:
        archive = _archive(package, cache)
        with tempfile.TemporaryDirectory() as name, tarfile.open(archive) as content:
            content.extractall(name, filter="data")
            (top,) = Path(name).iterdir()
            for crate in (path for pattern in package.rust for path in top.glob(pattern)):
                if crate.is_dir():
                    shutil.copytree(crate, target / "crates" / f"{package.label}-{crate.name}")
            if package.docs:
                _copy_pages(top / package.docs, target / "docs" / "src" / package.name)
    for crate in (SAMPLE_WORKSPACE / "crates").iterdir():
        shutil.copytree(crate, target / "crates" / crate.name)
    sample = SAMPLE_WORKSPACE / "docs" / "src"
    for page in sorted(sample.rglob("*.md"))[::SAMPLE_PAGES]:
        copy = target / "docs" / "src" / "sample" / page.relative_to(sample)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, copy)
    return target


def _copy_pages(source: Path, target: Path) -> None:
    for page in sorted(source.rglob("*.md")):
        path = page.relative_to(source)
        text = page.read_text(encoding="utf-8")
        if path.parts[0] in TRANSLATIONS:
            head = "---\ntraining_eligible: false\n"
            text = head + text[len("---\n") :] if text.startswith("---\n") else f"{head}---\n{text}"
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text, encoding="utf-8")


def _archive(package: Package, cache: Path) -> Path:
    """Return the package's archive in `cache`; pip downloads a missing or damaged archive."""
    archive = cache / f"{package.label}.tar.gz"
    if archive.is_file() and file_sha256(archive) == package.sha256:
        return archive
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        requirements = Path(folder, "requirements.txt")
        pin = f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n"
        requirements.write_text(pin, encoding="utf-8")
        # pip verifies the digest before it runs the package's build back end.
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        download += ["--no-binary", package.name, "--require-hashes", "--dest", folder]
        done = subprocess.run(
            [*download, "--requirement", str(requirements)],
            capture_output=True,
            text=True,
            check=False,
        )
        archives = list(Path(folder).glob("*.tar.gz"))
        if done.returncode or len(archives) != 1:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            reason = (
                errors[-1].removeprefix("ERROR: ") if errors else f"exit code {done.returncode}"
            )
            raise InputError(
                f"pip cannot download the source distribution of {package.label}, "
                f"and {archive} does not exist or is damaged: {reason}"
            )
        archives[0].replace(archive)
    return archive
