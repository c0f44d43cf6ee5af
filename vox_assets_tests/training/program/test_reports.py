"""Lines of a training go to the console once: by Dagster where it listens, else by the program."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from vox_assets.training.plan.spec import EXIT_REFUSED, LAUNCH_ENV


def program(spec: Path) -> list[str]:
    return [sys.executable, "-m", "vox_assets.training.program.run", "--spec", str(spec)]


def test_a_program_of_its_own_prints_why_it_refuses(tmp_path: Path) -> None:
    done = subprocess.run(
        program(tmp_path / "nowhere.json"),
        env={**os.environ, **LAUNCH_ENV},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == EXIT_REFUSED
    assert done.stderr.count("refused: ") == 1


def test_under_dagster_the_run_s_log_has_the_line_and_the_program_prints_none(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    @dg.asset
    def qlora_adapter(context: dg.AssetExecutionContext) -> None:
        dg.PipesSubprocessClient().run(
            command=program(tmp_path / "nowhere.json"), env=dict(LAUNCH_ENV), context=context
        )

    with dg.instance_for_test() as instance:
        result = dg.materialize([qlora_adapter], instance=instance, raise_on_error=False)
        log = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert sum(line.startswith("refused: ") for line in log) == 1
    # One line by Dagster's console logger.
    assert capfd.readouterr().err.count("refused: ") == 1
