"""The adapter directory: complete for those who load it, and able to prove what it was made from.

`manifest.json` is the one source of truth; the model card is rendered from it, and `verify`
recomputes every digest. Training and judging an adapter happen elsewhere.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from vox_assets.mix.build import EVAL, TRAIN, watch_ids
from vox_assets.store.files import file_sha256
from vox_assets.store.lake import Lake, TableMissingError
from vox_assets.training.adapter.evaluation_table import (
    ANSWER_HEADER,
    LOSS_HEADER,
    answer_lines,
    loss_lines,
)
from vox_assets.training.adapter.modelfile import MODELFILE, render_modelfile
from vox_assets.training.plan.spec import TrainingSpec, rows_digest, write_json

MANIFEST = "manifest.json"
CARD = "README.md"
CURVE = "training_curve.jsonl"
ROWS = "rows.jsonl"
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
CONFIG_OF_BASE = "config.json"
#: The table whose rows an adapter learns.
MIX_TABLE = "training_mix"
MANIFEST_SCHEMA = "vox-assets/adapter/2"

#: What ROWS tells of each row: enough to recompute the digest and to find the row in its source.
ROW_COLUMNS = (
    *("pair_id", "split", "weight", "lane", "origin", "tokens"),
    *("source_path", "source_commit"),
)

#: Whose versions a manifest records: what a rerun has to match.
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
    """NF4 with double quantisation (QLoRA, arXiv 2305.14314), computing in `dtype`."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def save_weights(model: Any, target: Path) -> None:
    """Write a PEFT model's adapter (safetensors and its configuration), in one move."""
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
    """Fill `target` with everything an adapter needs; the manifest is written last.

    `weights` is a folder of `save_weights`, `facts` what the training program tells. No file names
    a path of this machine: runtimes resolve the base by its published name.
    """
    target.mkdir(parents=True)
    shutil.copyfile(weights / WEIGHTS, target / WEIGHTS)
    config = json.loads((weights / CONFIG).read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = spec.base_name
    config["revision"] = spec.base_revision
    # A set in PEFT, so its order would differ from run to run.
    config["target_modules"] = sorted(config["target_modules"])
    write_json(target / CONFIG, config)
    tokenizer.save_pretrained(target)
    base_config = json.loads((Path(spec.base_path) / CONFIG_OF_BASE).read_text(encoding="utf-8"))
    modelfile = render_modelfile(tokenizer, spec.base_name, base_config.get("model_type", ""))
    (target / MODELFILE).write_text(modelfile, encoding="utf-8")
    curve = spec.work_dir / "progress.jsonl"
    if curve.exists():
        shutil.copyfile(curve, target / CURVE)
    listed = mix_rows.sort("split", "pair_id").select(ROW_COLUMNS)
    listed.write_ndjson(target / ROWS)

    told = {key: value for key, value in facts.items() if key not in ("adapter", "digest")}
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
            "training": told,
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
    def counts(column: str) -> dict[str, int]:
        train = mix_rows.filter(pl.col("split") == TRAIN)
        table = train[column].value_counts().sort(column)
        return dict(zip(table[column].to_list(), table["count"].to_list(), strict=True))

    train = mix_rows.filter(pl.col("split") == TRAIN)
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


# The manifest -------------------------------------------------------------------------------


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of an adapter. Raises ValueError that names what is wrong with it."""
    path = directory / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{MANIFEST} is missing") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{MANIFEST} cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("schema") != MANIFEST_SCHEMA:
        raise ValueError(f"{MANIFEST} is not of schema {MANIFEST_SCHEMA}")
    return content


def read_curve(directory: Path) -> list[dict[str, Any]]:
    """The training curve of an adapter: lines with `step` and `loss` or `watched_nll`."""
    path = directory / CURVE
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def write_manifest(directory: Path, content: Mapping[str, Any]) -> None:
    """Seal and write a manifest, and render the model card from it."""
    sealed = {key: value for key, value in content.items() if key != "seal"}
    sealed["seal"] = _seal(sealed)
    write_json(directory / MANIFEST, sealed)
    (directory / CARD).write_text(render_card(sealed), encoding="utf-8")


def record(directory: Path, section: str, content: Mapping[str, Any]) -> None:
    """Put the `evaluation` or `promotion` of a verified adapter into its manifest and card."""
    write_manifest(directory, read_manifest(directory) | {section: dict(content)})


def _seal(content: Mapping[str, Any]) -> str:
    plain = {key: value for key, value in content.items() if key != "seal"}
    canonical = json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def verify(directory: Path, expected: Mapping[str, Any] | None = None) -> list[str]:
    """Recompute every digest of an adapter; what differs, one line each, nothing when it is whole.

    `expected` compares the manifest with the world as it is now: `rows_digest`, and
    `table_versions` (a mapping) as the provenance recorded them.
    """
    try:
        manifest = read_manifest(directory)
    except ValueError as error:
        return [str(error)]
    faults = []
    if manifest.get("seal") != _seal(manifest):
        faults.append(f"{MANIFEST} was changed after it was sealed")
    if manifest["digest"] != directory.name and not directory.name.startswith("."):
        faults.append(f"{MANIFEST} is of digest {manifest['digest']}, not {directory.name}")
    for name, digest in manifest["files"].items():
        path = directory / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif file_sha256(path) != digest:
            faults.append(f"{name} differs from its digest in {MANIFEST}")
    known = {*manifest["files"], MANIFEST, CARD}
    faults += [
        f"{path.name} is no part of the adapter"
        for path in sorted(directory.iterdir())
        if path.name not in known
    ]
    card = directory / CARD
    if not card.is_file() or card.read_text(encoding="utf-8") != render_card(manifest):
        faults.append(f"{CARD} does not say what {MANIFEST} says")
    if not faults:
        faults += _row_faults(directory, manifest)
    faults += _drift(manifest, expected or {})
    return faults


def verify_tables(directory: Path, lake: Lake) -> list[str]:
    """Whether the lake still tells of the rows that a whole adapter was trained on.

    The version of the mix that the manifest names is read again and its digest recomputed; a newer
    version beside it is no fault. Faults, one line each, or nothing when it holds.
    """
    manifest = read_manifest(directory)
    version = manifest["provenance"].get("table_versions", {}).get(MIX_TABLE)
    if version is None:
        return [f"{MANIFEST} names no version of table {MIX_TABLE}"]
    try:
        found = rows_digest(lake.read(MIX_TABLE, version))
    except TableMissingError as error:
        return [str(error)]
    if found != manifest["config"]["rows_digest"]:
        return [
            f"version {version} of table {MIX_TABLE} holds rows {found}, the adapter was trained "
            f"on {manifest['config']['rows_digest']}: the manifest is of another corpus"
        ]
    return []


def _row_faults(directory: Path, manifest: Mapping[str, Any]) -> list[str]:
    """What the list of rows contradicts in the manifest: its digest, and the lanes trained."""
    rows = pl.read_ndjson(directory / ROWS)
    faults = []
    if rows_digest(rows) != manifest["config"]["rows_digest"]:
        faults.append(f"{ROWS} lists other rows than the adapter was trained on")
    strangers = set(rows["lane"].to_list()) - set(manifest["config"]["lanes"])
    if strangers:
        faults.append(f"{ROWS} holds lanes that were not to be trained: {sorted(strangers)}")
    return faults


def _drift(manifest: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    faults = []
    trained_on = manifest["config"]["rows_digest"]
    if expected.get("rows_digest", trained_on) != trained_on:
        faults.append(
            f"rows_digest is {trained_on}, the corpus has {expected['rows_digest']}: "
            f"the adapter is of another corpus"
        )
    recorded = manifest["provenance"].get("table_versions", {})
    for table, version in expected.get("table_versions", {}).items():
        if recorded.get(table) != version:
            faults.append(f"table {table} is at {version}, the adapter saw {recorded.get(table)}")
    return faults


def check_loads(directory: Path, base_path: Path | str) -> list[str]:
    """Load the adapter onto its base with plain peft; faults, or nothing when it loads.

    A tensor of the wrong shape raises in peft, one of the wrong name is only skipped with a
    warning, so the names are compared too, and the weights must be finite.
    """
    import torch
    from peft import PeftModel
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    try:
        base = AutoModelForCausalLM.from_pretrained(
            str(base_path), dtype=torch.bfloat16, use_safetensors=True
        )
        model = PeftModel.from_pretrained(base, str(directory))
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        return [f"peft cannot load it: {' '.join(str(error).split())[:300]}"]
    stored = load_file(directory / WEIGHTS)
    loaded = {
        name.replace(".default", "") for name, _ in model.named_parameters() if "lora_" in name
    }
    faults = [f"{name} has no place in the base" for name in sorted(set(stored) - loaded)]
    faults += [f"{name} is missing" for name in sorted(loaded - set(stored))]
    faults += [
        f"{name} is not finite" for name, tensor in stored.items() if not tensor.isfinite().all()
    ]
    if not any("lora_B" in name and tensor.any() for name, tensor in stored.items()):
        faults.append("every lora_B is zero: the adapter changes nothing")
    return faults


# The model card -----------------------------------------------------------------------------


def render_card(manifest: Mapping[str, Any]) -> str:
    """The model card, a pure function of the manifest (Markdown with hub metadata)."""
    rows, training, rank = manifest["rows"], manifest["training"], manifest["rank"]
    base, provenance = manifest["base_model"], manifest["provenance"]
    lanes = ", ".join(f"`{lane}`" for lane in manifest["config"]["lanes"])
    lines = [
        "---",
        f"base_model: {base['name']}",
        "library_name: peft",
        "pipeline_tag: text-generation",
        "tags: [lora, qlora, sft, vox-assets]",
        "---",
        "",
        f"# {manifest['name']}",
        "",
        f"A LoRA adapter of `{base['name']}` for the lanes {lanes} of a Vox corpus, trained and "
        f"judged by vox-assets under digest `{manifest['digest']}`. `manifest.json` holds every "
        f"figure below and the SHA-256 of every file.",
        "",
        "## Data",
        "",
        f"{rows['train']} training rows ({rows['train_tokens']} tokens with the chat template) and "
        f"{rows['eval']} held-out rows, split by source file. Row ids, lanes and sources are in "
        f"`{ROWS}`. Source commit: {provenance.get('source_commit') or 'not under git'}. "
        f"Policy: profile `{provenance.get('profile', '?')}` "
        f"({provenance.get('profile_digest', '?')}).",
        "",
        "| training rows by | |",
        "|---|---|",
        *(
            f"| {label} | {_tally(rows[key])} |"
            for label, key in (
                ("lane", "lanes"),
                ("language", "languages"),
                ("origin", "origins"),
                ("task", "task_families"),
            )
        ),
        "",
        "## Training",
        "",
        f"QLoRA: {base['quantisation']} base, LoRA on all linear layers, loss on answers only. "
        f"Rank {rank['rank']}, alpha {rank['alpha']}, peak rate {rank['learning_rate']:g}. "
        f"{_sentence(rank['reason'])}",
        "",
        f"{training['steps']} of {training['planned_steps']} steps, {training['tokens']} packed "
        f"tokens, {training['seconds']:.0f} s on {training['device']} in {training['dtype']} "
        f"({training['tokens_per_second']:.0f} tokens/s). Ended because "
        f"{training['stopped_by']}; the weights are those of step {training['best_step']}.",
        "",
        "## Evaluation",
        "",
        *_card_evaluation(manifest.get("evaluation")),
        "",
        "## Limits",
        "",
        f"Trained for the lanes {lanes} alone: other kinds of requests are out of scope and may be "
        f"answered worse than by the base model. Held-out rows come from the same project as the "
        f"training rows, so the figures say how well this project is learned and nothing about "
        f"others. The base model's own limits and licence apply. Code it writes has to be checked "
        f"by the compiler before use.",
        "",
        "## Use",
        "",
        "```python",
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        f'base = AutoModelForCausalLM.from_pretrained("{base["name"]}")',
        'model = PeftModel.from_pretrained(base, "PATH_OF_THIS_FOLDER")',
        'tokenizer = AutoTokenizer.from_pretrained("PATH_OF_THIS_FOLDER")',
        "```",
        "",
        f"vLLM: `vllm serve {base['name']} --enable-lora --max-lora-rank {rank['rank']} "
        f"--lora-modules {manifest['name']}=PATH_OF_THIS_FOLDER`.",
        "",
        "llama.cpp: `convert_lora_to_gguf.py --base BASE_FOLDER --outfile adapter.gguf "
        "PATH_OF_THIS_FOLDER`, then `llama-cli -m BASE.gguf --lora adapter.gguf`.",
        "",
        f"Ollama: `{MODELFILE}` has the chat template that it was trained with.",
        "",
    ]
    return "\n".join(lines)


def _card_evaluation(evaluation: Mapping[str, Any] | None) -> list[str]:
    if evaluation is None:
        return ["Not evaluated yet: do not serve it."]
    lines = [
        "| verdict | holds | figures |",
        "|---|---|---|",
    ]
    for verdict in evaluation["verdicts"]:
        holds = "yes" if verdict["passed"] else "**no**"
        lines.append(f"| {verdict['name']} | {holds} | {verdict['reason']} |")
    return [
        *lines,
        "",
        "Loss is nats per answer token, weighted by tokens; intervals are bootstrapped over "
        "sources, those of shares are Wilson's.",
        "",
        *_markdown(LOSS_HEADER, loss_lines(evaluation)),
        "",
        *_markdown(ANSWER_HEADER, answer_lines(evaluation)),
    ]


def _markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    rows = [header, ["---"] * len(header), *lines]
    return [f"| {' | '.join(row)} |" for row in rows]


def _tally(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count}" for name, count in ordered)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
