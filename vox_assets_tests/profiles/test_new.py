"""The first profile of a project loads, whatever the project is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from vox_assets import profiles
from vox_assets.profiles.new import hub_licence, new_profile


def written(folder: Path, project: str, language: str, frontend: str) -> profiles.Profile:
    path = folder / "new.yaml"
    text = new_profile(project, language, frontend, "MIT", ("src",), ("README.md",), 9)
    path.write_text(text, encoding="utf-8")
    return profiles.load(str(path))


@pytest.mark.parametrize(
    ("project", "name"),
    [
        ("Sea Map", "sea-map"),
        ('a: "b" # c', "a-b-c"),
        ("two\nlines", "two-lines"),
        ("日本", "project"),
    ],
)
def test_the_name_of_a_project_may_hold_any_sign(tmp_path: Path, project: str, name: str) -> None:
    profile = written(tmp_path, project, "rust", "{grammar: tree_sitter_rust}")
    assert profile.name == name
    assert profile.project == " ".join(project.split())
    assert profile.folders == profiles.Folders(rust=("src",), docs=("README.md",))
    assert profile.license == "mit"


@pytest.mark.parametrize(("language", "frontend"), [("vox", "vox"), ("koto", "none")])
def test_only_vox_has_templates_and_an_exam(tmp_path: Path, language: str, frontend: str) -> None:
    profile = written(tmp_path, "a", language, frontend)
    assert bool(profile.synthesis.programs) is bool(profile.exam.tasks) is (language == "vox")


@pytest.mark.parametrize(
    ("expression", "identifier"),
    [
        ("MIT OR Apache-2.0", "mit"),
        ("(Apache-2.0 WITH LLVM-exception)", "apache-2.0"),
        ("GPL-3.0-only", "gpl-3.0"),
        ("LicenseRef-own", "other"),
        ("", "other"),
    ],
)
def test_the_licence_is_an_identifier_of_the_hub(expression: str, identifier: str) -> None:
    assert hub_licence(expression) == identifier
