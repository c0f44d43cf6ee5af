"""The code location has the expected assets, checks, jobs and automation, and loads fast."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import dagster as dg
import pytest

from vox_assets import pipeline
from vox_assets.pipeline.automation.alerts import FRESH
from vox_assets.pipeline.corpus import BLOCKING_CHECKS
from vox_assets.pipeline.exam import CHECK_KEYS as EXAM_CHECKS
from vox_assets.pipeline.resources.lake_io import ASSET_SCHEMAS
from vox_assets.pipeline.wiring import build_defs
from vox_assets.settings import load_settings

CHECKS = {
    "raw_rust_fns": {"files_accounted", "library_code_only", "yield_floor"},
    "doc_qa_pairs": {
        "includes_resolved",
        "eligible_pages_only",
        "lane_purity",
        "grammar_drift",
        "yield_floor",
    },
    "synthetic_pairs": {"vox_syntax", "construct_coverage", "template_drift", "yield_floor"},
    "deduped_corpus": {"no_residual_duplicates", "rows_accounted"},
    "scored_corpus": {"minimum_size", "evaluator_separates_mutants", "no_group_emptied"},
    "training_mix": {
        "minimum_size",
        "lane_policy",
        "no_split_leakage",
        "no_secrets",
        "fits_context",
        "human_share",
    },
    "exam_tasks": {"exam_sealed", "exam_discriminates"},
    "qlora_adapter": {"adapter_loads", "provenance"},
    "adapter_eval": {
        "beats_base",
        "not_overfit",
        "no_forgetting",
        "lane_discipline",
        "exam_beats_base",
    },
    "row_ledger": {"rows_accounted"},
}
BLOCKING = {
    ("scored_corpus", "minimum_size"),
    *(("training_mix", name) for name in CHECKS["training_mix"] - {"human_share"}),
}
#: Checks that must pass before anybody answers the exam; training does not wait for them.
BLOCKING_EXAM = {("exam_tasks", name) for name in CHECKS["exam_tasks"]}
#: Assets that are built only on request, not by a rebuild.
ON_DEMAND = {"ablation"}
ASSETS = {*CHECKS, *ON_DEMAND, "crates", "docs", "corpus_card", "exam_answers"}


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs(resource_overrides={"settings": load_settings({})})


@pytest.fixture(scope="module")
def specs(defs: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_the_assets_are_the_expected_ones(specs: dict[str, dg.AssetSpec]) -> None:
    assert set(specs) == ASSETS


@pytest.mark.parametrize("name", sorted(ASSETS))
def test_an_asset_has_a_description_and_attributes(
    specs: dict[str, dg.AssetSpec], name: str
) -> None:
    spec = specs[name]
    assert spec.description
    assert spec.group_name != "default"
    assert spec.kinds
    assert spec.owners
    assert spec.code_version or name in ("crates", "docs")


def test_the_columns_of_every_contract_table_are_described_before_a_build(
    specs: dict[str, dg.AssetSpec],
) -> None:
    for name, schema in ASSET_SCHEMAS.items():
        columns = specs[name].metadata["dagster/column_schema"].columns
        assert [column.name for column in columns] == list(schema)
        assert all(column.description for column in columns), name
        assert specs[name].metadata["dagster/uri"].endswith(f"/lake/{name}")


def test_every_asset_with_code_refers_to_the_function_that_makes_it(
    specs: dict[str, dg.AssetSpec],
) -> None:
    for name in ASSETS - {"crates", "docs"}:
        [reference] = specs[name].metadata["dagster/code_references"].code_references
        lines = Path(reference.file_path).read_text(encoding="utf-8").splitlines()
        # The reference is the first decorator of the function.
        below = lines[reference.line_number - 1 :]
        assert below[0].strip().startswith("@dg.asset")
        assert next(line for line in below if "def " in line).strip() == f"def {name}("


def test_loading_warns_of_no_beta_feature() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", dg.BetaWarning)
        build_defs(resource_overrides={"settings": load_settings({})})


def test_every_field_of_a_run_configuration_has_a_description(defs: dg.Definitions) -> None:
    described = {
        (asset.node_def.name, name): field.description
        for asset in defs.resolve_asset_graph().assets_defs
        if asset.is_executable and asset.node_def.has_config_field
        for name, field in getattr(asset.node_def.config_field.config_type, "fields", {}).items()
    }
    assert {asset for asset, _ in described} == {"training_mix", "qlora_adapter", "ablation"}
    assert all(described.values())


def test_the_checks_and_the_blocking_checks_are_the_expected_ones(defs: dg.Definitions) -> None:
    actual = {
        (spec.asset_key.to_user_string(), spec.name): spec.blocking
        for definition in defs.asset_checks or ()
        for spec in definition.check_specs
    }
    expected = {(asset, name) for asset, names in CHECKS.items() for name in names}
    assert set(actual) == expected
    assert {key for key, blocking in actual.items() if blocking} == BLOCKING | BLOCKING_EXAM


def test_the_graph_runs_from_sources_to_evaluation(specs: dict[str, dg.AssetSpec]) -> None:
    def upstream(name: str) -> set[str]:
        direct = {dep.asset_key.to_user_string() for dep in specs[name].deps}
        return direct.union(*(upstream(parent) for parent in direct))

    leaves = {"adapter_eval", "row_ledger", "corpus_card", *ON_DEMAND}
    assert upstream("adapter_eval") == ASSETS - leaves


def test_the_ablation_is_built_only_on_demand_with_one_partition_per_arm(
    defs: dg.Definitions,
) -> None:
    for job in ("rebuild", "corpus", "rebuild_after_crates", "rebuild_after_docs"):
        keys = defs.resolve_job_def(job).asset_layer.executable_asset_keys
        assert "ablation" not in {key.to_user_string() for key in keys}
    arms = defs.resolve_job_def("ablate").partitions_def
    assert arms is not None
    assert arms.get_partition_keys() == ["curated", "random", "rank_64", "rank_32"]


def test_corpus_stops_before_training(defs: dg.Definitions) -> None:
    keys = defs.resolve_job_def("corpus").asset_layer.executable_asset_keys
    names = {key.to_user_string() for key in keys}
    assert {"training_mix", "exam_tasks"} <= names
    assert not names & {"qlora_adapter", "exam_answers", "adapter_eval"}


def test_a_changed_side_rebuilds_only_its_dependents(defs: dg.Definitions) -> None:
    keys = defs.resolve_job_def("rebuild_after_docs").asset_layer.executable_asset_keys
    names = {key.to_user_string() for key in keys}
    assert "raw_rust_fns" not in names
    assert {"doc_qa_pairs", "synthetic_pairs", "adapter_eval"} <= names


def test_the_nightly_run_builds_everything_at_two_o_clock(defs: dg.Definitions) -> None:
    schedule = defs.resolve_schedule_def("nightly")
    assert schedule.cron_schedule == "0 2 * * *"
    assert schedule.job_name == "rebuild"


def test_training_and_answering_evaluate_every_blocking_check(defs: dg.Definitions) -> None:
    for keys, blocking in ((BLOCKING_CHECKS, BLOCKING), (EXAM_CHECKS, BLOCKING_EXAM)):
        assert {(key.asset_key.to_user_string(), key.name) for key in keys} == blocking


def test_alerts_watch_exactly_the_assets_with_a_freshness_policy(
    specs: dict[str, dg.AssetSpec],
) -> None:
    fresh = {name for name, spec in specs.items() if spec.freshness_policy is not None}
    assert fresh == {"training_mix", "qlora_adapter"} == {key.to_user_string() for key in FRESH}


def test_every_sensor_and_the_schedule_run_by_default(defs: dg.Definitions) -> None:
    sensors = {sensor.name: sensor for sensor in defs.sensors or ()}
    assert set(sensors) == {
        "crates_changed",
        "docs_changed",
        "profile_changed",
        "alert_channel_1",
        "heartbeat",
        "old_builds",
    }
    assert {sensor.default_status.value for sensor in sensors.values()} == {"RUNNING"}
    assert defs.resolve_schedule_def("nightly").default_status.value == "RUNNING"


@pytest.mark.parametrize(
    ("job", "assets"),
    [
        ("retrain", {"qlora_adapter", "exam_answers", "adapter_eval"}),
        ("evaluate", {"exam_tasks", "exam_answers", "adapter_eval"}),
    ],
)
def test_the_adapter_and_its_evaluation_can_be_built_without_the_corpus(
    defs: dg.Definitions, job: str, assets: set[str]
) -> None:
    keys = defs.resolve_job_def(job).asset_layer.executable_asset_keys
    assert {key.to_user_string() for key in keys} == assets


def test_loading_imports_neither_torch_nor_transformers() -> None:
    program = (
        "import sys; from vox_assets.pipeline.wiring import build_defs; build_defs();"
        "print([m for m in ('torch', 'transformers', 'sentence_transformers', 'datasets',"
        " 'trl', 'peft', 'ray') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_asset_modules_do_not_postpone_the_evaluation_of_annotations() -> None:
    # Dagster reads the annotations of parameters as types and refuses strings when it loads them.
    folder = Path(pipeline.__file__).parent
    for module in ("ablation", "adapter", "corpus", "records", "sources"):
        text = (folder / f"{module}.py").read_text(encoding="utf-8")
        assert "from __future__ import annotations" not in text, module
