"""Defines the names of the files in an adapter directory."""

from __future__ import annotations

MANIFEST = "manifest.json"
CARD = "README.md"
CURVE = "training_curve.jsonl"
ROWS = "rows.jsonl"
WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"

#: Configuration file in the folder of the base model.
CONFIG_OF_BASE = "config.json"
