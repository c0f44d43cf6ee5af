"""The input of the benchmarks: pinned packages with Rust and Markdown sources, and the sample.

The packages come from the index that pip is set up for, as source distributions, each verified
against its SHA-256 before anything of it is read. They are chosen because their build back ends
need no compiler to hand the sources over, their licences (Apache-2.0, BSD, MIT) allow it, and
together they are of a real repository's kind and size:

- five releases of qiskit, 22 MB of Rust: near duplicates as copies and old crates have them;
- rustworkx, tokenizers and cryptography, 3 MB of Rust by other hands;
- the manual of openai-agents, 2 MB of Markdown. Its translations opt out of training here, so that
  as large a share does as upstream (56 % of the bytes);
- every fourth page of the sample, so that there are about as many Vox programs to judge as upstream
  (64 on 743 pages); of the sample's Rust all.
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

#: One page in so many of the sample.
SAMPLE_PAGES = 4
TRANSLATIONS = ("ja", "ko", "zh")


class InputError(Exception):
    """An input that cannot be had; the message is one clear line."""


@dataclass(frozen=True)
class Package:
    """A source distribution and the folders of it that are read."""

    name: str
    version: str
    sha256: str
    #: Patterns of the folders that become a crate each.
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
    """A source tree (`crates/`, `docs/src/`) below `target`; archives are kept in `cache`.

    Raises InputError.
    """
    for package in PACKAGES:
        archive = _archive(package, cache)
        with tempfile.TemporaryDirectory() as name, tarfile.open(archive) as content:
            content.extractall(name, filter="data")
            (top,) = Path(name).iterdir()
            for crate in (found for pattern in package.rust for found in top.glob(pattern)):
                if crate.is_dir():
                    shutil.copytree(crate, target / "crates" / f"{package.label}-{crate.name}")
            if package.docs:
                _pages(top / package.docs, target / "docs" / "src" / package.name)
    for crate in (SAMPLE_WORKSPACE / "crates").iterdir():
        shutil.copytree(crate, target / "crates" / crate.name)
    sample = SAMPLE_WORKSPACE / "docs" / "src"
    for page in sorted(sample.rglob("*.md"))[::SAMPLE_PAGES]:
        copy = target / "docs" / "src" / "sample" / page.relative_to(sample)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, copy)
    return target


def _pages(source: Path, target: Path) -> None:
    for page in sorted(source.rglob("*.md")):
        place = page.relative_to(source)
        text = page.read_text(encoding="utf-8")
        if place.parts[0] in TRANSLATIONS:
            head = "---\ntraining_eligible: false\n"
            text = head + text[len("---\n") :] if text.startswith("---\n") else f"{head}---\n{text}"
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        (target / place).write_text(text, encoding="utf-8")


def _archive(package: Package, cache: Path) -> Path:
    """The package's archive in `cache`, fetched by pip where it is not there or is damaged."""
    kept = cache / f"{package.label}.tar.gz"
    if kept.is_file() and file_sha256(kept) == package.sha256:
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        wanted = Path(folder, "requirements.txt")
        pin = f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n"
        wanted.write_text(pin, encoding="utf-8")
        # pip verifies the digest before it runs anything of the package's build.
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        fetch += ["--no-binary", package.name, "--require-hashes", "--dest", folder]
        done = subprocess.run(
            [*fetch, "--requirement", str(wanted)], capture_output=True, text=True, check=False
        )
        fetched = list(Path(folder).glob("*.tar.gz"))
        if done.returncode or len(fetched) != 1:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            why = said[-1].removeprefix("ERROR: ") if said else f"exit code {done.returncode}"
            raise InputError(
                f"the source distribution of {package.label} cannot be had by pip, "
                f"and {kept} is not there: {why}"
            )
        fetched[0].replace(kept)
    return kept
