"""The corpus for other trainers: a Hugging Face dataset, the Vox JSONL contract, their configs.

Everything is written into one folder beside the old one and takes its place in one move. What is in
the corpus was decided before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from vox_assets.contract.rows import SCHEMA
from vox_assets.mix.build import EVAL, TRAIN
from vox_assets.store.files import atomic_directory
from vox_assets.training.plan.ranks import RankChoice

SCHEMA_VERSION = "vox_dogfood_v1"
SPLITS = (TRAIN, EVAL)

#: Columns of the Hugging Face export: the corpus row, its score, and whether the mix holds it.
HF_SCHEMA: dict[str, pl.DataType] = {
    **SCHEMA,
    "score": pl.Float64(),
    "in_mix": pl.Boolean(),
}
#: Highest rating of the Vox contract, whose `rating` is a whole number from 1.
RATINGS = 5
#: Of the sources that the mix does not know, one in this many is held out.
HELD_OUT_ONE_IN = 10


@dataclass(frozen=True)
class TrainingChoice:
    """What the configurations for other trainers carry: the policy's answer to this mix."""

    base_name: str
    context: int
    rank: RankChoice


def export(
    scored: pl.LazyFrame,
    mix_rows: pl.DataFrame,
    target: Path,
    *,
    name: str,
    license_id: str,
    choice: TrainingChoice,
    source_commit: str | None = None,
) -> None:
    """Write `hf/`, `train.jsonl` and `configs/` into `target`, which is replaced as a whole.

    `scored` is the scored corpus, `mix_rows` the training mix.
    """
    with atomic_directory(target) as work:
        write_dataset(scored, mix_rows, work / "hf", name, license_id, source_commit)
        write_contract(mix_rows, work / "train.jsonl", TRAIN)
        write_configs(work / "configs", mix_rows, choice)


# Hugging Face -------------------------------------------------------------------------------


def write_dataset(
    scored: pl.LazyFrame,
    mix_rows: pl.DataFrame,
    target: Path,
    name: str,
    license_id: str,
    source_commit: str | None = None,
) -> None:
    """Parquet per lane and split with a card; `load_dataset(target, lane)` reads it.

    There is no default configuration, so that nobody mixes lanes without asking for it.
    """
    placed = scored.select("pair_id", "lane", "source_path", "kept").collect()
    places = split_corpus(placed, mix_rows)
    columns = [pl.col(column).cast(dtype) for column, dtype in HF_SCHEMA.items()]
    counts = []
    for lane in sorted(places["lane"].unique().to_list()):
        folder = target / lane
        folder.mkdir(parents=True)
        for split in SPLITS:
            chosen = places.filter((pl.col("lane") == lane) & (pl.col("split") == split))
            # `load_dataset` refuses a split without rows, so such a split is left out.
            if chosen.is_empty():
                continue
            path = folder / f"{split}.parquet"
            # Texts of one part at a time are in memory.
            part = (
                scored.filter(pl.col("lane") == lane)
                .join(chosen.lazy().select("pair_id", "in_mix"), on="pair_id")
                .select(columns)
                .collect()
                .sort("pair_id")
            )
            part.write_parquet(path)
            counts.append(
                {"lane": lane, "split": split, "rows": len(part), "bytes": path.stat().st_size}
            )
    card = render_card(name, license_id, counts, source_commit)
    (target / "README.md").write_text(card, encoding="utf-8")


