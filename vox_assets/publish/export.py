"""Exports a corpus: the dataset, the Vox contract, trainer configurations and the exam."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from vox_assets.mix.schema import TRAIN
from vox_assets.publish.contract import write_contract
from vox_assets.publish.exam import write_exam
from vox_assets.publish.huggingface import write_dataset
from vox_assets.publish.trainers import TrainingChoice, write_configs
from vox_assets.store.files import atomic_directory


def export(
    scored: pl.LazyFrame,
    mix_rows: pl.DataFrame,
    exam_tasks: pl.DataFrame,
    target: Path,
    *,
    name: str,
    license_id: str,
    choice: TrainingChoice,
    source_commit: str | None = None,
) -> None:
    """Replace `target` with a folder that contains `hf/`, `train.jsonl`, `configs/`, `exam/`.

    `scored` is the scored corpus, `mix_rows` the training mix, `exam_tasks` the table of tasks.
    """
    with atomic_directory(target) as work:
        write_dataset(scored, mix_rows, work / "hf", name, license_id, source_commit)
        write_contract(mix_rows, work / "train.jsonl", TRAIN)
        write_configs(work / "configs", mix_rows, choice)
        write_exam(exam_tasks, work / "exam")
