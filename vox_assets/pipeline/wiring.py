"""Builds the Dagster definitions from assets, checks, jobs, sensors and resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg


def build_defs(*, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Build all definitions; `resource_overrides` replaces resources by name.

    Raises SettingsError when a setting has an invalid value and SourceError without a source tree.
    """
    from vox_assets.pipeline import (
        ablation,
        adapter,
        corpus,
        records,
        sources,
    )
    from vox_assets.pipeline.automation import alerts, jobs, retention, schedules, sensors
    from vox_assets.pipeline.resources.build_lock import lake_io_manager
    from vox_assets.pipeline.resources.engine import engine
    from vox_assets.pipeline.resources.frontend import front_end
    from vox_assets.pipeline.resources.model_set import Models
    from vox_assets.pipeline.resources.notifier import Notifier
    from vox_assets.settings import load_settings
    from vox_assets.store.lake import Lake

    overrides = dict(resource_overrides or {})
    settings = overrides.pop("settings", None) or load_settings()
    # Fail at load time when the sources are missing, not at the first tick of a sensor.
    settings.source_roots  # noqa: B018
    resources = {
        "settings": settings,
        "lake": Lake(settings.lake_uri),
        "models": Models(settings),
        "engine": engine(settings),
        "front_end": front_end(settings),
        "notifier": Notifier(settings.alert_urls),
        "io_manager": lake_io_manager(settings),
        "pipes": dg.PipesSubprocessClient(),
        **overrides,
    }
    return dg.Definitions(
        assets=[
            sources.crates,
            sources.docs,
            *dg.load_assets_from_modules([sources, corpus, adapter, records]),
            ablation.ablation_asset(settings.profile),
        ],
        asset_checks=[
            check for module in (sources, corpus, adapter, records) for check in module.CHECKS
        ],
        jobs=jobs.JOBS,
        schedules=[schedules.nightly_schedule(settings.timezone)],
        sensors=[
            *sensors.SENSORS,
            *alerts.alert_sensors(settings.alert_urls),
            retention.old_builds,
        ],
        resources=resources,
        # One process per run, so that models are loaded once. Training, which may run out of
        # memory, has its own process.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Build the definitions that `dagster` and `dg` load."""
    return build_defs()
