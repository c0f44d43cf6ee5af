"""The lake's IO manager as a resource that a code location loads without its libraries."""

from __future__ import annotations

import dagster as dg


def lake_io_manager(lake_uri: str) -> dg.IOManagerDefinition:
    """Tables below `lake_uri`; a build replaces content and, where it changed, schema.

    dagster-polars brings pandas, half a second of every load: only a run imports it.
    """

    @dg.io_manager
    def tables(context: dg.InitResourceContext) -> dg.IOManager:
        from dagster_polars.io_managers.delta import DeltaSchemaMode, DeltaWriteMode

        from vox_assets.resources.delta import LakeIOManager

        manager = LakeIOManager(
            base_dir=lake_uri,
            mode=DeltaWriteMode.overwrite,
            schema_mode=DeltaSchemaMode.overwrite,
        )
        manager.setup_for_execution(context)
        return manager

    return tables
