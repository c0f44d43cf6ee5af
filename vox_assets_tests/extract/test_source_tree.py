"""The walk lists every file and gives a reason for each file that must not be read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from vox_assets.extract import source_tree
from vox_assets.extract.source_tree import SourceError, SourceFile, UnreadableError
from vox_assets_tests.extract.conftest import WriteTree


def _walk(root: Path) -> dict[str, SourceFile]:
    files = source_tree.walk(root, "crates", "a folder of Rust crates")
    assert [file.path for file in files] == sorted(file.path for file in files)
    return {file.path: file for file in files}


def _reason(file: SourceFile) -> str | None:
    return file.refused[1] if file.refused else None


def test_a_missing_folder_is_an_error_with_the_expected_content(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"crates: no such folder; expected a folder of Rust"):
        source_tree.walk(tmp_path, "crates", "a folder of Rust crates")


def test_hidden_built_and_installed_files_are_listed_and_refused(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            "crates/a/Cargo.toml": "",
            "crates/a/src/lib.rs": "",
            "crates/a/src/target/mod.rs": "",
            "crates/a/target/debug/out.rs": "",
            "crates/b/cache/CACHEDIR.TAG": "Signature",
            "crates/b/cache/x/y.rs": "",
            "crates/a/node_modules/p/index.rs": "",
            "crates/a/.hidden/z.rs": "",
        }
    )
    reasons = {path: _reason(file) for path, file in _walk(root).items()}
    assert reasons == {
        "crates/a/.hidden/z.rs": "hidden",
        "crates/a/Cargo.toml": None,
        "crates/a/node_modules/p/index.rs": "installed packages",
        "crates/a/src/lib.rs": None,
        # A module may be called target; only a folder beside a manifest is build output.
        "crates/a/src/target/mod.rs": None,
        "crates/a/target/debug/out.rs": "build output",
        "crates/b/cache/CACHEDIR.TAG": "build output",
        "crates/b/cache/x/y.rs": "build output",
    }


def test_links_are_followed_neither_out_of_the_root_nor_in_cycles(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            "crates/a/src/lib.rs": "fn a() {}",
            "shared/s.rs": "fn s() {}",
            "shared/deep/t.rs": "fn t() {}",
        }
    )
    outside = root.parent / "secret.rs"
    outside.write_text("fn secret() {}")
    links = {
        "crates/out.rs": outside,
        "crates/up": root,
        "crates/loop": root / "crates",
        "crates/again": root / "crates" / "a",
        "crates/shared": root / "shared",
        "crates/shared_again": root / "shared",
        "shared/deep/back": root / "shared",
        "crates/nowhere": root / "nothing",
        "crates/self": root / "crates" / "self",
        "crates/one.rs": root / "shared" / "s.rs",
    }
    for path, target in links.items():
        (root / path).symlink_to(target)
    reasons = {path: _reason(file) for path, file in _walk(root).items()}
    assert reasons["crates/out.rs"] == "a link out of the source root"
    assert reasons["crates/up"] == "a link to a folder that contains it"
    assert reasons["crates/loop"] == "a link to files that are listed under their own path"
    assert reasons["crates/again"] == "a link to files that are listed under their own path"
    assert reasons["crates/nowhere"] == "a broken link"
    assert reasons["crates/self"] == "a broken link"
    # Links to other folders inside the root are followed, each folder once, by its first name.
    assert reasons["crates/one.rs"] is None
    paths = [path for path in reasons if path.endswith("deep/t.rs")]
    assert paths == ["crates/shared/deep/t.rs"]
    assert reasons["crates/a/src/lib.rs"] is None


def test_a_path_is_read_only_inside_the_root(write_tree: WriteTree) -> None:
    root = write_tree({"docs/src/a.md": "# A", "examples/a.vox": "fn a() {}"})
    outside = root.parent / "secret.vox"
    outside.write_text("fn secret() {}")
    (root / "examples" / "link.vox").symlink_to(outside)
    (root / "examples" / "near.vox").symlink_to(root / "examples" / "a.vox")
    os.mkfifo(root / "examples" / "pipe.vox")
    for path in ("examples/a.vox", "examples/near.vox", "docs/src/../../examples/a.vox"):
        assert source_tree.read(source_tree.file_inside(root, path)) == "fn a() {}"
    assert _reason(source_tree.file_inside(root, "examples/pipe.vox")) == "not a regular file"
    for path, reason in {
        "examples/link.vox": "leads out of the source root",
        "../secret.vox": "leads out of the source root",
        str(outside): "leads out of the source root",
        "examples/none.vox": "no such file",
        "examples/\0.vox": "no such file",
    }.items():
        with pytest.raises(UnreadableError, match=reason):
            source_tree.file_inside(root, path)


def test_pipes_and_large_files_are_refused_without_reading(write_tree: WriteTree) -> None:
    root = write_tree({"crates/long.rs": b"//" + b"x" * source_tree.MAX_SOURCE_BYTES})
    os.mkfifo(root / "crates" / "pipe.rs")
    files = _walk(root)
    assert _reason(files["crates/pipe.rs"]) == "not a regular file"
    assert _reason(files["crates/long.rs"]) == "larger than 2,000,000 bytes"


def test_names_that_are_not_utf8_become_text(write_tree: WriteTree) -> None:
    root = write_tree({"crates/a.rs": ""})
    try:
        Path(os.fsdecode(os.fsencode(root / "crates") + b"/\xff.rs")).write_text("")
    except OSError:
        pytest.skip("this file system refuses such names")
    assert "crates/\\xff.rs" in _walk(root)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbfa\r\nb\r\n", "a\nb\n"),
        (b"a\rb", "a\rb"),
        ("\u00e4\u2028b\x0cc".encode(), "\u00e4\u2028b\x0cc"),
    ],
)
def test_decoding_keeps_line_numbers(data: bytes, text: str) -> None:
    assert source_tree.decode(data) == text


def test_other_encodings_are_refused_with_byte_and_offset() -> None:
    with pytest.raises(UnreadableError, match="not UTF-8: byte 0xe9 at offset 2"):
        source_tree.decode(b"caf\xe9"[1:])


@pytest.mark.parametrize("tracked", [True, False])
def test_a_root_has_a_commit_only_if_git_tracks_it(write_tree: WriteTree, tracked: bool) -> None:
    root = write_tree({"crates/a.rs": "", "README": ""})
    git = ["git", "-C", str(root.parent), "-c", "user.name=n", "-c", "user.email=e@x.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    (root.parent / "other").write_text("")
    subprocess.run([*git, "add", "root" if tracked else "other"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert source_tree.git_commit(root) == (head.stdout.strip() if tracked else None)


def test_no_commit_without_git(tmp_path: Path) -> None:
    assert source_tree.git_commit(tmp_path) is None


def test_files_that_git_ignores_are_listed_and_refused(write_tree: WriteTree) -> None:
    root = write_tree(
        {
            ".gitignore": "*.tmp.rs\n/crates/made/\n# comment\n\nout/\n!keep.tmp.rs\n",
            "crates/.gitignore": "deep/**/x.rs\n",
            "crates/a/.gitignore": "!out/\n/local.rs\nonly_folder/\n",
            "crates/a/src/lib.rs": "",
            "crates/a/src/one.tmp.rs": "",
            "crates/a/src/keep.tmp.rs": "",
            "crates/a/src/local.rs": "",
            "crates/a/local.rs": "",
            "crates/a/out/b.rs": "",
            "crates/a/only_folder": "",
            "crates/b/out/b.rs": "",
            "crates/b/deep/y/x.rs": "",
            "crates/b/src/deep/y/x.rs": "",
            "crates/made/.gitignore": "!lib.rs\n",
            "crates/made/lib.rs": "",
        }
    )
    refused = {
        path: _reason(file)
        for path, file in _walk(root).items()
        if file.refused is not None and not path.endswith(".gitignore")
    }
    assert refused == {
        "crates/a/src/one.tmp.rs": "ignored by .gitignore",
        "crates/a/local.rs": "ignored by crates/a/.gitignore",
        "crates/b/out/b.rs": "ignored by .gitignore",
        # A file in a folder that is ignored cannot be taken in again.
        "crates/made/lib.rs": "ignored by .gitignore",
    }


def test_rules_of_nested_folders_are_those_of_git(write_tree: WriteTree) -> None:
    names = [
        "a.rs",
        "b.rs",
        "x/a.rs",
        "x/b.rs",
        "x/y/a.rs",
        "x/y/c.rs",
        "build/d.rs",
        "x/build/e.rs",
    ]
    root = write_tree(
        {
            ".gitignore": "a.rs\n/crates/build\n",
            "crates/x/.gitignore": "!a.rs\n*.rs\n!y/\n!/a.rs\n",
            "crates/x/y/.gitignore": "!c.rs\n",
            **{f"crates/{name}": "" for name in names},
        }
    )
    subprocess.run(["git", "-C", str(root), "init", "-q"], check=True)
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-o", "--exclude-standard", "crates"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    kept = [path for path, file in _walk(root).items() if file.refused is None]
    assert kept == sorted(path for path in listed if path.endswith(".rs"))


def test_a_link_in_place_of_gitignore_is_not_read(write_tree: WriteTree) -> None:
    root = write_tree({"crates/a.rs": "", "rules": "*.rs"})
    (root / "crates" / ".gitignore").symlink_to(root / "rules")
    assert _reason(_walk(root)["crates/a.rs"]) is None


@pytest.mark.parametrize("rule", ["!", "\\", "a\\", "[z-a]", "[", "//", "[[:alpha:]]", "\0"])
def test_an_invalid_rule_is_passed_over(write_tree: WriteTree, rule: str) -> None:
    root = write_tree(
        {".gitignore": f"{rule}\n*.tmp.rs\n", "crates/a.rs": "", "crates/b.tmp.rs": ""}
    )
    found = {path: _reason(file) for path, file in _walk(root).items()}
    assert found == {"crates/a.rs": None, "crates/b.tmp.rs": "ignored by .gitignore"}
