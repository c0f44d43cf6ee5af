"""The wheel holds what the package needs and works where nothing else is."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
DATA = (
    "vox_assets/py.typed",
    "vox_assets/profiles/vox.yaml",
    "vox_assets/profiles/sample.yaml",
    "vox_assets/vox_syntax/grammar.lark",
    "vox_assets/curate/calibration.json",
    "vox_assets/publish/report.html.j2",
    "vox_assets/synthesize/vox/lexicon/trade.yaml",
    "vox_assets/synthesize/vox/templates/tables.vox.j2",
    "vox_assets/synthesize/vox/templates/dialogues/money.vox.j2",
)


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=True
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    # A copy: a build leaves folders beside the sources.
    files = run("git", "ls-files", "vox_assets", cwd=REPOSITORY).stdout.splitlines()
    for name in [*files, "pyproject.toml", "README.md", "LICENSE"]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((REPOSITORY / name).read_bytes())
    build = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(*build, "--wheel-dir", folder, source, cwd=folder)
    return next(folder.glob("*.whl"))


@pytest.mark.parametrize("name", DATA)
def test_the_wheel_holds_what_modules_read(wheel: Path, name: str) -> None:
    assert name in zipfile.ZipFile(wheel).namelist()


def test_the_installed_wheel_judges_a_program(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "env"
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=tmp_path)
    python = home / "bin" / "python"
    (site,) = home.glob("lib/python3*/site-packages")
    # The libraries of the tests' environment, without the editable install of this package.
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site)
    run(*pip, wheel, cwd=tmp_path)
    (site / "libraries.pth").write_text(libraries + "\n")
    (tmp_path / "a.vox").write_text("fn a() to int {\n    return 1\n}\n")
    where = run(python, "-c", "import vox_assets; print(vox_assets.__file__)", cwd=tmp_path)
    assert where.stdout.startswith(str(site))
    shown = run(python, "-m", "vox_assets.cli", "--version", cwd=tmp_path)
    assert shown.stdout.startswith("vox-assets ")
    run(python, "-m", "vox_assets.cli", "check-vox", "a.vox", cwd=tmp_path)
