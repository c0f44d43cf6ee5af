"""Tests that a fingerprint covers the content of the files that extraction reads, and no more."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
import yaml

from vox_assets import profiles
from vox_assets.extract import SourceError
from vox_assets.pipeline.automation import fingerprint
from vox_assets.settings import Settings, load_settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for path, text in {
        "crates/a/src/lib.rs": "fn f() {}",
        "crates/a/README.md": "# a",
        "docs/src/index.md": "{{#include ../../examples/outer.md}}\n{{#include /etc/hostname}}\n",
        "examples/outer.md": "{{#include inner.vox}}",
        "examples/inner.vox": "fn a() to int { return 1 }",
        "examples/unused.vox": "fn b() to int { return 1 }",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def test_a_fresh_copy_has_the_same_fingerprint(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    os.utime(copy / "crates/a/README.md", (1, 1))
    assert fingerprint.crates(copy) == fingerprint.crates(root)
    assert fingerprint.docs(copy) == fingerprint.docs(root)
    assert fingerprint.crates(root).files == 2


def test_changed_added_moved_and_removed_files_change_the_digest(root: Path) -> None:
    seen = {fingerprint.crates(root).digest}
    for change in (
        lambda: (root / "crates/a/src/lib.rs").write_text("fn g() {}"),
        lambda: (root / "crates/a/src/new.rs").write_text(""),
        lambda: (root / "crates/a/README.md").rename(root / "crates/a/READ.md"),
        lambda: (root / "crates/a/src/new.rs").unlink(),
    ):
        change()
        seen.add(fingerprint.crates(root).digest)
    assert len(seen) == 5


def test_build_output_does_not_count_and_links_are_not_followed(root: Path) -> None:
    (root / "crates/a/Cargo.toml").write_text("")
    (root / "crates/a/target").mkdir()
    (root / "crates/a/loop").symlink_to(root / "crates", target_is_directory=True)
    before = fingerprint.crates(root)
    (root / "crates/a/target/out.rs").write_text("generated")
    generated = fingerprint.crates(root)
    (root / "crates/a/target/out.rs").write_text("generated again")
    assert fingerprint.crates(root) == generated
    assert generated.files == before.files + 1


def test_included_files_count_in_any_folder_and_others_do_not(root: Path) -> None:
    before = fingerprint.docs(root)
    assert before.files == 3
    (root / "examples/unused.vox").write_text("changed")
    assert fingerprint.docs(root) == before
    (root / "examples/inner.vox").write_text("changed")
    assert fingerprint.docs(root).digest != before.digest
    # Pages with the other suffix are read too, with their includes.
    (root / "docs/src/more.markdown").write_text("{{#include ../../examples/unused.vox}}")
    assert fingerprint.docs(root).files == before.files + 2


def test_every_repository_is_watched_under_its_name(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(root, other)
    watched = settings_with(tmp_path, root, {"tree": ".", "other": "../other"})
    before = fingerprint.sources(watched)
    assert before["crates"].files == 2 * fingerprint.crates(root).files
    (other / "crates/a/src/lib.rs").write_text("fn g() {}")
    after = fingerprint.sources(watched)
    assert after["crates"].digest != before["crates"].digest
    assert after["docs"] == before["docs"]
    swapped = settings_with(tmp_path, root, {"tree": "../other", "other": "."})
    assert fingerprint.sources(swapped)["crates"].digest != after["crates"].digest


def test_a_single_root_without_a_name_has_the_fingerprint_of_its_tree(
    root: Path, tmp_path: Path
) -> None:
    fingerprints = fingerprint.sources(settings_with(tmp_path, root, {}))
    assert fingerprints["crates"] == fingerprint.crates(root)
    assert fingerprints["docs"] == fingerprint.docs(root)


def settings_with(tmp_path: Path, root: Path, repositories: dict[str, str]) -> Settings:
    """Load settings whose profile names `repositories`, by name and root."""
    content = yaml.safe_load((profiles.PROFILE_DIR / "sample.yaml").read_text())
    content["repositories"] = [{"name": k, "root": v} for k, v in repositories.items()]
    profile = tmp_path / "several.yaml"
    profile.write_text(yaml.safe_dump(content))
    return load_settings({"VOX_SOURCE_DIR": str(root), "VOX_PROFILE": str(profile)})


def test_a_missing_folder_is_refused_by_name(root: Path) -> None:
    shutil.rmtree(root / "crates")
    with pytest.raises(SourceError, match="crates"):
        fingerprint.crates(root)


def test_a_file_that_did_not_change_is_not_read_again(root: Path) -> None:
    long_ago = time.time() - 60
    for path in root.rglob("*.*"):
        os.utime(path, (long_ago, long_ago))
    opened: list[str] = []
    recording = True

    def record(event: str, arguments: tuple[object, ...]) -> None:
        if recording and event == "open" and str(arguments[0]).startswith(f"{root}/crates"):
            opened.append(str(arguments[0]))

    # The change time cannot be set, so wait until the files are old enough to be cached.
    time.sleep(2.1)
    before = fingerprint.crates(root)
    sys.addaudithook(record)
    try:
        assert fingerprint.crates(root) == before
        assert opened == []
        (root / "crates/a/src/lib.rs").write_text("fn g() {}")
        opened.clear()
        assert fingerprint.crates(root) != before
        assert opened == [str(root / "crates/a/src/lib.rs")]
    finally:
        recording = False


def test_a_file_that_just_changed_is_read_every_time(root: Path) -> None:
    path = root / "crates/a/src/lib.rs"
    status = path.stat()
    before = fingerprint.crates(root)
    path.write_text("fn g() {}")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprint.crates(root) != before
