"""Tests that an adapter directory is complete, portable, and that verification names each fault."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.profiles import load
from vox_assets.store.lake import Lake
from vox_assets.training.adapter import layout, verify
from vox_assets.training.adapter import manifest as manifest_module
from vox_assets.training.adapter.card import render_card
from vox_assets.training.evaluation.verdicts import with_exam
from vox_assets.training.plan.spec import TrainingSpec
from vox_assets_tests.exam.answers import answers
from vox_assets_tests.small_corpus import evaluated, judged


@pytest.fixture
def copy(trained: TrainingSpec, tmp_path: Path) -> Path:
    target = tmp_path / trained.digest
    shutil.copytree(trained.adapter_dir, target)
    return target


def test_the_folder_contains_the_files_that_runtimes_need_and_no_others(
    trained: TrainingSpec,
) -> None:
    assert sorted(path.name for path in trained.adapter_dir.iterdir()) == [
        "Modelfile",
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "manifest.json",
        "rows.jsonl",
        "tokenizer.json",
        "tokenizer_config.json",
        "training_curve.jsonl",
    ]
    config = json.loads((trained.adapter_dir / layout.CONFIG).read_text())
    assert config["base_model_name_or_path"] == "tests/tiny-llama"
    assert config["revision"] == "r1"
    assert (config["r"], config["lora_alpha"]) == (8, 8)
    assert not config["use_rslora"] and not config["use_dora"] and not config["modules_to_save"]


def test_no_file_contains_a_path_of_this_machine(trained: TrainingSpec) -> None:
    for path in trained.adapter_dir.iterdir():
        content = path.read_bytes()
        assert trained.base_path.encode() not in content, path.name
        assert trained.output_root.encode() not in content, path.name


def test_the_card_has_all_sections_and_no_placeholder(trained: TrainingSpec) -> None:
    card = (trained.adapter_dir / layout.CARD).read_text()
    assert "More Information Needed" not in card
    for words in (
        "base_model: tests/tiny-llama",
        "## Data",
        "## Limits",
        "Source commit: abc123",
        "this run asks for rank 8",
        "Not evaluated yet",
    ):
        assert words in card


def test_the_manifest_records_the_provenance(trained: TrainingSpec) -> None:
    manifest = manifest_module.read_manifest(trained.adapter_dir)
    assert manifest["provenance"]["table_versions"] == {"training_mix": 4}
    assert manifest["rows"]["digest"] == trained.rows_digest
    assert manifest["config"]["training"]["seed"] == 7
    assert manifest["packages"]["trl"] and manifest["platform"]["python"]
    assert set(manifest["rows"]["lanes"]) == {"vox_codegen"}


def test_the_adapter_loads_with_plain_peft(trained: TrainingSpec, tiny_base: LocalModel) -> None:
    assert verify.check_loads(trained.adapter_dir, tiny_base.path) == []


def test_weights_that_do_not_fit_the_base_are_reported(copy: Path, tiny_base: LocalModel) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / layout.WEIGHTS)
    name = next(iter(tensors))
    renamed = {f"{key}_renamed" if key == name else key: value for key, value in tensors.items()}
    save_file(renamed, copy / layout.WEIGHTS)
    faults = verify.check_loads(copy, tiny_base.path)
    assert any("matches no module" in fault for fault in faults)
    assert any("is missing" in fault for fault in faults)
    save_file({key: value * 0 for key, value in tensors.items()}, copy / layout.WEIGHTS)
    assert verify.check_loads(copy, tiny_base.path) == [
        "every lora_B is zero: the adapter changes nothing"
    ]
    (copy / layout.WEIGHTS).write_bytes(b"not safetensors")
    assert "peft cannot load the adapter" in verify.check_loads(copy, tiny_base.path)[0]


def edit(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (edit(layout.WEIGHTS, lambda b: b[:-1] + b"\0"), "adapter_model.safetensors differs"),
        (edit(layout.CARD, lambda b: b + b"Great!"), "README.md does not match"),
        (edit(layout.MANIFEST, lambda b: b.replace(b'"seed": 7', b'"seed": 8')), "was changed"),
        (edit(layout.MANIFEST, lambda b: b[:40]), "manifest.json cannot be read"),
        (edit(layout.ROWS, lambda b: b"\n".join(b.splitlines()[:-1])), "rows.jsonl differs"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json is missing"),
        (lambda folder: (folder / "extra.bin").write_bytes(b""), "extra.bin does not belong"),
        (lambda folder: (folder / layout.MANIFEST).unlink(), "manifest.json is missing"),
    ],
)
def test_verification_names_each_damage(
    copy: Path, damage: Callable[[Path], None], words: str
) -> None:
    assert verify.verify(copy) == []
    damage(copy)
    assert any(words in fault for fault in verify.verify(copy))


def test_a_renamed_folder_is_reported(copy: Path) -> None:
    moved = copy.rename(copy.with_name("0123456789abcdef"))
    assert any("not 0123456789abcdef" in fault for fault in verify.verify(moved))


def test_a_changed_corpus_is_reported(copy: Path, trained: TrainingSpec) -> None:
    current = {"rows_digest": trained.rows_digest, "table_versions": {"training_mix": 4}}
    assert verify.verify(copy, current) == []
    (fault,) = verify.verify(copy, {"rows_digest": "feed"})
    assert "another corpus" in fault
    (fault,) = verify.verify(copy, {"table_versions": {"training_mix": 5}})
    assert fault == "table training_mix has version 5, but the adapter was trained on 4"


def test_an_adapter_with_a_recorded_evaluation_passes_verification(copy: Path) -> None:
    manifest_module.record(copy, "evaluation", judged(*[0.7, 0.8] * 6))
    assert verify.verify(copy) == []
    card = (copy / layout.CARD).read_text()
    assert "| beats_base | yes | held-out loss 2.000 -> 1.500" in card
    assert "| held-out sources | 12 | 12 | 120 | 2.000 | 1.500 | 0.750 [0.717, 0.783] |" in card
    assert "| end and parse | 10% [4%, 23%] | 100% [91%, 100%] | 40 |" in card


def test_the_card_has_the_ladder_of_the_exam(copy: Path) -> None:
    arms = {"base": [1] * 8, "base_with_help": [3] * 8, "adapter": [5] * 6 + [0] * 2}
    exam = pl.concat([answers(arm, list(reached)) for arm, reached in arms.items()])
    evaluation = with_exam(evaluated(*[0.7, 0.8] * 6), exam, load("sample").exam)
    manifest_module.record(copy, "evaluation", evaluation.to_json())
    assert verify.verify(copy) == []
    card = (copy / layout.CARD).read_text()
    assert "| answer that | base [95 %] | base with help [95 %] | adapter [95 %] |" in card
    assert "| parses | 0 of 8 [0%, 32%] | 8 of 8 [68%, 100%] | 6 of 8 [41%, 93%] |" in card
    assert "| live | 0 of 4 [0%, 49%] | 0 of 4 [0%, 49%] | 3 of 4 [30%, 95%] |" in card


def test_a_kill_between_manifest_and_card_leaves_an_adapter_that_passes_verification(
    copy: Path,
) -> None:
    before = (copy / layout.CARD).read_bytes()
    manifest_module.record(copy, "evaluation", judged(*[0.7, 0.8] * 6))
    (copy / layout.CARD).write_bytes(before)
    assert verify.verify(copy) == []


def test_the_lake_must_have_the_rows_of_the_version_in_the_manifest(
    copy: Path, mixed: pl.DataFrame, tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    (fault,) = verify.verify_tables(copy, lake)
    assert fault.startswith("training_mix is not built yet")
    mixed.write_delta(lake.uri("training_mix"))
    (fault,) = verify.verify_tables(copy, lake)
    assert "training_mix has no version 4" in fault
    for _ in range(3):
        mixed.head(30).write_delta(lake.uri("training_mix"), mode="overwrite")
    mixed.write_delta(lake.uri("training_mix"), mode="overwrite")
    assert verify.verify_tables(copy, lake) == []
    # A manifest with another version and a valid seal.
    manifest_module.write_manifest(
        copy,
        manifest_module.read_manifest(copy)
        | {"provenance": {"table_versions": {"training_mix": 3}}},
    )
    (fault,) = verify.verify_tables(copy, lake)
    assert "version 3 of table training_mix has rows digest" in fault and "another corpus" in fault


def test_the_adapter_loads_without_importing_this_package(
    trained: TrainingSpec, tiny_base: LocalModel
) -> None:
    program = (
        "import sys, torch\n"
        "from peft import PeftModel\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "base = AutoModelForCausalLM.from_pretrained(sys.argv[1])\n"
        "ids = AutoTokenizer.from_pretrained(sys.argv[2])('fn', return_tensors='pt').input_ids\n"
        "before = base(ids).logits\n"
        "after = PeftModel.from_pretrained(base, sys.argv[2])(ids).logits\n"
        "assert not torch.equal(before, after)\n"
        "assert not [name for name in sys.modules if name.startswith('vox_assets')]\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, str(tiny_base.path), str(trained.adapter_dir)],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(
    ("rank", "words"),
    [
        (8, "--revision r1 --enable-lora --max-lora-rank 8 "),
        (24, "--max-lora-rank 32 "),
        (300, "--max-lora-rank 320 "),
        (600, "vLLM serves no adapter of rank 600: its limit is 512."),
    ],
)
def test_the_card_pins_the_base_and_names_a_rank_that_vllm_takes(
    trained: TrainingSpec, rank: int, words: str
) -> None:
    content = manifest_module.read_manifest(trained.adapter_dir)
    content["rank"]["rank"] = rank
    card = render_card(content)
    assert words in card
    assert 'from_pretrained("tests/tiny-llama", revision="r1")' in card


def test_the_adapter_is_within_the_limits_of_vllm_and_ollama(trained: TrainingSpec) -> None:
    config = json.loads((trained.adapter_dir / layout.CONFIG).read_text())
    # vLLM refuses whole layers beside the adapter and DoRA; Ollama reads alpha as a whole number,
    # and llama.cpp ignores the scale of rsLoRA and patterns.
    assert not config["modules_to_save"] and not config["use_dora"] and not config["use_rslora"]
    assert type(config["lora_alpha"]) is int and config["bias"] == "none"
    assert not config["rank_pattern"] and not config["alpha_pattern"]
    assert not {"lm_head", "embed_tokens"} & set(config["target_modules"])
    assert config["base_model_name_or_path"] == "tests/tiny-llama" and config["revision"] == "r1"


def test_an_adapter_of_a_version_that_kept_no_digest_of_its_card_is_not_damaged(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["cards"]
    manifest["seal"] = manifest_module.seal(manifest)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert verify.verify(copy) == []
    (copy / "README.md").unlink()
    assert verify.verify(copy) == ["README.md does not match manifest.json"]
