"""Tests that each progress line reaches the console once, from Dagster or from the program."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from vox_assets.training.plan.spec import EXIT_REFUSED, LAUNCH_ENV


def command(spec: Path) -> list[str]:
    return [sys.executable, "-m", "vox_assets.training.program.run", "--spec", str(spec)]


def test_without_dagster_the_program_prints_why_it_refuses(tmp_path: Path) -> None:
    process = subprocess.run(
        command(tmp_path / "nowhere.json"),
        env={**os.environ, **LAUNCH_ENV},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.returncode == EXIT_REFUSED
    assert process.stderr.count("refused: ") == 1


def test_under_dagster_the_log_has_the_line_and_the_program_does_not_print_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    @dg.asset
    def qlora_adapter(context: dg.AssetExecutionContext) -> None:
        dg.PipesSubprocessClient().run(
            command=command(tmp_path / "nowhere.json"), env=dict(LAUNCH_ENV), context=context
        )

    with dg.instance_for_test() as instance:
        result = dg.materialize([qlora_adapter], instance=instance, raise_on_error=False)
        log = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert sum(line.startswith("refused: ") for line in log) == 1
    # Dagster's console logger prints the line.
    assert capfd.readouterr().err.count("refused: ") == 1
