"""Base, base with help, adapter and promoted adapter answer the exam; answers are cached."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.exam.answer import ANSWER_SCHEMA
from vox_assets.exam.task import Task
from vox_assets.profiles import Profile
from vox_assets.store.cache import BlobCache
from vox_assets.training.adapter import layout
from vox_assets.training.adapter import manifest as manifest_module
from vox_assets.training.evaluation.exam_arms import answer_exam
from vox_assets.training.plan.spec import TrainingSpec
from vox_assets_tests.exam.test_task import STRUCTURAL, TASK

TABLE = replace(STRUCTURAL, prompt="Write a table of loans.")


@pytest.fixture
def serving(tmp_path: Path, trained: TrainingSpec) -> Path:
    """Copy the trained adapter under another digest, as the promoted adapter."""
    folder = tmp_path / "feed0"
    shutil.copytree(trained.adapter_dir, folder)
    content = manifest_module.read_manifest(folder) | {"digest": "feed0"}
    manifest_module.write_manifest(folder, content)
    return folder


@pytest.fixture
def answer(
    tmp_path: Path,
    tiny_base: LocalModel,
    trained: TrainingSpec,
    mixed: pl.DataFrame,
    profile: Profile,
) -> Any:
    policy = profile.exam.model_copy(update={"answer_tokens": 16})
    lines: list[str] = []

    def run(tasks: list[Task], serving: Path | None = None, samples: int = 0) -> pl.DataFrame:
        lines.clear()
        return answer_exam(
            tasks,
            policy.model_copy(update={"samples": samples}),
            profile.dedup,
            base=tiny_base,
            adapter=trained.adapter_dir,
            serving=serving,
            examples=mixed,
            checks=None,
            store=BlobCache(tmp_path / "answers.sqlite"),
            log=lines.append,
        )

    run.log = lines  # type: ignore[attr-defined]
    return run


def test_every_arm_answers_every_task_and_the_second_time_from_the_cache(
    answer: Any, serving: Path
) -> None:
    first = answer([TASK, TABLE], serving)
    assert dict(first.schema) == ANSWER_SCHEMA
    assert first.group_by("arm").len().sort("arm").rows() == [
        ("adapter", 2),
        ("base", 2),
        ("base_with_help", 2),
        ("serving", 2),
    ]
    assert first.filter(arm="serving")["model"].to_list() == ["feed0"] * 2
    assert not first["passed"].any()
    assert any("2 of 2 answers" in line for line in answer.log)
    again = answer([TASK, TABLE], serving)
    assert again.equals(first)
    assert not any("2 of 2 answers" in line for line in answer.log)


def test_samples_are_added_to_the_greedy_answers(answer: Any) -> None:
    found = answer([TASK], samples=2)
    assert found.filter(arm="adapter")["sample"].to_list() == [0, 1, 2]
    assert answer([TASK], samples=2).equals(found)


def test_the_promoted_adapter_answers_no_task_that_its_training_saw(
    answer: Any, serving: Path
) -> None:
    rows = [json.loads(line) for line in (serving / layout.ROWS).read_text().splitlines()]
    trained = next(row for row in rows if row["split"] == "train")
    seen = replace(TASK, kind="live", source_path=trained["source_path"])
    found = answer([TASK, seen], serving)
    assert found.filter(arm="serving")["task_id"].to_list() == [TASK.task_id]
    assert found.filter(arm="base").height == 2


@pytest.mark.parametrize("fault", ["damaged", "other base", "the same"])
def test_a_promoted_adapter_that_cannot_be_compared_does_not_answer(
    answer: Any, serving: Path, trained: TrainingSpec, fault: str
) -> None:
    if fault == "damaged":
        weights = serving / layout.WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-1])
    elif fault == "other base":
        content = manifest_module.read_manifest(serving)
        content["base_model"] = {**content["base_model"], "fingerprint": "other"}
        manifest_module.write_manifest(serving, content)
    else:
        serving = trained.adapter_dir
    found = answer([TASK], serving)
    assert set(found["arm"]) == {"base", "base_with_help", "adapter"}
    assert any("does not answer" in line for line in answer.log) == (fault != "the same")


def test_an_exam_without_tasks_has_an_empty_table(answer: Any) -> None:
    assert dict(answer([]).schema) == ANSWER_SCHEMA
