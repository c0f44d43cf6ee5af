"""Runs the training program: `python -m vox_assets.training.program.run --spec SPEC.json`.

It is a separate process, so that running out of memory ends one step and not the orchestrator. The
same program runs on a CPU, one GPU or several under `accelerate launch`. It resumes an interrupted
run of the same digest, and creates the adapter directory only when the adapter is complete. The
spec decides what is trained and for how long; `training.adapter` writes the finished files.
"""

from __future__ import annotations

import argparse
import math
import resource
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from vox_assets.compute.models import preferred_dtype
from vox_assets.compute.tokens import TemplateError, load_tokenizer
from vox_assets.mix.schema import EVAL, TRAIN
from vox_assets.mix.split import watch_ids
from vox_assets.training.adapter import assemble, verify
from vox_assets.training.plan.preflight import preflight
from vox_assets.training.plan.spec import (
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    TrainingRefusedError,
    TrainingSpec,
    rows_digest,
)
from vox_assets.training.program.model import make_model, plan_layout
from vox_assets.training.program.ranks import Ranks
from vox_assets.training.program.reports import Log, Reports, quiet_trainer
from vox_assets.training.program.run_state import (
    Interrupt,
    best_dir,
    checkpoints,
    is_main,
    read_progress,
    sole_owner,
    step_of,
)
from vox_assets.training.program.stream import training_stream, watched_rows
from vox_assets.training.program.trainer import Trainer


def run(spec: TrainingSpec, interrupt: Interrupt, log: Log) -> dict[str, Any]:
    """Train what `spec` describes, or resume an interrupted run of it.

    Returns facts for the orchestrator; `status` is `complete`, `already complete` or `interrupted`.
    Raises TrainingRefusedError for a mix other than the spec's, rows that preflight rejects, a
    damaged adapter of this digest, and a digest that another process is training.
    """
    if spec.adapter_dir.exists():
        faults = verify.verify(spec.adapter_dir)
        if faults:
            raise TrainingRefusedError(
                f"adapter {spec.adapter_dir} is damaged: {'; '.join(faults)}; "
                f"delete it to train it again"
            )
        log(f"adapter {spec.digest} is already complete")
        return {"status": "already complete", "digest": spec.digest}
    try:
        mix = pl.read_parquet(spec.mix_path)
    except OSError as error:
        raise TrainingRefusedError(f"mix {spec.mix_path} cannot be read: {error}") from error
    digest = rows_digest(mix)
    if digest != spec.rows_digest:
        raise TrainingRefusedError(
            f"the rows of {spec.mix_path} have digest {digest}, "
            f"but the spec was made for {spec.rows_digest}"
        )
    spec.work_dir.mkdir(parents=True, exist_ok=True)
    ranks = Ranks()
    try:
        with sole_owner(spec, ranks):
            spec_path = spec.work_dir / "spec.json"
            if spec_path.exists() and TrainingSpec.read(spec_path).digest != spec.digest:
                raise TrainingRefusedError(
                    f"work folder {spec.work_dir} belongs to digest "
                    f"{TrainingSpec.read(spec_path).digest}, not to {spec.digest}: cannot resume it"
                )
            # Every rank has read the old file before rank 0 replaces it.
            ranks.total(0.0)
            if ranks.main:
                spec.write(spec_path)
            return _run(spec, mix, ranks, interrupt, log)
    finally:
        ranks.close()


