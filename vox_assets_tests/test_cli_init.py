"""`init` writes a profile for a project that has none, and `doctor` says what it reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vox_assets.cli import main

PAGE = "The harbour master writes down every boat that leaves, with the hour and the crew. " * 3
CODE = "let a = level();\nshow(a)"


pytestmark = pytest.mark.usefixtures("own_data_dir")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Build a single crate with a README and one page."""
    root = tmp_path / "sea-map"
    files = {
        "Cargo.toml": '[package]\nname = "sea-map"\n',
        "src/lib.rs": "/// Says how high the water stands.\npub fn level() -> u8 {\n    3\n}\n",
        "README.md": f"# Sea Map\n\n{PAGE}\n\n```rust\n# hidden();\n{CODE}\n```\n",
        "docs/old.md": f"---\nstatus: deprecated\n---\n# Old\n\n{PAGE} Old.\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_new_project_gets_a_profile_and_its_rows(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile, out = str(tmp_path / "mine.yaml"), tmp_path / "docs.jsonl"
    assert main(["init", str(project), "--out", profile]) == 0
    assert f"next: vox-assets doctor {project} --profile {profile}" in capsys.readouterr().out
    assert main(["extract", "docs", str(project), str(out), "--profile", profile]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert {row["task_family"] for row in rows} == {"docs_qa", "docs_code"}
    assert all("Sea Map" in row["prompt"] for row in rows)
    assert [row["response"] for row in rows if row["language"] == "rust"] == [CODE]


def test_init_overwrites_nothing(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.yaml"
    out.write_text("mine")
    assert main(["init", str(project), "--out", str(out)]) == 1
    assert capsys.readouterr().err == (
        f"vox-assets: {out}: exists already: expected the name of a new file\n"
    )
    assert out.read_text() == "mine"


@pytest.mark.parametrize(
    ("source", "out", "message"),
    [
        ("nowhere", "a.yaml", "nowhere: no such folder; expected the root of a project"),
        ("empty", "a.yaml", "empty: neither a Cargo.toml with Rust code nor Markdown: expected"),
        ("sea-map", "a.txt", "a.txt: expected a name that ends in .yaml"),
        ("sea-map", "no/a.yaml", "no does not exist: expected a folder that exists"),
    ],
)
def test_init_names_what_is_wrong_and_writes_nothing(
    project: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    out: str,
    message: str,
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["init", source, "--out", out]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not Path(out).exists()


def test_doctor_says_what_is_refused_and_that_the_rows_are_too_few(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = str(tmp_path / "mine.yaml")
    main(["init", str(project), "--out", profile])
    capsys.readouterr()
    assert main(["doctor", str(project), "--profile", profile]) == 1
    printed = capsys.readouterr().out
    assert "1  status: deprecated" in printed
    assert "vox_codegen has 2 distinct rows, tier 'style' needs 400" in printed


def test_doctor_counts_the_rows_that_extract_writes(
    small_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = [str(small_tree), "--profile", "sample"]
    code = main(["doctor", *tree, "--json"])
    content = json.loads(capsys.readouterr().out)
    for kind in ("rust", "docs"):
        out = tmp_path / f"{kind}.jsonl"
        main(["extract", kind, tree[0], str(out), *tree[1:]])
        assert content["sources"][kind]["rows"] == len(out.read_text().splitlines())
    assert sum(content["rows_by_lane"].values()) == sum(
        source["rows"] for source in content["sources"].values()
    )
    assert code == (not content["enough"])


def test_doctor_names_a_front_end_that_cannot_be_used(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "mine.yaml"
    main(["init", str(project), "--out", str(profile)])
    text = profile.read_text().replace(
        "frontend: {grammar: tree_sitter_rust}", "frontend: {command: [nowhere], extension: .rs}"
    )
    profile.write_text(text)
    capsys.readouterr()
    assert main(["doctor", str(project), "--profile", str(profile)]) == 1
    assert "frontend: nowhere was not found on the path" in capsys.readouterr().err
