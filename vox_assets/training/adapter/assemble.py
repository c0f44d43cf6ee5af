"""Assembles an adapter directory from trained weights."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from vox_assets.mix.schema import EVAL, TRAIN
from vox_assets.mix.split import watch_ids
from vox_assets.store.files import file_sha256
from vox_assets.training.adapter.layout import CONFIG, CONFIG_OF_BASE, CURVE, ROWS, WEIGHTS
from vox_assets.training.adapter.manifest import MANIFEST_SCHEMA, ROW_COLUMNS, write_manifest
from vox_assets.training.adapter.modelfile import MODELFILE, render_modelfile
from vox_assets.training.plan.spec import TrainingSpec, rows_digest, write_json

#: Packages whose versions the manifest records, because a rerun must use the same versions.
PACKAGES = (
    "accelerate",
    "bitsandbytes",
    "datasets",
    "peft",
    "polars",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
    "trl",
)


def quantisation(dtype: Any) -> Any:
    """Configure NF4 with double quantisation (QLoRA, arXiv 2305.14314), computing in `dtype`."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def save_weights(model: Any, target: Path) -> None:
    """Write the weights and configuration of a PEFT adapter, replacing `target` by a rename."""
    partial = target.with_name(f".{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial, safe_serialization=True)
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)


def assemble(
    target: Path,
    weights: Path,
    tokenizer: Any,
    spec: TrainingSpec,
    mix_rows: pl.DataFrame,
    facts: Mapping[str, Any],
) -> None:
    """Write all files of an adapter to `target`, the manifest last.

    `weights` is a folder that `save_weights` wrote, and `facts` come from the training program. No
    file contains a path of this machine: runtimes resolve the base by its published name.
    """
    target.mkdir(parents=True)
    shutil.copyfile(weights / WEIGHTS, target / WEIGHTS)
    config = json.loads((weights / CONFIG).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = spec.base_name
    config["revision"] = spec.base_revision
    # PEFT keeps a set, so the order would differ from run to run.
    config["target_modules"] = sorted(config["target_modules"])
    write_json(target / CONFIG, config)
    tokenizer.save_pretrained(target)
    base_config = json.loads((Path(spec.base_path) / CONFIG_OF_BASE).read_text(encoding="utf-8"))
    modelfile = render_modelfile(tokenizer, spec.base_name, base_config.get("model_type", ""))
    (target / MODELFILE).write_text(modelfile, encoding="utf-8")
    curve = spec.work_dir / "progress.jsonl"
    if curve.exists():
        shutil.copyfile(curve, target / CURVE)
    mix_rows.sort("split", "pair_id").select(ROW_COLUMNS).write_ndjson(target / ROWS)

    training = {key: value for key, value in facts.items() if key not in ("adapter", "digest")}
    write_manifest(
        target,
        {
            "schema": MANIFEST_SCHEMA,
            "name": spec.name,
            "digest": spec.digest,
            "base_model": {
                "name": spec.base_name,
                "revision": spec.base_revision,
                "fingerprint": spec.base_fingerprint,
                "quantisation": "NF4, double quantisation",
            },
            "config": spec.config,
            "rank": {"reason": spec.rank.reason, **spec.config["rank"]},
            "rows": _row_facts(mix_rows),
            "training": training,
            "provenance": spec.provenance,
            "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
            "platform": {"python": platform.python_version(), "machine": platform.machine()},
            "evaluation": None,
            "promotion": None,
            "files": {
                path.name: file_sha256(path) for path in sorted(target.iterdir()) if path.is_file()
            },
        },
    )


def _row_facts(mix_rows: pl.DataFrame) -> dict[str, Any]:
    train = mix_rows.filter(pl.col("split") == TRAIN)

    def counts(column: str) -> dict[str, int]:
        table = train[column].value_counts().sort(column)
        return dict(zip(table[column].to_list(), table["count"].to_list(), strict=True))

    return {
        "digest": rows_digest(mix_rows),
        "train_digest": rows_digest(mix_rows, TRAIN),
        "eval_digest": rows_digest(mix_rows, EVAL),
        "train": len(train),
        "eval": len(mix_rows) - len(train),
        "watched": len(watch_ids(mix_rows)),
        "train_tokens": int(train["tokens"].sum()),
        "lanes": counts("lane"),
        "languages": counts("language"),
        "origins": counts("origin"),
        "task_families": counts("task_family"),
    }
