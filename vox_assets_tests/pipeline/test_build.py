"""Tests the whole graph on the small workspace, with a small base and a training of a few steps.

The base is a random Llama with the packaged model's tokenizer, and few damaged rows are planted, so
that the tests take a minute. `test_build_packaged.py` builds with the packaged model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml

from vox_assets import profiles
from vox_assets.cli import main
from vox_assets.compute.models import LocalModel
from vox_assets.contract.rows import SCHEMA, SOURCE_TABLES, pair_id
from vox_assets.pipeline import corpus
from vox_assets.pipeline.wiring import build_defs
from vox_assets.settings import Settings
from vox_assets.store.lake import Lake
from vox_assets_tests.pipeline.conftest import QUICK, build, settings_for, verdicts, write_profile


@dataclass
class Built:
    """One build of everything that several tests share."""

    settings: Settings
    instance: dg.DagsterInstance
    result: dg.ExecuteInProcessResult

    @property
    def lake(self) -> Lake:
        return Lake(self.settings.lake_uri)


@pytest.fixture(scope="module", autouse=True)
def few_damaged_rows() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "DAMAGED_PER_KIND", 4)
        yield


@pytest.fixture(scope="module")
def small_base(base_model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a Llama of two layers with random weights and the packaged model's tokenizer."""
    import torch
    from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM

    path = tmp_path_factory.mktemp("small-base")
    AutoTokenizer.from_pretrained(base_model.path).save_pretrained(path)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
    config = AutoConfig.from_pretrained(base_model.path, **sizes, **heads)
    torch.manual_seed(0)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def built(
    small_tree: Path, small_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Built]:
    data = tmp_path_factory.mktemp("data")
    settings = replace(
        settings_for(small_tree, data, write_profile(data / "quick.yaml", **QUICK)),
        base_model=str(small_base),
    )
    with dg.instance_for_test() as instance:
        yield Built(settings, instance, build(settings, "rebuild", instance))


def test_the_run_succeeds_and_no_blocking_check_fails(built: Built) -> None:
    failures = [event.event_specific_data for event in built.result.get_step_failure_events()]
    assert built.result.success, failures
    failed = {
        name
        for name, evaluation in verdicts(built.result).items()
        if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR
    }
    # Three steps of training are too few for the checks of the adapter, and the small workspace has
    # too few rows and programs for two checks of the corpus. All others must pass. The slow test
    # below runs every check of the corpus on the whole workspace.
    assert failed <= {
        "adapter_eval:beats_base",
        "adapter_eval:not_overfit",
        "adapter_eval:no_forgetting",
        "adapter_eval:lane_discipline",
        "adapter_eval:exam_beats_base",
        "scored_corpus:evaluator_separates_mutants",
        "synthetic_pairs:construct_coverage",
    }


def test_every_check_of_the_definitions_was_evaluated(built: Built) -> None:
    defs = build_defs(resource_overrides={"settings": built.settings})
    declared = {
        f"{spec.asset_key.to_user_string()}:{spec.name}"
        for definition in defs.asset_checks or ()
        for spec in definition.check_specs
    }
    assert set(verdicts(built.result)) == declared


def test_every_corpus_table_has_the_contract_columns_and_correct_ids(built: Built) -> None:
    for asset in ("raw_rust_fns", "doc_qa_pairs", "synthetic_pairs", "scored_corpus"):
        rows = built.lake.read(asset)
        assert rows.columns[: len(SCHEMA)] == list(SCHEMA)
        assert not rows["pair_id"].is_duplicated().any()
        for row in rows.sample(20, seed=1).iter_rows(named=True):
            assert row["pair_id"] == pair_id(row["lane"], row["messages"])
            assert row["response"] == row["messages"][-1]["content"]


def test_the_mix_contains_only_the_trained_lane_and_splits_by_source(built: Built) -> None:
    mix = built.lake.read("training_mix")
    assert set(mix["lane"]) == {"vox_codegen"}
    assert set(mix["response_mode"]) == {"code_only"}
    splits = mix.group_by("source_path").agg(pl.col("split").n_unique())
    assert splits["split"].max() == 1
    assert set(mix["split"]) == {"train", "eval"}


