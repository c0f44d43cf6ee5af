"""Adapters are listed with their figures, and named by the first characters of their digests."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from vox_assets.cli import main
from vox_assets.cli.ids import UsageError, full_id
from vox_assets.training import promote
from vox_assets.training.adapter import manifest as manifest_module
from vox_assets.training.plan.spec import TrainingSpec
from vox_assets_tests.small_corpus import judged


@pytest.fixture
def root(tmp_path: Path, trained: TrainingSpec, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a good adapter, one without an evaluation and a damaged one; return their folder."""
    monkeypatch.setenv("VOX_DATA_DIR", str(tmp_path))
    root = tmp_path / "adapters"
    for digest in ("ab12", "ab34", "cd56"):
        shutil.copytree(trained.adapter_dir, root / digest)
        content = manifest_module.read_manifest(root / digest) | {"digest": digest}
        if digest != "ab34":
            content["evaluation"] = judged(*[0.69, 0.7, 0.71] * 4)
        manifest_module.write_manifest(root / digest, content)
    (root / "cd56" / "README.md").write_text("other")
    return root


def test_adapters_lists_those_that_may_be_promoted_and_why_the_others_may_not(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", "ab12"]) == 0
    capsys.readouterr()
    assert main(["adapters"]) == 0
    printed = capsys.readouterr()
    [header, line] = printed.out.splitlines()
    assert header.split()[:3] == ["adapter", "loss", "ratio"]
    assert line.split()[:2] == ["ab12", "0.700"]
    assert line.endswith("vox_codegen (promoted)")
    assert "ab34: may not be promoted: is not evaluated" in printed.err
    assert "cd56: may not be promoted: is damaged" in printed.err


def test_adapters_prints_all_adapters_as_json(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adapters", "--json"]) == 0
    first, second, third = json.loads(capsys.readouterr().out)
    assert (first["digest"], first["obstacle"], first["promoted"]) == ("ab12", None, False)
    assert first["loss_ratio"]["value"] == pytest.approx(0.7)
    assert first["lanes"] == ["vox_codegen"]
    assert second["obstacle"] == "is not evaluated"
    assert second["loss_ratio"] is None
    assert third["obstacle"].startswith("is damaged")


def test_without_adapters_the_list_is_empty_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOX_DATA_DIR", str(tmp_path / "data"))
    assert main(["adapters"]) == 0
    assert "has no adapter to promote" in capsys.readouterr().out
    assert main(["adapters", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["promote", "ab12"]) == 1
    assert not (tmp_path / "data").exists()


def test_promote_takes_the_first_characters_of_a_digest(root: Path) -> None:
    assert main(["promote", "ab1"]) == 0
    assert (promote.current(root) or {})["digest"] == "ab12"


@pytest.mark.parametrize("command", ["promote", "verify"])
def test_characters_that_several_digests_start_with_are_refused(
    root: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "ab"]) == 1
    expected = "ab: 2 adapters start with it: expected more characters of one of ab12, ab34"
    assert expected in capsys.readouterr().err
    assert main([command, ""]) == 1
    assert "is empty" in capsys.readouterr().err
    assert promote.current(root) is None


def test_verify_takes_the_first_characters_of_a_digest(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "cd"]) == 1
    assert capsys.readouterr().out.startswith("cd56: ")


@pytest.mark.parametrize("content", ["{", "[1]", "7", "null"])
def test_a_damaged_record_of_the_promotion_is_reported_in_one_line(
    root: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "promoted.json").write_text(content)
    for command in (["promote", "ab12"], ["adapters"], ["status"]):
        assert main(command) == 1
        message = capsys.readouterr().err
        assert "promoted.json cannot be read" in message
        assert len(message.splitlines()) == 1


def test_a_complete_id_stands_for_itself_even_where_a_longer_id_starts_with_it() -> None:
    assert full_id("ab", ["ab", "abc"], "row") == "ab"
    assert full_id("abc", ["ab", "abc", "b"], "row") == "abc"
    assert full_id("x", ["ab", "abc"], "row") == "x"


def test_the_error_for_an_ambiguous_prefix_shows_three_ids() -> None:
    with pytest.raises(UsageError, match=r"^a: 1,000 rows start with it: .*a0, a1, a10, \.\.\.$"):
        full_id("a", [f"a{number}" for number in range(1000)], "row")
