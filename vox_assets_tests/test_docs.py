"""The commands of the operations page run as they are, and the pages say what the code says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from vox_assets.cli import _parser
from vox_assets_tests.receiver import receiving

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
TROUBLES = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
#: A block of commands, with the comment that excludes it from the tests.
BLOCK = re.compile(r"(<!-- needs a deployment: [^>]+ -->\n)?```sh\n(.*?)```", re.DOTALL)
#: Programs whose commands count as commands in running text.
COMMAND = re.compile(r"`((?:make|vox-assets|dagster|pip) [a-z][^`]*)`")


def commands(marked: bool) -> list[str]:
    """Return the command lines of the blocks that are marked, or of the others."""
    blocks = [block for mark, block in BLOCK.findall(OPERATIONS) if bool(mark) is marked]
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def has_valid_arguments(line: str) -> bool:
    """Return whether the program of a command accepts its arguments."""
    words = shlex.split(line)
    if words[0] == "vox-assets":
        return bool(_parser().parse_args(words[1:]))
    if words[0] == "make":
        makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
        return all(re.search(rf"^{word}:", makefile, re.MULTILINE) for word in words[1:2])
    return True


def test_every_command_in_the_text_is_in_a_block() -> None:
    listed = [*commands(marked=False), *commands(marked=True)]
    for command in COMMAND.findall(OPERATIONS):
        assert any(line.startswith(command) for line in listed), command


@pytest.mark.parametrize("line", commands(marked=True))
def test_commands_of_a_deployment_have_valid_arguments(line: str) -> None:
    assert has_valid_arguments(line)


@pytest.mark.parametrize("line", commands(marked=False))
def test_commands_run_as_they_are(line: str, tmp_path: Path) -> None:
    if line.startswith("make ") and not (Path(sys.prefix) / ".ready").exists():
        pytest.skip("this environment was not set up by make")
    with receiving() as receiver:
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=REPOSITORY,
            env={
                **kept,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "VOX_DATA_DIR": str(tmp_path),
                "VOX_ALERT_URLS": receiver.url,
                # The environment of this test, where make would otherwise make another.
                "MAKEFLAGS": f"VENV={sys.prefix} --old-file={sys.prefix}/.ready",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "path",
    [REPOSITORY / "Makefile", REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))],
    ids=lambda path: path.name,
)
def test_extras_keep_the_editable_install(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        if "pip install" in line and ".[" in line:
            assert "--editable" in line, line


def source() -> str:
    """Return the text of the package, with strings over several lines as one."""
    files = sorted((REPOSITORY / "vox_assets").rglob("*.py"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return re.sub(r'"\s*\n\s*f?"', "", text)


def test_the_messages_of_the_troubleshooting_page_exist() -> None:
    text = source()
    symptoms = re.findall(r"^\| (.*?) \|", TROUBLES, re.MULTILINE)
    pieces = [
        piece
        for symptom in symptoms
        for quoted in re.findall(r"`([^`]+)`", symptom)
        for piece in re.findall(r"[a-z][a-z ,]{8,}[a-z]", quoted)
        if " " in piece
    ]
    assert len(pieces) > 10
    assert [piece for piece in pieces if piece not in text] == []


def test_the_commands_of_the_troubleshooting_page_have_valid_arguments() -> None:
    found = re.findall(r"`((?:make|vox-assets) [a-z][^`]*)`", TROUBLES)
    assert len(found) > 10
    for command in found:
        assert has_valid_arguments(command)


def test_every_page_is_linked_from_the_readme_or_another_page() -> None:
    pages = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *DOCS.glob("*.md")]
    linked = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert [
        page.name for page in DOCS.glob("*.md") if not re.search(rf"{page.name}[)#]", linked)
    ] == []
