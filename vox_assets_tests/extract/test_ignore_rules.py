"""Rules of `.gitignore` exclude what git excludes, in time that no pattern can blow up."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vox_assets.extract.ignore_rules import IgnoreRules

PATHS = [
    "a.rs", "b.rs", "ab.rs", "a b.rs", "a-b.rs", "#a.rs", "!a.rs", "x/a.rs", "x/b.rs", "x/y/a.rs",
    "x/y/b.rs", "x/y/z/a.rs", "y/a.rs", "1.rs", "[.rs", "]a.rs", "A.rs",
]  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "-C", str(root), "init", "-q"], check=True)
    for path in PATHS:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    yield root


def _by_git(root: Path, rules: str) -> list[str]:
    (root / ".gitignore").write_text(rules)
    command = ["git", "-C", str(root), "-c", "core.excludesFile=", "-c", "core.quotePath=false"]
    answer = subprocess.run(
        [*command, "ls-files", "-o", "-z", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted(path for path in answer.stdout.split("\0") if path in PATHS)


def _kept(rules: IgnoreRules, path: str) -> bool:
    parts = path.split("/")
    folders = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    if any(rules.verdict(folder, is_folder=True) for folder in folders):
        return False
    return not rules.verdict(path, is_folder=False)


RULES = [
    "a.rs", "/a.rs", "x/a.rs", "/x/*.rs", "x/", "y/", "/y", "*.rs\n!a.rs", "*\n!*/\n!a.rs", "x/**",
    "**/a.rs", "x/**/a.rs", "**/y/", "**", "**/", "*", "?.rs", "[ab].rs", "[!a].rs", "[^a].rs",
    "[a-b]*", "[]a]*", "\\#a.rs", "#a.rs", "\\!a.rs", "!a.rs", "a b.rs ", "a\\ b.rs", "a.rs\\", "!",
    "/", "//", "x//a.rs", "[", "[a", "[[:digit:]].rs", "[[:upper:]].rs", "[z-a].rs",
    "x/y\n!x/y/a.rs",
    "x/*\n!x/y\n", "*b.rs\r\nx", "a**.rs", "\\[.rs", "[[].rs", "**/x/**/a.rs", "x/**/z/", "*a*.rs",
    "[a-", "[-b]*", "[\\]]*", "a.rs/", "/**/a.rs", "x/y/../a.rs", "./a.rs", "***", "**a.rs",
]  # fmt: skip


@pytest.mark.parametrize("rules", RULES)
def test_rules_exclude_what_git_excludes(repository: Path, rules: str) -> None:
    parsed = IgnoreRules.parse(rules)
    assert [path for path in sorted(PATHS) if _kept(parsed, path)] == _by_git(repository, rules)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.lists(st.sampled_from("a b x y * ** / ? . rs ! [a] [!b] \\".split(" ")), max_size=6).map(
            "".join
        ),
        max_size=3,
    ).map("\n".join)
)
def test_any_rules_exclude_what_git_excludes(repository: Path, rules: str) -> None:
    parsed = IgnoreRules.parse(rules)
    assert [path for path in sorted(PATHS) if _kept(parsed, path)] == _by_git(repository, rules)


@pytest.mark.parametrize(
    "rule", ["*a" * 400 + "z", "**/" * 300 + "b", "[a-z]*" * 150 + "!", "[" * 900]
)
def test_hostile_rules_end(rule: str) -> None:
    rules = IgnoreRules.parse(f"{rule}\n" * 20)
    assert not rules.verdict("/".join(["a" * 250] * 10), is_folder=False)
