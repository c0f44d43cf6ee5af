"""Writes configuration files for other trainers: TRL, Axolotl and LLaMA-Factory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from vox_assets.mix.schema import EVAL, TRAIN
from vox_assets.publish.huggingface import SPLITS
from vox_assets.training.plan.ranks import RankChoice

#: Files of dialogues by split. `train.jsonl` is the name of the Vox contract, whose loader skips a
#: line with a list as `prompt` without a message.
DIALOGUES = {split: f"dialogues-{split}.jsonl" for split in SPLITS}


@dataclass(frozen=True)
class TrainingChoice:
    """Values of the configurations: base model, context and rank."""

    base_name: str
    context: int
    rank: RankChoice


def write_configs(target: Path, mix_rows: pl.DataFrame, choice: TrainingChoice) -> None:
    """Write configurations of TRL, Axolotl and LLaMA-Factory, and the dialogues that they read.

    Axolotl and LLaMA-Factory train on every assistant turn of `messages`. TRL can mask turns only
    if the chat template marks them, so it reads `prompt` and `completion` and trains on the last
    turn alone.
    """
    target.mkdir(parents=True)
    for split in SPLITS:
        dialogues = mix_rows.filter(pl.col("split") == split)["messages"].to_list()
        rows = ({"prompt": d[:-1], "completion": d[-1:], "messages": d} for d in dialogues)
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (target / DIALOGUES[split]).write_text("".join(lines), encoding="utf-8")
    base, context = choice.base_name, choice.context
    rank, alpha = choice.rank.rank, choice.rank.alpha
    rate, epochs = choice.rank.learning_rate, choice.rank.epochs
    trl = {
        "model_name_or_path": base,
        "datasets": [
            {
                "path": "json",
                "data_files": DIALOGUES[TRAIN],
                "columns": ["prompt", "completion"],
            }
        ],
        "load_in_4bit": True,
        "use_bnb_nested_quant": True,
        "bnb_4bit_quant_type": "nf4",
        "use_peft": True,
        "lora_r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "lora_target_modules": "all-linear",
        "completion_only_loss": True,
        "learning_rate": rate,
        "num_train_epochs": epochs,
        "max_length": context,
        "packing": True,
        "output_dir": "adapter",
    }
    axolotl = {
        "base_model": base,
        "load_in_4bit": True,
        "adapter": "qlora",
        "lora_r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "lora_target_linear": True,
        "datasets": [_axolotl_data(DIALOGUES[TRAIN])],
        "test_datasets": [_axolotl_data(DIALOGUES[EVAL])],
        "train_on_inputs": False,
        "sequence_len": context,
        "sample_packing": True,
        "eval_sample_packing": False,
        # Packed rows must not attend to each other; flex_attention needs no extra package.
        "attn_implementation": "flex_attention",
        "micro_batch_size": 1,
        "gradient_accumulation_steps": 4,
        "learning_rate": rate,
        "num_epochs": epochs,
        "bf16": "auto",
        "output_dir": "adapter",
    }
    llama_factory = {
        "model_name_or_path": base,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "quantization_bit": 4,
        "quantization_method": "bnb",
        "lora_rank": rank,
        "lora_alpha": alpha,
        "lora_target": "all",
        "dataset_dir": ".",
        "dataset": "vox_train",
        "eval_dataset": "vox_eval",
        # Without `template`, the tokenizer's own template with its system turn is used; `chatml`
        # has no system turn.
        "cutoff_len": context,
        "packing": True,
        "neat_packing": True,
        "learning_rate": rate,
        "num_train_epochs": epochs,
        "output_dir": "adapter",
    }
    for name, content in (
        ("trl_sft.yaml", trl),
        ("axolotl.yaml", axolotl),
        ("llama_factory.yaml", llama_factory),
    ):
        text = yaml.safe_dump(content, sort_keys=False)
        (target / name).write_text(text, encoding="utf-8")
    info = {f"vox_{split}": _llama_factory_data(DIALOGUES[split]) for split in SPLITS}
    (target / "dataset_info.json").write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")


def _axolotl_data(file: str) -> dict[str, Any]:
    return {
        "path": file,
        "ds_type": "json",
        "type": "chat_template",
        "field_messages": "messages",
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
    }


def _llama_factory_data(file: str) -> dict[str, Any]:
    return {
        "file_name": file,
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
        },
    }
