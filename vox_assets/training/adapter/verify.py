"""Verifies an adapter directory against its manifest, its corpus and its base model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from vox_assets.store.files import file_sha256
from vox_assets.store.lake import Lake, TableMissingError
from vox_assets.training.adapter.card import render_card
from vox_assets.training.adapter.layout import CARD, MANIFEST, ROWS, WEIGHTS
from vox_assets.training.adapter.manifest import MIX_TABLE, read_manifest, seal
from vox_assets.training.plan.spec import rows_digest


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
    if manifest.get("seal") != seal(manifest):
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
    """Check that the lake still has the rows that an adapter was trained on.

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
    """Contradictions between the list of rows and the manifest: its digest, and the lanes
    trained.
    """
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
