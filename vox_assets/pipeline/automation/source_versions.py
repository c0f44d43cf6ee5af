"""Reports the data versions of the source assets, from which the UI decides what is unsynced.

A build from the command line reports them before it reads the sources, and the sensors report them
when two ticks see the same content. A table therefore records the version that it was built from,
whichever of the two is first.
"""

from collections.abc import Mapping

import dagster as dg

from vox_assets.extract import NO_COMMIT
from vox_assets.pipeline.automation.fingerprint import Fingerprint
from vox_assets.pipeline.automation.history import SOURCES

#: The tag from which Dagster reads the data version of an external asset.
DATA_VERSION_TAG = "dagster/data_version"


def new_versions(
    instance: dg.DagsterInstance, fingerprints: Mapping[str, Fingerprint], commit: str | None
) -> list[dg.AssetMaterialization]:
    """Return an event for each source whose newest reported version differs from its content."""
    return [
        dg.AssetMaterialization(
            asset_key=source,
            metadata={"files": fingerprints[source].files, "commit": commit or NO_COMMIT},
            tags={DATA_VERSION_TAG: fingerprints[source].digest},
        )
        for source in SOURCES
        if source in fingerprints and _reported(instance, source) != fingerprints[source].digest
    ]


def _reported(instance: dg.DagsterInstance, source: str) -> str | None:
    latest = instance.get_latest_materialization_event(dg.AssetKey(source))
    event = latest.asset_materialization if latest is not None else None
    return (event.tags or {}).get(DATA_VERSION_TAG) if event is not None else None
