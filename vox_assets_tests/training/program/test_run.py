"""Tests of the training program: training, resuming, refusing, and complete adapters or none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.profiles import Profile
from vox_assets.training.adapter import layout, verify
from vox_assets.training.adapter import manifest as manifest_module
from vox_assets.training.plan.spec import (
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    LAUNCH_ENV,
    TrainingRefusedError,
    TrainingSpec,
    launch_command,
)
from vox_assets_tests.small_corpus import shaped, written_spec


def silent(line: str) -> None:
    """Discard a progress line."""


def test_training_lowers_the_loss_and_records_it(trained: TrainingSpec) -> None:
    training = manifest_module.read_manifest(trained.adapter_dir)["training"]
    assert training["steps"] == training["planned_steps"] == 6
    assert training["best_watched_nll"] < training["untrained_watched_nll"]
    assert training["tokens"] > 0 and training["peak_memory_bytes"] > 0
    curve = [json.loads(x) for x in (trained.adapter_dir / layout.CURVE).read_text().splitlines()]
    assert [line["step"] for line in curve if "loss" in line] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in curve if "watched_nll" in line] == [0, 2, 4, 6]
    assert not trained.work_dir.exists()


def test_a_finished_digest_is_not_trained_again(trained: TrainingSpec) -> None:
    from vox_assets.training.program.run import run
    from vox_assets.training.program.run_state import Interrupt

    before = (trained.adapter_dir / layout.WEIGHTS).stat().st_mtime_ns
    assert run(trained, Interrupt(), silent)["status"] == "already complete"
    assert (trained.adapter_dir / layout.WEIGHTS).stat().st_mtime_ns == before


def test_an_interrupted_run_resumes_and_completes_all_steps(spec: TrainingSpec) -> None:
    from vox_assets.training.program.run import run
    from vox_assets.training.program.run_state import Interrupt, read_progress

    interrupt = Interrupt()

    def stop_after_three(line: str) -> None:
        if line.startswith("step 3/"):
            interrupt.reason = "test"

    facts = run(spec, interrupt, stop_after_three)
    # A step is logged after it has ended, so the run stops at the next step.
    assert facts["status"] == "interrupted" and facts["steps"] == 4
    assert not spec.adapter_dir.exists()
    assert len(read_progress(spec.work_dir / "progress.jsonl")) >= 4

    facts = run(spec, Interrupt(), silent)
    assert facts["status"] == "complete" and facts["resumed_from"] == [4] and facts["steps"] == 6
    assert verify.verify(spec.adapter_dir) == []
    curve = read_progress(spec.adapter_dir / layout.CURVE)
    assert [line["step"] for line in curve if "loss" in line] == [1, 2, 3, 4, 5, 6]


def test_an_incomplete_checkpoint_is_not_resumed(spec: TrainingSpec) -> None:
    from vox_assets.training.program.run import run
    from vox_assets.training.program.run_state import Interrupt

    incomplete = spec.work_dir / "checkpoints" / "checkpoint-4"
    incomplete.mkdir(parents=True)
    (incomplete / "adapter_model.safetensors").write_bytes(b"cut")
    facts = run(spec, Interrupt(), silent)
    assert facts["status"] == "complete" and facts["resumed_from"] == []


def test_a_run_that_spends_its_time_budget_writes_an_adapter(
    tmp_path: Path, tiny_base: LocalModel, mixed: pl.DataFrame, profile: Profile
) -> None:
    from vox_assets.training.program.run import run
    from vox_assets.training.program.run_state import Interrupt

    short = shaped(profile, training={"max_steps": 5000, "max_seconds": 1, "eval_every_steps": 99})
    ranks = tuple(tier.model_copy(update={"epochs": 500.0}) for tier in short.ranks)
    spec = written_spec(tmp_path, tiny_base, mixed, short.model_copy(update={"ranks": ranks}))
    facts = run(spec, Interrupt(), silent)
    assert facts["status"] == "complete" and "budget of 1 s" in facts["stopped_by"]
    assert 0 < facts["steps"] < facts["planned_steps"]
    assert facts["best_step"] == facts["steps"]


def test_early_stopping_keeps_the_weights_of_the_best_evaluation(
    tmp_path: Path, tiny_base: LocalModel, mixed: pl.DataFrame, profile: Profile
) -> None:
    from vox_assets.training.program.run import run
    from vox_assets.training.program.run_state import Interrupt

    impatient = shaped(profile, training={"max_steps": 40, "eval_every_steps": 1, "patience": 1})
    ranks = tuple(
        tier.model_copy(update={"learning_rate": 0.5, "epochs": 50.0}) for tier in impatient.ranks
    )
    spec = written_spec(tmp_path, tiny_base, mixed, impatient.model_copy(update={"ranks": ranks}))
    facts = run(spec, Interrupt(), silent)
    assert "has not fallen" in facts["stopped_by"]
    assert facts["best_step"] < facts["steps"] < facts["planned_steps"]


def test_a_wrong_mix_a_damaged_adapter_and_the_folder_of_another_digest_are_refused(
    tmp_path: Path, spec: TrainingSpec, tiny_base: LocalModel, mixed: pl.DataFrame, profile: Profile
) -> None:
    from vox_assets.training.program.run import run
    from vox_assets.training.program.run_state import Interrupt

    mixed.head(30).write_parquet(spec.mix_path)
    with pytest.raises(TrainingRefusedError, match=f"the spec was made for {spec.rows_digest}"):
        run(spec, Interrupt(), silent)
    Path(spec.mix_path).unlink()
    with pytest.raises(TrainingRefusedError, match="cannot be read"):
        run(spec, Interrupt(), silent)

    other = shaped(profile, training={"seed": 8})
    (tmp_path / "other").mkdir()
    foreign = written_spec(tmp_path / "other", tiny_base, mixed, other)
    mixed.write_parquet(spec.mix_path)
    foreign.write(spec.work_dir / "spec.json")
    with pytest.raises(TrainingRefusedError, match=f"belongs to digest {foreign.digest}"):
        run(spec, Interrupt(), silent)

    spec.adapter_dir.mkdir(parents=True)
    with pytest.raises(TrainingRefusedError, match=r"damaged: manifest\.json is missing"):
        run(spec, Interrupt(), silent)


def test_a_digest_is_not_trained_by_two_processes(spec: TrainingSpec) -> None:
    import fcntl

    from vox_assets.training.program.run import run
    from vox_assets.training.program.run_state import Interrupt

    spec.work_dir.mkdir(parents=True)
    with (spec.work_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TrainingRefusedError, match="being trained already"):
            run(spec, Interrupt(), silent)


def test_an_edited_spec_is_refused(tmp_path: Path, spec: TrainingSpec) -> None:
    path = tmp_path / "spec.json"
    assert TrainingSpec.read(path) == spec
    content = json.loads(path.read_text())
    content["rank"]["rank"] = 99
    path.write_text(json.dumps(content))
    with pytest.raises(TrainingRefusedError, match=f"names digest {spec.digest}"):
        TrainingSpec.read(path)


def test_the_digest_does_not_depend_on_paths_and_provenance(
    tmp_path: Path, spec: TrainingSpec, tiny_base: LocalModel, mixed: pl.DataFrame, profile: Profile
) -> None:
    (tmp_path / "b").mkdir()
    again = written_spec(tmp_path / "b", tiny_base, mixed, profile)
    assert again.digest == spec.digest and again.adapter_dir != spec.adapter_dir
    seeded = shaped(profile, training={"seed": 8})
    assert written_spec(tmp_path / "b", tiny_base, mixed, seeded).digest != spec.digest


def test_the_learning_rate_rises_stays_constant_and_falls() -> None:
    from vox_assets.training.program.trainer import rate_factor

    assert 0 < rate_factor(0.0) < rate_factor(0.03) < rate_factor(0.05) == 1.0
    assert rate_factor(0.4) == 1.0 > rate_factor(0.8) > rate_factor(1.0) == 0.0


def test_the_stream_contains_every_row_once_before_any_row_repeats(
    spec: TrainingSpec, mixed: pl.DataFrame
) -> None:
    from vox_assets.compute.tokens import MASKED, load_tokenizer
    from vox_assets.training.plan.preflight import preflight
    from vox_assets.training.program.stream import training_stream

    train = mixed.filter(pl.col("split") == "train").sort("pair_id")
    dialogues = train.select("pair_id", "messages").iter_rows()
    rows = preflight(dialogues, load_tokenizer(spec.base_path), spec.context)
    longer = replace(spec, training=spec.training.model_copy(update={"max_steps": 30}))
    blocks, block, steps = training_stream(rows, train["weight"].to_numpy(), longer)
    assert len(blocks) == steps * 2
    index_of = {tuple(row.input_ids): index for index, row in enumerate(rows)}
    stream: list[int] = []
    for packed in blocks:
        assert len(packed["input_ids"]) <= block
        assert any(label != MASKED for label in packed["labels"])
        start = 0
        for length in packed["seq_lengths"]:
            stream.append(index_of[tuple(packed["input_ids"][start : start + length])])
            start += length
    first_epoch = stream[: len(rows)]
    assert len(stream) > len(rows) and sorted(first_epoch) == list(range(len(rows)))


def start(spec_path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vox_assets.training.program.run", "--spec", str(spec_path)]
    environment = {**os.environ, **LAUNCH_ENV}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"the program ended before it printed {words!r}")


@pytest.mark.slow
def test_a_killed_program_leaves_no_adapter_and_a_rerun_writes_a_valid_one(
    tmp_path: Path, spec: TrainingSpec
) -> None:
    process = start(tmp_path / "spec.json")
    read_until(process, "step 3/6")
    process.kill()
    process.wait()
    assert not spec.adapter_dir.exists()

    process = start(tmp_path / "spec.json")
    read_until(process, "resuming from step 2")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == EXIT_INTERRUPTED
    assert not spec.adapter_dir.exists()

    process = start(tmp_path / "spec.json")
    assert process.wait(timeout=120) == 0
    assert verify.verify(spec.adapter_dir) == []
    assert not spec.work_dir.exists()


def test_a_refusal_returns_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vox_assets.training.program import run as run_module
    from vox_assets.training.program import run_state

    monkeypatch.setattr(run_state.Interrupt, "listen", lambda self: None)
    assert run_module.main(["--spec", str(tmp_path / "nowhere.json")]) == EXIT_REFUSED
    output = capsys.readouterr().err
    assert "refused: spec" in output and "nowhere.json" in output


@pytest.mark.slow
def test_a_rerun_succeeds_after_a_kill_at_any_moment(
    tmp_path: Path, tiny_base: LocalModel, mixed: pl.DataFrame, profile: Profile
) -> None:
    def fresh(name: str) -> tuple[TrainingSpec, Path]:
        folder = tmp_path / name
        folder.mkdir()
        return written_spec(folder, tiny_base, mixed, profile), folder / "spec.json"

    _, path = fresh("uninterrupted")
    started = time.monotonic()
    uninterrupted = start(path)
    read_until(uninterrupted, "preflight")
    loaded = time.monotonic() - started
    assert uninterrupted.wait(timeout=300) == 0
    ended = time.monotonic() - started
    # One moment while the model loads, then six from the first row to the last file.
    moments = [loaded / 2, *(loaded + (ended - loaded) * sixth / 6 for sixth in range(1, 7))]
    outcomes = []
    for number, moment in enumerate(moments):
        spec, path = fresh(f"kill-{number}")
        process = start(path)
        time.sleep(moment)
        process.kill()
        process.wait()
        finished = spec.adapter_dir.exists()
        outcomes.append(finished)
        assert not finished or verify.verify(spec.adapter_dir) == []
        process = start(path)
        process.communicate(timeout=300)
        assert process.returncode == 0 and verify.verify(spec.adapter_dir) == []
    # At least one kill came before the adapter was finished.
    assert not all(outcomes)


@pytest.mark.slow
def test_two_processes_train_one_adapter(tmp_path: Path, spec: TrainingSpec) -> None:
    one_thread = {**os.environ, **LAUNCH_ENV, "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"),
            *("2", "-m", "vox_assets.training.program.run", "--spec", str(tmp_path / "spec.json")),
        ],
        stderr=subprocess.PIPE,
        text=True,
        env=one_thread,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    assert verify.verify(spec.adapter_dir) == []
    training = manifest_module.read_manifest(spec.adapter_dir)["training"]
    assert training["processes"] == 2 and training["steps"] == 6
    assert training["best_watched_nll"] < training["untrained_watched_nll"]


@pytest.mark.slow
def test_the_program_ends_when_its_launcher_does(tmp_path: Path, spec: TrainingSpec) -> None:
    launcher = subprocess.Popen(
        launch_command(tmp_path / "spec.json"),
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **LAUNCH_ENV},
    )
    read_until(launcher, "step 1/6")
    launcher.kill()
    assert launcher.stderr is not None
    # The pipe stays open until the program itself ends.
    assert "the launcher ended" in launcher.stderr.read()
    assert not spec.adapter_dir.exists()
