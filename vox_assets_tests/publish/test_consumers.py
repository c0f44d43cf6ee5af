"""Programs that read the exports and the lake run on them, in the releases that users install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.publish import huggingface, trainers
from vox_assets.store.lake import Lake
from vox_assets.training.plan.ranks import RankChoice
from vox_assets_tests.packages import installed

pytestmark = pytest.mark.slow

#: Releases whose keys the configurations have.
AXOLOTL = "axolotl==0.19.0"
LLAMA_FACTORY = ("llamafactory==0.9.5", "omegaconf>=2.3")
DUCKDB = "duckdb>=1.4"

READ_AXOLOTL = """
import sys, yaml
from axolotl.utils.schemas.config import AxolotlConfigWCapabilities
config = yaml.safe_load(open("axolotl.yaml"))
unknown = set(config) - set(AxolotlConfigWCapabilities.model_fields)
assert not unknown, unknown
card = {"bf16": True, "fp8": False, "n_gpu": 1, "n_node": 1, "compute_capability": "sm_90"}
read = AxolotlConfigWCapabilities(
    **config, capabilities=card, env_capabilities={"torch_version": "2.11.0"}
)
assert read.sample_packing and read.attn_implementation == "flex_attention"
"""
READ_LLAMA_FACTORY = """
import yaml
from llamafactory.hparams.parser import get_train_args
model, data, training, tuning, _ = get_train_args(yaml.safe_load(open("llama_factory.yaml")))
assert tuning.lora_rank == 24 and data.neat_packing and model.quantization_bit == 4
assert data.dataset == ["vox_train"] and data.eval_dataset == ["vox_eval"]
"""


@pytest.fixture(scope="module")
def configs(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: LocalModel, mixed: pl.DataFrame
) -> Path:
    """Write the configurations of a training of the tiny base."""
    target = tmp_path_factory.mktemp("exports") / "configs"
    rank = RankChoice(24, 48, 1e-4, 2.0, "a test")
    trainers.write_configs(target, mixed, trainers.TrainingChoice(str(tiny_base.path), 512, rank))
    return target


def runs(program: str, folder: Path, packages: Path) -> None:
    """Run a Python program in `folder` with the packages of a folder beside the installed ones."""
    path = os.pathsep.join([str(packages), str(Path.cwd())])
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "DISABLE_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_axolotl_validates_its_configuration(configs: Path, package_cache: Path) -> None:
    runs(READ_AXOLOTL, configs, installed(package_cache, AXOLOTL))


def test_llama_factory_validates_its_configuration(configs: Path, package_cache: Path) -> None:
    packages = installed(package_cache, *LLAMA_FACTORY, "antlr4-python3-runtime==4.9.3")
    runs(READ_LLAMA_FACTORY, configs, packages)


def test_the_command_line_of_trl_trains_two_steps(configs: Path) -> None:
    command = [sys.executable, "-m", "trl.cli.main", "sft", "--config", "trl_sft.yaml"]
    done = subprocess.run(
        [*command, "--max_steps", "2", "--use_cpu", "--bf16", "0", "--report_to", "none"],
        cwd=configs,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (configs / "adapter" / "adapter_model.safetensors").exists()


def test_duckdb_and_polars_read_a_table_of_the_lake_and_the_export(
    tmp_path: Path, package_cache: Path, scored: pl.DataFrame, mixed: pl.DataFrame
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    lake.write("scored_corpus", scored)
    huggingface.write_dataset(scored.lazy(), mixed, tmp_path / "hf", "n", "mit")
    assert pl.read_delta(lake.uri("scored_corpus")).height == len(scored)
    packages = installed(package_cache, DUCKDB)
    count, lanes = len(scored), sorted(scored["lane"].unique().to_list())
    read = f"""
import duckdb
from deltalake import DeltaTable
rows = DeltaTable({lake.uri("scored_corpus")!r}).to_pyarrow_dataset()
assert duckdb.sql("select count(*) from rows").fetchall() == [({count},)]
found = duckdb.sql("select distinct lane from '{tmp_path}/hf/*/*.parquet' order by 1").fetchall()
assert [lane for lane, in found] == {lanes!r}, found
[turns] = duckdb.sql("select messages[1].role, len(messages) from rows limit 1").fetchall()
assert turns[0] == 'user' and turns[1] >= 2
"""
    runs(read, tmp_path, packages)


def test_datasets_reads_every_column_with_the_type_of_the_card(
    tmp_path: Path, scored: pl.DataFrame, mixed: pl.DataFrame
) -> None:
    from datasets import load_dataset

    huggingface.write_dataset(scored.lazy(), mixed, tmp_path / "hf", "n", "mit")
    loaded = load_dataset(str(tmp_path / "hf"), "vox_codegen", split="train")
    described = loaded.info.features
    assert set(described) == set(huggingface.HF_SCHEMA)
    expected = scored.select("pair_id", *(c for c in described if c in scored.columns[1:]))
    by_id = {row["pair_id"]: row for row in expected.iter_rows(named=True)}
    for row in loaded:
        for name, value in by_id[row["pair_id"]].items():
            assert row[name] == value, name
