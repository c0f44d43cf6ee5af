"""Measurements are cached by content, so a moved row is not measured again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl

from vox_assets.compute.models import LocalModel
from vox_assets.curate import embedding, perplexity
from vox_assets.curate.meter import Meter
from vox_assets.extract import extract_docs, extract_rust
from vox_assets.profiles import load
from vox_assets.store.cache import VectorCache

SAMPLE = Path("data/sample_workspace")
MODULE = "crates/vox-graph/src/unionfind.rs"
PAGE = "docs/src/guide/errors.md"


def rows_of(root: Path) -> pl.DataFrame:
    profile = load("sample")
    docs = extract_docs(root, profile, commit=None, check_vox=lambda _: None)
    return pl.concat([extract_rust(root, profile, commit=None).rows, docs.rows])


def model_calls() -> int:
    """Count the uses of both models in this process."""
    infos = (embedding._encoder.cache_info(), perplexity._network.cache_info())
    return sum(info.hits + info.misses for info in infos)


def test_renamed_files_and_a_restored_branch_cost_no_model_pass(
    tmp_path: Path, base_model: LocalModel, embedding_model: LocalModel
) -> None:
    root = tmp_path / "tree"
    for path in (MODULE, "crates/vox-graph/Cargo.toml", PAGE):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SAMPLE / path, root / path)
    (root / "crates/vox-graph/src/lib.rs").write_text("pub mod unionfind;\n")

    def measure() -> tuple[pl.DataFrame, np.ndarray]:
        store = VectorCache(tmp_path / "cache" / "vectors.sqlite")
        meter = Meter(base_model, embedding_model, store, model_tokens=48)
        rows = rows_of(root)
        return rows, meter.everything(rows, meter.corpus_of(rows))

    rows, measured = measure()
    calls = model_calls()
    assert calls > 0

    # Move the module to another file and rename the page.
    moved = root / "crates/vox-graph/src/unionfind/mod.rs"
    moved.parent.mkdir()
    (root / MODULE).replace(moved)
    (root / PAGE).replace(root / "docs/src/guide/mistakes.md")
    renamed, again = measure()
    assert set(renamed["source_path"]).isdisjoint(rows["source_path"])
    assert set(renamed["pair_id"]) == set(rows["pair_id"])
    assert model_calls() == calls
    assert (np.sort(again, axis=0) == np.sort(measured, axis=0)).all()

    # Change the module as a branch would, then restore it.
    text = moved.read_text()
    moved.write_text(text.replace("pub fn", "/// Changed on a branch.\npub fn", 1))
    measure()
    changed = model_calls()
    assert changed > calls
    moved.write_text(text)
    measure()
    assert model_calls() == changed
