"""The corpus report, read from the lake: written with the corpus, and again with its evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from vox_assets.contract.rows import SOURCE_TABLES
from vox_assets.curate.ledger import build_ledger, fates_by_repository, funnel, reasons
from vox_assets.curate.scoring import Calibration, auc_per_kind
from vox_assets.extract import commits
from vox_assets.publish.pages import render_report
from vox_assets.settings import Settings
from vox_assets.store.files import write_text
from vox_assets.store.lake import Lake, TableMissingError
from vox_assets.training.adapter.manifest import read_curve, read_manifest
from vox_assets.training.promote import current


def write_report(settings: Settings, lake: Lake) -> Path:
    """Write `reports/corpus.html` of the newest tables and the newest adapter; returns its path."""
    profile = settings.profile
    # Neither texts but those of some samples nor embeddings are shown.
    scored = lake.scan("scored_corpus").drop("embedding", "prompt", "response").collect()
    mix = lake.read("training_mix")
    separation = lake.read_account("scored_corpus", "mutants")
    # Made anew: the table of this name may be of an earlier corpus when an adapter is evaluated.
    sources = {
        name: lake.scan(name).select("pair_id", "source_path").collect() for name in SOURCE_TABLES
    }
    ledger = build_ledger(
        sources,
        lake.read_account("deduped_corpus", "drops"),
        scored,
        lake.read_account("training_mix", "drops"),
        mix,
    )
    serving = current(settings.adapters_dir)
    digest = _newest_adapter(lake)
    curve, evaluation = _shown(settings.adapters_dir / digest) if digest else ([], None)
    report = render_report(
        title=f"{profile.name} corpus",
        facts={
            "source commit": commits(settings.source_roots) or "not under git",
            "profile": f"{profile.name} ({profile.digest})",
            "newest adapter": digest or "none yet",
            "serving adapter": serving["digest"] if serving else "none yet",
        },
        funnel=funnel(ledger),
        reasons=reasons(ledger),
        repositories=(
            fates_by_repository(ledger, sources, profile) if profile.repositories else None
        ),
        scored=scored,
        mix_rows=mix,
        areas=auc_per_kind(separation),
        weights={name: form.weight for name, form in Calibration.load().forms.items()},
        separation=separation,
        curve=curve,
        evaluation=evaluation,
    )
    path = settings.reports_dir / "corpus.html"
    write_text(path, report)
    return path


def _shown(directory: Path) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Curve and evaluation of an adapter; nothing of one that was removed or damaged since."""
    try:
        return read_curve(directory), read_manifest(directory)["evaluation"]
    except ValueError:
        return [], None


def _newest_adapter(lake: Lake) -> str | None:
    try:
        trained: pl.DataFrame = lake.read("qlora_adapter")
    except TableMissingError:
        return None
    return str(trained["digest"].item())
