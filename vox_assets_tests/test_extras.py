"""The commands on files run without the libraries of the extras; the others name their extra."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from vox_assets import extras
from vox_assets.extras import EXTRAS

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

#: Runs commands, given as JSON, where no module of an extra can be imported: prints exit codes.
WITHOUT_EXTRAS = """
import json, sys
from importlib.abc import MetaPathFinder
from vox_assets.extras import EXTRAS

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if any(name.partition(".")[0] in modules for modules in EXTRAS.values()):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from vox_assets.cli import main
print(json.dumps([main(arguments) for arguments in json.loads(sys.argv[1])]))
"""


def run_without_extras(folder: Path, *lines: list[str], **settings: str) -> tuple[list[int], str]:
    """Run commands in one process without the extras; return their exit codes and the errors."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS, json.dumps(lines)],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "", "VOX_DATA_DIR": str(folder), **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@cache
def owners() -> Mapping[str, list[str]]:
    """Return the distributions that own each importable module of this environment."""
    return packages_distributions()


def distributions(extra: str) -> set[str]:
    """Return the names of the distributions of an extra, and of the extras that it includes."""
    names: set[str] = set()
    for line in PROJECT["optional-dependencies"][extra]:
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            names = names.union(*map(distributions, requirement.extras))
        else:
            names.add(requirement.name)
    return names


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_modules_of_an_extra_are_those_of_its_distributions(extra: str) -> None:
    named = {owners()[module][0].lower().replace("_", "-") for module in EXTRAS[extra]}
    included = distributions("pipeline") if extra == "postgres" else set()
    assert named == distributions(extra) - included


def test_the_extra_all_includes_every_extra() -> None:
    assert distributions("all") == set().union(*map(distributions, EXTRAS))
    assert distributions("all") < distributions("dev")


def test_the_commands_on_files_need_no_extra(small_tree: Path, tmp_path: Path) -> None:
    codes, errors = run_without_extras(
        tmp_path,
        ["extract", "docs", str(small_tree), "rows.jsonl", "--profile", "sample"],
        ["dedup", "rows.jsonl", "unique.jsonl"],
        ["score", "unique.jsonl", "scored.jsonl"],
        ["check-vox", str(next(small_tree.rglob("*.vox")))],
        ["status"],
        ["cache"],
        ["init", str(small_tree), "--out", "mine.yaml"],
    )
    assert codes == [0] * 7, errors
    assert "rows that say the same in other words are not found" in errors
    assert "not measured without models, their means count: alignment, " in errors
    scored = [json.loads(line) for line in (tmp_path / "scored.jsonl").read_text().splitlines()]
    assert sum(row["kept"] for row in scored) > len(scored) / 2
    for name in ("alignment", "neighbour_distance", "surprise", "perplexity"):
        assert {row[name] for row in scored} == {None}


def test_a_command_without_its_extra_names_the_command_to_type(tmp_path: Path) -> None:
    lines = {
        "models": ["calibrate", "7", "rows.jsonl", "--out", "weights.json"],
        "train": ["ask", "Write a program."],
        "pipeline": ["explain", "abc"],
        "pipeline,report,models": ["build", "corpus"],
        "pipeline,report,train": ["build", "rebuild"],
        "pipeline,train": ["verify", "abc"],
    }
    codes, errors = run_without_extras(tmp_path, *lines.values())
    assert codes == [1] * len(lines)
    assert errors.splitlines() == [
        f"vox-assets: libraries of this command are not installed: type pip install "
        f"'vox-assets[{extra}]'"
        for extra in lines
    ]


@pytest.mark.parametrize(
    ("variable", "value", "extra"),
    [
        ("RAY_ADDRESS", "localhost:6379", "ray"),
        ("VOX_ALERT_URLS", "json://localhost", "pipeline"),
    ],
)
def test_a_setting_without_its_extra_names_the_command_to_type(
    tmp_path: Path, variable: str, value: str, extra: str
) -> None:
    codes, errors = run_without_extras(tmp_path, ["cache"], **{variable: value})
    assert codes == [1]
    (line,) = errors.splitlines()
    assert line.endswith(f"is not installed: type pip install 'vox-assets[{extra}]'")


def test_a_module_of_no_extra_is_not_explained() -> None:
    assert extras.explain(ModuleNotFoundError("No module named 'nowhere'", name="nowhere")) is None
