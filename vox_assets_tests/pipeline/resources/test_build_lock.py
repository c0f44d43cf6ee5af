"""A build that waits for the build lock ends when it is terminated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from vox_assets.pipeline.resources.build_lock import LOCK
from vox_assets.store.files import exclusive, is_held

#: Longer than a build needs to load its code and to end.
TIMEOUT_SECONDS = 120


def test_a_build_that_is_terminated_while_it_waits_for_the_lock_ends(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "tree" / "crates").mkdir(parents=True)
    with exclusive(tmp_path / "data" / LOCK):
        build = subprocess.Popen(
            [sys.executable, "-m", "vox_assets.cli", "build", "corpus"],
            env={
                **os.environ,
                "DAGSTER_HOME": str(tmp_path / "home"),
                "VOX_SOURCE_DIR": str(tmp_path / "tree"),
                "VOX_DATA_DIR": str(tmp_path / "data"),
                "VOX_PROFILE": "sample",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert build.stdout is not None
        try:
            assert any("waiting for the build that holds" in line for line in build.stdout)
            build.send_signal(signal.SIGTERM)
            output, _ = build.communicate(timeout=TIMEOUT_SECONDS)
        finally:
            build.kill()
            build.wait()
    assert build.returncode != 0, output
    assert not is_held(tmp_path / "data" / LOCK)
