"""The launcher of accelerate starts one process per card."""

from __future__ import annotations

from pathlib import Path

import pytest

from vox_assets.training.plan.spec import launch_command


@pytest.mark.parametrize(("processes", "cpu"), [(1, True), (1, False), (4, False)])
def test_the_launcher_starts_one_process_per_card(processes: int, cpu: bool) -> None:
    from accelerate.commands.launch import launch_command_parser

    command = launch_command(Path("spec.json"), processes, cpu)
    # After the interpreter, `-m` and the name of the launcher.
    read = launch_command_parser().parse_args(command[3:])
    assert (read.num_processes, read.num_machines) == (processes, 1)
    assert (read.cpu, read.multi_gpu) == (cpu, processes > 1)
    assert read.module and read.training_script == "vox_assets.training.program.run"
    assert read.training_script_args == ["--spec", "spec.json"]
