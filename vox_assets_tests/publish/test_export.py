"""Other programs load the exports, one lane at a time, and the exports keep the split."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from vox_assets.exam.task import to_frame
from vox_assets.publish import exam, export, huggingface, trainers
from vox_assets.training.plan.ranks import RankChoice
from vox_assets_tests.exam.test_task import STRUCTURAL, TASK
from vox_assets_tests.small_corpus import as_scored, make_pair

CHOICE = trainers.TrainingChoice("tests/tiny", 512, RankChoice(24, 48, 1e-4, 2.0, "a test"))
CONTRACT_KEYS = {
    "prompt",
    "response",
    "messages",
    "instruction",
    "output",
    "category",
    "difficulty",
    "rating",
    "source",
    "lane",
    "response_mode",
    "task_family",
    "origin",
    "schema_version",
}


@pytest.fixture(scope="module")
def corpus(scored: pl.DataFrame) -> pl.DataFrame:
    prose = [
        make_pair(
            200 + index,
            index,
            lane="vox_docs_qa",
            response_mode="prose_only",
            source_path=f"docs/src/p{index}.md",
        )
        for index in range(12)
    ]
    return pl.concat([scored, as_scored(prose)])


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory: pytest.TempPathFactory,
    corpus: pl.DataFrame,
    mixed: pl.DataFrame,
) -> Path:
    target = tmp_path_factory.mktemp("data") / "exports"
    for _ in range(2):
        export.export(
            corpus.lazy(),
            mixed,
            to_frame([TASK, STRUCTURAL]),
            target,
            name="Vox corpus",
            license_id="apache-2.0",
            choice=CHOICE,
        )
    return target


def test_each_lane_loads_alone(exported: Path, corpus: pl.DataFrame) -> None:
    from datasets import load_dataset

    total = 0
    for lane in ("vox_codegen", "vox_docs_qa"):
        loaded = load_dataset(str(exported / "hf"), lane)
        assert set(loaded) == {"train", "eval"}
        total += sum(len(part) for part in loaded.values())
        assert set(loaded["train"]["lane"]) == {lane}
        assert loaded["train"][0]["messages"][0]["role"] == "user"
        assert set(loaded["train"].column_names) == set(huggingface.HF_SCHEMA)
    assert total == len(corpus)


def test_there_is_no_default_lane(exported: Path) -> None:
    from datasets import load_dataset

    with pytest.raises(ValueError, match="Config name is missing"):
        load_dataset(str(exported / "hf"))


def test_a_lane_without_held_out_rows_loads(
    tmp_path: Path, corpus: pl.DataFrame, mixed: pl.DataFrame
) -> None:
    from datasets import load_dataset

    trained = mixed.filter(pl.col("split") == "train")
    kept = corpus.filter(pl.col("pair_id").is_in(trained["pair_id"].to_list()))
    huggingface.write_dataset(kept.lazy(), trained, tmp_path / "hf", "n", "mit")
    assert set(load_dataset(str(tmp_path / "hf"), "vox_codegen")) == {"train"}


def test_rows_keep_the_split_of_the_mix_and_files_are_not_divided(
    corpus: pl.DataFrame, mixed: pl.DataFrame
) -> None:
    rows = huggingface.split_corpus(corpus, mixed)
    exported = dict(rows.select("pair_id", "split").iter_rows())
    assert all(exported[key] == split for key, split in mixed.select("pair_id", "split").rows())
    assert rows.group_by("source_path").agg(pl.col("split").n_unique())["split"].max() == 1
    assert rows["in_mix"].sum() == len(mixed)


def test_each_line_of_the_contract_file_has_the_contract_keys(
    exported: Path, mixed: pl.DataFrame
) -> None:
    text = (exported / "train.jsonl").read_text()
    lines = text.splitlines()
    assert all(lines) and text.endswith("\n")
    rows = [json.loads(line) for line in lines]
    assert len(rows) == len(mixed.filter(pl.col("split") == "train"))
    for row in rows:
        assert set(row) == CONTRACT_KEYS
        assert row["schema_version"] == "vox_dogfood_v1"
        assert row["instruction"] == row["prompt"] and row["output"] == row["response"]
        assert isinstance(row["rating"], int) and 1 <= row["rating"] <= 5
        assert row["lane"] == "vox_codegen"


#: What the native loader of Vox deserialises; it skips a line with another type without a message.
LOADED = {
    "prompt": str,
    "instruction": str,
    "response": str,
    "output": str,
    "category": str,
    "lane": str,
    "response_mode": str,
    "task_family": str,
}
#: Unsigned bytes in the native loader.
BYTES = ("rating", "difficulty")
#: The native trainer refuses a file with a longer line.
NATIVE_LINE_BYTES = 1_000_000


def test_the_native_loader_drops_no_row_of_the_contract_file(exported: Path) -> None:
    for line in (exported / "train.jsonl").read_bytes().splitlines():
        assert 0 < len(line) <= NATIVE_LINE_BYTES
        row = json.loads(line)
        assert all(type(row[name]) is kind for name, kind in LOADED.items())
        assert all(type(row[name]) is int and 0 <= row[name] < 256 for name in BYTES)
        # `turns` is an alias of `messages`: a line with both names is malformed.
        assert row["messages"] and "turns" not in row
        for turn in row["messages"]:
            assert set(turn) == {"role", "content"}
            assert turn["role"] in {"system", "user", "assistant"}
            assert type(turn["content"]) is str
        assert row["messages"][-1]["role"] == "assistant"


def test_only_the_contract_file_has_its_name(exported: Path) -> None:
    named = [path.relative_to(exported) for path in exported.rglob("train.jsonl")]
    assert named == [Path("train.jsonl")]


def test_configurations_name_the_model_and_existing_data_files(exported: Path) -> None:
    from datasets import load_dataset

    configs = exported / "configs"
    trl = yaml.safe_load((configs / "trl_sft.yaml").read_text())
    assert trl["model_name_or_path"] == "tests/tiny" and trl["lora_r"] == 24
    rows = load_dataset(
        "json", data_files=str(configs / trainers.DIALOGUES["train"]), split="train"
    )
    assert set(rows.column_names) == {"prompt", "completion", "messages"}
    assert rows[0]["completion"][0]["role"] == "assistant"
    axolotl = yaml.safe_load((configs / "axolotl.yaml").read_text())
    assert axolotl["datasets"][0]["type"] == "chat_template"
    info = json.loads((configs / "dataset_info.json").read_text())
    llama_factory = yaml.safe_load((configs / "llama_factory.yaml").read_text())
    assert llama_factory["dataset"] in info and llama_factory["eval_dataset"] in info
    assert all((configs / entry["file_name"]).exists() for entry in info.values())


def test_trl_parses_its_configuration(exported: Path) -> None:
    from trl import DatasetMixtureConfig, ModelConfig, ScriptArguments, SFTConfig, TrlParser

    parser = TrlParser((ScriptArguments, SFTConfig, ModelConfig, DatasetMixtureConfig))
    arguments = ["--config", str(exported / "configs" / "trl_sft.yaml"), "--use_cpu", "--bf16", "0"]
    _, training, model, mixture = parser.parse_args_and_config(arguments)
    assert training.packing and model.use_peft
    assert mixture.datasets[0].data_files == trainers.DIALOGUES["train"]


def test_a_failed_export_leaves_the_old_one(
    exported: Path, corpus: pl.DataFrame, mixed: pl.DataFrame
) -> None:
    before = sorted(path.name for path in exported.parent.iterdir())
    with pytest.raises(pl.exceptions.PolarsError):
        export.export(
            corpus.lazy(),
            mixed.drop("split"),
            to_frame([]),
            exported,
            name="n",
            license_id="mit",
            choice=CHOICE,
        )
    assert (exported / "train.jsonl").exists()
    assert sorted(path.name for path in exported.parent.iterdir()) == before


def test_the_exported_tasks_show_nothing_that_decides_a_grade(exported: Path) -> None:
    shown, hidden = (
        [json.loads(line) for line in (exported / "exam" / name).read_text().splitlines()]
        for name in (exam.TASKS, exam.HIDDEN)
    )
    assert [line["task_id"] for line in shown] == [line["task_id"] for line in hidden]
    assert set(shown[0]) == {"task_id", "kind", "construct", "level", "prompt"}
    assert hidden[0]["calls"] == [{"steps": ["twice(2)"], "outcomes": ["4"]}]
    assert hidden[1]["facts"] == ["table Loan: title str"]
    assert exam.HIDDEN in (exported / "exam" / "README.md").read_text()
