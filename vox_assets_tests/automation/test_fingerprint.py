"""A fingerprint follows content, and nothing but content."""

from __future__ import annotations

import os
from pathlib import Path

from vox_assets.automation.fingerprint import fingerprint


def tree(root: Path) -> Path:
    (root / "src").mkdir(parents=True)
    (root / "src" / "lib.rs").write_text("fn f() {}")
    (root / "README.md").write_text("# x")
    return root


def test_a_fresh_copy_has_the_same_fingerprint(tmp_path: Path) -> None:
    first, second = tree(tmp_path / "a"), tree(tmp_path / "b")
    os.utime(second / "README.md", (1, 1))
    assert fingerprint(first) == fingerprint(second)
    assert fingerprint(first).files == 2


def test_changed_added_moved_and_removed_files_show(tmp_path: Path) -> None:
    root = tree(tmp_path / "a")
    seen = {fingerprint(root).digest}
    for change in (
        lambda: (root / "src" / "lib.rs").write_text("fn g() {}"),
        lambda: (root / "src" / "new.rs").write_text(""),
        lambda: (root / "README.md").rename(root / "READ.md"),
        lambda: (root / "src" / "new.rs").unlink(),
    ):
        change()
        seen.add(fingerprint(root).digest)
    assert len(seen) == 5


def test_build_output_does_not_count_and_links_are_not_followed(tmp_path: Path) -> None:
    root = tree(tmp_path / "a")
    before = fingerprint(root)
    (root / "target").mkdir()
    (root / "target" / "out.rs").write_text("generated")
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "out.rs").symlink_to("/etc/hostname")
    assert fingerprint(root) == before
