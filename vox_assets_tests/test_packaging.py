"""The wheel contains every file of the package, and its commands run outside the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PROJECT_FILES = ("pyproject.toml", "README.md", "LICENSE")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command, require exit code 0, and return its standard output."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the sources, because a build creates folders next to them."""
    root = tmp_path_factory.mktemp("source")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "vox_assets", root / "vox_assets", ignore=ignored)
    for name in PROJECT_FILES:
        shutil.copyfile(REPOSITORY / name, root / name)
    return root


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(*build, "--wheel-dir", folder, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in a new environment that sees the tests' libraries; return its `bin`."""
    home = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    python = home / "bin" / "python"
    install = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps")
    run(*install, wheel, cwd=home)
    (packages,) = home.glob("lib/python3*/site-packages")
    # Python searches a folder that a .pth file names, but reads no .pth files in it, so the
    # editable install of this package stays hidden.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def test_the_wheel_contains_every_file_of_the_package(source: Path, wheel: Path) -> None:
    expected = {
        path.relative_to(source).as_posix()
        for path in (source / "vox_assets").rglob("*")
        if path.is_file()
    }
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected
    assert "vox_assets/py.typed" in names


def test_the_new_environment_imports_the_package_of_the_wheel(
    commands: Path, tmp_path: Path
) -> None:
    python = commands / "python"
    printed = run(python, "-c", "import vox_assets; print(vox_assets.__file__)", cwd=tmp_path)
    assert Path(printed.strip()).is_relative_to(commands.parent)


def test_the_command_prints_its_version(commands: Path, tmp_path: Path) -> None:
    printed = run(commands / "vox-assets", "--version", cwd=tmp_path)
    assert printed == f"vox-assets {version('vox-assets')}\n"


def test_the_wheel_writes_the_configuration_of_the_dagster_instance(
    commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DAGSTER_HOME", "DAGSTER_POSTGRES_URL", "VOX_DATA_DIR", "VOX_SOURCE_DIR"):
        monkeypatch.delenv(name, raising=False)
    module = "vox_assets.pipeline.automation.instance"
    printed = run(commands / "python", "-m", module, cwd=tmp_path)
    home = Path(printed.strip())
    assert home == tmp_path / "data" / "dagster"
    packaged = REPOSITORY / "vox_assets" / "pipeline" / "automation" / "dagster.yaml"
    assert (home / "dagster.yaml").read_bytes() == packaged.read_bytes()


def test_the_command_checks_a_program_in_any_folder(commands: Path, tmp_path: Path) -> None:
    (tmp_path / "a.vox").write_text("fn a() to int {\n    return 1\n}\n")
    run(commands / "vox-assets", "check-vox", "a.vox", cwd=tmp_path)