def split_corpus(scored: pl.DataFrame, mix_rows: pl.DataFrame) -> pl.DataFrame:
    """`pair_id`, `lane`, `source_path`, `split` and `in_mix` of every kept row.

    A row of the mix keeps its side. Any other row follows its source: held out when the mix holds
    out its file, trained when the mix trains on it. Of the sources that the mix does not know, one
    in HELD_OUT_ONE_IN of each lane is held out, in the order of their hashes.
    """
    kept = scored.filter(pl.col("kept"))
    side = dict(mix_rows.select("pair_id", "split").iter_rows())
    side_of = dict(mix_rows.sort("split", descending=True).select("source_path", "split").rows())
    unknown = kept.filter(~pl.col("source_path").is_in(list(side_of)))
    for _, lane in sorted(unknown.group_by("lane")):
        sources = sorted(lane["source_path"].unique().to_list(), key=_hash_order)
        share = max(1, len(sources) // HELD_OUT_ONE_IN) if len(sources) > 1 else 0
        # A page that serves two lanes is on one side in both.
        side_of |= {path: EVAL for path in sources[:share] if path not in side_of}
        side_of |= {path: TRAIN for path in sources[share:] if path not in side_of}

    columns = kept.select("pair_id", "source_path")
    splits = [side.get(pair_id, side_of[path]) for pair_id, path in columns.iter_rows()]
    return kept.select(
        "pair_id",
        "lane",
        "source_path",
        pl.Series("split", splits, dtype=pl.String),
        pl.col("pair_id").is_in(list(side)).alias("in_mix"),
    )


def _hash_order(path: str) -> str:
    return hashlib.sha256(f"export:{path}".encode()).hexdigest()


_FEATURE_NAMES = {pl.String(): "string", pl.Int64(): "int64", pl.Float64(): "float64"}


def _features() -> list[dict[str, Any]]:
    """`dataset_info.features` of a card, in the notation of `datasets`."""
    features: list[dict[str, Any]] = []
    for name, dtype in HF_SCHEMA.items():
        if name == "messages":
            turn = [{"name": part, "dtype": "string"} for part in ("role", "content")]
            features.append({"name": name, "list": turn})
        elif name == "parents":
            features.append({"name": name, "list": "string"})
        else:
            features.append({"name": name, "dtype": _FEATURE_NAMES.get(dtype, "bool")})
    return features


def render_card(
    name: str, license_id: str, counts: list[dict[str, Any]], source_commit: str | None
) -> str:
    """The dataset card: YAML that `load_dataset` follows, then what a reader has to know."""
    lanes = sorted({count["lane"] for count in counts})
    total = sum(count["rows"] for count in counts)
    header = {
        "license": license_id,
        "pretty_name": name,
        "language": ["en"],
        "task_categories": ["text-generation"],
        "tags": ["vox", "rust", "instruction-tuning"],
        "size_categories": [_size_category(total)],
        "configs": [
            {
                "config_name": lane,
                "data_files": [
                    {"split": c["split"], "path": f"{lane}/{c['split']}.parquet"}
                    for c in counts
                    if c["lane"] == lane
                ],
            }
            for lane in lanes
        ],
        "dataset_info": [
            {
                "config_name": lane,
                "features": _features(),
                "splits": [
                    {"name": c["split"], "num_bytes": c["bytes"], "num_examples": c["rows"]}
                    for c in counts
                    if c["lane"] == lane
                ],
            }
            for lane in lanes
        ],
    }
    rows = {(count["lane"], count["split"]): count["rows"] for count in counts}
    table = [
        f"| `{lane}` | {rows.get((lane, TRAIN), 0)} | {rows.get((lane, EVAL), 0)} |"
        for lane in lanes
    ]
    example = lanes[0] if lanes else "LANE"
    return "\n".join(
        [
            "---",
            yaml.safe_dump(header, sort_keys=False, allow_unicode=True).rstrip(),
            "---",
            "",
            f"# {name}",
            "",
            "Instruction pairs made from a Rust workspace and its Markdown documentation, with "
            "verified synthetic rows, deduplicated and scored 1-10. Built by vox-assets from "
            f"source commit {source_commit or '(not under git)'}.",
            "",
            "Each lane is a configuration of its own and there is no default, because prose and "
            "code must not be trained together by accident:",
            "",
            "```python",
            "from datasets import load_dataset",
            "",
            f'rows = load_dataset("PATH_OF_THIS_FOLDER", "{example}")',
            "```",
            "",
            "| lane | train | eval |",
            "|---|---|---|",
            *table,
            "",
            "Splits follow source files. `in_mix` tells the rows that the project's own adapter is "
            "trained and judged on; the others passed curation too. `origin` is `human`, "
            "`synthetic` (templates, checked by the language's front end) or `model`. Every row "
            "names its source file (below the name of its repository, where several are read), "
            "lines, symbol and commit, and `parents` the rows it was made from.",
            "",
        ]
    )


def _size_category(rows: int) -> str:
    bounds = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")]
    return next((label for bound, label in bounds if rows < bound), "100K<n<1M")


# The Vox contract ---------------------------------------------------------------------------


def write_contract(mix_rows: pl.DataFrame, path: Path, split: str) -> int:
    """Rows of one split as the JSONL that Vox trains from: no blank line; returns the rows."""
    lines = [json.dumps(row, ensure_ascii=False) for row in _contract(mix_rows, split)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return len(lines)


def _contract(mix_rows: pl.DataFrame, split: str) -> Iterator[dict[str, Any]]:
    rows = mix_rows.filter(pl.col("split") == split)
    for row in rows.iter_rows(named=True):
        yield {
            "prompt": row["prompt"],
            "response": row["response"],
            "messages": row["messages"],
            "instruction": row["prompt"],
            "output": row["response"],
            "category": row["category"],
            "difficulty": row["difficulty"],
            "rating": min(RATINGS, max(1, round(row["score"] * RATINGS / 10))),
            "source": row["source_path"],
            "lane": row["lane"],
            "response_mode": row["response_mode"],
            "task_family": row["task_family"],
            "origin": row["origin"],
            "schema_version": SCHEMA_VERSION,
        }


# Other trainers -----------------------------------------------------------------------------


def write_configs(target: Path, mix_rows: pl.DataFrame, choice: TrainingChoice) -> None:
    """Ready-made configurations of TRL, axolotl and LLaMA-Factory, and the dialogues they read.

    axolotl and LLaMA-Factory learn every assistant turn of `messages`. TRL cannot mask turns with a
    template that does not mark them, so it reads `prompt` and `completion`: the last turn alone.
    """
    target.mkdir(parents=True)
    for split in SPLITS:
        dialogues = mix_rows.filter(pl.col("split") == split)["messages"].to_list()
        rows = ({"prompt": d[:-1], "completion": d[-1:], "messages": d} for d in dialogues)
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (target / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    base, context = choice.base_name, choice.context
    rank, alpha = choice.rank.rank, choice.rank.alpha
    rate, epochs = choice.rank.learning_rate, choice.rank.epochs
    trl = {
        "model_name_or_path": base,
        "datasets": [
            {"path": "json", "data_files": "train.jsonl", "columns": ["prompt", "completion"]}
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
        "datasets": [_axolotl_data("train.jsonl")],
        "test_datasets": [_axolotl_data("eval.jsonl")],
        "train_on_inputs": False,
        "sequence_len": context,
        "sample_packing": True,
        "eval_sample_packing": False,
        # Packed rows must not see one another, and this needs no package of its own.
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
        # No `template`: the tokenizer's own is taken, system turn included; `chatml` has none.
        "cutoff_len": context,
        "packing": True,
        "neat_packing": True,
        "learning_rate": rate,
        "num_train_epochs": epochs,
        "output_dir": "adapter",
    }
    for file, content in (
        ("trl_sft.yaml", trl),
        ("axolotl.yaml", axolotl),
        ("llama_factory.yaml", llama_factory),
    ):
        text = yaml.safe_dump(content, sort_keys=False)
        (target / file).write_text(text, encoding="utf-8")
    info = {f"vox_{split}": _llama_factory_data(f"{split}.jsonl") for split in SPLITS}
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
