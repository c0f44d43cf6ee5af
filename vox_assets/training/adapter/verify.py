"""Verifies an adapter directory against its manifest, its corpus and its base model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from vox_assets.store.files import file_sha256
from vox_assets.store.lake import Lake, TableMissingError, TableUnreadableError
from vox_assets.training.adapter.layout import CARD, MANIFEST, ROWS, WEIGHTS
from vox_assets.training.adapter.manifest import MIX_TABLE, read_manifest, seal
from vox_assets.training.plan.spec import rows_digest


def verify(directory: Path, expected: Mapping[str, Any] | None = None) -> list[str]:
    """Recompute every digest of an adapter; return one line per difference.

    `expected` contains values that the manifest must match: `rows_digest`, and `table_versions`, a
    mapping from tables to versions.
    """
    try:
        manifest = read_manifest(directory)
    except ValueError as error:
        return [str(error)]
    faults = []
    if manifest.get("seal") != seal(manifest):
        faults.append(f"{MANIFEST} was changed after it was sealed")
    if manifest["digest"] != directory.name and not directory.name.startswith("."):
        faults.append(f"{MANIFEST} has digest {manifest['digest']}, not {directory.name}")
    for name, digest in manifest["files"].items():
        path = directory / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif file_sha256(path) != digest:
            faults.append(f"{name} differs from its digest in {MANIFEST}")
    expected_names = {*manifest["files"], MANIFEST, CARD}
    faults += [
        f"{path.name} does not belong to the adapter"
        for path in sorted(directory.iterdir())
        if path.name not in expected_names
    ]
    card = directory / CARD
    # Earlier versions wrote no digest of the card.
    if not card.is_file() or file_sha256(card) not in manifest.get("cards", [file_sha256(card)]):
        faults.append(f"{CARD} does not match {MANIFEST}")
    if not faults:
        faults += _row_faults(directory, manifest)
    faults += _differences(manifest, expected or {})
    return faults


def verify_tables(directory: Path, lake: Lake) -> list[str]:
    """Check that the lake still has the rows that an adapter was trained on.

    Reads the version of the mix that the manifest names and recomputes its digest; newer versions
    of the mix do not matter. Returns one line per fault.
    """
    manifest = read_manifest(directory)
    version = manifest["provenance"].get("table_versions", {}).get(MIX_TABLE)
    if version is None:
        return [f"{MANIFEST} names no version of table {MIX_TABLE}"]
    try:
        digest = rows_digest(lake.read(MIX_TABLE, version))
    except (TableMissingError, TableUnreadableError) as error:
        return [str(error)]
    trained_digest = manifest["config"]["rows_digest"]
    if digest != trained_digest:
        return [
            f"version {version} of table {MIX_TABLE} has rows digest {digest}, but the adapter was "
            f"trained on {trained_digest}: the manifest belongs to another corpus"
        ]
    return []


def _row_faults(directory: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Compare the list of rows with the manifest: the rows digest and the lanes."""
    rows = pl.read_ndjson(directory / ROWS)
    faults = []
    if rows_digest(rows) != manifest["config"]["rows_digest"]:
        faults.append(f"{ROWS} does not list the rows that the adapter was trained on")
    extra_lanes = set(rows["lane"].to_list()) - set(manifest["config"]["lanes"])
    if extra_lanes:
        faults.append(f"{ROWS} has lanes that {MANIFEST} does not list: {sorted(extra_lanes)}")
    return faults


def _differences(manifest: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    faults = []
    trained_on = manifest["config"]["rows_digest"]
    if expected.get("rows_digest", trained_on) != trained_on:
        faults.append(
            f"rows_digest is {trained_on}, but the corpus has {expected['rows_digest']}: "
            f"the adapter was trained on another corpus"
        )
    recorded = manifest["provenance"].get("table_versions", {})
    for table, version in expected.get("table_versions", {}).items():
        if recorded.get(table) != version:
            faults.append(
                f"table {table} has version {version}, "
                f"but the adapter was trained on {recorded.get(table)}"
            )
    return faults


def check_loads(directory: Path, base_path: Path | str) -> list[str]:
    """Load the adapter onto its base with plain peft; return one line per fault.

    peft raises for a tensor of the wrong shape, but skips a tensor of the wrong name with a
    warning, so the names are compared too. The weights must be finite.
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
        return [f"peft cannot load the adapter: {' '.join(str(error).split())[:300]}"]
    stored = load_file(directory / WEIGHTS)
    loaded = {
        name.replace(".default", "") for name, _ in model.named_parameters() if "lora_" in name
    }
    faults = [f"{name} matches no module of the base" for name in sorted(set(stored) - loaded)]
    faults += [f"{name} is missing" for name in sorted(loaded - set(stored))]
    faults += [
        f"{name} is not finite" for name, tensor in stored.items() if not tensor.isfinite().all()
    ]
    if not any("lora_B" in name and tensor.any() for name, tensor in stored.items()):
        faults.append("every lora_B is zero: the adapter changes nothing")
    return faults
