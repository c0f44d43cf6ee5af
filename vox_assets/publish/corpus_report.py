"""Composes the corpus report of a build from its tables and account tables."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from vox_assets.curate.ledger import fates_by_repository, funnel, reasons
from vox_assets.curate.scoring import Calibration
from vox_assets.curate.separation import separation_report
from vox_assets.profiles import Profile
from vox_assets.publish.pages import Origin, Page, render_report


def corpus_report(
    profile: Profile,
    origin: Origin,
    sources: Mapping[str, pl.DataFrame],
    scored: pl.DataFrame,
    mix: pl.DataFrame,
    ledger: pl.DataFrame,
    separation: pl.DataFrame,
) -> Page:
    """Compose the corpus report.

    `sources` has `pair_id` and `source_path` of each source table by name. `separation` is the
    account table of scored mutants. `scored` needs neither texts nor embeddings.
    """
    return render_report(
        title=f"{profile.name} corpus",
        origin=origin,
        funnel=funnel(ledger),
        reasons=reasons(ledger),
        repositories=(
            fates_by_repository(ledger, sources, profile) if profile.repositories else None
        ),
        scored=scored,
        mix_rows=mix,
        threshold=profile.scoring.threshold,
        kinds=separation_report(separation),
        weights={name: form.weight for name, form in Calibration.load().forms.items()},
        separation=separation,
    )
