"""Reads, writes and seals the manifest of an adapter directory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vox_assets.store.files import write_text
from vox_assets.training.adapter.card import render_card
from vox_assets.training.adapter.layout import CARD, CURVE, MANIFEST
from vox_assets.training.plan.spec import write_json

#: Name of the table with the training rows.
MIX_TABLE = "training_mix"

MANIFEST_SCHEMA = "vox-assets/adapter/2"

#: Columns of the row list: enough to recompute the digest and to find each row in its source.
ROW_COLUMNS = (
    *("pair_id", "split", "weight", "lane", "origin", "tokens"),
    *("source_path", "source_symbol", "source_commit"),
)


def read_manifest(directory: Path) -> dict[str, Any]:
    """Read the manifest of an adapter. Raises ValueError if it is missing or invalid."""
    path = directory / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{MANIFEST} is missing") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{MANIFEST} cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("schema") != MANIFEST_SCHEMA:
        schema = content.get("schema", "none") if isinstance(content, dict) else "none"
        raise ValueError(
            f"{MANIFEST} has schema {schema}, but this version reads {MANIFEST_SCHEMA}"
        )
    return content


def read_curve(directory: Path) -> list[dict[str, Any]]:
    """Read the training curve of an adapter: lines with `step` and `loss` or `watched_nll`."""
    path = directory / CURVE
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def write_manifest(directory: Path, content: Mapping[str, Any]) -> None:
    """Seal and write a manifest, and write the model card that is rendered from it.

    The manifest has the digests of this card and of the one before, so that a kill between the two
    writes leaves an adapter that passes verification, and so that another version of this program
    can verify a card that it would render in other words.
    """
    card = render_card(content)
    digest = hashlib.sha256(card.encode("utf-8", "surrogatepass")).hexdigest()
    sealed = {key: value for key, value in content.items() if key != "seal"}
    sealed["cards"] = [digest, *content.get("cards", [])[:1]]
    sealed["seal"] = seal(sealed)
    write_json(directory / MANIFEST, sealed)
    write_text(directory / CARD, card)


def record(directory: Path, section: str, content: Mapping[str, Any]) -> None:
    """Record the `evaluation` or `promotion` of a verified adapter in its manifest and card."""
    write_manifest(directory, read_manifest(directory) | {section: dict(content)})


def seal(content: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of a manifest without its `seal` field."""
    plain = {key: value for key, value in content.items() if key != "seal"}
    canonical = json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
