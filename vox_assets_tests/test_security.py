"""Input is never executed: neither git configuration of a tree nor YAML, pickle or model code."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

import vox_assets
from vox_assets import profiles
from vox_assets.extract import git_commit
from vox_assets.extract.docs import mdbook
from vox_assets.pipeline.automation import fingerprint

PACKAGE = Path(vox_assets.__file__).parent
#: Calls that execute their input.
FORBIDDEN_CALLS = {"eval", "exec", "compile", "os.system", "torch.load", "os.popen"}
#: `torch.load` reads tensors alone with this keyword and executes nothing.
SAFE_KEYWORD = ("torch.load", "weights_only")
FORBIDDEN_IMPORTS = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}
#: Modules that send data between processes of this program; Ray pickles that data anyway.
PICKLE_MODULES = {"compute/ray_data.py"}
FORBIDDEN_KEYWORDS = {"trust_remote_code", "shell", "allow_pickle"}


def test_no_module_calls_a_function_that_executes_data() -> None:
    faults = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            position = f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in FORBIDDEN_CALLS and not any(
                    (called, keyword.arg) == SAFE_KEYWORD
                    and isinstance(keyword.value, ast.Constant)
                    and keyword.value.value is True
                    for keyword in node.keywords
                ):
                    faults.append(f"{position} calls {called}")
                faults += [
                    f"{position} sets {keyword.arg}"
                    for keyword in node.keywords
                    if keyword.arg in FORBIDDEN_KEYWORDS
                    and not (
                        isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                    )
                ]
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names]
                module = getattr(node, "module", None)
                roots = {name.split(".")[0] for name in ([module] if module else names)}
                if path.relative_to(PACKAGE).as_posix() not in PICKLE_MODULES:
                    faults += [f"{position} imports {name}" for name in roots & FORBIDDEN_IMPORTS]
    assert faults == []


def test_programs_in_the_git_configuration_of_a_tree_are_not_started(tmp_path: Path) -> None:
    root, marker = tmp_path / "tree", tmp_path / "started"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    program.chmod(0o755)
    for path in ("crates/a/src/lib.rs", "docs/src/index.md"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("fn f() {}\n")
    (root / ".gitattributes").write_text("* filter=own diff=own\n")

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "one")
    for name in ("core.fsmonitor", "filter.own.clean", "filter.own.smudge", "diff.own.textconv"):
        git("config", name, str(program))
    (root / "crates/a/src/lib.rs").write_text("fn g() {}\n")
    # Verify the premise of the test: git starts the program.
    git("status")
    assert marker.exists()
    marker.unlink()

    commit = git_commit(root)
    assert commit is not None
    assert len(commit) == 40
    fingerprint.crates(root)
    fingerprint.docs(root)
    assert not marker.exists()


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!python/name:os.system"])
def test_yaml_that_names_a_program_is_refused(tmp_path: Path, tag: str) -> None:
    marker = tmp_path / "started"
    page = f"---\ntitle: {tag} ['touch {marker}']\n---\n# Page\n"
    assert mdbook.read_page(page).front_matter.opted_out is not None
    profile = tmp_path / "own.yaml"
    profile.write_text(f"name: {tag} ['touch {marker}']\n")
    with pytest.raises(profiles.ProfileError, match="YAML"):
        profiles.load(str(profile))
    assert not marker.exists()
