"""`ask` answers with an adapter or the base, and refuses models and prompts that cannot answer."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import pytest

from vox_assets.cli import ask, main
from vox_assets.cli.ids import UsageError
from vox_assets.compute.models import LocalModel, resolve_base_model
from vox_assets.contract.rows import Message
from vox_assets.training.adapter import manifest
from vox_assets.training.plan.spec import TrainingSpec
from vox_assets_tests.small_corpus import judged, untied


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory, tiny_base: LocalModel) -> Path:
    path = tmp_path_factory.mktemp("base")
    untied(tiny_base, path)
    return path


@pytest.fixture
def root(
    tmp_path: Path, trained: TrainingSpec, base_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Write an adapter of the base and one of another base; return their folder."""
    monkeypatch.setenv("VOX_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("VOX_BASE_MODEL", str(base_path))
    monkeypatch.setattr(ask, "ANSWER_TOKENS", 16)
    root = tmp_path / "adapters"
    for digest in ("ab12", "cd34"):
        shutil.copytree(trained.adapter_dir, root / digest)
        content = manifest.read_manifest(root / digest)
        content |= {"digest": digest, "evaluation": judged(*[0.69, 0.7, 0.71] * 4)}
        if digest == "ab12":
            fingerprint = resolve_base_model(str(base_path), tmp_path).fingerprint
            content["base_model"] |= {"fingerprint": fingerprint}
        manifest.write_manifest(root / digest, content)
    return root


def test_the_promoted_adapter_answers_and_the_front_end_judges(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", "ab12"]) == 0
    capsys.readouterr()
    assert main(["ask", "Add two numbers."]) == 0
    printed = capsys.readouterr()
    assert "with adapter ab12" in printed.err
    assert "not a valid Vox program: 1:" in printed.err.splitlines()[-1]
    assert "built-in grammar" in printed.err.splitlines()[-1]
    assert printed.out.endswith("\n")


def test_the_output_is_what_the_model_generates(
    root: Path, base_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vox_assets.compute.generate import generate
    from vox_assets.compute.tokens import load_tokenizer
    from vox_assets.training.evaluation.load import load_for_answers

    for arguments, directory in ((["--base"], None), (["--adapter", "ab"], root / "ab12")):
        assert main(["ask", "Add two numbers.", *arguments]) == 0
        printed = capsys.readouterr()
        model = load_for_answers(base_path, directory)
        prompt = [Message(role="user", content="Add two numbers.")]
        [answer] = generate(model, load_tokenizer(base_path), [prompt], 16)
        assert len(answer.text) > 10
        assert printed.out == f"{answer.text}\n"
        assert ("cut off" in printed.err) is not answer.ended


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Add."], "no adapter is promoted: expected --base, or --adapter with one of: ab12, cd34"),
        (["Add.", "--adapter", "ee"], "ee: no such adapter below"),
        (["Add.", "--adapter", "cd34"], "cannot answer: it was trained on tests/tiny-llama"),
        ([" ", "--base"], "PROMPT is empty"),
        (["Add. " * 300, "--base"], "tokens: expected at most 496"),
        (["Add.", "--base", "--file", "absent.vox"], "absent.vox"),
    ],
)
def test_what_cannot_answer_is_refused_in_one_line(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["ask", *arguments]) == 1
    printed = capsys.readouterr()
    assert message in printed.err.splitlines()[-1]
    assert printed.out == ""


def test_a_damaged_adapter_does_not_answer(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "ab12" / "README.md").write_text("other")
    assert main(["ask", "Add.", "--adapter", "ab12"]) == 1
    assert "adapter ab12 cannot answer: it is damaged: README.md" in capsys.readouterr().err


def test_a_file_is_added_as_a_code_block_longer_than_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "add.vox"
    program.write_text("fn add(a: int) to int { return a }\n")
    block = "```vox\nfn add(a: int) to int { return a }\n```"
    assert ask._prompt("Test this:", program) == f"Test this:\n\n{block}"
    page = tmp_path / "page.md"
    page.write_text(block)
    assert ask._prompt("Explain:", page) == f"Explain:\n\n````markdown\n{block}\n````"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(program.read_bytes())))
    assert ask._prompt("Test this:", Path("-")).endswith(block)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="cannot be read as text in UTF-8"):
        ask._prompt("Explain:", tmp_path / "binary")
    with pytest.raises(UsageError, match="PROMPT cannot be read"):
        ask._prompt("\udcff", None)
