"""Tests training under Dagster: refusals, logged progress, kills and cancellations."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager

from vox_assets.cli import main
from vox_assets.compute.models import LocalModel
from vox_assets.contract.rows import SOURCE_TABLES, Pair, drops_to_frame
from vox_assets.curate.ledger import LEDGER_SCHEMA
from vox_assets.exam.answer import ANSWER_SCHEMA
from vox_assets.exam.sit import graded
from vox_assets.exam.task import to_frame as tasks_to_frame
from vox_assets.mix import build as mix
from vox_assets.pipeline.resources.lake_io import ASSET_SCHEMAS
from vox_assets.settings import Settings
from vox_assets.store.lake import Lake
from vox_assets.training.adapter import layout, verify
from vox_assets.training.adapter import manifest as manifest_module
from vox_assets.training.plan.spec import rows_digest
from vox_assets.training.program.run_state import CHECKPOINT_WHOLE, read_progress
from vox_assets_tests.exam.test_task import TASK
from vox_assets_tests.pipeline.conftest import build, settings_for, verdicts, write_profile
from vox_assets_tests.small_corpus import (
    as_scored,
    count_words,
    make_pair,
    scored,
    tiny_base,
)

__all__ = ["scored", "tiny_base"]

ROWS = 480
#: Profile fields for a training of a few steps on the smallest mix that the tier `style` accepts.
FEW_STEPS: dict[str, Any] = {
    "mix": {"context": 256, "eval_rows": 24, "task_family_cap": 1.0, "category_cap": 1.0},
    "training": {
        "max_steps": 4,
        "block_tokens": 256,
        "eval_every_steps": 2,
    },
    "evaluation": {"generations": 2, "generation_tokens": 8},
    "exam": {"answer_tokens": 16},
}
#: Profile fields for a training that runs until it is stopped.
ENDLESS: dict[str, Any] = {
    **FEW_STEPS,
    "training": {**FEW_STEPS["training"], "max_steps": 100_000, "patience": 100_000},
    "ranks": [
        {"rank": 8, "alpha": 8, "learning_rate": 1e-4, "epochs": 1e6, "reason": "until ended"}
    ],
}


class RecordingClient(dg.PipesSubprocessClient):
    """The real client, which also records the commands that it starts."""

    def __init__(self) -> None:
        super().__init__()
        self.commands: list[Any] = []

    def run(self, **options: Any) -> Any:  # type: ignore[override]
        self.commands.append(options["command"])
        return super().run(**options)


def write_corpus(lake: Lake, pairs: list[Pair]) -> pl.DataFrame:
    """Write all tables before the mix, each with all rows; return `scored_corpus`."""
    corpus = as_scored(pairs)
    for name in (*SOURCE_TABLES, "deduped_corpus", "scored_corpus"):
        table = corpus.select(list(ASSET_SCHEMAS[name]))
        table.write_delta(lake.uri(name), mode="overwrite")
    return corpus


def prepare_lake(data: Path, base: LocalModel, rows: int = ROWS, **profile: Any) -> Settings:
    """Write a lake with generated rows; return settings that train the tiny model on its mix."""
    data.mkdir(parents=True, exist_ok=True)
    tree = data / "tree"
    (tree / "crates").mkdir(parents=True, exist_ok=True)
    path = write_profile(data / "few.yaml", **{**FEW_STEPS, **profile})
    settings = settings_for(tree, data, path)
    settings = Settings(**{**vars(settings), "base_model": str(base.path)})
    lake = Lake(settings.lake_uri)
    pairs = [make_pair(index, index % 60) for index in range(rows)]
    corpus = write_corpus(lake, pairs)
    pl.DataFrame({"mutant": [None, "swapped"], "score": [9.0, 2.0]}).write_delta(
        lake.account_uri("scored_corpus", "mutants"), mode="overwrite"
    )
    mixed = mix.build_mix(corpus, settings.profile, count_words)
    mixed.rows.write_delta(lake.uri("training_mix"), mode="overwrite")
    lake.write_account("deduped_corpus", "drops", drops_to_frame([]))
    lake.write_account("training_mix", "drops", drops_to_frame(mixed.drops))
    lanes = pl.DataFrame({"lane": list(settings.profile.mix.lanes)})
    lake.write_account("training_mix", "lanes", lanes)
    tasks_to_frame([TASK]).write_delta(lake.uri("exam_tasks"), mode="overwrite")
    pl.DataFrame(schema=ANSWER_SCHEMA).write_delta(lake.uri("exam_answers"), mode="overwrite")
    return settings


def train(
    settings: Settings, instance: dg.DagsterInstance, *assets: str, **resources: Any
) -> dg.ExecuteInProcessResult:
    keys = [dg.AssetKey(name) for name in assets or ("qlora_adapter",)]
    return build(settings, "rebuild", instance, asset_selection=keys, **resources)


def failure(result: dg.ExecuteInProcessResult) -> str:
    (event,) = result.get_step_failure_events()
    data = event.step_failure_data
    return str(data.user_failure_data.description if data.user_failure_data else data.error)


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


def test_a_mix_that_is_too_small_is_refused_before_training_starts(
    tmp_path: Path, tiny_base: LocalModel, instance: dg.DagsterInstance
) -> None:
    settings = prepare_lake(tmp_path / "data", tiny_base, rows=30)
    pipes = RecordingClient()
    result = train(settings, instance, pipes=pipes)
    assert not result.success
    assert "minimum_size: lane vox_codegen has" in failure(result)
    assert "overfitting is certain" in failure(result)
    assert pipes.commands == []
    assert not settings.adapters_dir.exists()


@pytest.mark.parametrize("asset", ["row_ledger", "corpus_card", "qlora_adapter"])
def test_an_older_mix_beside_a_newer_corpus_is_refused_by_every_asset_that_uses_it(
    asset: str, tmp_path: Path, tiny_base: LocalModel, instance: dg.DagsterInstance
) -> None:
    settings = prepare_lake(tmp_path / "data", tiny_base)
    assert train(settings, instance, "row_ledger").success
    lake = Lake(settings.lake_uri)
    # A build stopped after it had scored: a trained row is no longer kept.
    trained = lake.read("training_mix")["pair_id"][0]
    corpus = lake.read("scored_corpus").with_columns(kept=pl.col("pair_id") != trained)
    corpus.write_delta(lake.uri("scored_corpus"), mode="overwrite")
    version = lake.version("row_ledger")
    pipes = RecordingClient()
    result = train(settings, instance, asset, pipes=pipes)
    assert not result.success
    assert "the tables are not of one build: training_mix against scored_corpus" in failure(result)
    assert "1 rows appeared from nowhere" in failure(result)
    assert pipes.commands == []
    assert lake.version("row_ledger") == version
    for written in (settings.adapters_dir, settings.exports_dir, settings.reports_dir):
        assert not written.exists()


@pytest.mark.parametrize("asset", ["row_ledger", "corpus_card"])
def test_a_mix_that_fails_a_gate_is_neither_recorded_nor_exported(
    asset: str, tmp_path: Path, tiny_base: LocalModel, instance: dg.DagsterInstance
) -> None:
    settings = prepare_lake(tmp_path / "data", tiny_base, rows=30)
    lake = Lake(settings.lake_uri)
    pl.DataFrame(schema=LEDGER_SCHEMA).write_delta(lake.uri("row_ledger"), mode="overwrite")
    result = train(settings, instance, asset)
    assert not result.success
    assert "minimum_size: lane vox_codegen has" in failure(result)
    assert lake.version("row_ledger") == 0
    assert not settings.exports_dir.exists()


def test_the_card_refuses_a_ledger_of_another_build(
    tmp_path: Path, tiny_base: LocalModel, instance: dg.DagsterInstance
) -> None:
    settings = prepare_lake(tmp_path / "data", tiny_base)
    assert train(settings, instance, "row_ledger").success
    lake = Lake(settings.lake_uri)
    lake.read("row_ledger").tail(-2).write_delta(lake.uri("row_ledger"), mode="overwrite")
    result = train(settings, instance, "corpus_card")
    assert not result.success
    assert f"and 2 of {ROWS} lines are missing: materialise row_ledger again" in failure(result)
    assert not settings.exports_dir.exists()


def test_an_adapter_of_another_mix_is_not_evaluated(
    tmp_path: Path, tiny_base: LocalModel, instance: dg.DagsterInstance
) -> None:
    settings = prepare_lake(tmp_path / "data", tiny_base)
    lake = Lake(settings.lake_uri)
    adapter = pl.DataFrame([{"digest": "a1b2", "rows_digest": "of another mix"}])
    adapter.write_delta(lake.uri("qlora_adapter"), mode="overwrite")
    result = train(settings, instance, "adapter_eval")
    assert not result.success
    assert "qlora_adapter and training_mix are not of one build: adapter a1b2" in failure(result)


def test_an_invalid_override_is_refused_by_name(
    tmp_path: Path, tiny_base: LocalModel, instance: dg.DagsterInstance
) -> None:
    settings = prepare_lake(tmp_path / "data", tiny_base)
    config = {"ops": {"qlora_adapter": {"config": {"rank": 0}}}}
    pipes = RecordingClient()
    result = build(
        settings,
        "rebuild",
        instance,
        asset_selection=[dg.AssetKey("qlora_adapter")],
        run_config=config,
        pipes=pipes,
    )
    assert "rank override: expected 1 or more, got 0" in failure(result)
    assert pipes.commands == []


def test_a_training_logs_its_progress_and_writes_a_complete_adapter(
    tmp_path: Path,
    tiny_base: LocalModel,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = prepare_lake(tmp_path / "data", tiny_base)
    result = train(settings, instance, "qlora_adapter", "exam_answers", "adapter_eval")
    assert result.success
    events = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    metadata = events["qlora_adapter"]
    digest = metadata["digest"].value
    assert metadata["name"].value == "sample-vox-codegen"
    assert "![" in str(metadata["loss_curve"].value)
    assert "base64," in str(metadata["loss_curve"].value)
    assert metadata["tokens_per_second"].value > 0  # type: ignore[operator]
    log = [
        entry.user_message
        for entry in instance.all_logs(result.run_id)
        if "held-out loss" in entry.user_message
    ]
    assert any(line.startswith("step 4: held-out loss") for line in log)
    passed = {name: evaluation.passed for name, evaluation in verdicts(result).items()}
    assert passed["qlora_adapter:adapter_loads"] and passed["qlora_adapter:provenance"]
    assert "no_forgetting" in {name.partition(":")[2] for name in passed}
    # Four steps teach nothing; the exam says so, and where it decides nothing is promoted.
    assert not passed["adapter_eval:exam_beats_base"]
    answers = Lake(settings.lake_uri).read("exam_answers")
    assert answers.group_by("arm").len().sort("arm").rows() == [
        ("adapter", 1),
        ("base", 1),
        ("base_with_help", 1),
    ]
    report = (settings.reports_dir / "adapter.html").read_text()
    assert "The exam by construct" in report
    assert digest in report and "Answers to held-out prompts" in report
    assert "qlora_adapter:adapter_loads" in report and "not evaluated" not in report
    assert "of another build" not in report
    # A browser opens what the link of the UI names: the web server serves the output of a run.
    link = events["adapter_eval"]["report"].value
    assert link == f"{settings.ui_url}/logs/{result.run_id}/reports/adapter/html"
    logs = instance.compute_log_manager
    assert isinstance(logs, LocalComputeLogManager)
    key = (result.run_id, "reports", "adapter")
    assert Path(logs.get_captured_local_path(key, "html")).read_text() == report

    monkeypatch.setenv("VOX_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("VOX_PROFILE", str(settings.data_dir / "few.yaml"))
    assert main(["verify", str(digest)]) == 0
    # The adapter still verifies after the mix in the lake has changed.
    lake = Lake(settings.lake_uri)
    lake.read("training_mix").head(20).write_delta(lake.uri("training_mix"), mode="overwrite")
    assert main(["verify", str(digest)]) == 0
    weights = settings.adapters_dir / str(digest) / layout.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    assert main(["verify", str(digest)]) == 1


@pytest.mark.slow
def test_the_samples_that_a_profile_asks_for_are_in_all_reports(
    tmp_path: Path,
    tiny_base: LocalModel,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = prepare_lake(
        tmp_path / "data", tiny_base, exam={"answer_tokens": 16, "samples": 5, "temperature": 1.5}
    )
    result = train(settings, instance, "qlora_adapter", "exam_answers", "adapter_eval")
    assert result.success
    answers = Lake(settings.lake_uri).read("exam_answers")
    for arm in ("adapter", "base", "base_with_help"):
        sampled = answers.filter(arm=arm).sort("sample")
        assert sampled["sample"].to_list() == list(range(6))
        assert sampled["answer"].n_unique() > 3
    events = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    shown = events["exam_answers"]["samples"].value
    assert isinstance(shown, dg.TableMetadataValue)
    assert [record.data["k"] for record in shown.records] == [1, 1, 1, 5, 5, 5]
    digest = str(events["qlora_adapter"]["digest"].value)
    card = (settings.adapters_dir / digest / layout.CARD).read_text()
    report = (settings.reports_dir / "adapter.html").read_text()
    for page in (card, report):
        assert "pass@1" in page and "pass@5" in page and "pass@10" not in page
        assert "0.0% [0.0%, 100.0%]" in page
    content = manifest_module.read_manifest(settings.adapters_dir / digest)
    rates = content["evaluation"]["exam"]["pass_at"]
    assert [(rate["arm"], rate["k"]) for rate in rates] == [
        (arm, k) for k in (1, 5) for arm in ("base", "base_with_help", "adapter")
    ]
    monkeypatch.setenv("VOX_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("VOX_PROFILE", str(settings.data_dir / "few.yaml"))
    monkeypatch.setenv("VOX_BASE_MODEL", str(tiny_base.path))
    assert main(["verify", digest]) == 0
    assert main(["exam"]) == 1
    assert "pass@5" in capsys.readouterr().out


def test_answers_of_another_adapter_are_not_evaluated(
    tmp_path: Path, tiny_base: LocalModel, instance: dg.DagsterInstance
) -> None:
    settings = prepare_lake(tmp_path / "data", tiny_base)
    lake = Lake(settings.lake_uri)
    digest = rows_digest(lake.read("training_mix"))
    adapter = pl.DataFrame([{"digest": "a1b2", "rows_digest": digest}])
    adapter.write_delta(lake.uri("qlora_adapter"), mode="overwrite")
    old = graded([TASK], [(TASK.reference, True)], arm="adapter", model="c3d4")
    old.write_delta(lake.uri("exam_answers"), mode="overwrite")
    result = train(settings, instance, "adapter_eval")
    assert not result.success
    assert "exam_answers are of adapter c3d4, not of a1b2: run the job evaluate" in failure(result)


def test_nobody_answers_an_exam_that_training_rows_reveal(
    tmp_path: Path, tiny_base: LocalModel, instance: dg.DagsterInstance
) -> None:
    settings = prepare_lake(tmp_path / "data", tiny_base)
    lake = Lake(settings.lake_uri)
    trained = lake.read("training_mix").filter(split="train")["response"][0]
    revealed = replace(TASK, reference=trained)
    tasks_to_frame([revealed]).write_delta(lake.uri("exam_tasks"), mode="overwrite")
    adapter = pl.DataFrame([{"digest": "a1b2", "rows_digest": "any"}])
    adapter.write_delta(lake.uri("qlora_adapter"), mode="overwrite")
    result = train(settings, instance, "exam_answers")
    assert not result.success
    assert "exam_sealed: 1 tasks that training rows reveal in 1" in failure(result)
    assert lake.read("exam_answers").is_empty()


@pytest.mark.slow
def test_an_adapter_of_other_lanes_is_trained_on_request_and_never_promoted(
    tmp_path: Path, tiny_base: LocalModel, instance: dg.DagsterInstance
) -> None:
    settings = prepare_lake(tmp_path / "data", tiny_base)
    lake = Lake(settings.lake_uri)
    speech = [make_pair(n, n % 60, lane="vox_speech") for n in range(ROWS)]
    write_corpus(lake, speech)
    result = build(
        settings,
        "rebuild",
        instance,
        asset_selection=[
            dg.AssetKey(name)
            for name in ("training_mix", "qlora_adapter", "exam_answers", "adapter_eval")
        ],
        run_config={"ops": {"training_mix": {"config": {"lanes": ["vox_speech"]}}}},
    )
    assert result.success, failure(result)
    assert verdicts(result)["training_mix:lane_policy"].passed
    trained = lake.read("qlora_adapter")["digest"].item()
    manifest = manifest_module.read_manifest(settings.adapters_dir / trained)
    assert manifest["name"] == "sample-vox-speech" and manifest["promotion"] is None
    assert not (settings.adapters_dir / "promoted.json").exists()


def test_an_unknown_lane_is_refused_by_name(
    tmp_path: Path, tiny_base: LocalModel, instance: dg.DagsterInstance
) -> None:
    settings = prepare_lake(tmp_path / "data", tiny_base)
    result = build(
        settings,
        "rebuild",
        instance,
        asset_selection=[dg.AssetKey("training_mix")],
        run_config={"ops": {"training_mix": {"config": {"lanes": ["vox_songs"]}}}},
    )
    assert not result.success
    assert "vox_songs" in failure(result) and "expected one or more" in failure(result)


@pytest.mark.slow
def test_a_killed_training_fails_its_step_and_a_rerun_writes_a_valid_adapter(
    tmp_path: Path, tiny_base: LocalModel, instance: dg.DagsterInstance
) -> None:
    sixty_steps = {**ENDLESS, "training": {**ENDLESS["training"], "max_steps": 60}}
    settings = prepare_lake(tmp_path / "data", tiny_base, **sixty_steps)
    run = in_background(settings)
    spec = wait_for_progress(settings)
    os.kill(training_process_id(spec), signal.SIGKILL)
    output = run.communicate(timeout=120)[0]
    assert run.returncode == 1
    assert "ended early" in output and "No adapter was written" in output
    assert not list(settings.adapters_dir.glob("[0-9a-f]*"))

    assert train(settings, instance).success
    (directory,) = settings.adapters_dir.glob("[0-9a-f]*")
    assert verify.verify(directory) == []


@pytest.mark.slow
def test_cancelling_stops_the_training_within_a_minute_and_leaves_a_checkpoint(
    tmp_path: Path, tiny_base: LocalModel
) -> None:
    settings = prepare_lake(tmp_path / "data", tiny_base, **ENDLESS)
    run = in_background(settings)
    spec = wait_for_progress(settings)
    process_id = training_process_id(spec)
    # The UI's button sends this signal to the process of a run.
    run.send_signal(signal.SIGTERM)
    cancelled = time.monotonic()
    while Path(f"/proc/{process_id}").exists() and time.monotonic() - cancelled < 60:
        time.sleep(0.2)
    assert not Path(f"/proc/{process_id}").exists()
    run.communicate(timeout=60)
    work = settings.adapters_dir / ".work" / spec["digest"]
    checkpoints = list((work / "checkpoints").glob(f"checkpoint-*/{CHECKPOINT_WHOLE}"))
    steps = [line["step"] for line in read_progress(work / "progress.jsonl")]
    assert checkpoints and max(steps) >= 1
    assert not list(settings.adapters_dir.glob("[0-9a-f]*"))


@pytest.mark.slow
def test_the_ablation_compares_arms_in_one_table(
    tmp_path: Path, tiny_base: LocalModel, instance: dg.DagsterInstance
) -> None:
    settings = prepare_lake(tmp_path / "data", tiny_base)
    for arm in ("curated", "random", "rank_32"):
        result = build(settings, "ablate", instance, partition_key=arm)
        assert result.success, failure(result)
    (event,) = result.get_asset_materialization_events()
    lines = [record.data for record in event.materialization.metadata["arms"].records]  # type: ignore[attr-defined]
    assert [line["arm"] for line in lines] == ["curated", "random", "rank_32"]
    assert {line["rank"] for line in lines} == {"64", "32"}
    tokens = [int(str(line["tokens seen"]).replace(",", "")) for line in lines]
    assert max(tokens) - min(tokens) < 0.1 * max(tokens)
    assert not lines[0]["ratio to curated [95 %]"] and lines[1]["ratio to curated [95 %]"]
    assert "<table>" in (settings.reports_dir / "ablation.html").read_text()
    assert not settings.adapters_dir.exists()


# Runs in a separate process ------------------------------------------------------------------

PROGRAM = """
import json, sys, dagster as dg
from vox_assets.settings import Settings, load_settings
from vox_assets_tests.exam.test_task import TASK
from vox_assets_tests.pipeline.conftest import build
settings = load_settings(json.loads(sys.argv[1]))
with dg.instance_for_test() as instance:
    result = build(settings, "rebuild", instance, asset_selection=[dg.AssetKey("qlora_adapter")])
    for event in result.get_step_failure_events():
        data = event.step_failure_data.user_failure_data
        print(data.description if data else event.step_failure_data.error)
sys.exit(0 if result.success else 1)
"""


def in_background(settings: Settings) -> subprocess.Popen[str]:
    """Start a training run in a separate process."""
    environment = {
        "VOX_SOURCE_DIR": str(settings.source_dir),
        "VOX_DATA_DIR": str(settings.data_dir),
        "VOX_PROFILE": str(settings.data_dir / "few.yaml"),
        "VOX_BASE_MODEL": settings.base_model,
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(environment)],
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for_progress(settings: Settings) -> dict[str, Any]:
    """Wait until a training has done a step; return its specification."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        for path in settings.adapters_dir.glob(".work/*/progress.jsonl"):
            if any("loss" in line for line in read_progress(path)):
                return dict(json.loads((path.parent / "spec.json").read_text()))
        time.sleep(0.1)
    raise AssertionError("no training has done a step")


def training_process_id(spec: dict[str, Any]) -> int:
    """Return the id of the process that trains a specification, not of its launcher."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(f"spec-{spec['digest']}".encode() in w for w in words) and (
            b"accelerate.commands.launch" not in words
        ):
            return int(entry.name)
    raise AssertionError("the training program is not running")
