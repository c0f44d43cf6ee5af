"""Two processes train as one does, and none waits for the other when one of them stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.profiles import Profile
from vox_assets.training.adapter import layout
from vox_assets.training.adapter.manifest import read_manifest
from vox_assets.training.plan.spec import (
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    LAUNCH_ENV,
    TrainingSpec,
)
from vox_assets_tests.small_corpus import shaped, written_spec

pytestmark = pytest.mark.slow

#: Starts the program with a clock that runs so many times as fast as that of the other process.
WITH_CLOCK = (
    "import sys, time; real = time.monotonic; start = real(); "
    "time.monotonic = lambda: start + {factor} * (real() - start); "
    "from vox_assets.training.program.run import main; sys.exit(main(sys.argv[1:]))"
)


def start(spec_path: Path, clocks: tuple[int, ...] = (1, 1)) -> list[subprocess.Popen[str]]:
    """Start one process per rank, as a launcher does, but without one that ends the others."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(len(clocks))}
    return [
        subprocess.Popen(
            [sys.executable, "-c", WITH_CLOCK.format(factor=factor), "--spec", str(spec_path)],
            env={
                **os.environ,
                **LAUNCH_ENV,
                **group,
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "LOCAL_WORLD_SIZE": str(len(clocks)),
                "OMP_NUM_THREADS": "1",
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, factor in enumerate(clocks)
    ]


def read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"the program ended before it printed {words!r}")


def ended(processes: list[subprocess.Popen[str]]) -> list[int]:
    """Wait for all processes and return their exit codes; a process that hangs fails the test."""
    codes = []
    for process in processes:
        try:
            process.communicate(timeout=180)
        except subprocess.TimeoutExpired:
            for other in processes:
                other.kill()
            raise
        codes.append(process.returncode)
    return codes


@pytest.fixture
def long_spec(
    tmp_path: Path, tiny_base: LocalModel, mixed: pl.DataFrame, profile: Profile
) -> TrainingSpec:
    """Write the spec of a training that does not end by itself within the test."""
    training: dict[str, object] = {"max_steps": 5000, "max_seconds": 600, "eval_every_steps": 5000}
    long = shaped(profile, training=training)
    ranks = tuple(tier.model_copy(update={"epochs": 5000.0}) for tier in long.ranks)
    return written_spec(tmp_path, tiny_base, mixed, long.model_copy(update={"ranks": ranks}))


def test_two_ranks_have_the_losses_and_the_weights_of_one(
    tmp_path: Path, spec: TrainingSpec
) -> None:
    import torch
    from safetensors.torch import load_file

    # Three blocks do not divide by two ranks.
    odd = replace(spec, training=spec.training.model_copy(update={"blocks_per_step": 3}))
    found = []
    for clocks in ((1,), (1, 1)):
        at = replace(odd, output_root=str(tmp_path / f"ranks-{len(clocks)}"))
        path = at.write(tmp_path / f"spec-{len(clocks)}.json")
        assert set(ended(start(path, clocks))) == {0}
        text = (at.adapter_dir / layout.CURVE).read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        found.append((lines, load_file(at.adapter_dir / layout.WEIGHTS)))
    (curve, weights), (curve_of_two, weights_of_two) = found
    assert len(curve) == len(curve_of_two)
    for line, line_of_two in zip(curve, curve_of_two, strict=True):
        for name in set(line) & {"loss", "watched_nll"}:
            assert line_of_two[name] == pytest.approx(line[name], rel=1e-3)
        assert line_of_two.get("tokens") == line.get("tokens")
    one, two = (torch.cat([v.flatten() for v in w.values()]) for w in (weights, weights_of_two))
    assert (one - two).norm() < 0.1 * one.norm()


@pytest.mark.parametrize("rank", [0, 1])
def test_an_interrupt_of_one_rank_stops_both_with_a_checkpoint(
    long_spec: TrainingSpec, tmp_path: Path, rank: int
) -> None:
    processes = start(tmp_path / "spec.json")
    read_until(processes[0], "step 2/")
    processes[rank].send_signal(signal.SIGTERM)
    assert ended(processes) == [EXIT_INTERRUPTED, EXIT_INTERRUPTED]
    assert list((long_spec.work_dir / "checkpoints").glob("checkpoint-*"))


@pytest.mark.parametrize("rank", [0, 1])
def test_the_other_rank_ends_when_one_is_killed(
    long_spec: TrainingSpec, tmp_path: Path, rank: int
) -> None:
    processes = start(tmp_path / "spec.json")
    read_until(processes[0], "step 2/")
    processes[rank].kill()
    assert 0 not in ended(processes)
    assert not long_spec.adapter_dir.exists()


def test_ranks_with_unequal_clocks_stop_at_the_same_step(
    tmp_path: Path, tiny_base: LocalModel, mixed: pl.DataFrame, profile: Profile
) -> None:
    training: dict[str, object] = {"max_steps": 5000, "max_seconds": 20, "eval_every_steps": 7}
    short = shaped(profile, training=training)
    ranks = tuple(tier.model_copy(update={"epochs": 5000.0}) for tier in short.ranks)
    spec = written_spec(tmp_path, tiny_base, mixed, short.model_copy(update={"ranks": ranks}))
    # One rank alone would go on for 20 seconds, the other for half a second.
    assert ended(start(tmp_path / "spec.json", (1, 40))) == [0, 0]
    assert spec.adapter_dir.exists()


def test_two_ranks_stop_early_at_the_same_step(
    tmp_path: Path, tiny_base: LocalModel, mixed: pl.DataFrame, profile: Profile
) -> None:
    hasty = shaped(profile, training={"max_steps": 40, "eval_every_steps": 1, "patience": 1})
    change = {"learning_rate": 0.5, "epochs": 50.0}
    ranks = tuple(tier.model_copy(update=change) for tier in hasty.ranks)
    spec = written_spec(tmp_path, tiny_base, mixed, hasty.model_copy(update={"ranks": ranks}))
    # Each rank scores other held-out rows; the sum decides.
    assert ended(start(tmp_path / "spec.json")) == [0, 0]
    training = read_manifest(spec.adapter_dir)["training"]
    assert "has not fallen" in training["stopped_by"]
    assert training["best_step"] < training["steps"] < training["planned_steps"]


def test_both_ranks_refuse_a_digest_that_is_being_trained(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    import fcntl

    spec.work_dir.mkdir(parents=True)
    with (spec.work_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert ended(start(tmp_path / "spec.json")) == [EXIT_REFUSED, EXIT_REFUSED]
