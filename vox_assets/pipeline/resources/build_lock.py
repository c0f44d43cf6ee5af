"""The resource that gives a run the lake's IO manager and the build lock."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from vox_assets.settings import Settings
from vox_assets.store.files import exclusive

LOCK = "build.lock"


def lake_io_manager(settings: Settings) -> dg.IOManagerDefinition:
    """Create the IO manager of the lake, which holds the build lock until the run ends.

    Tables of two builds must never be mixed: a second run waits, whichever way it was launched.
    The lock ends with its process, so that a killed run leaves none. The IO manager imports the
    libraries of scoring for their schemas: only a run loads it, not the code location.
    """

    @dg.io_manager  # type: ignore[arg-type]  # dagster takes a generator and ends it with the run
    def tables(context: dg.InitResourceContext) -> Iterator[dg.IOManager]:
        from vox_assets.pipeline.resources.lake_io import LakeIOManager
        from vox_assets.store.lake import Lake

        log = context.log.info if context.log is not None else None
        with exclusive(settings.data_dir / LOCK, log):
            yield LakeIOManager(Lake(settings.lake_uri))

    return tables