def _run(
    spec: TrainingSpec, mix: pl.DataFrame, ranks: Ranks, interrupt: Interrupt, log: Log
) -> dict[str, Any]:
    tokenizer = load_tokenizer(spec.base_path)
    # Sort, so that the result does not depend on the order in which the rows were stored.
    mix = mix.sort("pair_id")
    train_rows, eval_rows = (
        preflight(
            mix.filter(pl.col("split") == split).select("pair_id", "messages").iter_rows(),
            tokenizer,
            spec.context,
        )
        for split in (TRAIN, EVAL)
    )
    watched = watched_rows(eval_rows, watch_ids(mix))
    log(f"preflight: {len(train_rows)} training rows and {len(eval_rows)} held-out rows are valid")

    weight_of = dict(mix.select("pair_id", "weight").iter_rows())
    weights = np.array([weight_of[row.pair_id] for row in train_rows])
    blocks, block, steps = training_stream(train_rows, weights, spec)
    model = make_model(spec, ranks)
    layout = plan_layout(spec, model, train_rows, block, tokenizer.pad_token_id, ranks, log)
    log(
        f"{steps} steps of {spec.training.blocks_per_step} blocks of {block} tokens in {layout}, "
        f"rank {spec.rank.rank}: {spec.rank.reason}"
    )
    trainer = Trainer(spec, model, layout, blocks, steps, watched, ranks, interrupt, log)
    done = checkpoints(spec)
    if done:
        log(f"resuming from step {step_of(done[-1])}")
        trainer.resume(done[-1])
    elif ranks.main:
        trainer.log_path.unlink(missing_ok=True)
    trainer.train()
    facts = _facts(spec, trainer)
    if trainer.interrupted:
        log(f"{trainer.stopped_by} at step {trainer.step}")
        return {"status": "interrupted", **facts}
    if ranks.main:
        _finish(spec, mix, tokenizer, trainer, facts)
    ranks.total(0.0)
    return {"status": "complete", **facts}


def _finish(
    spec: TrainingSpec,
    mix: pl.DataFrame,
    tokenizer: Any,
    trainer: Trainer,
    facts: dict[str, Any],
) -> None:
    """Assemble the adapter with the best weights, and rename it to its digest atomically."""
    weights = best_dir(spec, facts["best_step"])
    if not weights.exists():
        assemble.save_weights(trainer.model, weights)
    final = spec.work_dir / "final"
    shutil.rmtree(final, ignore_errors=True)
    assemble.assemble(final, weights, tokenizer, spec, mix, facts)
    final.replace(spec.adapter_dir)
    shutil.rmtree(spec.work_dir, ignore_errors=True)


def _facts(spec: TrainingSpec, trainer: Trainer) -> dict[str, Any]:
    progress, layout = trainer.progress, trainer.layout
    lines = read_progress(trainer.log_path)
    losses = [line["loss"] for line in lines if "loss" in line]
    tail = losses[-max(1, len(losses) // 5) :]
    return {
        "digest": spec.digest,
        "adapter": str(spec.adapter_dir),
        "steps": trainer.step,
        "planned_steps": trainer.steps,
        "stopped_by": trainer.stopped_by,
        "resumed_from": progress.resumed_from,
        "tokens": progress.tokens,
        "seconds": round(trainer.elapsed(), 1),
        "tokens_per_second": round(trainer.speed(), 1),
        "peak_memory_bytes": peak_memory_bytes(),
        "first_loss": losses[0] if losses else None,
        "last_loss": sum(tail) / len(tail) if tail else None,
        "untrained_watched_nll": _number(progress.first_nll),
        "best_watched_nll": _number(progress.best_nll),
        "best_step": progress.best_step,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "dtype": preferred_dtype(),
        "processes": trainer.ranks.count,
        "micro_blocks": layout.micro,
        "packed": layout.packed,
        "gradient_checkpointing": layout.checkpointing,
    }


def peak_memory_bytes() -> int:
    """Return the peak memory of this process so far: GPU memory if there is a GPU, else RAM."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the exit code is 0, EXIT_REFUSED or EXIT_INTERRUPTED."""
    parser = argparse.ArgumentParser(prog="python -m vox_assets.training.program.run")
    parser.add_argument("--spec", type=Path, required=True, help="a TrainingSpec as JSON")
    options = parser.parse_args(arguments)
    quiet_trainer()
    interrupt = Interrupt()
    interrupt.listen()
    reports = Reports()
    reports.open()

    def log(line: str) -> None:
        if is_main():
            reports.progress(line)
            # Dagster prints the lines that it receives; printing them here would repeat them.
            if not reports.connected:
                print(line, file=sys.stderr, flush=True)

    try:
        spec = TrainingSpec.read(options.spec)
        facts = run(spec, interrupt, log)
        if facts["status"] == "interrupted":
            return EXIT_INTERRUPTED
        reports.finished(facts, spec.digest)
    except (TrainingRefusedError, TemplateError) as refusal:
        reports.refusal(f"refused: {refusal}")
        if is_main() and not reports.connected:
            print(f"refused: {refusal}", file=sys.stderr, flush=True)
        return EXIT_REFUSED
    finally:
        reports.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
