"""Builds the Dagster definitions from assets, checks, jobs, sensors and resources."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
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
        exam,
        records,
        sources,
    )
    from vox_assets.pipeline.automation import (
        alerts,
        heartbeat,
        jobs,
        retention,
        schedules,
        sensors,
    )
    from vox_assets.pipeline.metadata import with_table
    from vox_assets.pipeline.resources.described import resource_definitions
    from vox_assets.settings import load_settings
    from vox_assets.store.lake import Lake

    overrides = dict(resource_overrides or {})
    settings = overrides.pop("settings", None) or load_settings()
    # Fail at load time when the sources are missing, not at the first tick of a sensor.
    settings.source_roots  # noqa: B018
    assets = [
        sources.crates,
        sources.docs,
        *dg.load_assets_from_modules([sources, corpus, adapter, exam, records]),
        ablation.ablation_asset(settings.profile),
    ]
    with warnings.catch_warnings():
        # Dagster calls code references a beta feature, eleven times at every start.
        warnings.simplefilter("ignore", dg.BetaWarning)
        linked = dg.with_source_code_references(assets)
    return dg.Definitions(
        assets=dg.map_asset_specs(
            partial(with_table, Lake(settings.lake_uri)),
            (item for item in linked if isinstance(item, dg.AssetsDefinition | dg.AssetSpec)),
        ),
        asset_checks=[
            check for module in (sources, corpus, adapter, exam, records) for check in module.CHECKS
        ],
        jobs=jobs.JOBS,
        schedules=[schedules.nightly_schedule(settings.timezone)],
        sensors=[
            *sensors.SENSORS,
            *alerts.alert_sensors(settings.alert_urls),
            heartbeat.heartbeat,
            retention.old_builds,
        ],
        resources={
            **resource_definitions(settings, heartbeat.pings_of(settings)),
            **overrides,
        },
        # One process per run, so that models are loaded once. Training, which may run out of
        # memory, has its own process.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Build the definitions that `dagster` and `dg` load."""
    return build_defs()