def test_every_row_has_a_fate_in_the_ledger(built: Built) -> None:
    ledger = built.lake.read("row_ledger")
    source_ids = {
        pair_id for asset in SOURCE_TABLES for pair_id in built.lake.read(asset)["pair_id"]
    }
    assert sorted(ledger["pair_id"]) == sorted(source_ids)
    assert set(ledger["fate"]) <= {"trained", "evaluated", "dropped"}
    fates = ledger["fate"].value_counts()
    assert (
        dict(fates.rows())["trained"]
        == built.lake.read("training_mix").filter(split="train").height
    )


def test_the_adapter_loads_and_contains_no_path_of_this_machine(built: Built) -> None:
    digest = built.lake.read("qlora_adapter")["digest"].item()
    directory = built.settings.adapters_dir / digest
    assert verdicts(built.result)["qlora_adapter:adapter_loads"].passed
    assert verdicts(built.result)["qlora_adapter:provenance"].passed
    content = b"".join(
        path.read_bytes() for path in directory.iterdir() if path.suffix != ".safetensors"
    )
    assert str(built.settings.data_dir).encode() not in content


def test_the_exports_load_and_keep_the_training_contract(built: Built) -> None:
    from datasets import load_dataset

    dataset = load_dataset(str(built.settings.exports_dir / "hf"), "vox_codegen")
    assert set(dataset) == {"train", "eval"}
    lines = (built.settings.exports_dir / "train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert {row["schema_version"] for row in rows} == {"vox_dogfood_v1"}
    assert {row["lane"] for row in rows} == {"vox_codegen"}
    assert (built.settings.reports_dir / "corpus.html").stat().st_size > 10_000


def test_assets_show_counts_lanes_and_a_preview(built: Built) -> None:
    for event in built.result.get_asset_materialization_events():
        name = event.asset_key.to_user_string() if event.asset_key else ""
        metadata = event.materialization.metadata
        if name in SCHEMA_ASSETS:
            assert metadata["dagster/row_count"].value > 0
            assert "preview" in metadata
            assert next(iter(metadata)) == "summary"
            answers = {
                record.data["question"]: str(record.data["answer"])
                for record in metadata["summary"].value.records
            }
            assert set(answers) == {
                "rows in",
                "rows out",
                "why fewer",
                "how good",
                "built from",
                "what next",
            }
            height = built.lake.read(name).height
            assert answers["rows out"] == f"{height:,}; this is the first build"
            assert built.result.run_id[:8] in answers["built from"]
            columns = metadata["dagster/column_schema"].value.columns
            assert columns and all(column.description for column in columns)
            assert any(key.startswith("rows/") for key in metadata)
        has_vox_answers = name in ("doc_qa_pairs", "synthetic_pairs")
        assert ("front_end" in metadata) is has_vox_answers


def test_the_pages_of_exam_adapter_and_card_answer_the_same_questions(built: Built) -> None:
    lake = built.lake
    digest = lake.read("qlora_adapter")["digest"].item()
    mix, tasks = lake.read("training_mix"), lake.read("exam_tasks")
    splits = dict(mix["split"].value_counts().iter_rows())
    pages = {}
    for event in built.result.get_asset_materialization_events():
        metadata = event.materialization.metadata
        if event.asset_key and "summary" in metadata:
            assert next(iter(metadata)) == "summary"
            pages[event.asset_key.to_user_string()] = {
                record.data["question"]: str(record.data["answer"])
                for record in metadata["summary"].value.records
            }
    graph = build_defs(resource_overrides={"settings": built.settings}).resolve_asset_graph()
    assert set(pages) == {key.to_user_string() for key in graph.materializable_asset_keys} - {
        "ablation"
    }
    for name, answers in pages.items():
        assert {"rows in", "how good", "built from", "what next"} <= set(answers), name

    adapter = pages["qlora_adapter"]
    assert adapter["adapter out"] == f"{digest}; this is the first build"
    assert adapter["rows in"].startswith(f"{splits['train']:,} rows of training_mix to train on")
    assert adapter["how good"].startswith("stopped at step 3 of 3")
    assert pages["exam_tasks"]["rows out"].startswith(f"{tasks.height:,};")
    assert pages["exam_answers"]["rows in"] == f"{tasks.height:,} tasks of exam_tasks for 3 arms"
    assert "base with help 0%, adapter 0%" in pages["exam_answers"]["how good"]
    evaluated = pages["adapter_eval"]
    assert evaluated["why not promoted"].startswith(f"{digest} is not promoted: ")
    assert evaluated["rows in"].endswith(
        f"{lake.read('exam_answers').height:,} answers of the exam"
    )
    card = pages["corpus_card"]
    assert card["rows out"] == f"{mix.height:,}: train {splits['train']:,}, eval {splits['eval']:,}"
    of_corpus = [
        verdict.passed
        for name, verdict in verdicts(built.result).items()
        if name.partition(":")[0] not in ("exam_tasks", "qlora_adapter", "adapter_eval")
    ]
    total, _, outcomes = card["how good"].partition(": ")
    assert total == str(len(of_corpus))
    assert f"checks passed {sum(of_corpus)}" in outcomes.split(", ")
    assert "caution" not in card


def test_column_lineage_names_existing_upstream_columns(built: Built) -> None:
    lineage = {
        event.asset_key.to_user_string(): event.materialization.metadata[
            "dagster/column_lineage"
        ].value.deps_by_column
        for event in built.result.get_asset_materialization_events()
        if event.asset_key and "dagster/column_lineage" in event.materialization.metadata
    }
    assert set(lineage) == SCHEMA_ASSETS - {"raw_rust_fns", "doc_qa_pairs"} | {"row_ledger"}
    for asset, columns in lineage.items():
        assert set(columns) == set(built.lake.read(asset).columns)
        for deps in columns.values():
            assert deps
            for dep in deps:
                upstream = built.lake.read(dep.asset_key.to_user_string())
                assert dep.column_name in upstream.columns
    [upstream_of_score] = {
        dep.asset_key.to_user_string() for dep in lineage["training_mix"]["score"]
    }
    assert upstream_of_score == "scored_corpus"


def test_the_card_shows_the_plots_of_the_report(built: Built) -> None:
    [card] = [
        event.materialization.metadata
        for event in built.result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("corpus_card")
    ]
    plots = str(card["plots"].value)
    # The UI shows no alternative texts, so every plot is below its caption.
    assert plots.count("![") == plots.count("**") / 2 >= 3


def test_the_report_has_the_result_of_every_check_of_this_build(built: Built) -> None:
    report = (built.settings.reports_dir / "corpus.html").read_text(encoding="utf-8")
    assert f"run {built.result.run_id} of job rebuild" in report
    assert "not evaluated" not in report and "of another build" not in report
    of_corpus = {
        name
        for name in verdicts(built.result)
        if name.split(":")[0] not in ("exam_tasks", "qlora_adapter", "adapter_eval")
    }
    assert all(f"<td>{name}</td>" in report for name in of_corpus)
    assert report.count("<td>this</td>") == len(of_corpus)


SCHEMA_ASSETS = {
    "raw_rust_fns",
    "doc_qa_pairs",
    "synthetic_pairs",
    "deduped_corpus",
    "scored_corpus",
    "training_mix",
}


def test_explain_names_the_reason_for_a_dropped_row(
    built: Built, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VOX_DATA_DIR", str(built.settings.data_dir))
    monkeypatch.delenv("VOX_SOURCE_DIR", raising=False)
    dropped = built.lake.read("row_ledger").filter(
        (pl.col("fate") == "dropped") & (pl.col("stage") == "scored_corpus")
    )
    assert main(["explain", dropped["pair_id"][0]]) == 0
    explained = capsys.readouterr().out
    assert dropped["reason"][0] in explained
    # Enough digits for the rows of a small corpus.
    assert main(["explain", dropped["pair_id"][0][:12]]) == 0
    assert capsys.readouterr().out == explained


def test_a_second_build_writes_the_same_rows(built: Built) -> None:
    before = {asset: built.lake.read(asset) for asset in SCHEMA_ASSETS}
    assert build(built.settings, "corpus", built.instance).success
    for asset, rows in before.items():
        assert built.lake.read(asset).equals(rows), asset
        assert built.lake.version(asset) == 1


def test_retraining_refuses_a_corpus_whose_checks_failed(built: Built, tmp_path: Path) -> None:
    before = sorted(path.name for path in built.settings.adapters_dir.iterdir())
    # The corpus fails its size check, so the mix of the previous build stays in the lake.
    content = yaml.safe_load((built.settings.data_dir / "quick.yaml").read_text())
    strict = tmp_path / "strict.yaml"
    strict.write_text(yaml.safe_dump({**content, "size": {"tier": "domain"}}))
    settings = replace(
        built.settings,
        profile=profiles.load(str(strict)),
        profile_reference=str(strict),
    )
    assert not build(settings, "corpus", built.instance).success
    # The old mix is large enough for its own policy, but the newer corpus has failed a check.
    retraining = build(built.settings, "retrain", built.instance)
    assert not retraining.success
    [failure] = retraining.get_step_failure_events()
    assert failure.step_key == "qlora_adapter"
    assert "scored_corpus:minimum_size failed in run" in str(failure.event_specific_data)
    assert sorted(path.name for path in built.settings.adapters_dir.iterdir()) == before
    # Nor is it exported: the card of one asset alone would pair the new corpus with the old mix.
    exported = (built.settings.exports_dir / "train.jsonl").stat().st_mtime_ns
    for asset in ("row_ledger", "corpus_card"):
        alone = build(
            built.settings, "corpus", built.instance, asset_selection=[dg.AssetKey(asset)]
        )
        assert not alone.success
        [failure] = alone.get_step_failure_events()
        assert "scored_corpus:minimum_size failed in run" in str(failure.event_specific_data)
    assert (built.settings.exports_dir / "train.jsonl").stat().st_mtime_ns == exported


@pytest.mark.slow
def test_another_rank_is_trained_on_the_existing_corpus(built: Built) -> None:
    before = built.lake.read("qlora_adapter")["digest"].item()
    config = {"ops": {"qlora_adapter": {"config": {"rank": 8}}}}
    retraining = build(built.settings, "retrain", built.instance, run_config=config)
    assert retraining.success
    adapter = built.lake.read("qlora_adapter")
    assert adapter["rank"].item() == 8
    assert adapter["digest"].item() != before
    events = retraining.get_asset_materialization_events()
    materialised = {event.asset_key.to_user_string() for event in events}
    assert materialised == {"qlora_adapter", "exam_answers", "adapter_eval"}


def test_a_tree_that_is_too_small_fails_minimum_size_and_nothing_is_trained(
    tmp_path: Path, small_base: Path
) -> None:
    tree, data = tmp_path / "tree", tmp_path / "data"
    source = tree / "crates" / "tiny" / "src"
    source.mkdir(parents=True)
    (source / "lib.rs").write_text(
        "\n".join(
            f"/// Adds {n} to a value, and stops at the largest value there is.\n"
            f"pub fn add_{n}(value: u32) -> u32 {{\n    let step = {n};\n"
            f"    value.saturating_add(step)\n}}\n"
            for n in (1, 2, 3)
        )
    )
    (tree / "docs" / "src").mkdir(parents=True)
    (tree / "docs" / "src" / "index.md").write_text("# Tiny\n\nNothing to see.\n")
    data.mkdir()
    profile = write_profile(
        tmp_path / "tiny.yaml",
        **{**QUICK, "synthesis": {"programs": 0, "dialogues": 0, "repairs": 0}},
    )
    settings = replace(settings_for(tree, data, profile), base_model=str(small_base))
    with dg.instance_for_test() as instance:
        result = build(settings, "rebuild", instance)
        assert not result.success
        evaluation = verdicts(result)["scored_corpus:minimum_size"]
        assert not evaluation.passed
        assert "lane vox_codegen has" in (evaluation.description or "")
        assert "more source files" in (evaluation.description or "")
    # Training did not even write a specification.
    assert not settings.adapters_dir.exists()


def test_a_missing_source_folder_ends_the_run_and_writes_no_table(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "docs" / "src").mkdir(parents=True)
    settings = settings_for(tree, tmp_path / "data", "sample")
    with dg.instance_for_test() as instance:
        result = build(settings, "corpus", instance)
    assert not result.success
    failures = [str(event.event_specific_data) for event in result.get_step_failure_events()]
    assert any("crates" in failure for failure in failures)
    assert not (tmp_path / "data" / "lake" / "raw_rust_fns").exists()
